"""A filter as an expression over the catalogue, checked against the columns that are there."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

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

    def expression(self, part: AnyFilter) -> pl.Expr:
        """The filter over the catalogue's frame; true, false, and never missing.

        Raises:
            RequestError: If it names a column that is not there, or compares it with another kind of value.
        """
        if isinstance(part, Compare):
            return self._compare(part).fill_null(False)
        if isinstance(part, Not):
            return ~self.expression(part.none)
        inner = part.all if isinstance(part, AllOf) else part.any
        found = [self.expression(one) for one in inner]
        join = operator.and_ if isinstance(part, AllOf) else operator.or_
        return (
            functools.reduce(join, found, pl.lit(isinstance(part, AllOf)))
            if found
            else pl.lit(not isinstance(part, AnyOf))
        )

    def _compare(self, part: Compare) -> pl.Expr:
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
        column = pl.col(part.field)
        if kind == "number":
            return _numbers(part, column, values)
        words = [_word(part, value) for value in values]
        if part.op == "contains":
            lower = column.str.to_lowercase()
            return lower.str.contains(words[0].lower(), literal=True)
        if kind == "tags":
            found = functools.reduce(operator.or_, (column.list.contains(w) for w in words), pl.lit(False))
        else:
            found = column.is_in(words) if len(words) != 1 else column == words[0]
        found = found.fill_null(False)
        return ~found if part.op in ("ne", "not_in") else found


def _numbers(part: Compare, column: pl.Expr, values: tuple[bool | int | float | str, ...]) -> pl.Expr:
    numbers = []
    for value in values:
        if isinstance(value, str | bool):
            raise RequestError(
                f"the field '{part.field}' holds numbers, not {value!r}", "give a number without quotes"
            )
        numbers.append(float(value))
    if part.op == "between":
        if len(numbers) != 2 or numbers[0] > numbers[1]:
            raise RequestError(
                f"'between' of the field '{part.field}' takes a lowest and a highest value, not {values!r}",
                'such as {"op": "between", "value": [1, 2]}',
            )
        return column.is_between(numbers[0], numbers[1])
    if part.op in ("eq", "ne", "in", "not_in"):
        found = functools.reduce(operator.or_, (column == n for n in numbers), pl.lit(False)).fill_null(False)
        return ~found if part.op in ("ne", "not_in") else found
    compare = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}[part.op]
    expression: pl.Expr = compare(column, numbers[0])
    return expression


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
