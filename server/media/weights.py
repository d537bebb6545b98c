"""Which numbers does a model's file (ONNX) hold, by their names?

ONNX is a protocol buffer. Of it only what leads to named tensors of float32 is read: graphs, nodes,
attributes and the graphs within them.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[np.float32]

_INSIDE: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph"},
}
_FLOAT: Final = 1
_DIMENSIONS, _TYPE, _NAME, _CONTENT = 1, 2, 8, 9
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5


def named_tensors(model: bytes) -> Iterator[tuple[str, Tensor]]:
    """Yield each named tensor in the order of the file; the branches of a model may use the same names."""
    for told in _tensors(memoryview(model), "model"):
        fields = list(_fields(told))
        shape = [value for number, value in fields if number == _DIMENSIONS]
        plain = dict(fields)
        name = bytes(plain.get(_NAME, b"")).decode()
        if name and plain.get(_TYPE) == _FLOAT and _CONTENT in plain:
            yield name, np.frombuffer(plain[_CONTENT], "<f4").astype(np.float32).reshape(shape)


def _tensors(message: memoryview, kind: str) -> Iterator[memoryview]:
    for number, value in _fields(message):
        inner = _INSIDE[kind].get(number)
        if inner == "tensor":
            yield value
        elif inner is not None:
            yield from _tensors(value, inner)


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Split a message into the numbers of its fields and their values."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        size = {_FIXED_64: 8, _FIXED_32: 4}.get(kind)
        if size is None:
            if kind != _BYTES:
                raise ValueError(f"not a protocol buffer: a field of kind {kind}")
            size, at = _varint(message, at)
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
