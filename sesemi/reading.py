"""Files that somebody else may have made, or damaged: whole, of a stated size, or an error in one line."""

import errno
import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from sesemi.errors import InputError
from sesemi.terminal import one_line

MIB = 2**20
# Bounds of a JSON text. Its values take up to 70 bytes of memory each, its lists and objects up to 250.
_DEEPEST, _MOST_LISTS, _MOST_VALUES, _MOST_DIGITS = 64, 200_000, 4_000_000, 30
# A text that does not end is one match too, so that nothing is looked at twice.
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
# Bytes of a file's name that is no text are written as U+DC80 … U+DCFF; all others are halves of a letter.
_NO_TEXT = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")
_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))

# Whether a value is what it should be: a type, several types, or a function.
Check = type | tuple[type, ...] | Callable[[Any], bool]
# What the values of an object's keys should be.
Schema = Mapping[str, Check]


def opened(path: str | os.PathLike, most_mib: int) -> BinaryIO:
    """Open a file to read its bytes, without waiting for anybody.

    Args:
        path: Path of the file.
        most_mib: Largest size, in MiB.

    Raises:
        OSError: It cannot be opened, is no regular file (a device, a pipe, a terminal, a folder), or is larger.
    """
    # Without a writer, a pipe would keep us waiting; a terminal would become ours.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags)
    # A zero byte, or half of a letter.
    except ValueError as error:
        raise OSError(errno.EINVAL, "not the path of a file") from error
    facts = os.fstat(handle)
    problem = None
    if not stat.S_ISREG(facts.st_mode):
        kind = next((name for is_one, name in _KINDS if is_one(facts.st_mode)), "a device")
        problem = f"it is {kind}, no file"
    elif facts.st_size > most_mib * MIB:
        problem = f"it has {facts.st_size / MIB:.1f} MiB, more than the {most_mib} MiB that are read"
    if problem is not None:
        os.close(handle)
        raise OSError(errno.EINVAL, problem, os.fspath(path))
    return os.fdopen(handle, "rb")


def content(path: str | os.PathLike, most_mib: int) -> bytes:
    """Return the bytes of a file.

    Args:
        path: Path of the file.
        most_mib: Largest size, in MiB.

    Raises:
        OSError: See `opened`.
    """
    with opened(path, most_mib) as file:
        # Not all at once: room is made for what is asked for, and a file may say that it is empty, or grow.
        found = file.read(os.fstat(file.fileno()).st_size)
        while len(found) <= most_mib * MIB and (more := file.read(MIB)):
            found += more
    if len(found) > most_mib * MIB:
        raise OSError(errno.EINVAL, f"it has more than the {most_mib} MiB that are read", os.fspath(path))
    return found


def json_value(text: str) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: It is no JSON; or it is nested more than 64 deep, has more than 200,000 lists or 4,000,000 values, a
            whole number of more than 30 digits, or a text with a zero byte or half of a letter.
    """
    if not _is_plain(text):
        _refuse_hostile(text)
    return json.loads(text, parse_int=_whole_number)


def _is_plain(text: str) -> bool:
    """Return whether a quick look is enough: a long list of indices, say, has few brackets and no odd letters."""
    brackets = text.count("[") + text.count("{")
    return brackets <= _DEEPEST and text.count(",") <= _MOST_VALUES and "\\u" not in text and not _NO_TEXT.search(text)


def _refuse_hostile(text: str) -> None:
    depth = lists = values = 0
    for match in _STRUCTURE.finditer(text):
        mark = match[0]
        if mark in "[{":
            depth, lists = depth + 1, lists + 1
        elif mark in "]}":
            depth -= 1
        elif mark == ",":
            values += 1
        elif _NO_TEXT.search(mark) or ("\\u" in mark and _NO_TEXT.search(json.loads(mark, strict=False))):
            raise ValueError("a text in it has a zero byte, or half of a letter")
        if depth > _DEEPEST or lists > _MOST_LISTS or values > _MOST_VALUES:
            raise ValueError("it is nested too deep" if depth > _DEEPEST else "it has too many values")


def _whole_number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def json_object(
    path: str | os.PathLike,
    needed: Schema | None = None,
    optional: Schema | None = None,
    *,
    most_mib: int = 16,
) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Args:
        path: Path of the file.
        needed: Keys that it must have, and what their values must be.
        optional: Keys that it may have, and what their values must be then. Other keys are left as they are.
        most_mib: Largest size of the file, in MiB.

    Raises:
        FileNotFoundError: There is no such file.
        NotADirectoryError: There is no such folder.
        InputError: It cannot be read, or is damaged; the message has the reason.
    """
    try:
        data = content(path, most_mib)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return checked(json_value(data.decode("utf-8-sig", "surrogateescape")), needed, optional)
    except (ValueError, RecursionError, OverflowError, MemoryError) as error:
        raise InputError(f"{path}: is damaged ({one_line(error)})") from error


def checked(document: Any, needed: Schema | None = None, optional: Schema | None = None) -> dict[str, Any]:
    """Return a document as it is, if it is an object that has what it must.

    Raises:
        ValueError: It is not; see `json_object`.
    """
    if not isinstance(document, dict):
        raise ValueError(f"an object is needed, it holds {_kind_of(document)}")
    for name in needed or {}:
        if name not in document:
            raise ValueError(f"{name!r} is missing")
    for name, check in {**(needed or {}), **(optional or {})}.items():
        if name in document and not _is(document[name], check):
            raise ValueError(f"{name!r} cannot be {one_line(repr(document[name]), 60)}")
    return document


def _is(value: Any, check: Check) -> bool:
    if isinstance(check, type | tuple):
        kinds = check if isinstance(check, tuple) else (check,)
        # In Python, True is a number.
        return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)
    return check(value)


def _kind_of(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def texts(value: Any) -> bool:
    """Return whether a value is a list of texts."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def whole_numbers(value: Any) -> bool:
    """Return whether a value is a list of whole numbers."""
    return isinstance(value, list) and all(type(item) is int for item in value)


def text_of(path: str | Path, most_mib: int) -> str:
    """Return the text of a file: UTF-8, or UTF-16 with its mark. Bytes that are no text are kept as Python keeps them.

    Args:
        path: Path of the file.
        most_mib: Largest size, in MiB.

    Raises:
        OSError: See `opened`.
        ValueError: It has zero bytes, which no text has, or is damaged UTF-16.
    """
    data = content(path, most_mib)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16")
    else:
        text = data.decode("utf-8-sig", "surrogateescape")
    if "\0" in text:
        raise ValueError("it has zero bytes, so it is no text")
    return text
