"""Files and folders that are whole or absent, and the lock of a folder."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sesemi.errors import InputError
from sesemi.terminal import one_line, printable

LOCK = ".lock"


class WriteError(RuntimeError):
    """A file could not be written. What was there before is whole."""


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a place to write to; what was written there becomes `path` by one rename, once it is on the disk.

    The place lies beside `path` and ends as `path` does. The caller makes a file or a folder of it. If the block fails,
    it is removed, and what was at `path` stays. A folder that is replaced is absent for an instant.

    Args:
        path: File or folder to write.

    Yields:
        Place to write to.
    """
    partial = path.with_name(f".partial-{path.name}")
    _remove(partial)
    try:
        yield partial
        _flush(partial)
        before = partial.with_name(f".before-{path.name}")
        if path.is_dir():
            _remove(before)
            os.rename(path, before)
        try:
            os.replace(partial, path)
        except BaseException:
            if before.exists():
                os.rename(before, path)
            raise
        _remove(before)
        _flush(path.parent, deep=False)
    finally:
        _remove(partial)


def write(path: Path, content: str | bytes | Callable[[Path], Any]) -> None:
    """Write a file whole or not at all.

    Args:
        path: Path of the file.
        content: Text, bytes, or a function that writes to the path that it is given. In a text, names of files keep
            their bytes, also those that are no text.

    Raises:
        WriteError: The disk refuses.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
    try:
        with whole(path) as partial:
            if callable(content):
                content(partial)
            else:
                partial.write_bytes(content)
    # h5py reports a full disk as either of the two.
    except (OSError, RuntimeError) as error:
        raise WriteError(
            f"{path.name} could not be written ({one_line(error)}); the same command tries again"
        ) from error


def make_folder(folder: Path) -> list[str]:
    """Make a folder with its parents, however deep it lies: `Path.mkdir` calls itself for each of them.

    Returns:
        Paths of the folders that were not there, the deepest first.
    """
    missing, place = [], str(folder)
    while place and not os.path.exists(place):
        missing.append(place)
        place = os.path.dirname(place)
    for place in reversed(missing):
        # Somebody else may make it at the same time.
        with contextlib.suppress(FileExistsError):
            os.mkdir(place)
    if not os.path.isdir(folder):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
    return missing


def refuse_unwritable(setting: str, folder: Path) -> None:
    """Refuse a folder that cannot be written to, or not be made.

    Raises:
        InputError: The message says so.
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{folder} cannot be written to", setting=setting, cure="give another folder")


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a folder, which is created if need be; the system lets go of it however the process ends.

    A folder in which nothing was written is removed again, with the parents that were made for it. A link to a folder
    is held as that folder is, and stays.

    Raises:
        InputError: Another process holds it, it cannot be written to, it is a link that leads nowhere, or its lock is a
            link, which would lead to somebody else's file.
    """
    import filelock

    if os.path.islink(folder) and not os.path.exists(folder):
        raise InputError(f"{printable(str(folder))} is a link that leads nowhere", cure="remove it, or mend it")
    if os.path.islink(folder / LOCK):
        raise InputError(f"{printable(str(folder / LOCK))} is a link, which no run makes", cure="remove it")
    try:
        made = make_folder(folder)
        held = filelock.FileLock(folder / LOCK, blocking=False)
        held.acquire()
    except filelock.Timeout:
        raise InputError(f"{folder} is in use by another process", cure="wait for it, or give another `name`") from None
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written to ({error.strerror})", setting="output", cure="give another folder"
        ) from error
    try:
        yield
    finally:
        held.release()
        if {path.name for path in folder.iterdir()} <= {LOCK}:
            (folder / LOCK).unlink(missing_ok=True)
            own = [] if os.path.islink(folder) else [str(folder)]
            for place in dict.fromkeys([*own, *made]):
                # Somebody else may have put something there.
                with contextlib.suppress(OSError):
                    os.rmdir(place)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path, *, deep: bool = True) -> None:
    """Put a file onto the disk, or a folder, with what is in it if `deep`."""
    if deep and path.is_dir():
        for inside in path.iterdir():
            _flush(inside)
    # Windows opens no folders; there a rename is all that can be had.
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
