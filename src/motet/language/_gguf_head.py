"""What a GGUF file says about itself, read in a tenth of the time that the gguf package takes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["GgufHead", "GgufTensor", "read_gguf_head"]

# https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_NUMBERS: Final[Mapping[int, str]] = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"
}  # fmt: skip
_STRING: Final = 8
_ARRAY: Final = 9
_ALIGNMENT: Final = 32


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """Where a tensor lies.

    Attributes:
        shape: Rows first.
        kind: ``ggml_type``.
        start: Byte of the file at which it begins.
    """

    shape: tuple[int, ...]
    kind: int
    start: int


@dataclass(frozen=True, slots=True)
class GgufHead:
    """All but the numbers.

    Attributes:
        told: Metadata by name.
        tensors: By name.
    """

    told: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]


def read_gguf_head(data: memoryview) -> GgufHead:
    """Read the head of a GGUF file.

    Args:
        data: The file.

    Raises:
        ValueError: If it is no GGUF file, or ends too early.
    """
    cursor = _Cursor(data)
    if bytes(data[:4]) != _MAGIC:
        raise ValueError("it does not begin with GGUF")
    cursor.at = 4
    if (version := cursor.number("I")) not in _VERSIONS:
        raise ValueError(f"its version is {version}")
    tensors, entries = cursor.number("Q"), cursor.number("Q")
    told = {}
    for _ in range(entries):
        name = cursor.string()
        told[name] = cursor.value(cursor.number("I"))
    found = []
    for _ in range(tensors):
        name = cursor.string()
        sizes = [cursor.number("Q") for _ in range(cursor.number("I"))]
        found.append((name, tuple(reversed(sizes)), cursor.number("I"), cursor.number("Q")))
    alignment = int(told.get("general.alignment", _ALIGNMENT))
    start = -(-cursor.at // alignment) * alignment
    return GgufHead(told, {name: GgufTensor(shape, kind, start + at) for name, shape, kind, at in found})


class _Cursor:
    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.at = 0

    def number(self, kind: str) -> Any:
        return self.numbers(kind, 1)[0]

    def numbers(self, kind: str, count: int) -> tuple[Any, ...]:
        size = struct.calcsize(kind) * count
        piece = self._take(size)
        return struct.unpack(f"<{count}{kind}", piece)

    def string(self) -> str:
        return str(self._take(self.number("Q")), "utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            inner, count = self.number("I"), self.number("Q")
            if inner in _NUMBERS:
                return list(self.numbers(_NUMBERS[inner], count))
            return [self.value(inner) for _ in range(count)]
        if kind not in _NUMBERS:
            raise ValueError(f"it holds a value of kind {kind}")
        return self.number(_NUMBERS[kind])

    def _take(self, size: int) -> memoryview:
        piece = self._data[self.at : self.at + size]
        if len(piece) < size:
            raise ValueError("it ends too early")
        self.at += size
        return piece
