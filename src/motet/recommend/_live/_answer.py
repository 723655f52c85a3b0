"""Ranked rows as items of an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from motet.recommend._live._items_now import ItemsNow
from motet.recommend._live._scorer import Scorer, plain_predictions
from motet.recommend._ranked import RankedItem
from motet.recommend._rerank._trace import Step
from motet.recommend._retrieve import Retrieved

__all__ = ["told"]


def told(
    scorer: Scorer,
    now: ItemsNow,
    rows: NDArray[np.int64],
    values: NDArray[np.float64],
    raw: Mapping[str, NDArray[np.float32]],
    *,
    sources: Retrieved | None = None,
    links: Mapping[int, str] | None = None,
    propensities: Sequence[float] = (),
    steps: Mapping[int, tuple[Step, ...]] | None = None,
) -> tuple[RankedItem, ...]:
    """Items of an answer, in the order given.

    Args:
        scorer: Knows the tasks.
        now: The catalogue.
        rows: [n].
        values: What they were ranked by, [n].
        raw: What the model says of them per task, before the link function, [n] or [n, K].
        sources: Which source gave which.
        links: Per row, which link of the chain gave it.
        propensities: [n]; 1 when left out.
        steps: Per row, what re-ranking did.
    """
    labels = scorer.labels(raw)
    columns = [plain_predictions(scorer, task, y) for task, y in labels.items()]
    predictions = [dict(zip(labels, cells, strict=True)) for cells in zip(*columns, strict=True)]
    predictions = predictions or [{} for _ in rows]
    n, each = len(rows), rows.tolist()
    # column by column: an answer may have ten thousand items
    columns_of_all = (
        [now.ids[row] for row in each],
        now.origin[rows].tolist(),
        range(1, n + 1),
        values.tolist(),
        predictions,
        repeat((), n) if sources is None else map(sources.sources_of, each),
        repeat("asked", n) if links is None else [links.get(row, "") for row in each],
        propensities or repeat(1.0, n),
        repeat((), n) if steps is None else [steps.get(row, ()) for row in each],
    )
    return tuple(map(RankedItem._make, zip(*columns_of_all, strict=True)))
