"""A filter as a mask over the catalogue, checked against the columns that are there.

Legend of shapes: n rows, w words of all their lists.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import Catalogue
from motet.errors import RequestError
from motet.recommend._filter import AllOf, AnyFilter, AnyOf, Compare, Not
from motet.schema import require_known

__all__ = ["FieldKind", "Fields"]

FieldKind = Literal["id", "tags", "category", "number", "text"]

_ALLOWED: Final[dict[FieldKind, tuple[str, ...]]] = {
    "id": ("eq", "ne", "in", "not_in"),
    "tags": ("has", "eq", "ne", "in", "not_in"),
    "category": ("eq", "ne", "in", "not_in", "contains"),
    "number": ("eq", "ne", "in", "not_in", "lt", "le", "gt", "ge", "between"),
    "text": ("contains", "eq", "ne", "in", "not_in"),
}


@dataclass(frozen=True, slots=True)
class Fields:
    """The columns of a catalogue that a filter may name, with their kinds.

    Attributes:
        kinds: By name.
    """

    kinds: dict[str, FieldKind]

    @classmethod
    def of(cls, catalogue: Catalogue) -> Fields:
        """Those of a catalogue."""
        groups: tuple[tuple[FieldKind, tuple[str, ...]], ...] = (
            ("id", ("id",)),
            ("text", () if catalogue.title is None else (catalogue.title,)),
            ("tags", catalogue.tags),
            ("category", catalogue.categories),
            ("number", catalogue.numbers),
            ("text", catalogue.texts),
        )
        kinds = {column: kind for kind, columns in groups for column in columns}
        return cls(kinds)

    def mask(self, wanted: AnyFilter, frame: pl.DataFrame) -> NDArray[np.bool_]:
        """Which rows of the catalogue's frame a filter lets through, [n].

        Raises:
            RequestError: If it names a column that is not there, or compares it with another kind of value.
        """
        return self._mask(wanted, _Cells(frame))

    def _mask(self, part: AnyFilter, cells: _Cells) -> NDArray[np.bool_]:
        if isinstance(part, Compare):
            return self._compare(part, cells)
        if isinstance(part, Not):
            return ~self._mask(part.none, cells)
        inner = part.all if isinstance(part, AllOf) else part.any
        join = np.logical_and if isinstance(part, AllOf) else np.logical_or
        mask = np.full(cells.rows, not isinstance(part, AnyOf))
        for one in inner:
            join(mask, self._mask(one, cells), out=mask)
        return mask

    def _compare(self, part: Compare, cells: _Cells) -> NDArray[np.bool_]:
        require_known(part.field, self.kinds, "the field of the filter", RequestError)
        kind = self.kinds[part.field]
        if part.op not in _ALLOWED[kind]:
            raise RequestError(
                f"'{part.op}' does not fit the field '{part.field}', which holds {_SAID[kind]}",
                f"use one of {', '.join(_ALLOWED[kind])}",
            )
        many = part.op in ("in", "not_in", "between")
        if many != isinstance(part.value, tuple):
            raise RequestError(
                f"'{part.op}' of the field '{part.field}' takes {'a list' if many else 'one value'}",
                'such as {"op": "in", "value": ["a", "b"]} or {"op": "eq", "value": "a"}',
            )
        values = part.value if isinstance(part.value, tuple) else (part.value,)
        if kind == "number":
            found = _numbers(part, cells, values)
        else:
            words = [_word(part, value) for value in values]
            if part.op == "contains":
                return cells.holding(part.field, words[0])
            found = cells.tagged(part.field, words) if kind == "tags" else cells.equal(part.field, words)
        return ~found if part.op in ("ne", "not_in") else found


class _Cells:
    """The cells of a frame in the forms that comparisons need, each made once for all parts of a filter.

    Args:
        frame: Of a catalogue.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame, self.rows = frame, len(frame)
        self.numbers, self._lower, self._exploded = (
            cache(self._numbers),
            cache(self._lowered),
            cache(self._words),
        )

    def equal(self, column: str, values: list[str] | list[float]) -> NDArray[np.bool_]:
        """Which rows hold one of some values, [n]."""
        return _truth(self._frame[column].is_in(values))

    def holding(self, column: str, word: str) -> NDArray[np.bool_]:
        """Which rows hold a word somewhere in their text, whatever its case, [n]."""
        return _truth(self._lower(column).str.contains(word.lower(), literal=True))

    def tagged(self, column: str, words: list[str]) -> NDArray[np.bool_]:
        """Which rows hold one of some words in their list, [n]."""
        there, rows = self._exploded(column)
        mask = np.zeros(self.rows, bool)
        mask[rows[_truth(there.is_in(words))]] = True
        return mask

    def _numbers(self, column: str) -> NDArray[np.float64]:
        return self._frame[column].cast(pl.Float64).fill_null(np.nan).to_numpy()

    def _lowered(self, column: str) -> pl.Series:
        return self._frame[column].str.to_lowercase()

    def _words(self, column: str) -> tuple[pl.Series, NDArray[np.int64]]:
        """All words of the lists, [w], and the row of each, [w]."""
        lists = self._frame[column]
        lengths = lists.list.len().fill_null(0).to_numpy()
        words = lists.filter(pl.Series(lengths > 0)).explode()
        return words, np.repeat(np.arange(self.rows), lengths)


def _truth(found: pl.Series) -> NDArray[np.bool_]:
    """True and false of each row; what is missing is false."""
    truth: NDArray[np.bool_] = found.fill_null(False).to_numpy()
    return truth


def _numbers(part: Compare, cells: _Cells, values: tuple[bool | int | float | str, ...]) -> NDArray[np.bool_]:
    numbers = []
    for value in values:
        if isinstance(value, str | bool):
            raise RequestError(
                f"the field '{part.field}' holds numbers, not {value!r}", "give a number without quotes"
            )
        numbers.append(float(value))
    if part.op in ("eq", "ne", "in", "not_in"):
        return cells.equal(part.field, numbers)
    column = cells.numbers(part.field)
    if part.op == "between":
        if len(numbers) != 2 or numbers[0] > numbers[1]:
            raise RequestError(
                f"'between' of the field '{part.field}' takes a lowest and a highest value, not {str(values)[:80]}",
                'such as {"op": "between", "value": [1, 2]}',
            )
        return (column >= numbers[0]) & (column <= numbers[1])
    compare = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}[part.op]
    found: NDArray[np.bool_] = compare(column, numbers[0])
    return found


def _word(part: Compare, value: bool | int | float | str) -> str:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise RequestError(f"the field '{part.field}' holds words, not {value!r}", "give a word in quotes")
    return value if isinstance(value, str) else str(int(value))


_SAID: Final[dict[FieldKind, str]] = {
    "id": "ids",
    "tags": "tags",
    "category": "one of a few words",
    "number": "numbers",
    "text": "text",
}
