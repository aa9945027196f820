"""One encoded picture as uint8 RGB of one size, decoded by Pillow within a bound of memory."""

import contextlib
import ctypes
import errno
import functools
import importlib.util
import io
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from sesemi.datasets import levels, metadata

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
RESIZE = ("crop", "pad")
# Pictures that are decoded at the same time share this; it is 100 megapixels of RGB, 400 of grey, 20 of WebP.
MOST_MIB = 384
# Files that are larger are not read whole: not to repair them, nor for decoders that would.
_MOST_BYTES = 64 * 2**20
# From here on a picture is made smaller before it is turned and cut: two steps, and so other bits than one would give.
_LARGE = 12 * 2**20
_STRIP = 2**20
# These are errors of the machine, not of a picture, and so no reason to leave the picture out.
_NOT_ITS_FAULT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}
_ORIENTATION = 0x0112
_HEIF_NAMES = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
HEIF_ADVICE = "HEIC is read after: pip install pillow-heif"

Remark = Callable[[str], object]


class BrokenImageError(OSError):
    """File that is no picture, only a part of one, or one that cannot be decoded here."""


class TooLargeError(BrokenImageError):
    """Picture that takes more memory than `MOST_MIB` to decode."""


def decode(file: str | Path | bytes, side: int, resize: str = "crop", remark: Remark | None = None) -> np.ndarray:
    """Decode one picture as RGB of ``side x side``.

    The orientation that EXIF tells is applied. Grey becomes three equal channels. Of 16 bits the upper ones of those
    in use count. Transparent parts lie on white. Of a moving picture the first frame is taken, of a TIFF the first
    page. Metadata that are damaged or huge are left out.

    Args:
        file: Path of the picture, or its bytes.
        side: Height and width of the result, in pixels.
        resize: With ``crop`` the shorter side becomes `side`, and the middle is cut out. With ``pad`` the longer side
            becomes `side`, and black bars fill the rest.
        remark: Function that is called with what was done to the picture that its file does not say.

    Returns:
        ``[side, side, 3]`` uint8. A picture that has that size already keeps its pixels.

    Raises:
        BrokenImageError: If it cannot be decoded; a `TooLargeError` if that takes more than `MOST_MIB`.
        OSError: If the machine fails, for example by too many open files or a disk that cannot be read.
        MemoryError: If there is not enough memory for it.
    """
    remark = remark or _unsaid
    with _faults_of(file):
        try:
            return _decoded(file, side, resize, remark)
        except TooLargeError:
            raise
        # A damaged file may make a decoder raise any error.
        except Exception as error:
            bare = None if _machines_fault(error) else metadata.without(file, _MOST_BYTES)
            if bare is None:
                raise
            with contextlib.suppress(Exception):
                found = _decoded(bare, side, resize, remark)
                remark("damaged or huge metadata, not read")
                return found
            raise


def _unsaid(_: str) -> None:
    """Say nothing."""


def _machines_fault(error: Exception) -> bool:
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _NOT_ITS_FAULT)


@contextlib.contextmanager
def _faults_of(file: str | Path | bytes) -> Iterator[None]:
    from PIL import UnidentifiedImageError

    try:
        yield
    except BrokenImageError:
        raise
    except UnidentifiedImageError as error:
        heif = "; " + HEIF_ADVICE if _is_heif(file) and "HEIF" not in formats() else ""
        raise BrokenImageError(f"neither {', '.join(formats()[:-1])} nor {formats()[-1]}{heif}") from error
    except OSError as error:
        if error.errno in _NOT_ITS_FAULT:
            raise OSError(error.errno, error.strerror, None if isinstance(file, bytes) else str(file)) from error
        raise BrokenImageError(error.strerror or str(error)) from error
    except MemoryError as error:
        where = "a picture" if isinstance(file, bytes) else str(file)
        raise MemoryError(f"{where}: not enough memory to decode it") from error
    except Exception as error:
        raise BrokenImageError(" ".join(str(error).split()) or type(error).__name__) from error


def heif_is_read() -> bool:
    """Return whether the package that decodes HEIC pictures is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


def is_heif(head: bytes) -> bool:
    """Return whether these first 12 bytes or more of a file are those of a HEIC picture."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_NAMES


def _is_heif(file: str | Path | bytes) -> bool:
    if isinstance(file, bytes):
        return is_heif(file)
    with open(file, "rb") as opened:
        return is_heif(opened.read(12))


@functools.cache
def formats() -> tuple[str, ...]:
    """Return Pillow's names of the formats that are read here: `FORMATS`, and HEIF where its package is installed."""
    # Pillow warns of many files that it can read after all, and says on stderr what is an error to its caller anyway.
    warnings.filterwarnings("ignore", module="PIL")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    _silence_libtiff()
    if not heif_is_read():
        return FORMATS
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)
    return (*FORMATS, "HEIF")


def _silence_libtiff() -> None:
    """Keep the library that Pillow reads TIFFs with from writing to stderr by itself; Pillow raises its errors."""
    from PIL import _imaging

    # Where it is linked in another way, there is no such name.
    with contextlib.suppress(OSError, AttributeError):
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(None)


def _decoded(file: str | Path | bytes, side: int, resize: str, remark: Remark) -> np.ndarray:
    with _opened(file) as image:
        # A JPEG that is much larger is decoded at a half, a quarter or an eighth of its size.
        whole = image.size
        image.draft(None, (2 * side, 2 * side))
        width, height = image.size
        smaller = max(min(width, height) // (2 * side), 1) if width * height > _LARGE else 1
        with _memory.held(_bytes_needed(image, file, whole, smaller), whole):
            raw = image.tile[0][3] if image.tile else ""
            image.load()
            orientation = _orientation(image)
            color = levels.rgb(image, remark, raw=raw, smaller=smaller, rows=max(_STRIP // width, 1))
            return np.asarray(fitted(_turned(color, orientation), side, resize))


def _opened(file: str | Path | bytes):
    """Open a picture, also a JPEG of more pixels than Pillow opens, because it will be decoded at less."""
    from PIL import Image, JpegImagePlugin

    _refuse_to_read_whole(file)
    try:
        return Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=formats())
    except Image.DecompressionBombError as error:
        try:
            return JpegImagePlugin.JpegImageFile(io.BytesIO(file) if isinstance(file, bytes) else file)
        except SyntaxError:
            most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
            raise TooLargeError(f"it has more pixels than the {most:,} that are decoded; make it smaller") from error


def _refuse_to_read_whole(file: str | Path | bytes) -> None:
    """Refuse a large file of a format whose decoder reads all of it at once, before it looks at anything."""
    if isinstance(file, bytes):
        return
    size = os.path.getsize(file)
    if size > _MOST_BYTES:
        with open(file, "rb") as opened:
            head = opened.read(12)
        if head[:4] == b"RIFF" or is_heif(head):
            raise TooLargeError(
                f"its file has {size / 2**20:,.0f} MiB, and of this format at most {_MOST_BYTES / 2**20:.0f} are read"
            )


def _bytes_needed(image, file: str | Path | bytes, whole: tuple[int, int], smaller: int) -> int:
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
    return pixels * stored + pixels * rgb // smaller**2 + metadata.decoders_bytes(image, file, whole)


class _Memory:
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


_memory = _Memory(MOST_MIB * 2**20)
# A child of a fork starts with all of it: threads that held some are not in it.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _memory.__init__(MOST_MIB * 2**20))  # type: ignore[misc]


def _orientation(image) -> int:
    # A damaged EXIF is no reason to lose the pixels.
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1


def _turned(image, orientation: int):
    """Return an image as EXIF's number says that it is to be seen."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def fitted(image, side: int, resize: str):
    """Return an image of Pillow at ``side x side``; of a very long one with ``pad`` at least a line of pixels stays."""
    from PIL import Image, ImageOps

    how, (width, height) = Image.Resampling.BICUBIC, image.size
    if resize == "crop":
        return ImageOps.fit(image, (side, side), how)
    if round(min(width, height) / max(width, height) * side) >= 1:
        return ImageOps.pad(image, (side, side), how)
    line = image.resize((side, 1) if width > height else (1, side), how)
    found = Image.new(image.mode, (side, side))
    found.paste(line, (0, side // 2) if width > height else (side // 2, 0))
    return found
