"""Parts of a picture's file beside its pixels: what a decoder will need, and files without what is damaged."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PNG = b"\x89PNG\r\n\x1a\n"
# What the pixels, the transparent colour and the orientation are in.
_PNG_KEPT = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf")
_JPEG_START, _JPEG_SCAN = 2, 0xDA
# Coefficients of JPEGs with fewer pixels are not worth a look.
_FROM = 2**25
_BMP_SKIPS = 255
# Tags of TIFF.
_BITS, _SAMPLES, _ROWS, _TILE_WIDTH, _TILE_HEIGHT = 258, 277, 278, 322, 323


def without(file: str | Path | bytes, most: int) -> bytes | None:
    """Return a PNG without texts, profiles and the like, which may be damaged or huge.

    Of the other formats none is lost by its metadata: their decoders pass over what is wrong there.

    Args:
        file: Path of the picture, or its bytes.
        most: Largest size of a file to look into, in bytes.

    Returns:
        The file's bytes without them; None if it has none, or is no PNG.

    Raises:
        OSError: It cannot be read.
    """
    with _stream(file) as opened:
        if opened.read(len(_PNG)) != _PNG:
            return None
        data = _PNG + opened.read(most)
    found = b"" if len(data) > most else _png_without(data)
    return found if found and len(found) < len(data) else None


def _stream(file: str | Path | bytes) -> BinaryIO:
    return io.BytesIO(file) if isinstance(file, bytes) else open(file, "rb")


def _png_without(data: bytes) -> bytes:
    found, start = [_PNG], len(_PNG)
    while start + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, start)
        end = start + 12 + length
        kind, chunk = data[start + 4 : start + 8], data[start:end]
        whole = zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
        # A capital letter in front means that there is no picture without it.
        if kind in _PNG_KEPT and (whole or kind[:1].isupper()):
            found.append(chunk)
        start = end
    return b"".join(found)


def _segments(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield marker and first byte of each segment of a JPEG, up to the first with pixels."""
    file.seek(_JPEG_START)
    while len(head := file.read(4)) == 4 and head[0] == 0xFF and head[1] >= 0xC0:
        start, length = file.tell() - 4, int.from_bytes(head[2:], "big")
        yield head[1], start
        if head[1] == _JPEG_SCAN:
            return
        file.seek(start + 2 + length)


def decoders_bytes(image, file: str | Path | bytes, whole: tuple[int, int]) -> int:
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
    with _stream(file) as opened:
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
