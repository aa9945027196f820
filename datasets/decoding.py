"""One encoded picture as uint8 RGB of one size, decoded by Pillow within a bound of memory."""

import contextlib
import errno
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from sesemi.datasets import levels, memory_bound, metadata
from sesemi.datasets.picture_formats import HEIF_ADVICE, BrokenImageError, TooLargeError, formats, is_heif

RESIZE = ("crop", "pad")
# From here on a picture is made smaller before it is turned and cut: two steps, and so other bits than one would give.
_LARGE = 12 * 2**20
_STRIP = 2**20
# These are errors of the machine, not of a picture, and so no reason to leave the picture out.
_NOT_ITS_FAULT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}
_ORIENTATION = 0x0112

Remark = Callable[[str], object]


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
        BrokenImageError: If it cannot be decoded; a `TooLargeError` if that takes more than `memory_bound.MOST_MIB`.
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
            bare = None if _machines_fault(error) else metadata.without(file, memory_bound.MOST_BYTES)
            if bare is None:
                raise
            try:
                found = _decoded(bare, side, resize, remark)
            except Exception as again:
                # The first fault says more about the file, unless the machine has one now.
                if _machines_fault(again):
                    raise
                raise error from None
            remark("damaged or huge metadata, not read")
            return found


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


def _is_heif(file: str | Path | bytes) -> bool:
    if isinstance(file, bytes):
        return is_heif(file)
    with open(file, "rb") as opened:
        return is_heif(opened.read(12))


def _decoded(file: str | Path | bytes, side: int, resize: str, remark: Remark) -> np.ndarray:
    with _opened(file) as image:
        # A JPEG that is much larger is decoded at a half, a quarter or an eighth of its size.
        whole = image.size
        image.draft(None, (2 * side, 2 * side))
        width, height = image.size
        smaller = max(min(width, height) // (2 * side), 1) if width * height > _LARGE else 1
        with memory_bound.memory.held(memory_bound.bytes_needed(image, file, whole, smaller), whole):
            raw = image.tile[0][3] if image.tile else ""
            image.load()
            orientation = _orientation(image, remark)
            color = levels.rgb(image, remark, raw=raw, smaller=smaller, rows=max(_STRIP // width, 1))
            return np.asarray(fitted(_turned(color, orientation), side, resize))


def _opened(file: str | Path | bytes):
    """Open a picture, also a JPEG of more pixels than Pillow opens, because it will be decoded at less."""
    from PIL import Image, JpegImagePlugin

    memory_bound.refuse_to_read_whole(file)
    try:
        return Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=formats())
    except Image.DecompressionBombError as error:
        try:
            return JpegImagePlugin.JpegImageFile(io.BytesIO(file) if isinstance(file, bytes) else file)
        except SyntaxError:
            most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
            raise TooLargeError(f"it has more pixels than the {most:,} that are decoded; make it smaller") from error


def _orientation(image, remark: Remark) -> int:
    # A damaged EXIF makes Pillow raise any error, and is no reason to lose the pixels.
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception as error:
        if _machines_fault(error):
            raise
        remark("damaged EXIF, so an orientation noted there is not followed")
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
