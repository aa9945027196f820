"""Reader of pickles from strangers: numpy arrays and plain containers, nothing else.

The official CIFAR files are pickles, and a pickle may name any callable to run. Here every global name is refused,
except those that numpy arrays need. Arrays are rebuilt by `_Array` from their raw bytes, so that no code of numpy ever
sees an unchecked state.
"""

import io
import math
import pickle
import re
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from sesemi.terminal import one_line

_MOST_INSTRUCTIONS = 2_000_000
_SIMPLE_DTYPE = re.compile(r"[|<>=]?[biuf][1248]")


class _Dtype:
    """Stand-in for ``numpy.dtype`` while reading."""

    def __init__(self, code: str | bytes, *_):
        code = code.decode("ascii") if isinstance(code, bytes) else code
        if not isinstance(code, str) or not _SIMPLE_DTYPE.fullmatch(code):
            raise pickle.UnpicklingError(f"dtype {code!r} is not a plain number")
        self.value = np.dtype(code)

    def __setstate__(self, state):
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order not in ("|", "<", ">", "="):
            raise pickle.UnpicklingError(f"byte order {order!r}")
        self.value = self.value.newbyteorder(order)


class _Array:
    """Stand-in for ``numpy.ndarray`` while reading."""

    value: np.ndarray | None = None

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        self.value = _array(raw, dtype, shape, "F" if fortran else "C")


def _array(raw: Any, dtype: Any, shape: Any, order: str = "C") -> np.ndarray:
    if isinstance(raw, str):
        raw = raw.encode("latin1")
    if not isinstance(raw, bytes) or not isinstance(dtype, _Dtype) or not isinstance(shape, tuple):
        raise pickle.UnpicklingError("an array's state is not bytes, a number type and a shape")
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise pickle.UnpicklingError("a shape that is not made of whole numbers")
    if math.prod(shape) * dtype.value.itemsize != len(raw):
        raise pickle.UnpicklingError(f"{len(raw)} bytes do not fill the shape of an array")
    return np.frombuffer(raw, dtype.value).reshape(shape, order=order)


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: str) -> _Array:
    result = _Array()
    result.value = _array(raw, dtype, shape, order)
    return result


def _scalar(dtype: _Dtype, raw: Any) -> int | float:
    return _array(raw, dtype, ()).item()


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding!r}")
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Any] = {("numpy", "ndarray"): _Array, ("numpy", "dtype"): _Dtype}
_ADMITTED["_codecs", "encode"] = _latin1
# Python 3 writes empty bytes for Python 2 like this.
_ADMITTED["__builtin__", "bytes"] = _ADMITTED["builtins", "bytes"] = lambda: b""
for _core in ("numpy.core", "numpy._core"):
    _ADMITTED[f"{_core}.multiarray", "_reconstruct"] = lambda *_: _Array()
    _ADMITTED[f"{_core}.multiarray", "scalar"] = _scalar
    _ADMITTED[f"{_core}.numeric", "_frombuffer"] = _frombuffer


def _counted(act: Callable) -> Callable:
    def counted(reader):
        reader._left -= 1
        if reader._left < 0:
            raise pickle.UnpicklingError(f"more than {_MOST_INSTRUCTIONS:,} objects")
        act(reader)

    return counted


class _Unpickler(pickle._Unpickler):
    """Pure Python reader: the one in C allocates as much memory as a few bytes of a file ask it to.

    Each instruction makes one object of at most 200 bytes, except those whose bytes are in the file. So their number is
    bounded: the largest official file, the index of Tiny Images, has half a million of them.
    """

    _left = _MOST_INSTRUCTIONS

    dispatch = dict(pickle._Unpickler.dispatch)

    def _load_bytearray8(self):
        # The stock reader allocates the memory that the file asks for before it looks at the size of the data.
        (count,) = struct.unpack("<Q", self.read(8))
        data = self.read(min(count, sys.maxsize))
        if len(data) < count:
            raise pickle.UnpicklingError("it ends too early")
        self.append(data)

    def _load_setitem(self):
        self._check_keys(self.stack[-2:-1])
        pickle._Unpickler.load_setitem(self)

    def _load_setitems(self):
        self._check_keys(self.stack[::2])
        pickle._Unpickler.load_setitems(self)

    def _load_dict(self):
        self._check_keys(self.stack[::2])
        pickle._Unpickler.load_dict(self)

    @staticmethod
    def _check_keys(keys):
        # The hash of a tuple in a tuple in a tuple ... overflows the stack of the interpreter.
        if not all(isinstance(key, str | bytes | int) for key in keys):
            raise pickle.UnpicklingError("a key that is neither text nor a number")

    dispatch[pickle.BYTEARRAY8[0]] = _load_bytearray8
    dispatch[pickle.SETITEM[0]] = _load_setitem
    dispatch[pickle.SETITEMS[0]] = _load_setitems
    dispatch[pickle.DICT[0]] = _load_dict
    for _opcode in (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET):
        dispatch.pop(_opcode[0])

    dispatch = {opcode: _counted(act) for opcode, act in dispatch.items()}

    def find_class(self, module, name):
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")
        return _ADMITTED[module, name]


def loads(data: bytes, source: str) -> dict[str, Any]:
    """Read a pickled dictionary of arrays and plain containers.

    Args:
        data: Bytes of the file.
        source: Name of the file, for the error.

    Returns:
        The dictionary, its keys as text.

    Raises:
        ValueError: If the file is damaged, is no dictionary, or asks for anything else to be run.
    """
    try:
        document = _Unpickler(io.BytesIO(data), encoding="bytes").load()
    # The reader of a damaged pickle may fail in any of these ways.
    except (
        pickle.UnpicklingError,
        struct.error,
        EOFError,
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(
            f"{source}: not a readable data file ({one_line(error)}); get the official one again"
        ) from error
    if not isinstance(document, dict):
        raise ValueError(f"{source}: a dictionary is needed, got {type(document).__name__}")
    return {
        key.decode("latin1") if isinstance(key, bytes) else str(key): _plain(value) for key, value in document.items()
    }


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, _Array) else value
