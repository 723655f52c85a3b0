"""Which items answer a request: hard parts cut, the model and the soft parts rank.

Legend of shapes: I items, k answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from motet.assist._allowed import Condition, conditions
from motet.assist._match import match, standardised
from motet.data import Catalogue
from motet.knowledge import KnowledgeGraph
from motet.requests import Request

__all__ = ["Chosen", "choose"]

_MOST_WAYS = (
    500  # of giving up some parts; a request with so many that do not fit asks for nothing in particular
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The items that answer a request.

    Attributes:
        rows: Rows of the items, best first, int64 [≤ k].
        values: What they were ranked by, float32 [≤ k].
        fitting: How many items fit, those seen before among them.
        given_up: Parts that were given up because no item meets them together with the others.
        seen_again: Whether the items were seen before, because all that fit were.
    """

    rows: NDArray[np.int64]
    values: NDArray[np.float32]
    fitting: int
    given_up: tuple[str, ...]
    seen_again: bool


def choose(
    request: Request,
    catalogue: Catalogue,
    scores: NDArray[np.float32],
    *,
    k: int,
    seen: NDArray[np.int32] | None = None,
    graph: KnowledgeGraph | None = None,
    meaning: NDArray[np.float32] | None = None,
    like: NDArray[np.float32] | None = None,
) -> Chosen:
    """Choose the items that answer a request.

    value = standardised score of the model + :func:`match` of the soft parts, over the items that break
    no hard part. Where no item meets all hard parts, the fewest that have to be are given up, and of
    as few those that leave the most items; exclusions never are. Items seen before come only where
    nothing else fits.

    Args:
        request: What was asked.
        catalogue: The items' words.
        scores: What the model ranks by, [I].
        k: Items at the most, ≥ 1.
        seen: Rows of items the user has seen.
        graph: Facts, for parts of the request that name some.
        meaning: Nearness of each item to ``request.wants``, [I].
        like: Likeness of each item to ``request.like``, [I].

    Raises:
        RequestError: If the request names a column that the catalogue does not have.
    """
    parts = conditions(request, catalogue, graph)
    kept, given_up = _kept(len(catalogue), parts)
    fresh = kept.copy()
    if seen is not None:
        fresh[seen] = False
    seen_again = bool(kept.any()) and not fresh.any()
    among = kept if seen_again else fresh
    value = standardised(scores, among) + match(request, catalogue, among, meaning=meaning, like=like)
    order = np.argsort(np.where(among, -value, np.inf), kind="stable")[: min(k, int(among.sum()))]
    return Chosen(order, value[order], int(kept.sum()), given_up, seen_again)


def _kept(items: int, parts: Sequence[Condition]) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Items that meet every part, or all but the fewest that must be given up; and the words of those."""
    may = np.ones(items, bool)
    for part in parts:
        if part.excludes:
            may &= part.keeps
    wanted = [part for part in parts if not part.excludes]
    for fewer in range(len(wanted) + 1):
        if comb(len(wanted), fewer) > _MOST_WAYS:
            break
        ways = [
            (_meets(may, wanted, dropped), dropped) for dropped in combinations(range(len(wanted)), fewer)
        ]
        best, dropped = max(ways, key=lambda way: int(way[0].sum()))
        if best.any():
            return best, tuple(wanted[at].words for at in dropped)
    return may, tuple(part.words for part in wanted)


def _meets(may: NDArray[np.bool_], wanted: Sequence[Condition], dropped: Sequence[int]) -> NDArray[np.bool_]:
    kept = may.copy()
    for at, part in enumerate(wanted):
        if at not in dropped:
            kept &= part.keeps
    return kept
