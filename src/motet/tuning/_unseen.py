"""How near the text of an item lands to the people who like it, for items whose text was not trained on."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.stats import rankdata

__all__ = ["split_items", "text_auc"]

_MOST_USERS = 5000


def split_items(
    liked: sp.csr_array, share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the items kept apart, at least one; both parts ascending: (for pairs, kept apart)."""
    items = np.flatnonzero(np.asarray(liked.sum(axis=0)).ravel())
    apart = rng.choice(items, min(max(1, round(share * len(items))), len(items) - 1), replace=False)
    return np.setdiff1d(items, apart), np.sort(apart)


def text_auc(
    vectors: NDArray[np.float32],
    liked: sp.csr_array,
    known: NDArray[np.int64],
    apart: NDArray[np.int64],
    seed: int = 0,
) -> float:
    """The chance that someone who likes an item kept apart is nearer to its text than someone who does not.

    A person is the mean vector of the known items they like, at length 1; near is the inner product
    with a vector less the mean of all. AUC of each item over people (ties count half), averaged over
    items: how popular an item is plays no part in it, and who likes it does.

    Args:
        vectors: Of all items, [I, D].
        liked: Zeros and ones [U, I].
        known: Items that make up people.
        apart: Items that are asked about.
        seed: Of the draw of people, beyond 5,000 of them.

    Returns:
        In [0, 1]; 0.5 is chance, also where nothing can be asked about.
    """
    base = np.asarray(liked[:, known].sum(axis=1)).ravel()
    people = np.flatnonzero(base)
    if len(people) > _MOST_USERS:
        people = np.sort(np.random.default_rng(seed).choice(people, _MOST_USERS, replace=False))
    likes = liked[people][:, apart].toarray() > 0  # [U, items]
    positives = likes.sum(axis=0)
    asked = (positives > 0) & (positives < len(people))
    if not asked.any():
        return 0.5
    centred = vectors - vectors.mean(axis=0)
    of_people = (liked[people][:, known] @ centred[known]) / base[people][:, None]
    of_people /= np.maximum(np.linalg.norm(of_people, axis=1, keepdims=True), 1e-12)
    likes, positives = likes[:, asked], positives[asked]
    ranks = rankdata(of_people @ centred[apart[asked]].T, axis=0)
    won = (ranks * likes).sum(axis=0) - positives * (positives + 1) / 2
    return float((won / (positives * (len(people) - positives))).mean())
