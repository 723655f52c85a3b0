"""How well a reader understands: hits, misses and inventions a slot, exclusions that got lost, time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.requests._gold import Bound, GoldRequest, GoldTurn
from motet.requests._request import Request
from motet.requests._tokens import tokenize
from motet.requests._understanding import Reader

__all__ = ["SCORED_SLOTS", "RequestScore", "f1_interval", "read_gold", "slot_counts"]

SCORED_SLOTS: Final = (
    "must", "prefer", "must_not", "range", "like", "without", "count", "scenario", "tone", "unmet", "flags", "wants",
)  # fmt: skip
"""Slots that are scored; ``wants``, free words, stands apart and counts in neither the whole nor exactness."""

_WHOLE: Final = len(SCORED_SLOTS) - 1


@dataclass(frozen=True, slots=True)
class RequestScore:
    """How one request was read, all of its turns together.

    Attributes:
        gold: What was meant.
        read: What was understood, a turn each.
        counts: Right, invented and missed values per slot of :data:`SCORED_SLOTS`, int [slots, 3].
        exact: Whether every slot of every turn is right, free words aside.
        missed: Exclusions that were not understood.
        inverted: Exclusions that were understood as wishes.
        exclusions: Exclusions there are.
        elapsed_ms: Time of each turn.
    """

    gold: GoldRequest
    read: tuple[Request, ...]
    counts: NDArray[np.int64]
    exact: bool
    missed: int
    inverted: int
    exclusions: int
    elapsed_ms: tuple[float, ...]


def read_gold(reader: Reader, gold: Iterable[GoldRequest]) -> Iterator[RequestScore]:
    """Have a reader read requests, dialogues on top of its own understanding, and score each."""
    for request in gold:
        previous: Request | None = None
        shown: tuple[str, ...] = ()
        counts = np.zeros((len(SCORED_SLOTS), 3), np.int64)
        missed = inverted = exclusions = 0
        read, elapsed = [], []
        for turn in request.turns:
            start = time.perf_counter()
            previous = reader.understand(turn.say, previous, shown).request
            elapsed.append(1000 * (time.perf_counter() - start))
            read.append(previous)
            counts += slot_counts(turn, previous)
            lost, turned, there = _exclusions(turn, previous)
            missed, inverted, exclusions = missed + lost, inverted + turned, exclusions + there
            shown = turn.shown
        exact = not counts[:_WHOLE, 1:].any()
        yield RequestScore(request, tuple(read), counts, exact, missed, inverted, exclusions, tuple(elapsed))


def slot_counts(gold: GoldTurn, read: Request) -> NDArray[np.int64]:
    """Right, invented and missed values of each slot, int [slots, 3]."""
    counts = np.zeros((len(SCORED_SLOTS), 3), np.int64)

    def add(slot: str, right: int, invented: int, missed: int) -> None:
        counts[SCORED_SLOTS.index(slot)] += (right, invented, missed)

    for slot, meant in gold.tags.items():
        found = set(getattr(read, slot))
        may = gold.may.get(slot, frozenset())
        add(slot, len(meant & found), len(found - meant - may), len(meant - found))
    for slot, titles in gold.items.items():
        ids = set(getattr(read, slot))
        allowed = frozenset().union(*titles, gold.may.get(slot, frozenset()))
        hits = sum(bool(title & ids) for title in titles)
        add(slot, hits, len(ids - allowed), len(titles) - hits)
    limits = {limit.column: limit for limit in read.ranges}
    for column in {*limits, *gold.bounds}:
        low, high = gold.bounds.get(column, (None, None))
        limit = limits.get(column)
        add("range", *_limit(low, limit.low if limit else None))
        add("range", *_limit(high, limit.high if limit else None))
    for slot in ("count", "scenario", "tone"):
        value = getattr(read, slot)
        value = None if value in ("plain", *gold.may.get(slot, ())) and slot not in gold.plain else value
        add(slot, *_same(gold.plain.get(slot), value))
    add("unmet", *_unmet(gold, read))
    add("flags", *_same(True if gold.flagged else None, True if read.flags else None))
    add("wants", *_words(gold, read))
    return counts


def _limit(gold: Bound, read: float | None) -> tuple[int, int, int]:
    if gold is None or read is None:
        return 0, int(read is not None), int(gold is not None)
    return (1, 0, 0) if gold[0] <= read <= gold[1] else (0, 1, 1)


def _same(gold: object, read: object) -> tuple[int, int, int]:
    if gold == read:
        return int(gold is not None), 0, 0
    return 0, int(read is not None), int(gold is not None)


def _unmet(gold: GoldTurn, read: Request) -> tuple[int, int, int]:
    told = [part.casefold() for part in read.unmet]
    meant = [part.casefold() for part in gold.unmet]
    may = [str(part).casefold() for part in gold.may.get("unmet", ())]
    hits = sum(any(part in said for said in told) for part in meant)
    return hits, sum(not any(part in said for part in (*meant, *may)) for said in told), len(meant) - hits


def _words(gold: GoldTurn, read: Request) -> tuple[int, int, int]:
    found = _units(read.wants)
    meant = set().union(*(_units(word) for word in gold.wants)) if gold.wants else set()
    may = set().union(*(_units(str(word)) for word in gold.may.get("wants", ())), set())
    return len(meant & found), len(found - meant - may), len(meant - found)


def _units(text: str) -> set[str]:
    return {token.norm for token in tokenize(text) if token.kind != "mark"}


def _exclusions(gold: GoldTurn, read: Request) -> tuple[int, int, int]:
    tags, wanted = gold.tags["must_not"], {*read.must, *read.prefer}
    ids = set(read.without)
    liked_too = gold.items["like"]
    items = gold.items["without"]
    missed = len(tags - set(read.must_not)) + sum(not (title & ids) for title in items)
    inverted = len(tags & wanted) + sum(bool(t & set(read.like)) for t in items if t not in liked_too)
    return missed, inverted, len(tags) + len(items)


def f1_interval(
    scores: Sequence[RequestScore], slot: str | None = None, *, draws: int = 1000, seed: int = 0
) -> Mapping[str, float]:
    """Precision, recall and F1 over requests, with a 95 % interval of F1 by the bootstrap over requests.

    Args:
        scores: Of n requests.
        slot: One of :data:`SCORED_SLOTS`; all but free words together when left out.
        draws: Resamples of the requests.
        seed: Of the draws.

    Returns:
        ``precision``, ``recall``, ``f1``, ``low`` and ``high``; NaN where there is nothing to find and nothing found.
    """
    rows = slice(0, _WHOLE) if slot is None else slice(SCORED_SLOTS.index(slot), SCORED_SLOTS.index(slot) + 1)
    counts = (
        np.stack([score.counts[rows].sum(0) for score in scores]) if scores else np.zeros((0, 3))
    )  # [n, 3]
    right, invented, missed = counts.sum(0)
    draw = np.random.default_rng(seed).integers(0, max(len(counts), 1), (draws, len(counts)))
    totals = counts[draw].sum(1) if len(counts) else np.zeros((draws, 3))  # [draws, 3]
    low, high = np.nan, np.nan
    sampled = _f1(totals)
    if np.isfinite(sampled).any():
        low, high = np.nanquantile(sampled, [0.025, 0.975])
    return {
        "precision": _share(right, right + invented),
        "recall": _share(right, right + missed),
        "f1": float(_f1(counts.sum(0)[None])[0]),
        "low": float(low),
        "high": float(high),
    }


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _f1(counts: NDArray[np.number[Any]]) -> NDArray[np.float64]:
    right = counts[:, 0].astype(np.float64)
    whole = 2 * right + counts[:, 1] + counts[:, 2]
    shares = np.full(len(counts), np.nan)
    np.divide(2 * right, whole, out=shares, where=whole > 0)
    return shares
