"""From the model's order to the list that is shown, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.errors import RequestError
from motet.recommend import AnyFilter, Query
from motet.recommend.live import CatalogueSnapshot
from motet.recommend.rerank._diversity import determinantal, marginal_relevance
from motet.recommend.rerank._rules import Boost, Bury, Cap, Filled, Fresh, Pin, Trace, ValueCap, fill
from motet.schema import require_known

__all__ = ["Listed", "rerank"]

_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Listed:
    """A list.

    Attributes:
        at: Candidates in order, as positions of what was given.
        propensities: Of each.
        trace: What each step did, by row.
        skipped: Steps that were left out, with the reason.
    """

    at: list[int]
    propensities: list[float]
    trace: Trace
    skipped: Mapping[str, str]


def rerank(
    query: Query,
    now: CatalogueSnapshot,
    rows: NDArray[np.int64],
    values: NDArray[np.float64],
    *,
    mask_of: Callable[[AnyFilter], NDArray[np.bool_]],
    seed: int,
    at_s: float,
) -> Listed:
    """Apply what a request asks for beyond the value of each item.

    In this order: items that read alike once only; boosts, freshness and burying; diversity; then the places one
    after another, pinned, drawn, or the best that no cap forbids.

    Args:
        query: The request.
        now: The catalogue.
        rows: Candidates, [n].
        values: Of the candidates, larger is better, [n].
        mask_of: Rows that a filter lets through.
        seed: Of what is drawn.
        at_s: The time of the request, seconds since 1970.
    """
    trace, skipped, began = Trace(query.trace), {}, time.perf_counter()
    order = np.lexsort((rows, -values)).tolist()
    if not query.duplicates:
        order = _without_repeats(order, rows, now, trace)
    for rule in query.rules:
        if isinstance(rule, Boost | Fresh | Bury):
            values = _moved_by(rule, rows, values, now, mask_of, at_s)
            before, order = order, sorted(order, key=lambda at: (-values[at], rows[at]))
            reasons = _reasons(rule, rows, before, mask_of) if query.trace else {}
            trace.moved(rule.kind, rows[before].tolist(), rows[order].tolist(), reasons, "others moved")
    utilities = values[order]
    if query.diversity is not None and query.diversity.strength > 0:
        limit_ms = query.budget.rerank_ms
        if limit_ms is not None and (time.perf_counter() - began) * 1e3 > limit_ms:
            skipped["diversity"] = "no time was left"
        else:
            order = _spread_out(query, order, rows, values, now, trace)
    filled = _filled(query, order, rows, utilities, now, seed, trace)
    return Listed([order[at] for at in filled.places], filled.propensities, trace, skipped)


def _without_repeats(
    order: list[int], rows: NDArray[np.int64], now: CatalogueSnapshot, trace: Trace
) -> list[int]:
    _, first = np.unique(now.view.same[rows[order]], return_index=True)
    if len(first) == len(order):
        return order
    kept = [order[at] for at in np.sort(first)]
    gone = {int(rows[at]): "reads exactly like an item above it" for at in set(order) - set(kept)}
    trace.moved("duplicates", rows[order].tolist(), rows[kept].tolist(), gone, "an item above was a repeat")
    return kept


def _moved_by(
    rule: Boost | Fresh | Bury,
    rows: NDArray[np.int64],
    values: NDArray[np.float64],
    now: CatalogueSnapshot,
    mask_of: Callable[[AnyFilter], NDArray[np.bool_]],
    at_s: float,
) -> NDArray[np.float64]:
    if isinstance(rule, Fresh):
        age_days = np.maximum(at_s - now.appeared_s[rows], 0.0) / _DAY_S
        return values + rule.weight * np.exp2(-np.minimum(age_days / rule.half_life_days, 1000.0))
    matches = mask_of(rule.where)[rows]
    if isinstance(rule, Boost):
        return values + np.where(matches, rule.by, 0.0)
    span = values.max() - values.min() + 1.0 if len(values) else 0.0
    return values - np.where(matches, span, 0.0)


def _reasons(
    rule: Boost | Fresh | Bury,
    rows: NDArray[np.int64],
    order: Sequence[int],
    mask_of: Callable[[AnyFilter], NDArray[np.bool_]],
) -> dict[int, str]:
    if isinstance(rule, Fresh):
        return {}
    said = "the rule buries it" if isinstance(rule, Bury) else f"the rule adds {rule.by:g} to its value"
    matches = mask_of(rule.where)[rows]
    return {int(rows[at]): said for at in order if matches[at]}


def _spread_out(
    query: Query,
    order: list[int],
    rows: NDArray[np.int64],
    values: NDArray[np.float64],
    now: CatalogueSnapshot,
    trace: Trace,
) -> list[int]:
    diversity = query.diversity
    assert diversity is not None  # noqa: S101 (the caller checked)
    pool = order[: max(diversity.pool, query.k)]
    vectors = _vectors(now, rows[pool])
    choose = marginal_relevance if diversity.method == "mmr" else determinantal
    chosen = choose(values[pool], vectors, min(query.k, len(pool)), diversity.strength)
    taken = set(chosen)
    after = [pool[at] for at in chosen] + [at for place, at in enumerate(order) if place not in taken]
    names = {"mmr": "unlike the items above it", "dpp": "adds the most to the variety of the list"}
    reasons = {
        int(rows[at]): names[diversity.method]
        for place, at in enumerate(after[: len(chosen)])
        if order[place] != at
    }
    trace.moved(
        "diversity", rows[order].tolist(), rows[after].tolist(), reasons, "more varied items went before"
    )
    return after


def _vectors(now: CatalogueSnapshot, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Unit vectors of items: those of retrieval, else the inputs of the model."""
    matrix = now.side.retrieval[0] if now.side.retrieval is not None else now.side.item
    vectors = matrix.numpy()[rows].astype(np.float64)
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(vectors, norm, out=np.zeros_like(vectors), where=norm > 0)
    return unit


def _filled(
    query: Query,
    order: list[int],
    rows: NDArray[np.int64],
    utilities: NDArray[np.float64],
    now: CatalogueSnapshot,
    seed: int,
    trace: Trace,
) -> Filled:
    caps = [rule for rule in query.rules if isinstance(rule, Cap)]
    pinned = [rule for rule in query.rules if isinstance(rule, Pin)]
    place_of = {int(rows[at]): place for place, at in enumerate(order)} if pinned else {}
    pins: dict[int, int] = {}
    for rule in pinned:
        if (place := place_of.get(now.row(rule.item))) is not None:
            at = rule.position - 1
            while at in pins:
                at += 1
            if place not in pins.values():
                pins[at] = place
    if not caps and not pins and query.explore is None:
        n = min(query.k, len(order))
        return Filled(list(range(n)), [1.0] * n, {})
    limits = [_limit(cap, now, rows[order]) for cap in caps]
    rng = np.random.default_rng(seed)
    filled = fill(utilities, query.k, limits=limits, pins=pins, explore=query.explore, rng=rng)
    reasons = {
        int(rows[order[at]]): f"no more than the cap on {name}" for at, name in filled.forbidden.items()
    }
    reasons |= {int(rows[order[at]]): "pinned by a rule" for at in pins.values()}
    if query.explore is not None:
        moved = [at for place, at in enumerate(filled.places) if place != at and at not in pins.values()]
        reasons = {int(rows[order[at]]): "drawn" for at in moved} | reasons
    shown = set(filled.places)
    after = filled.places + [at for at in range(len(order)) if at not in shown and at not in filled.forbidden]
    trace.moved(
        "places",
        rows[order].tolist(),
        rows[[order[at] for at in after]].tolist(),
        reasons,
        "others were pinned, capped or drawn",
    )
    return filled


def _limit(cap: Cap, now: CatalogueSnapshot, rows: NDArray[np.int64]) -> ValueCap:
    frame = now.view.frame
    require_known(cap.field, frame.columns, "the field of the cap", RequestError)
    cells = frame[cap.field].gather(rows).to_list()
    values: list[tuple[Hashable, ...]] = [
        () if cell is None else tuple(cell) if isinstance(cell, list) else (cell,) for cell in cells
    ]
    name = f"'{cap.field}'"
    if cap.value is not None:
        values = [tuple(v for v in some if v == cap.value) for some in values]
        name = f"'{cap.field}' = '{cap.value}'"
    return ValueCap(values, cap.at_most, name)
