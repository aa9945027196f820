"""Metadata of a picture's file, which are no reason to lose its pixels."""

import io
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

_PNG = b"\x89PNG\r\n\x1a\n"
# What the pixels, the transparent colour and the orientation are in.
_PNG_KEPT = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf")


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
    with stream(file) as opened:
        if opened.read(len(_PNG)) != _PNG:
            return None
        data = _PNG + opened.read(most)
    found = b"" if len(data) > most else _png_without(data)
    return found if found and len(found) < len(data) else None


def stream(file: str | Path | bytes) -> BinaryIO:
    """Open a file, or bytes as if they were one."""
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
