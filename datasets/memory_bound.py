"""Bound of the memory that decoding pictures takes, kept before any of it is taken, whatever a file claims."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sesemi.datasets import levels
from sesemi.datasets.metadata import stream
from sesemi.datasets.picture_formats import TooLargeError, is_heif

# Pictures that are decoded at the same time share this; it is 100 megapixels of RGB, 400 of grey, 20 of WebP.
MOST_MIB = 384
# Files that are larger are not read whole: not to repair them, nor for decoders that would.
MOST_BYTES = 64 * 2**20
_JPEG_START, _JPEG_SCAN = 2, 0xDA
# Coefficients of JPEGs with fewer pixels, 24 MiB at most, are not worth a look.
_FROM = 2**22
_BMP_SKIPS = 255
# Tags of TIFF.
_BITS, _SAMPLES, _ROWS, _TILE_WIDTH, _TILE_HEIGHT = 258, 277, 278, 322, 323


def refuse_to_read_whole(file: str | Path | bytes) -> None:
    """Refuse a large file of a format whose decoder reads all of it at once, before it looks at anything."""
    if isinstance(file, bytes):
        return
    size = os.path.getsize(file)
    if size > MOST_BYTES:
        with open(file, "rb") as opened:
            head = opened.read(12)
        if head[:4] == b"RIFF" or is_heif(head):
            raise TooLargeError(
                f"its file has {size / 2**20:,.0f} MiB, and of this format at most {MOST_BYTES / 2**20:.0f} are read"
            )


def bytes_needed(image, file: str | Path | bytes, whole: tuple[int, int], smaller: int) -> int:
    """Return about how much memory it takes to decode a picture and to bring it to RGB, in bytes."""
    width, height = image.size
    pixels, stored = width * height, levels.bytes_per_pixel(image.mode)
    if image.format == "WEBP":
        # Two frames and their bytes, and what the decoder holds.
        stored = 20
    elif image.format == "HEIF":
        stored = 12
    elif image.format == "GIF":
        stored *= 2
    rgb = 8 if smaller == 1 else 4
    return pixels * stored + pixels * rgb // smaller**2 + _decoders_bytes(image, file, whole)


def _decoders_bytes(image, file: str | Path | bytes, whole: tuple[int, int]) -> int:
    """Return what a decoder holds beside the pixels of the result, in bytes, as far as it may be much.

    Args:
        image: Image of Pillow, opened and not loaded.
        file: Its path or bytes.
        whole: Width and height in the file.
    """
    pixels = whole[0] * whole[1]
    if image.format == "BMP" and image.tile and image.tile[0][0] == "bmp_rle":
        # Some bytes of the file may skip 255 lines, in Pillow 11 wherever the picture ends.
        return 2 * (pixels + _BMP_SKIPS * whole[0])
    if image.format == "TIFF":
        return 0 if image.tile and image.tile[0][0] == "raw" else _tiff_strip(image)
    if image.format in ("JPEG", "MPO") and pixels > _FROM and _is_in_several_scans(image, file):
        # All coefficients, 2 bytes each, are held until the last scan.
        most = max(h * v for _, h, v, *_ in image.layer)
        return 2 * pixels * sum(h * v for _, h, v, *_ in image.layer) // most
    return 0


def _is_in_several_scans(image, file: str | Path | bytes) -> bool:
    if "progressive" in image.info or "progression" in image.info:
        return True
    with stream(file) as opened:
        for marker, start in _segments(opened):
            if marker == _JPEG_SCAN:
                opened.seek(start + 4)
                return opened.read(1)[0] < len(image.layer)
    return False


def _tiff_strip(image) -> int:
    """Return the size of a strip or tile of a TIFF, which is decoded as a whole."""
    width, height = image.size
    tags = image.tag_v2
    rows, bits = tags.get(_ROWS, height), tags.get(_BITS, (1,))
    columns, rows = tags.get(_TILE_WIDTH, width), tags.get(_TILE_HEIGHT, min(rows, height))
    return columns * rows * max(max(bits) * tags.get(_SAMPLES, 1) // 8, 4)


def _segments(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield marker and first byte of each segment of a JPEG, up to the first with pixels."""
    file.seek(_JPEG_START)
    while len(head := file.read(4)) == 4 and head[0] == 0xFF and head[1] >= 0xC0:
        start, length = file.tell() - 4, int.from_bytes(head[2:], "big")
        yield head[1], start
        if head[1] == _JPEG_SCAN:
            return
        file.seek(start + 2 + length)


class Memory:
    """Memory that pictures share while they are decoded: who needs more than is left waits.

    Args:
        most: All there is, in bytes.
    """

    def __init__(self, most: int):
        self._most = self._left = most
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def held(self, needed: int, size: tuple[int, int]) -> Iterator[None]:
        """Hold some of it.

        Args:
            needed: Number of bytes.
            size: Width and height of the picture, for the message.

        Raises:
            TooLargeError: There will never be so much.
        """
        if needed > self._most:
            raise TooLargeError(
                f"{size[0]} x {size[1]} pixels take {needed / 2**20:,.0f} MiB to decode, more than "
                f"{self._most / 2**20:.0f} MiB; make it smaller"
            )
        with self._changed:
            self._changed.wait_for(lambda: self._left >= needed)
            self._left -= needed
        try:
            yield
        finally:
            with self._changed:
                self._left += needed
                self._changed.notify_all()


memory = Memory(MOST_MIB * 2**20)
# A child of a fork starts with all of it: threads that held some are not in it.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: memory.__init__(MOST_MIB * 2**20))  # type: ignore[misc]
