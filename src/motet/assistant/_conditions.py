"""Which items may come for a request, and how well each matches it.

Legend of shapes: I items, D width of a vector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.assistant._list_words import column_limit
from motet.assistant.understand import FactWanted, Range, Request, Tag
from motet.data import Catalogue
from motet.errors import RequestError
from motet.graph import KnowledgeGraph
from motet.schema import require_known

__all__ = [
    "Condition",
    "akin",
    "allowed",
    "conditions",
    "has_tag",
    "in_range",
    "likeness",
    "match",
    "nearest_alike",
    "standardised",
    "tag_share",
]


@dataclass(frozen=True, slots=True)
class Condition:
    """One hard part of a request.

    Attributes:
        words: What it says, for the user.
        keeps: Which items it leaves, bool [I].
        excludes: Whether it is an exclusion, which is never given up.
    """

    words: str
    keeps: NDArray[np.bool_]
    excludes: bool


def has_tag(catalogue: Catalogue, tag: Tag) -> NDArray[np.bool_]:
    """Which items have a tag or category, bool [I].

    Raises:
        RequestError: If the catalogue has no such column of tags or categories.
    """
    require_known(tag.column, (*catalogue.tags, *catalogue.categories), "the column of tags", RequestError)
    cells = catalogue.frame[tag.column]
    found = cells.list.contains(tag.value) if cells.dtype == pl.List else cells == tag.value
    return found.fill_null(False).to_numpy()


def tag_share(catalogue: Catalogue, tags: Sequence[Tag]) -> NDArray[np.float32]:
    """Share of some tags that each item has, float32 [I]; zeros for no tags."""
    count = np.zeros(len(catalogue), np.float32)
    for tag in tags:
        count += has_tag(catalogue, tag)
    share: NDArray[np.float32] = count / np.float32(max(len(tags), 1))
    return share


def in_range(catalogue: Catalogue, limits: Range) -> NDArray[np.bool_]:
    """Which items keep the limits of a number, bool [I]; an item without the number does not.

    Raises:
        RequestError: If the catalogue has no such column of numbers.
    """
    require_known(limits.column, catalogue.numbers, "the column of numbers", RequestError)
    numbers = catalogue.frame[limits.column].to_numpy()
    kept = ~np.isnan(numbers)
    if limits.low is not None:
        kept &= numbers >= limits.low
    if limits.high is not None:
        kept &= numbers <= limits.high
    return np.asarray(kept)


def conditions(
    request: Request, catalogue: Catalogue, graph: KnowledgeGraph | None = None
) -> list[Condition]:
    """The hard parts of a request, exclusions first.

    Args:
        request: The request.
        catalogue: Its words.
        graph: Its facts; without it no item has one.

    Raises:
        RequestError: If the request names a column that the catalogue does not have.
    """
    language = request.language
    no = {"en": "no ", "zh": "不要"}[language]
    found = []
    ids = catalogue.frame["id"]
    away = [*request.without, *request.like]
    if away:
        named = {"en": "the items named", "zh": "提到的那些"}[language]
        found.append(Condition(f"{no}{named}", ~ids.is_in(away).to_numpy(), True))
    for tag in request.must_not:
        found.append(Condition(f"{no}{catalogue.word(tag.value, language)}", ~has_tag(catalogue, tag), True))
    for fact in request.facts_not:
        found.append(Condition(f"{no}{fact.words}", ~_has_fact(catalogue, graph, fact), True))
    for tag in request.must:
        found.append(Condition(catalogue.word(tag.value, language), has_tag(catalogue, tag), False))
    for limits in request.ranges:
        found.append(Condition(_range_words(catalogue, limits, language), in_range(catalogue, limits), False))
    for fact in request.facts:
        found.append(Condition(fact.words or fact.entity, _has_fact(catalogue, graph, fact), False))
    return found


def allowed(request: Request, catalogue: Catalogue, graph: KnowledgeGraph | None = None) -> NDArray[np.bool_]:
    """Which items break no hard part of a request, bool [I]."""
    kept = np.ones(len(catalogue), bool)
    for condition in conditions(request, catalogue, graph):
        kept &= condition.keeps
    return kept


def _has_fact(catalogue: Catalogue, graph: KnowledgeGraph | None, fact: FactWanted) -> NDArray[np.bool_]:
    found = np.zeros(len(catalogue), bool)
    if graph is not None:
        found[graph.items_with(fact.entity, fact.relation)] = True
    return found


def _range_words(catalogue: Catalogue, limits: Range, language: str) -> str:
    return column_limit(
        "range", catalogue.column_name(limits.column, language), limits.low, limits.high, language
    )


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
    likeness to the items referred to, each standardised. Likeness counts twice: a user who names
    an item wants something like it first.

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
