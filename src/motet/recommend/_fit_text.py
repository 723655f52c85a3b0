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
    """Choose weights by mean NDCG@10, one after the other over a grid, up to three rounds.

    The best signal alone comes first, with weight 1. A weight moves only if the gain is larger than
    its own standard error over the sentences (after Breiman et al. 1984, section 3.4.3): without
    that, weights follow the noise of a hundred users. Deterministic.

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
    alone = {name: _quality(stack, relevant, left_out) for name, stack in stacks.items()}
    first = max(names, key=lambda name: float(alone[name].mean()))
    weights, best = replace(TextWeights(model=0.0), **{first: 1.0}), alone[first]
    for _ in range(_ROUNDS):
        before = weights
        for name in names:
            rest = _scores(stacks, replace(weights, **{name: 0.0}))
            found = [_quality(rest + np.float32(value) * stacks[name], relevant, left_out) for value in _GRID]
            at = int(np.argmax([quality.mean() for quality in found]))
            gain = found[at] - best
            if gain.mean() > gain.std() / np.sqrt(len(gain)) + 1e-9:
                best, weights = found[at], replace(weights, **{name: _GRID[at]})
        if weights == before:
            break
    return weights


def _scores(stacks: dict[str, NDArray[np.float32]], weights: TextWeights) -> NDArray[np.float32]:
    total = np.zeros_like(stacks["model"])
    for name, stack in stacks.items():
        total += np.float32(getattr(weights, name)) * stack
    return total


def _quality(
    scores: NDArray[np.float32], relevant: NDArray[np.bool_], left_out: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """NDCG@10 of the sentences with anything to find (Järvelin & Kekäläinen 2002)."""
    ranked = np.where(left_out, -np.inf, scores)
    k = min(_K, ranked.shape[1])
    top = np.argpartition(-ranked, k - 1, axis=1)[:, :k]
    top = np.take_along_axis(top, np.argsort(-np.take_along_axis(ranked, top, 1), axis=1, kind="stable"), 1)
    wanted = relevant & ~left_out
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.clip(wanted.sum(1), 1, k) - 1]
    quality: NDArray[np.float64] = np.take_along_axis(wanted, top, 1) @ discount / ideal
    return quality[wanted.any(1)]
