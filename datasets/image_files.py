"""Pictures in files, or in bytes, as uint8 RGB of one size; decoded by Pillow, by several threads at once."""

import errno
import functools
import hashlib
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
RESIZE = ("crop", "pad")
DIGEST_BYTES = 16
_CHUNK = 1024
_CHUNK_BYTES = 64 * 2**20
# These are errors of the machine, not of a picture, and so no reason to leave the picture out.
_NOT_ITS_FAULT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}
_WHITE = (255, 255, 255, 255)


class BrokenImageError(OSError):
    """File that is no picture, or only a part of one."""


def find(folder: Path) -> Iterator[Path]:
    """Yield the pictures of a folder and of all folders in it, by their extension, in order; hidden ones are left out.

    The names of one folder at a time are held in memory.
    """
    with os.scandir(folder) as entries:
        # A link to a folder may lead back to this folder, so it is not followed.
        wanted = sorted(
            (entry.name, entry.is_dir(follow_symlinks=False))
            for entry in entries
            if not entry.name.startswith(".") and (is_picture(entry) or entry.is_dir(follow_symlinks=False))
        )
    for name, is_folder in wanted:
        if is_folder:
            yield from find(folder / name)
        else:
            yield folder / name


def is_picture(entry: os.DirEntry) -> bool:
    """Return whether it is a file with one of `EXTENSIONS`."""
    return os.path.splitext(entry.name)[1].lower() in EXTENSIONS and entry.is_file()


def decode(file: str | Path | bytes, side: int, resize: str = "crop") -> np.ndarray:
    """Decode one picture as RGB of ``side x side``.

    The orientation that EXIF tells is applied. Grey becomes three equal channels. Of 16 bits the upper ones count.
    Transparent parts lie on white. Of a moving picture the first frame is taken.

    Args:
        file: Path of the picture, or its bytes.
        side: Height and width of the result, in pixels.
        resize: With ``crop`` the shorter side becomes `side`, and the middle is cut out. With ``pad`` the longer side
            becomes `side`, and black bars fill the rest.

    Returns:
        ``[side, side, 3]`` uint8. A picture that has that size already keeps its pixels.

    Raises:
        BrokenImageError: If it cannot be decoded.
        OSError: If the machine fails, for example by too many open files or a disk that cannot be read.
        MemoryError: If there is not enough memory for it.
    """
    _silence_pillow()
    from PIL import Image, ImageOps, UnidentifiedImageError

    source = io.BytesIO(file) if isinstance(file, bytes) else file
    how = ImageOps.fit if resize == "crop" else ImageOps.pad
    try:
        with Image.open(source, formats=FORMATS) as image:
            # A JPEG that is much larger is decoded at a half, a quarter or an eighth of its size.
            image.draft(None, (2 * side, 2 * side))
            return np.asarray(how(_rgb(_upright(image)), (side, side), Image.Resampling.BICUBIC))
    except UnidentifiedImageError as error:
        raise BrokenImageError(f"neither {', '.join(FORMATS[:-1])} nor {FORMATS[-1]}") from error
    except OSError as error:
        if error.errno in _NOT_ITS_FAULT:
            raise OSError(error.errno, error.strerror, None if isinstance(file, bytes) else str(file)) from error
        raise BrokenImageError(error.strerror or str(error)) from error
    except MemoryError as error:
        where = "a picture" if isinstance(file, bytes) else str(file)
        raise MemoryError(f"{where}: not enough memory to decode it") from error
    # A damaged file may make a decoder raise any error.
    except Exception as error:
        raise BrokenImageError(" ".join(str(error).split()) or type(error).__name__) from error


@functools.cache
def _silence_pillow() -> None:
    """Hide Pillow's warnings: it warns of many files that it can read after all."""
    warnings.filterwarnings("ignore", module="PIL")


def _upright(image):
    from PIL import ImageOps

    # A damaged EXIF is no reason to lose the pixels.
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _rgb(image):
    from PIL import Image

    if image.mode.startswith("I"):
        grey = np.asarray(image)
        grey = grey if grey.dtype == np.uint16 else grey.clip(0, 65535).astype(np.uint16)
        image = Image.fromarray((grey >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    return image.convert("RGB")


def resized(images: np.ndarray, side: int, resize: str = "crop") -> np.ndarray:
    """Return arrays as `decode` would: uint8 ``[N, H, W]`` or ``[N, H, W, 1 | 3 | 4]`` to ``[N, side, side, 3]``."""
    from PIL import Image, ImageOps

    how = ImageOps.fit if resize == "crop" else ImageOps.pad
    found = np.empty((len(images), side, side, 3), np.uint8)
    for place, image in zip(found, images, strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 and image.ndim == 3 else image)
        place[:] = np.asarray(how(_rgb(picture), (side, side), Image.Resampling.BICUBIC))
    return found


def aligned_empty(shape: Sequence[int]) -> np.ndarray:
    """Return an uninitialized uint8 array that TensorFlow can use without a copy, if the device is the CPU."""
    size, step = int(np.prod(shape)), 64
    raw = np.empty(size + step, np.uint8)
    first = -raw.ctypes.data % step
    return raw[first : first + size].reshape(shape)


def digests(images: np.ndarray) -> np.ndarray:
    """Return a fingerprint of each image's pixels: ``[N, DIGEST_BYTES]`` uint8, equal for images of equal pixels."""
    found = [hashlib.blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest() for image in images]
    return np.frombuffer(b"".join(found), np.uint8).reshape(len(found), DIGEST_BYTES)


def all_digests(images) -> np.ndarray:
    """Return the `digests` of an array, or of an object that is indexed like one, piece by piece."""
    rows = chunk_rows(*images.shape[1:])
    parts = [digests(images[start : start + rows]) for start in range(0, len(images), rows)]
    return np.concatenate(parts) if parts else digests([])


def chunk_rows(*shape: int) -> int:
    """Return the number of images of this shape to read at a time: 64 MiB of them, but 1 to 1024."""
    return min(max(_CHUNK_BYTES // int(np.prod(shape)), 1), _CHUNK)


def decode_all(paths: Sequence[str], side: int, resize: str):
    """Return path and picture, or path and error, of each file in order."""

    def one(path):
        try:
            return path, decode(path, side, resize)
        except BrokenImageError as error:
            return path, error

    return _threads().map(one, paths)


_pool: ThreadPoolExecutor | None = None


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode")
    return _pool


def read_all(paths: Sequence[str], side: int, resize: str = "crop", *, keep: bool, progress=None):
    """Decode every file once.

    Args:
        paths: Paths of the files.
        side: See `decode`.
        resize: See `decode`.
        keep: True keeps the pixels, False only looks at them.
        progress: Function that is called with the number of files done so far, now and then.

    Returns:
        The pixels of those that are whole, ``[N, side, side, 3]``, or None; their `digests`; and the errors of the
        others, by index into `paths`.
    """
    pixels = aligned_empty((len(paths), side, side, 3)) if keep else None
    marks, broken, whole, rows = [], {}, 0, chunk_rows(side, side, 3)
    for start in range(0, len(paths), rows):
        chunk = []
        for number, (_, image) in enumerate(decode_all(paths[start : start + rows], side, resize), start):
            if isinstance(image, BrokenImageError):
                broken[number] = str(image)
            else:
                chunk.append(image)
        if keep and chunk:
            pixels[whole : whole + len(chunk)] = chunk
        marks.append(digests(chunk))
        whole += len(chunk)
        if progress is not None:
            progress(min(start + rows, len(paths)))
    marks = np.concatenate(marks) if marks else digests([])
    return (pixels[:whole] if keep else None), marks, broken
