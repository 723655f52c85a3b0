"""Parts of an answer that are counted: "two westerns and a musical", each with items of its own.

Legend of shapes: I items, Q parts, n candidates, k answers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from motet.assist._allowed import has_tag
from motet.assist._list_limits import Limit
from motet.assist._list_problem import SumLimit
from motet.assist._list_words import column_limit, said
from motet.data import Catalogue
from motet.requests import TagQuota

__all__ = ["fill_parts", "part_limits", "part_mask", "part_words", "smaller_part"]

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
) -> tuple[list[Limit], list[str]]:
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
        found.append(Limit("quota", words, None, (row,), column, part.low, part.high))
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
        found.append(Limit("parts", said("parts", language), None, tuple(rows)))
    return found, [said("no_column", language, column=column) for column in dict.fromkeys(unmet)]


def smaller_part(own: Limit, part: Limit, by: int) -> Limit:
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
        >>> from motet.requests import Tag, TagQuota
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
