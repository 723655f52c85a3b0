"""Weights of what a sentence says, chosen on users whose events the model has not seen.

Legend of shapes: n sentences, I items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.errors import DataError
from motet.recommend._by_text import Signals, TextWeights

__all__ = ["fit_text_weights"]

_GRID: Final = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0)
_ROUNDS: Final = 3
_K: Final = 10


def fit_text_weights(
    signals: Sequence[Signals], relevant: NDArray[np.bool_], left_out: NDArray[np.bool_]
) -> TextWeights:
    """Choose weights by mean NDCG@10, one weight after the other over a grid, three rounds.

    The model's weight is 1 to begin with; a weight that does not help stays at 0. Deterministic.

    Args:
        signals: What speaks for each item, of each sentence; n of them.
        relevant: Items that each one's author liked later, [n, I].
        left_out: Items that may not come, [n, I].

    Returns:
        The weights.

    Raises:
        DataError: If there are no sentences, or none has anything to find.
    """
    if not len(signals) or not (relevant & ~left_out).any():
        raise DataError("there is nothing to fit weights on", "give sentences of users with later likes")
    names = [part.name for part in fields(Signals)]
    stacks = {name: np.stack([getattr(s, name) for s in signals]).astype(np.float32) for name in names}
    weights = TextWeights(model=1.0)
    best = _quality(_scores(stacks, weights), relevant, left_out)
    for _ in range(_ROUNDS):
        before = weights
        for name in (*names[1:], names[0]):
            rest = _scores(stacks, replace(weights, **{name: 0.0}))
            for value in _GRID:
                found = _quality(rest + np.float32(value) * stacks[name], relevant, left_out)
                if found > best + 1e-9:
                    best, weights = found, replace(weights, **{name: value})
        if weights == before:
            break
    return weights


def _scores(stacks: dict[str, NDArray[np.float32]], weights: TextWeights) -> NDArray[np.float32]:
    total = np.zeros_like(stacks["model"])
    for name, stack in stacks.items():
        total += np.float32(getattr(weights, name)) * stack
    return total


def _quality(scores: NDArray[np.float32], relevant: NDArray[np.bool_], left_out: NDArray[np.bool_]) -> float:
    """Mean NDCG@10 over the sentences with anything to find (Järvelin & Kekäläinen 2002)."""
    ranked = np.where(left_out, -np.inf, scores)
    k = min(_K, ranked.shape[1])
    top = np.argpartition(-ranked, k - 1, axis=1)[:, :k]
    top = np.take_along_axis(top, np.argsort(-np.take_along_axis(ranked, top, 1), axis=1, kind="stable"), 1)
    wanted = relevant & ~left_out
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.clip(wanted.sum(1), 1, k) - 1]
    some = wanted.any(1)
    found = np.take_along_axis(wanted, top, 1) @ discount
    return float((found / ideal)[some].mean())
