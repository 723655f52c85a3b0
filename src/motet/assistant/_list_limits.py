"""The limits of a list, its counted parts, and the problem that they make over the items that may come.

Legend of shapes: I items, n candidates, Q parts, k answers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.optimize import linear_sum_assignment

from motet.assistant._conditions import conditions, has_tag
from motet.assistant._list_problem import ListProblem, SumLimit
from motet.assistant._list_words import column_limit, said
from motet.assistant._relations import ItemRelations
from motet.assistant.understand import Range, Request, Tag, TagQuota
from motet.data import Catalogue
from motet.errors import RequestError
from motet.graph import KnowledgeGraph
from motet.schema import Part

__all__ = [
    "LimitKind",
    "ListLimit",
    "ListLimits",
    "ListPool",
    "Quota",
    "fill_parts",
    "limits_of",
    "part_limits",
    "part_mask",
    "part_words",
    "smaller_part",
]

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
    """Limits of a list that a :class:`~motet.assistant.understand.Request` does not hold, and what it is good for.

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
class ListLimit:
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
) -> tuple[list[ListLimit], list[str]]:
    """Every limit of a list, those that were not asked for first, and the count last.

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
    found: list[ListLimit] = []
    if not limits.duplicates:
        found.append(ListLimit("duplicates", said("duplicates", language)))
    if limits.alike is not None:
        words = said("alike", language, high=f"{limits.alike:g}")
        found.append(ListLimit("alike", words, high=limits.alike))
    if not limits.seen and len(seen):
        fresh = np.ones(len(catalogue), bool)
        fresh[np.asarray(seen)] = False
        found.append(ListLimit("unseen", said("unseen", language), fresh))
    found += _item_limits(request, limits, catalogue, graph, unmet)
    found += _sum_limits(request, limits, catalogue, unmet)
    wanted = request.count or limits.count
    exact = request.count is not None if limits.exact is None else limits.exact
    found.append(count_limit(wanted if exact else 1, wanted, len(catalogue), language))
    return found, unmet


def count_limit(low: int, high: int, items: int, language: str) -> ListLimit:
    """Exactly, or at most, so many items."""
    words = said("count" if low == high else "count_up_to", language, high=high)
    return ListLimit("count", words, None, (SumLimit("count", np.ones(items), low, high),), None, low, high)


def total_limit(limits: Range, catalogue: Catalogue, language: str) -> ListLimit:
    """Limits of a sum; items whose number is missing are out."""
    numbers = catalogue.frame[limits.column].to_numpy().astype(np.float64)
    known = np.isfinite(numbers)
    words = column_limit("total", catalogue.column_name(limits.column, language), limits.low, limits.high, language)  # fmt: skip
    weights = np.where(known, numbers, 0.0)
    row = SumLimit(words, weights, limits.low, limits.high)
    return ListLimit("total", words, known, (row,), limits.column, limits.low, limits.high)


def quota_limit(quota: Quota, catalogue: Catalogue, language: str) -> ListLimit:
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
    return ListLimit(kind, words, None, tuple(rows), quota.column, quota.low, quota.high)


def _item_limits(
    request: Request,
    limits: ListLimits,
    catalogue: Catalogue,
    graph: KnowledgeGraph | None,
    unmet: list[str],
) -> list[ListLimit]:
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
        found.append(ListLimit(kind, condition.words, condition.keeps, (), column or None, low, high))
    return found


def _sum_limits(
    request: Request, limits: ListLimits, catalogue: Catalogue, unmet: list[str]
) -> list[ListLimit]:
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


_MOST_PARTS = 8  # whose unions are all counted


def part_mask(catalogue: Catalogue, part: TagQuota) -> NDArray[np.bool_]:
    """Which items count for a part, bool [I].

    Raises:
        RequestError: If the catalogue has no such column of tags or categories.
    """
    kept = np.ones(len(catalogue), bool)
    for tag in part.tags:
        kept &= has_tag(catalogue, tag)
    return kept


def part_words(catalogue: Catalogue, part: TagQuota, language: str) -> str:
    """What a part says: "at least 2 × Western"."""
    name = " + ".join(catalogue.word(tag.value, language) for tag in part.tags)
    return column_limit("quota", name, part.low, part.high, language)


def part_limits(
    parts: Sequence[TagQuota], catalogue: Catalogue, language: str
) -> tuple[list[ListLimit], list[str]]:
    """Parts as limits of a list: one each, and one that gives each part items of its own.

    Items can be given out so that part q gets at least a_q of its own just if for every set S of parts
    at least Σ_{q ∈ S} a_q items belong to some part of S (Hall 1935), which is a limit of a sum for each S.

    Returns:
        The limits, and in words those that the catalogue has no column for.
    """
    found, masks = [], []
    columns = (*catalogue.tags, *catalogue.categories)
    unmet = [tag.column for part in parts for tag in part.tags if tag.column not in columns]
    parts = [part for part in parts if all(tag.column in columns for tag in part.tags)]
    for part in parts:
        masks.append(part_mask(catalogue, part))
        words = part_words(catalogue, part, language)
        row = SumLimit(words, masks[-1].astype(np.float64), part.low, part.high)
        column = part.tags[0].column
        found.append(ListLimit("quota", words, None, (row,), column, part.low, part.high))
    counted = [place for place, part in enumerate(parts) if part.low][:_MOST_PARTS]
    rows = []
    for size in range(2, len(counted) + 1):
        for some in itertools.combinations(counted, size):
            union = np.logical_or.reduce([masks[place] for place in some])
            if union.sum() < sum(masks[place].sum() for place in some):  # some item is of two parts
                needed = sum(parts[place].low or 0 for place in some)
                rows.append(
                    SumLimit(
                        "\n".join(found[place].words for place in some),
                        union.astype(np.float64),
                        needed,
                        None,
                    )
                )
    if rows:
        found.append(ListLimit("parts", said("parts", language), None, tuple(rows)))
    return found, [said("no_column", language, column=column) for column in dict.fromkeys(unmet)]


def smaller_part(own: ListLimit, part: ListLimit, by: int) -> ListLimit:
    """What gives parts items of their own, where one part asks for fewer.

    Args:
        own: The limit of kind ``parts``.
        part: The limit of the part.
        by: How many fewer, ≥ 0.
    """
    rows = tuple(
        replace(row, low=row.low - by) if row.low is not None and part.words in row.name.split("\n") else row
        for row in own.sums
    )
    return replace(own, sums=rows)


def fill_parts(
    order: NDArray[np.int64], masks: Sequence[NDArray[np.bool_]], parts: Sequence[TagQuota], k: int
) -> NDArray[np.int64]:
    """The first items of an order that keep the counts of their parts, in that order, [≤ k].

    Every part gets items of its own, as many as it asks for where there are so many, and together those
    with the best places (an assignment of least cost); the best of the others fill what is left.
    What only counts at most comes no more often than that.

    Args:
        order: Rows that may come, best first, [n].
        masks: Which items count for each part, bool [I] each.
        parts: The parts.
        k: Items at the most, ≥ 1.

    Example:
        >>> from motet.assistant.understand import Tag, TagQuota
        >>> part = TagQuota(tags=(Tag(column="kind", value="tea"),), low=1)
        >>> fill_parts(np.array([0, 1, 2]), [np.array([False, False, True])], [part], 2).tolist()
        [0, 2]
    """
    inside = [mask[order] for mask in masks]  # [n] each
    limited = [(mask, part.high) for mask, part in zip(inside, parts, strict=True) if part.high is not None]
    barred = np.logical_or.reduce([mask for mask, _ in limited]) if limited else np.zeros(len(order), bool)
    slots = [place for place, part in enumerate(parts) for _ in range(part.low or 0)][:k]
    kept = np.zeros(len(order), bool)
    if slots and len(order):
        # No slot needs more than its k best items: the others of the assignment take fewer than k.
        best = [np.flatnonzero(inside[place] & ~barred)[:k] for place in set(slots)]
        best += [np.flatnonzero(inside[place])[:k] for place in set(slots)]
        some = np.unique(np.concatenate(best))
        far = 2.0 * len(order) * (len(slots) + 1)
        cost = np.stack([inside[place][some] for place in slots])  # [slots, n]
        cost = np.where(cost, some + np.where(barred[some], len(order), 0), far)
        slot, place = linear_sum_assignment(cost)
        kept[some[place[cost[slot, place] < far]]] = True
    for place in range(len(order)):
        if kept.sum() >= k:
            break
        full = any(mask[place] and (kept & mask).sum() >= high for mask, high in limited)
        kept[place] = kept[place] or not full
    return order[kept]


_HALF = 100  # the rank of the candidate that is worth half of the best
_COMPARED = 4000  # candidates of which every pair is compared, where likeness is limited


@dataclass(frozen=True)
class ListPool:
    """All that a list can be made of.

    Attributes:
        scores: What the recommender ranks by, [I]; −∞ for what may never come.
        relations: Of the items.
        wishes: Weights of going together and of variety, and what is there already.
        tags: Tag values of each item, zeros and ones, [I, T].
        beside: Rows of items that are there already.
    """

    scores: NDArray[np.float64]
    relations: ItemRelations
    wishes: ListLimits
    tags: sp.csr_array
    beside: tuple[int, ...]

    def candidates(self, limits: Sequence[ListLimit]) -> NDArray[np.intp]:
        """Rows of the items that break no limit on single items, [n]."""
        kept = np.isfinite(self.scores)
        for limit in limits:
            if limit.keeps is not None:
                kept = kept & limit.keeps
        return np.flatnonzero(kept)

    def compared(self, rows: NDArray[np.intp], limits: Sequence[ListLimit]) -> NDArray[np.intp]:
        """The candidates, or where likeness is limited and they are too many to compare all, the best."""
        if len(rows) <= _COMPARED or not any(limit.kind == "alike" for limit in limits):
            return rows
        best = [rows[np.argsort(-self.scores[rows], kind="stable")[: _COMPARED - 500]]]
        for row in (row for limit in limits for row in limit.sums):
            order = np.argsort(row.weights[rows], kind="stable")
            best += [rows[order[:50]], rows[order[-50:]]]
        return np.unique(np.concatenate(best))

    def values(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Scores as values: 1 for the best candidate, ½ for the 100th, and so on; [n].

            v_i = 2^((s_i − s₍₁₎) / (s₍₁₎ − s₍ₕ₎))   with h = min(100, ⌈n / 2⌉)

        so that the first items differ enough for the recommender to decide, and none is worth
        nothing: a list that may be shorter is filled.
        """
        if not len(rows):
            return np.zeros(0)
        scores = self.scores[rows]
        best, half = np.sort(scores)[::-1][[0, min(_HALF, (len(rows) + 1) // 2) - 1]]
        if best > half:
            return np.asarray(np.exp2(np.maximum((scores - best) / (best - half), -50)))
        return np.where(scores < best, 0.5, 1.0)

    def problem(
        self, limits: Sequence[ListLimit], rows: NDArray[np.intp], value: NDArray[np.float64] | None = None
    ) -> ListProblem:
        """The problem over some candidates.

        Args:
            limits: All that hold.
            rows: The candidates.
            value: What items are worth instead, without bonuses, [I].
        """
        most = max(1, int(min(len(rows), *(_most(limit) for limit in limits), 100)))
        n = len(rows)
        sums = tuple(
            SumLimit(row.name, row.weights[rows], row.low, row.high) for limit in limits for row in limit.sums
        )
        if value is not None:
            none = sp.csr_array((n, n))
            return ListProblem(value[rows], none, sp.csr_array((n, 0)), 0.0, sums, self._apart(limits, rows), most)  # fmt: skip
        worth, together = self.values(rows), sp.csr_array((n, n))
        if self.wishes.together:
            complements = self.relations.complements[rows]
            together = complements[:, rows] * (2 * self.wishes.together / max(most - 1, 1))
            if self.beside:
                beside = np.asarray(complements[:, list(self.beside)].sum(axis=1)).ravel()
                worth = worth + self.wishes.together * beside / len(self.beside)
        covers = self.tags[rows] if self.wishes.variety else sp.csr_array((n, 0))
        covers = covers[:, np.flatnonzero(np.asarray(covers.sum(axis=0)).ravel())]
        apart = self._apart(limits, rows)
        return ListProblem(worth, sp.csr_array(together), covers, self.wishes.variety, sums, apart, most)

    def _apart(self, limits: Sequence[ListLimit], rows: NDArray[np.intp]) -> sp.csr_array:
        """Pairs of candidates that must not both come."""
        apart = sp.csr_array((len(rows), len(rows)), dtype=bool)
        for limit in limits:
            if limit.kind == "duplicates":
                apart = apart + self.relations.duplicates[rows][:, rows]
            if limit.kind == "alike" and limit.high is not None:
                parts = list(self.relations.likeness.pairs_above(np.nextafter(limit.high, 2), rows))
                a, b = (np.concatenate([part[i] for part in parts]) for i in (0, 1)) if parts else ([], [])
                place = (np.concatenate([a, b]).astype(np.intp), np.concatenate([b, a]).astype(np.intp))
                apart = apart + sp.csr_array((np.ones(len(place[0]), bool), place), shape=apart.shape)
        return sp.csr_array(apart)


def _most(limit: ListLimit) -> float:
    return limit.high if limit.kind == "count" and limit.high is not None else 100
