"""Reader of MATLAB files from strangers: arrays of numbers in the format of MATLAB 5 to 7, nothing else.

`scipy.io.loadmat` reads cells and structures too, as deep as a file nests them, and makes room for all that it claims.
Here sizes are compared with what is there before anything is made, and whatever is not asked for is passed over.
Format: "MAT-File Format", The MathWorks, chapter 1.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

_HEADER, _TAG = 128, 8
_VERSION_5, _VERSION_7_3 = 0x0100, 0x0200
_MATRIX, _COMPRESSED = 14, 15
_INT8, _INT32, _UINT32 = 1, 5, 6
# Types of data as they are stored, and classes of arrays, which may be stored in less room.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX = 0x0800
_MOST_VARIABLES, _MOST_DIMENSIONS = 1000, 32
# Tag of the matrix, its flags, dimensions and name.
_HEAD = 4096


def arrays(data: bytes, names: Sequence[str], most: int) -> dict[str, np.ndarray]:
    """Return the arrays of numbers that have one of these names.

    Args:
        data: Bytes of the file.
        names: Names that are asked for.
        most: Largest size of one variable, in bytes.

    Raises:
        ValueError: It is no such file, it is damaged, or one of them is too large or no real array of numbers.
    """
    order = _byte_order(data)
    found = {}
    for number, (kind, body) in enumerate(_elements(memoryview(data)[_HEADER:], order)):
        if number >= _MOST_VARIABLES:
            raise ValueError(f"more than {_MOST_VARIABLES} variables")
        if kind == _COMPRESSED:
            head = _inflated(body, _HEAD)
            if _name(_inside(head, order), order) not in names:
                continue
            size = struct.unpack_from(f"{order}I", head, 4)[0]
            _refuse_more(size, most)
            body = _inside(_inflated(body, _TAG + size), order)
        elif kind != _MATRIX:
            continue
        name = _name(body, order)
        if name in names:
            _refuse_more(len(body), most)
            found[name] = _array(body, order, most)
    return found


def _byte_order(data: bytes) -> str:
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if len(data) < _HEADER or order is None:
        raise ValueError("not the format of MATLAB 5 to 7")
    (version,) = struct.unpack_from(f"{order}H", data, 124)
    if version != _VERSION_5:
        advice = "; save it in that of version 7" if version == _VERSION_7_3 else ""
        raise ValueError(f"not the format of MATLAB 5 to 7 but of another version{advice}")
    return order


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield type and content of each element; the content of the last may be shorter than it claims."""
    start = 0
    while start < len(data):
        if len(data) - start < _TAG:
            raise ValueError("it ends too early")
        kind, size = struct.unpack_from(f"{order}II", data, start)
        if kind >> 16:
            # A small element has its size and its data in the tag.
            kind, size, body = kind & 0xFFFF, kind >> 16, data[start + 4 : start + _TAG]
            if size > len(body):
                raise ValueError("a small element is larger than its tag")
            yield kind, body[:size]
            start += _TAG
            continue
        body = data[start + _TAG : start + _TAG + size]
        yield kind, body
        start += _TAG + size + (0 if kind == _COMPRESSED else -size % _TAG)


def _inflated(body: memoryview, most: int) -> memoryview:
    return memoryview(zlib.decompressobj().decompress(body, most))


def _inside(data: memoryview, order: str) -> memoryview:
    kind, body = next(_elements(data, order), (None, data))
    if kind != _MATRIX:
        raise ValueError("something else than a variable is compressed")
    return body


def _name(body: memoryview, order: str) -> str | None:
    """Return the name of a variable; None if it has none that is plain text."""
    parts = _elements(body, order)
    try:
        _, _, (kind, name) = (next(parts) for _ in range(3))
    # It ends within its head, as a variable may that has no name.
    except (RuntimeError, ValueError):
        return None
    return bytes(name).decode("latin1") if kind == _INT8 else None


def _refuse_more(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"a variable of {size} bytes, more than the {most} that are read")


def _array(body: memoryview, order: str, most: int) -> np.ndarray:
    parts = [part for _, part in zip(range(4), _elements(body, order), strict=False)]
    if len(parts) < 4 or [kind for kind, _ in parts[:3]] != [_UINT32, _INT32, _INT8]:
        raise ValueError("a variable is no array of numbers")
    (_, flags), (_, sizes), _, (stored, values) = parts
    kind = struct.unpack_from(f"{order}I", flags)[0] if len(flags) >= 4 else 0
    if kind & 0xFF not in _CLASSES or kind & _COMPLEX or stored not in _STORED:
        raise ValueError("a variable is no array of real numbers")
    shape = np.frombuffer(sizes[: len(sizes) // 4 * 4], f"{order}i4").tolist()
    dtype, wanted = np.dtype(order + _STORED[stored]), np.dtype(_CLASSES[kind & 0xFF])
    count = math.prod(shape)
    if not 1 < len(shape) <= _MOST_DIMENSIONS or min(shape) < 0 or count * dtype.itemsize != len(values):
        raise ValueError(f"{len(values)} bytes do not fill the shape of an array")
    _refuse_more(count * wanted.itemsize, most)
    return np.frombuffer(values, dtype).astype(wanted, copy=False).reshape(shape, order="F")
