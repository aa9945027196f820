"""Formats of pictures that are read, by Pillow and where it is installed pillow-heif, and what is wrong with a file."""

import contextlib
import ctypes
import functools
import importlib.util
import logging
import warnings

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
HEIF_ADVICE = "HEIC is read after: pip install pillow-heif"
_HEIF_NAMES = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


class BrokenImageError(OSError):
    """File that is no picture, only a part of one, or one that cannot be decoded here."""


class TooLargeError(BrokenImageError):
    """Picture that takes more memory than `memory_bound.MOST_MIB` to decode."""


def heif_is_read() -> bool:
    """Return whether the package that decodes HEIC pictures is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


def is_heif(head: bytes) -> bool:
    """Return whether these first 12 bytes or more of a file are those of a HEIC picture."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_NAMES


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
