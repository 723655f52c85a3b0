"""The soft parts of a request: how well each item matches what is preferred, meant, or referred to.

Legend of shapes: I items, D width of a vector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.assist._allowed import tag_share
from motet.data import Catalogue
from motet.requests import Request

__all__ = ["akin", "likeness", "match", "nearest_alike", "standardised"]

_LIKE_WEIGHT = 2
_ALIKE_SHARE = 0.02  # of the items that may come
_ALIKE_TIMES = 3  # as many as are asked for, at least


def standardised(values: NDArray[np.float32], among: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values less their mean, in standard deviations, both over some items only; zeros where all are equal.

    Example:
        >>> standardised(np.array([1.0, 3.0, 99.0], np.float32), np.array([True, True, False])).tolist()
        [-1.0, 1.0, 97.0]
    """
    some = values[among] if among.any() else values
    spread = float(some.std())
    if not spread > 1e-9:
        return np.zeros(len(values), np.float32)
    scaled: NDArray[np.float32] = ((values - some.mean()) / spread).astype(np.float32)
    return scaled


def likeness(spaces: Sequence[NDArray[np.float32]], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """How like some items every item is: cosine to their centred mean, averaged over spaces.

    Args:
        spaces: Matrices of item vectors, [I, D] each; a row of zeros is an item without a vector.
        rows: Rows of the items referred to, at least one.

    Returns:
        [I], −1 to 1.
    """
    total = np.zeros(len(spaces[0]), np.float32) if spaces else np.zeros(0, np.float32)
    for vectors in spaces:
        known = np.asarray(vectors.any(1))
        centred = np.where(known[:, None], vectors - vectors[known].mean(0), 0.0)
        centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
        target = centred[rows].mean(0)
        total += centred @ (target / max(float(np.linalg.norm(target)), 1e-9))
    return (total / max(len(spaces), 1)).astype(np.float32)


def akin(tags: sp.csr_array, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Items that have at least half of the tags of one of some items, bool [I].

    Two films of war are not alike because few films are of war; two of action, adventure and space are.

    Args:
        tags: Zeros and ones, [I, T].
        rows: Rows of the items referred to; one without tags has no kin.

    Example:
        >>> akin(sp.csr_array([[1, 1, 1, 0], [1, 1, 0, 1], [0, 0, 1, 1]]), np.array([0])).tolist()
        [True, True, False]
    """
    theirs = tags[rows]
    shared = (tags @ theirs.T).toarray()  # [I, len(rows)]
    whole = np.asarray(theirs.sum(axis=1)).ravel()
    found: NDArray[np.bool_] = ((2 * shared >= whole) & (whole > 0)).any(axis=1)
    return found


def nearest_alike(
    like: NDArray[np.float32], among: NDArray[np.bool_], k: int, misses: NDArray[np.int64] | None = None
) -> NDArray[np.bool_]:
    """Those of some items that are recognisably like the items referred to, bool [I].

    The nearest fiftieth of them, and three times as many as are asked for at least: among so few the
    model may choose, and whatever it chooses is alike.

    Args:
        like: Likeness to the items referred to, [I].
        among: Items that may come, bool [I].
        k: Items asked for, ≥ 1.
        misses: How much of the request each item misses, [I]; items that miss less stay first.

    Example:
        >>> like = np.linspace(0, 1, 10).astype(np.float32)
        >>> np.flatnonzero(nearest_alike(like, np.arange(10) < 9, 1)).tolist()
        [6, 7, 8]
    """
    rows = np.flatnonzero(among)
    most = max(_ALIKE_TIMES * k, math.ceil(_ALIKE_SHARE * len(rows)))
    worse = np.zeros(len(rows), np.int64) if misses is None else misses[rows]
    found = np.zeros(len(among), bool)
    found[rows[np.lexsort((-like[rows], worse))[:most]]] = True
    return found


def match(
    request: Request,
    catalogue: Catalogue,
    allowed: NDArray[np.bool_],
    *,
    meaning: NDArray[np.float32] | None,
    like: NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    """How well each item matches the soft parts of a request, in standard deviations over those allowed.

    The sum of what is there: share of the preferred tags, nearness in meaning to the free words, and
    likeness to the items referred to, each standardised. Likeness counts twice: who names an item
    wants something like it before anything that pleases.

    Args:
        request: The request.
        catalogue: Its tags.
        allowed: Items that may be shown, bool [I].
        meaning: Nearness of each item to ``request.wants``, [I]; None where nothing is wanted.
        like: Likeness to ``request.like``, [I]; None where nothing is referred to.

    Returns:
        [I]; zeros where the request has no soft part.
    """
    total = np.zeros(len(catalogue), np.float32)
    parts = [meaning, like, tag_share(catalogue, request.prefer) if request.prefer else None]
    for part in parts:
        if part is not None:
            total += standardised(part, allowed)
    if like is not None:
        total += (_LIKE_WEIGHT - 1) * standardised(like, allowed)
    return total
