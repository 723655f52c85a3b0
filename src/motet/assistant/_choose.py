"""Which items answer a request, and what the user should know about the choice.

Legend of shapes: I items, k answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.assistant._answer import note
from motet.assistant._conditions import conditions, in_range, match, nearest_alike, standardised
from motet.assistant._list_limits import fill_parts, part_mask, part_words
from motet.assistant._list_words import column_limit, joined, number
from motet.assistant.understand import Range, Request
from motet.data import Catalogue
from motet.graph import KnowledgeGraph

__all__ = ["Chosen", "choice_notes", "choose"]

_FAR_BELOW = 0.5  # of the best item's probability of being liked


@dataclass(frozen=True, slots=True)
class Chosen:
    """The items that answer a request.

    Attributes:
        rows: Rows of the items, best first, int64 [≤ k].
        values: What they were ranked by, float32 [≤ k].
        missed: For each the parts of the request that it does not meet, in words; first come those
            that meet everything.
        fitting: How many items of the catalogue meet everything, those seen before among them.
        seen_better: How many items that were seen before meet more than the best of these.
        seen_again: Whether these were seen before, because everything that may come was.
        out_of_reach: Limits of numbers that no item of the catalogue keeps.
    """

    rows: NDArray[np.int64]
    values: NDArray[np.float32]
    missed: tuple[tuple[str, ...], ...]
    fitting: int
    seen_better: int
    seen_again: bool
    out_of_reach: tuple[Range, ...] = ()


def choose(
    request: Request,
    catalogue: Catalogue,
    scores: NDArray[np.float32],
    *,
    k: int,
    seen: NDArray[np.integer] | None = None,
    graph: KnowledgeGraph | None = None,
    meaning: NDArray[np.float32] | None = None,
    like: NDArray[np.float32] | None = None,
    liked: NDArray[np.float32] | None = None,
    shown: NDArray[np.bool_] | None = None,
) -> Chosen:
    """Choose the items that answer a request.

    What is excluded never comes, and what was seen only where nothing else may. Of the rest come
    those that meet the most of the request, and where they are fewer than k, those that miss one part
    more. An item that misses something and is liked less than half as probably as the best of them
    counts as one that misses a part more: it is no fair replacement. Of items like others, only the
    nearest may come (:func:`nearest_alike`). Where no item is within a limit of a number, the
    nearest to it come first. Parts that are counted ("two westerns and a musical") are filled first
    (:func:`fill_parts`). Otherwise value = standardised score of the model + :func:`match` of
    the soft parts.

    Args:
        request: What was asked.
        catalogue: The items' words.
        scores: What the model ranks by, [I].
        k: Items at the most, ≥ 1.
        seen: Rows of items the user has seen.
        graph: Facts, for parts of the request that name some.
        meaning: Nearness of each item to ``request.wants``, [I].
        like: Likeness of each item to ``request.like``, [I].
        liked: Probability that the user likes each item, in [0, 1], [I].
        shown: Items that may be shown at all, [I]; every one when left out.

    Raises:
        RequestError: If the request names a column that the catalogue does not have.
    """
    parts = conditions(request, catalogue, graph)
    wanted = [part for part in parts if not part.excludes]
    may = np.ones(len(catalogue), bool) if shown is None else shown.copy()
    for part in parts:
        if part.excludes:
            may &= part.keeps
    misses = np.zeros(len(catalogue), np.int64)
    for part in wanted:
        misses += ~part.keeps
    fresh = may.copy()
    if seen is not None:
        fresh[seen] = False
    seen_again = bool(may.any()) and not fresh.any()
    among = may if seen_again else fresh
    fewest = int(misses[among].min()) if among.any() else 0
    best = among & (misses == fewest)
    tier = misses
    if liked is not None and best.any():
        tier = misses + ((misses > 0) & (liked < _FAR_BELOW * liked[best].max()))
        best = among & (tier == fewest)
    if best.sum() < k:
        best = among & (tier <= fewest + 1)
    if like is not None:
        best = nearest_alike(like, best, k, tier)
    away = _away(request, catalogue, best)
    value = standardised(scores, best) + match(request, catalogue, best, meaning=meaning, like=like)
    candidates = np.flatnonzero(among if request.quotas else best)
    keys = (-value[candidates], away[candidates], tier[candidates], ~best[candidates])
    order = candidates[np.lexsort(keys)]
    if request.quotas:
        order = fill_parts(order, [part_mask(catalogue, q) for q in request.quotas], request.quotas, k)
    order = order[:k]
    return Chosen(
        rows=order,
        values=value[order],
        missed=tuple(tuple(part.words for part in wanted if not part.keeps[row]) for row in order),
        fitting=int((may & (misses == 0)).sum()),
        seen_better=int((may & (misses < fewest)).sum()),
        seen_again=seen_again,
        out_of_reach=tuple(r for r in request.ranges if not in_range(catalogue, r).any()),
    )


def _away(request: Request, catalogue: Catalogue, among: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How far each item is from the limits that none of some items keeps, [I].

    The sum of distances, each as a share of what the column spans; an item without the number is
    farther than any other.
    """
    total = np.zeros(len(catalogue))
    for limits in request.ranges:
        if in_range(catalogue, limits)[among].any():
            continue
        numbers = catalogue.frame[limits.column].to_numpy().astype(np.float64)
        low = -np.inf if limits.low is None else limits.low
        high = np.inf if limits.high is None else limits.high
        distance = np.maximum(np.maximum(low - numbers, numbers - high), 0)
        span = np.nanmax(distance) if np.isfinite(distance).any() else 1.0
        total += np.nan_to_num(distance / max(float(span), 1e-9), nan=2.0)
    return total


def choice_notes(request: Request, chosen: Chosen, wanted: int, catalogue: Catalogue) -> list[str]:
    """Notes on a choice, in the language of the request.

    Args:
        request: What was asked.
        chosen: What came of it.
        wanted: Items asked for.
        catalogue: Its columns.
    """
    language, notes = request.language, []
    if chosen.missed and all(chosen.missed):
        notes.append(
            note("seen_better" if chosen.seen_better else "none_fits", language, count=chosen.seen_better)
        )
    elif any(chosen.missed):
        notes.append(note("some_fit", language, count=sum(not missed for missed in chosen.missed)))
    for limits in chosen.out_of_reach:
        numbers = catalogue.frame[limits.column].cast(pl.Float64).fill_nan(None).drop_nulls()
        if len(numbers):
            name = catalogue.column_name(limits.column, language)
            words = column_limit("range", name, limits.low, limits.high, language)
            ends = [number(float(end)) for end in sorted(numbers)[:: max(len(numbers) - 1, 1)]]
            notes.append(note("out_of_reach", language, limit=words, low=ends[0], high=ends[-1]))
    for part in request.quotas:
        found = int(part_mask(catalogue, part)[chosen.rows].sum())
        if found < (part.low or 0) or (part.high is not None and found > part.high):
            notes.append(
                note("part_short", language, part=part_words(catalogue, part, language), found=found)
            )
    clashing = [
        column_limit("range", catalogue.column_name(r.column, language), r.low, r.high, language)
        for r in request.ranges
        if sum(other.column == r.column for other in request.ranges) > 1
    ]
    if clashing:
        notes.append(note("contradictory", language, limits=joined(clashing, language)))
    if request.unmet:
        notes.append(note("unmet", language, parts=", ".join(request.unmet)))
    if chosen.seen_again:
        notes.append(note("seen_again", language))
    if len(chosen.rows) < wanted:
        notes.append(note("fewer", language, found=len(chosen.rows), wanted=wanted))
    if set(request.flags) - {"long"}:
        notes.append(note("flags", language))
    if "long" in request.flags:
        notes.append(note("long", language))
    return notes
