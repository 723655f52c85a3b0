"""Which items may be shown: a typed expression on the columns of the catalogue, JSON in and out."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from motet.data import Catalogue
from motet.errors import RequestError
from motet.schema import nearest, require_known

__all__ = [
    "OPERATIONS",
    "TOO_LARGE",
    "AllOf",
    "AnyFilter",
    "AnyOf",
    "Compare",
    "FieldKind",
    "Fields",
    "Not",
    "RequestPart",
    "at_most",
    "check_filters",
    "known_keys",
    "read_filter",
]

OPERATIONS: Final = ("eq", "ne", "in", "not_in", "has", "lt", "le", "gt", "ge", "between", "contains")
TOO_LARGE: Final = "filter_too_large"  # the type of the validation error
_DEEPEST: Final = 8
_MOST_UNKNOWN: Final = 20  # keys that each get an error of their own
_MOST_PARTS: Final = 100
_MOST_VALUES: Final = 1000
_LONGEST_WORD: Final = 500
_MOST_CHARACTERS: Final = 65_536
_MOST_BITS: Final = 1023  # of an integer that a floating-point number can hold

Plain = bool | int | float | Annotated[str, Field(max_length=_LONGEST_WORD)]


def at_most(most: int) -> BeforeValidator:
    """A validator of an object that refuses too many members before it looks at each of them.

    Args:
        most: Members.
    """

    def checked(content: Any) -> Any:
        if isinstance(content, Mapping) and len(content) > most:
            raise PydanticCustomError(
                "too_long", "there may be at most {most} of them, not {n}", {"most": most, "n": len(content)}
            )
        return content

    return BeforeValidator(checked)


class RequestPart(BaseModel):
    """Part of a request: unknown keys are refused, and many of them at once, before each gets an error of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_more_keys(cls, content: Any) -> Any:
        if isinstance(content, Mapping) and len(content) > len(cls.model_fields) + _MOST_UNKNOWN:
            known = {field.alias or name for name, field in cls.model_fields.items()}
            key = next((str(one) for one in content if one not in known), "")
            raise PydanticCustomError(
                "too_many_keys",
                "there are {n} keys, at most {most} are known; '{key}' is none of them",
                {"n": len(content), "most": len(known), "key": key[:80]},
            )
        return content


def known_keys(part: Any, place: Sequence[str | int]) -> list[str]:
    """The keys that are known at a place of a request, sorted; of all kinds where there are several.

    Args:
        part: The type of the whole, such as a :class:`RequestPart`.
        place: Keys and indices that lead there, as an error of validation names them.

    Example:
        >>> from motet.recommend import Query
        >>> known_keys(Compare, ()), known_keys(Query, ("budget",))
        (['field', 'op', 'value'], ['rank_ms', 'rerank_ms', 'retrieve_ms'])
    """
    parts = _parts_of(part)
    for step in place:
        fields = [
            f.annotation for one in parts for name, f in one.model_fields.items() if step in (name, f.alias)
        ]
        if fields:  # an index, or the name of a kind, leads no further
            parts = [inner for annotation in fields for inner in _parts_of(annotation)]
    return sorted({field.alias or name for one in parts for name, field in one.model_fields.items()})


def _parts_of(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for inner in get_args(annotation) for part in _parts_of(inner)]


class _Part(RequestPart):
    @model_validator(mode="before")
    @classmethod
    def _limited(cls, content: Any) -> Any:
        check_filters([content])  # wherever a filter is read, before anything is made of it
        return content


class Compare(_Part):
    """One column of the catalogue against a value.

    Attributes:
        field: Name of the column, or ``id``.
        op: ``eq``, ``ne`` (a cell that is missing is unequal to everything), ``in``, ``not_in``; ``has`` (one of
            the tags); ``lt``, ``le``, ``gt``, ``ge``, ``between`` (both ends included) of numbers;
            ``contains`` (words within a text, whatever their case).
        value: A number, a word, or a list of them for ``in``, ``not_in`` and ``between``.

    Example:
        >>> read_filter({"field": "year", "op": "between", "value": [1990, 1999]}).model_dump()
        {'field': 'year', 'op': 'between', 'value': (1990, 1999)}
    """

    field: str = Field(min_length=1, max_length=200)
    op: Literal["eq", "ne", "in", "not_in", "has", "lt", "le", "gt", "ge", "between", "contains"]
    value: Plain | Annotated[tuple[Plain, ...], Field(max_length=_MOST_VALUES, fail_fast=True)]


class AllOf(_Part):
    """Every part must hold; none is true of every item."""

    all: tuple[AnyFilter, ...] = Field(max_length=_MOST_PARTS, fail_fast=True)


class AnyOf(_Part):
    """At least one part must hold; none is true of no item."""

    any: tuple[AnyFilter, ...] = Field(max_length=_MOST_PARTS, fail_fast=True)


class Not(_Part):
    """The part must not hold."""

    none: AnyFilter = Field(alias="not")

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


def _kind(value: Any) -> str | None:
    for key in ("all", "any", "not"):
        if isinstance(value, Mapping) and key in value:
            return key
    kinds: dict[type, str] = {AllOf: "all", AnyOf: "any", Not: "not", Compare: "compare"}
    return kinds.get(type(value), "compare" if isinstance(value, Mapping) else None)


AnyFilter = Annotated[
    Annotated[AllOf, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[Not, Tag("not")]
    | Annotated[Compare, Tag("compare")],
    Discriminator(_kind),
]

AllOf.model_rebuild()
AnyOf.model_rebuild()
Not.model_rebuild()
_ADAPTER: TypeAdapter[AllOf | AnyOf | Not | Compare] = TypeAdapter(AnyFilter)


def read_filter(content: Mapping[str, Any]) -> AllOf | AnyOf | Not | Compare:
    """Read a filter from plain values, as they come in JSON.

    Args:
        content: ``{"field", "op", "value"}``, or ``{"all": [...]}``, ``{"any": [...]}``, ``{"not": ...}``.

    Raises:
        RequestError: If it is no filter, is deeper than 8, or has more than 100 parts or 65,536 characters.

    Example:
        >>> read_filter({"field": "year", "op": "contain", "value": 1990})
        Traceback (most recent call last):
        motet.errors.RequestError: the filter has no operation 'contain'. Cure: did you mean 'contains'?
    """
    try:
        return _ADAPTER.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == TOO_LARGE:
            raise RequestError(first["msg"], "ask for less at once") from None
        if first["type"] == "literal_error":
            raise RequestError(
                f"the filter has no operation '{str(first['input'])[:50]}'",
                nearest(str(first["input"])[:50], OPERATIONS),
            ) from None
        raise RequestError(
            f"the filter is wrong at '{where}': {first['msg']}",
            'write {"field": …, "op": …, "value": …}, or {"all": […]}, {"any": […]}, {"not": …}',
        ) from None


def check_filters(contents: Iterable[Any], what: str = "the filter", most_parts: int = _MOST_PARTS) -> None:
    """Refuse filters, or plain values that may be some, that would take long to read and to apply.

    Args:
        contents: Whose sizes count together.
        what: Their name in the error.
        most_parts: Of all of them.

    Raises:
        PydanticCustomError: Which a validator may raise, saying the limit.
    """
    problem = next(_problems(contents, most_parts), None)
    if problem is not None:
        raise PydanticCustomError(TOO_LARGE, "{what} {problem}", {"what": what, "problem": problem})


def _problems(contents: Iterable[Any], most_parts: int) -> Iterator[str]:
    """What is too large, found after no more looks than something small enough takes."""
    waiting: list[tuple[Any, int]] = [(one, 1) for one in contents]
    parts, characters = len(waiting), 0
    while waiting:
        part, depth = waiting.pop()
        if depth > _DEEPEST:
            yield f"is deeper than {_DEEPEST}"
        for value in _values(part):
            if isinstance(value, Mapping | _Part):
                waiting.append((value, depth + 1))
                parts += 1
                if parts > most_parts:
                    yield f"is of more than {most_parts} parts"
                continue
            characters += len(value) + 3 if isinstance(value, str) else 8
            if characters > _MOST_CHARACTERS:
                yield f"is of more than {_MOST_CHARACTERS:,} characters"
            if isinstance(value, int) and value.bit_length() > _MOST_BITS:
                yield "holds a number that is too large"


def _values(part: Any) -> Iterator[Any]:
    """All that a part holds, lists one by one."""
    held: Iterable[Any] = dict(part).values() if isinstance(part, Mapping | _Part) else ()
    for value in held:
        if isinstance(value, list | tuple):
            yield from value
        else:
            yield value


# A filter as a mask over the catalogue, checked against the columns that are there.
#
# Legend of shapes: n rows, w words of all their lists.

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
        self.numbers = cache(self._numbers)
        self._lower, self._exploded = cache(self._lowered), cache(self._words)

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
