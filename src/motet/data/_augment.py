"""Histories in training that are cut, masked or shuffled in part (CL4SRec, Xie et al. 2022, §3.2.3).

A history s = [v₁, …, v_m] becomes, with one of the operations drawn for it,

- crop (eq. 3): [v_c, …, v_{c+k−1}] with k = ⌊η·m⌋, at least one event, and c drawn;
- mask (eq. 4): ⌊γ·m⌋ drawn events are unknown;
- reorder (eq. 5): [v_r, …, v_{r+k−1}] with k = ⌊β·m⌋ and r drawn stand in a drawn order.

The paper makes two views of a history so and compares them; here the history that a task learns from is changed.

Legend of shapes: n histories of a batch, L longest of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motet.schema import AugmentSettings

__all__ = ["augmented"]


def augmented(
    codes: NDArray[np.int32],
    lengths: NDArray[np.int64],
    settings: AugmentSettings,
    unknown: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Change some histories by one operation each.

    Args:
        codes: Events, oldest first, padded at the end, int [n, L].
        lengths: int [n].
        settings: Which operations there are.
        unknown: Code of an unknown event.
        rng: Source of the draws, of which there are as many whatever is drawn.

    Returns:
        Codes and lengths of the same shapes.
    """
    operations = settings.operations
    n, longest = codes.shape
    drawn = rng.random((3, n))
    keys = rng.random((n, longest))
    if not operations or not n:
        return codes, lengths
    which = np.where(
        drawn[0] < settings.share, (drawn[1] * len(operations)).astype(np.int64), len(operations)
    )
    at = np.broadcast_to(np.arange(longest), (n, longest)).copy()
    codes, after = codes.copy(), lengths.copy()
    for number, (name, ratio) in enumerate(operations.items()):
        rows = np.flatnonzero((which == number) & (lengths > 0))
        m = lengths[rows]
        k = np.floor(ratio * m).astype(np.int64)
        if name == "crop":
            k = np.maximum(k, 1)
        first = (drawn[2, rows] * (m - k + 1)).astype(np.int64)
        place = np.arange(longest)[None]
        if name == "crop":
            at[rows] = np.minimum(first[:, None] + place, longest - 1)
            after[rows] = k
        elif name == "mask":
            order = np.where(place < m[:, None], keys[rows], 2.0).argsort(1)
            hidden = np.zeros(order.shape, bool)
            np.put_along_axis(hidden, order, place < k[:, None], 1)
            codes[rows] = np.where(hidden, unknown, codes[rows])
        else:
            within = (place >= first[:, None]) & (place < (first + k)[:, None])
            # a key below first + k for each of them, so that they stay behind what is before and before the rest
            key = np.where(within, first[:, None] + k[:, None] * keys[rows], place)
            at[rows] = key.argsort(1, kind="stable")
    return np.take_along_axis(codes, at, 1), after
