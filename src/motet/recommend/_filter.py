"""Which items may be shown: a typed expression on the columns of the catalogue, JSON in and out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError

from motet.errors import RequestError
from motet.schema import nearest

__all__ = [
    "OPERATIONS",
    "AllOf",
    "AnyFilter",
    "AnyOf",
    "Compare",
    "Not",
    "read_filter",
    "walk_filter",
]

OPERATIONS: Final = ("eq", "ne", "in", "not_in", "has", "lt", "le", "gt", "ge", "between", "contains")
_DEEPEST: Final = 8
_MOST_PARTS: Final = 100
_MOST_VALUES: Final = 1000
_LONGEST_WORD: Final = 500

Plain = bool | int | float | Annotated[str, Field(max_length=_LONGEST_WORD)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
    value: Plain | Annotated[tuple[Plain, ...], Field(max_length=_MOST_VALUES)]


class AllOf(_Part):
    """Every part must hold; none is true of every item."""

    all: tuple[AnyFilter, ...] = Field(max_length=_MOST_PARTS)


class AnyOf(_Part):
    """At least one part must hold; none is true of no item."""

    any: tuple[AnyFilter, ...] = Field(max_length=_MOST_PARTS)


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
        RequestError: If it is no filter, is deeper than 8, or has more than 100 parts.

    Example:
        >>> read_filter({"field": "year", "op": "contain", "value": 1990})
        Traceback (most recent call last):
        motet.errors.RequestError: the filter has no operation 'contain'. Cure: did you mean 'contains'?
    """
    check_size(content)
    try:
        return _ADAPTER.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "literal_error":
            raise RequestError(
                f"the filter has no operation '{str(first['input'])[:50]}'",
                nearest(str(first["input"])[:50], OPERATIONS),
            ) from None
        raise RequestError(
            f"the filter is wrong at '{where}': {first['msg']}",
            'write {"field": …, "op": …, "value": …}, or {"all": […]}, {"any": […]}, {"not": …}',
        ) from None


def check_size(content: Any) -> None:
    """Raise unless plain values are shallow and few enough to be read as a filter."""
    waiting: list[tuple[Any, int]] = [(content, 1)]
    parts = 0
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, BaseModel):
            value = value.model_dump(by_alias=True)
        if not isinstance(value, Mapping):
            continue
        parts += 1
        if depth > _DEEPEST or parts > _MOST_PARTS:
            limit = f"deeper than {_DEEPEST}" if depth > _DEEPEST else f"of more than {_MOST_PARTS} parts"
            raise RequestError(f"the filter is {limit}", "ask for less at once")
        for key in ("all", "any"):
            inner = value.get(key)
            if isinstance(inner, list | tuple):
                waiting += [(part, depth + 1) for part in inner[: _MOST_PARTS + 1]]
        waiting.append((value.get("not"), depth + 1))


def walk_filter(part: AllOf | AnyOf | Not | Compare) -> Iterator[Compare]:
    """Every comparison of a filter."""
    if isinstance(part, Compare):
        yield part
        return
    inner = part.all if isinstance(part, AllOf) else part.any if isinstance(part, AnyOf) else (part.none,)
    for one in inner:
        yield from walk_filter(one)
