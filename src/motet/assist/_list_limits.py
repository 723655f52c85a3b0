"""Limits of a list, each with its words, and what it means for the items of the catalogue.

Legend of shapes: I items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from motet.assist._allowed import conditions, has_tag
from motet.assist._list_problem import SumLimit
from motet.assist._list_words import column_limit, said
from motet.data import Catalogue
from motet.errors import RequestError
from motet.knowledge import KnowledgeGraph
from motet.requests import Range, Request, Tag
from motet.schema import Part

__all__ = ["Limit", "LimitKind", "ListLimits", "Quota", "limits_of"]

LimitKind = Literal[
    "count", "total", "quota", "parts", "each", "tag", "range", "fact", "exclusion", "unseen", "duplicates", "alike"
]  # fmt: skip


class Quota(Part):
    """How many items of a list have a tag or category.

    Attributes:
        column: Column of the catalogue.
        value: As it stands there; for every value of the column, where left out.
        low: At least so many, ≥ 1; needs a value.
        high: At most so many, ≥ 0.
    """

    column: str
    value: str | None = None
    low: int | None = Field(None, ge=1, le=100)
    high: int | None = Field(None, ge=0, le=100)

    @model_validator(mode="after")
    def _says_something(self) -> Quota:
        if self.low is None and self.high is None:
            raise ValueError("a quota needs a lowest or a highest number of items")
        if self.value is None and self.low is not None:
            raise ValueError("a lowest number of items needs a value")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the quota {self.low} to {self.high} is empty")
        return self


class ListLimits(Part):
    """Limits of a list that a :class:`~motet.requests.Request` does not hold, and what it is good for.

    Attributes:
        count: Items, where the request says none; then at most so many.
        exact: Whether the count must be met; by default, whether the request says one.
        quotas: How many items have a tag.
        duplicates: Whether the same thing may come twice, under two ids.
        alike: Greatest likeness of two items, in [0, 1]; no limit when left out.
        seen: Whether items may come that the user has had.
        beside: Ids of items that are there already, such as a basket: what goes with them is worth more.
        together: What going together is worth: an item whose partners fill the list gains as much as
            this share of what the best item is worth, ≥ 0.
        variety: What each further tag or category is worth, in the same unit, ≥ 0.
    """

    count: int = Field(5, ge=1, le=100)
    exact: bool | None = None
    quotas: tuple[Quota, ...] = ()
    duplicates: bool = False
    alike: float | None = Field(None, ge=0, le=1)
    seen: bool = False
    beside: tuple[str, ...] = ()
    together: float = Field(0.3, ge=0, le=10)
    variety: float = Field(0.03, ge=0, le=10)


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit.

    Attributes:
        kind: What it is about.
        words: What it says, in the language of the request.
        keeps: Items that a list may hold, bool [I]; all when None.
        sums: Limits of sums over the list, weights [I].
        column: Column of the catalogue that it is about.
        low: Lowest value.
        high: Highest value.
    """

    kind: LimitKind
    words: str
    keeps: NDArray[np.bool_] | None = None
    sums: tuple[SumLimit, ...] = ()
    column: str | None = None
    low: float | None = None
    high: float | None = None

    @property
    def given_up(self) -> bool:
        """Whether it may be loosened when nothing else helps; what was excluded never comes back."""
        return self.kind != "exclusion"


def limits_of(
    request: Request,
    limits: ListLimits,
    catalogue: Catalogue,
    seen: Sequence[int] | NDArray[np.integer],
    graph: KnowledgeGraph | None = None,
) -> tuple[list[Limit], list[str]]:
    """Every limit of a list, those nobody asked for first, and the count last.

    Args:
        request: What was asked.
        limits: What else holds.
        catalogue: Its columns.
        seen: Rows of items that the user has had.
        graph: Facts of items.

    Returns:
        The limits, and in words those that the catalogue has no column for.
    """
    language, unmet = request.language, list(request.unmet)
    found: list[Limit] = []
    if not limits.duplicates:
        found.append(Limit("duplicates", said("duplicates", language)))
    if limits.alike is not None:
        words = said("alike", language, high=f"{limits.alike:g}")
        found.append(Limit("alike", words, high=limits.alike))
    if not limits.seen and len(seen):
        fresh = np.ones(len(catalogue), bool)
        fresh[np.asarray(seen)] = False
        found.append(Limit("unseen", said("unseen", language), fresh))
    found += _item_limits(request, limits, catalogue, graph, unmet)
    found += _sum_limits(request, limits, catalogue, unmet)
    wanted = request.count or limits.count
    exact = request.count is not None if limits.exact is None else limits.exact
    found.append(count_limit(wanted if exact else 1, wanted, len(catalogue), language))
    return found, unmet


def count_limit(low: int, high: int, items: int, language: str) -> Limit:
    """Exactly, or at most, so many items."""
    words = said("count" if low == high else "count_up_to", language, high=high)
    return Limit("count", words, None, (SumLimit("count", np.ones(items), low, high),), None, low, high)


def total_limit(limits: Range, catalogue: Catalogue, language: str) -> Limit:
    """Limits of a sum; items whose number is missing are out."""
    numbers = catalogue.frame[limits.column].to_numpy().astype(np.float64)
    known = np.isfinite(numbers)
    words = column_limit("total", catalogue.column_name(limits.column, language), limits.low, limits.high, language)  # fmt: skip
    weights = np.where(known, numbers, 0.0)
    row = SumLimit(words, weights, limits.low, limits.high)
    return Limit("total", words, known, (row,), limits.column, limits.low, limits.high)


def quota_limit(quota: Quota, catalogue: Catalogue, language: str) -> Limit:
    """How many items have a tag, or each tag of a column."""
    if quota.value is not None:
        values = [quota.value]
    else:
        cells = catalogue.frame[quota.column]
        values = sorted((cells.explode() if cells.dtype.is_nested() else cells).drop_nulls().unique())
    rows = []
    for value in values:
        has = has_tag(catalogue, Tag(column=quota.column, value=value))
        if quota.low is not None or (quota.high is not None and int(has.sum()) > quota.high):
            rows.append(SumLimit(value, has.astype(np.float64), quota.low, quota.high))
    name = catalogue.word(quota.value, language) if quota.value is not None else catalogue.column_name(quota.column, language)  # fmt: skip
    kind: LimitKind = "quota" if quota.value is not None else "each"
    words = column_limit(kind, name, quota.low, quota.high, language)
    return Limit(kind, words, None, tuple(rows), quota.column, quota.low, quota.high)


def _item_limits(
    request: Request,
    limits: ListLimits,
    catalogue: Catalogue,
    graph: KnowledgeGraph | None,
    unmet: list[str],
) -> list[Limit]:
    """What every item must keep: one limit for each part of the request."""
    away = (*request.without, *request.like, *limits.beside)
    parts: list[tuple[LimitKind, Request, str, float | None, float | None]] = []
    language = request.language

    def part(kind: LimitKind, name: str, low: float | None = None, high: float | None = None, **has: object) -> None:  # fmt: skip
        parts.append((kind, Request.model_validate({"language": language, **has}), name, low, high))

    if away:
        part("exclusion", "", without=away)
    for tag in request.must_not:
        part("exclusion", tag.column, must_not=(tag,))
    for fact in request.facts_not:
        part("exclusion", "", facts_not=(fact,))
    for tag in request.must:
        part("tag", tag.column, must=(tag,))
    for limit in request.ranges:
        part("range", limit.column, limit.low, limit.high, ranges=(limit,))
    for fact in request.facts:
        part("fact", "", facts=(fact,))
    found = []
    for kind, asked, column, low, high in parts:
        try:
            (condition,) = conditions(asked, catalogue, graph)
        except RequestError:
            unmet.append(said("no_column", language, column=column))
            continue
        found.append(Limit(kind, condition.words, condition.keeps, (), column or None, low, high))
    return found


def _sum_limits(request: Request, limits: ListLimits, catalogue: Catalogue, unmet: list[str]) -> list[Limit]:
    language, found = request.language, []
    for quota in limits.quotas:
        if quota.column in (*catalogue.tags, *catalogue.categories):
            found.append(quota_limit(quota, catalogue, language))
        else:
            unmet.append(said("no_column", language, column=quota.column))
    for total in request.total:
        if total.column in catalogue.numbers:
            found.append(total_limit(total, catalogue, language))
        else:
            unmet.append(said("no_column", language, column=total.column))
    return found
