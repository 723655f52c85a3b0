"""Candidates for a user: by vectors, by items liked together, by shared facts, by text."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Dataset, Ragged
from motet.graph import KnowledgeGraph
from motet.recommend import MeaningIndex
from motet.recommend.live import AppendOnlyArray, CatalogueSnapshot
from motet.recommend.retrieve._retrieve import CandidateQuery, best_of
from motet.recommend.retrieve._vector_index import LiveIndex
from motet.training import Bundle, RankingBlend

__all__ = [
    "GraphNeighbours",
    "ItemItemSource",
    "LiveItemItem",
    "MemberSource",
    "ModelVectors",
    "TextMeaning",
    "together",
]

# Candidates liked by the same users as the items that the user liked lately.
#
# Legend of shapes: U users, I items of the bundle, M neighbours an item.

_LATEST: Final = 100  # likes of each user that count: the work grows with their square
_NEIGHBOURS: Final = 50
_BLOCK: Final = 2048
_HISTORY: Final = 20


def together(likes: sp.csc_array, neighbours: int = _NEIGHBOURS) -> tuple[Ragged, NDArray[np.float32]]:
    """The items most liked together with each item, by cosine of their columns, nearest first.

    sim(i, j) = |U_i ∩ U_j| / √(|U_i| |U_j|) (Deshpande & Karypis 2004, eq. 2, cosine).

    Args:
        likes: Zeros and ones, [U, I].
        neighbours: M, ≥ 1.

    Returns:
        Rows of the neighbours of each item, [I], and their cosines beside them.
    """
    norms = np.sqrt(np.maximum(likes.sum(axis=0), 1)).astype(np.float32)
    scaled = sp.csc_array(likes.astype(np.float32) @ sp.diags_array(1 / norms)).astype(np.float32)
    rows: list[NDArray[np.int32]] = []
    cosines: list[NDArray[np.float32]] = []
    lengths: list[int] = []
    for start in range(0, scaled.shape[1], _BLOCK):
        block = sp.csr_array(scaled[:, start : start + _BLOCK].T @ scaled)
        for at in range(block.shape[0]):
            found = slice(block.indptr[at], block.indptr[at + 1])
            other, cosine = block.indices[found], block.data[found]
            kept = other != start + at
            best, score = best_of(other[kept].astype(np.int64), cosine[kept], neighbours)
            rows.append(best.astype(np.int32))
            cosines.append(score)
            lengths.append(len(best))
    if not lengths:
        return Ragged.empty(0), np.zeros(0, np.float32)
    lists = Ragged.from_lengths(np.concatenate(rows), np.array(lengths, np.int64))
    return lists, np.concatenate(cosines)


class ItemItemSource:
    """Neighbours of what the user liked lately, with the sum of their cosines.

    Args:
        bundle: With behaviour.
    """

    inline = True
    changes = 0
    name = "together"

    def __init__(self, bundle: Bundle) -> None:
        behaviour, task = bundle.behaviour, bundle.schema.liking_task
        lists = behaviour.items
        users = np.repeat(np.arange(len(lists)), lists.lengths())
        from_end = np.repeat(lists.offsets[1:], lists.lengths()) - np.arange(len(lists.values))
        kept = from_end <= _LATEST
        if task is not None:
            kept &= behaviour.label(task) > 0
        shape = (len(lists), len(bundle.data.items))
        likes = sp.csc_array(
            (np.ones(int(kept.sum()), np.float32), (users[kept], lists.values[kept])), shape=shape
        )
        likes.data[:] = 1.0
        self.lists, self._cosines = together(likes)

    def neighbours(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Neighbours of one item by its first row, nearest first, with their cosines."""
        if row >= len(self.lists):
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        at = slice(self.lists.offsets[row], self.lists.offsets[row + 1])
        return self.lists.values[at], self._cosines[at]

    def candidates(self, ask: CandidateQuery, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See :class:`CandidateSource`."""
        first = ask.now.origin[ask.liked[-_HISTORY:]]
        return summed([self.neighbours(int(row)) for row in np.unique(first)], ask, n)


_FEW_LIKES: Final = 5_000  # of so many, the neighbours are computed while a request waits: some milliseconds
_EVERY_S: Final = 0.5
_SHARE: Final = 20  # computing takes at most a twentieth of the time


class LiveItemItem:
    """Neighbours of what the user liked lately, by likes that were recorded while serving alone.

    For a bundle that knows nothing. The neighbours are those of :func:`together`, computed again some time after likes
    came in: at once while these are few, else in a thread, at most every half second.

    Example:
        >>> source = LiveItemItem()
        >>> source.add(["ann", "ann", "bob", "bob", "eve"], [0, 1, 0, 1, 2])
        >>> source.neighbours(0)[0].tolist()
        [1]
    """

    inline = True
    name = "together"

    def __init__(self) -> None:
        self._likes: dict[str, deque[int]] = {}
        self._count, self._changed = 0, False
        self._found: tuple[Ragged, NDArray[np.float32]] = (Ragged.empty(0), np.zeros(0, np.float32))
        self._due_s = 0.0
        self._lock, self._computes = threading.Lock(), threading.Lock()

    def add(self, users: Sequence[str], rows: Sequence[int]) -> None:
        """Take in likes.

        Args:
            users: Their users, [n].
            rows: First rows of their items, [n].
        """
        with self._lock:
            for user, row in zip(users, rows, strict=True):
                liked = self._likes.setdefault(user, deque(maxlen=_LATEST))
                self._count += len(liked) < _LATEST
                liked.append(row)
            self._changed = True

    def forget(self, user: str) -> None:
        """Drop the likes of a user; the neighbours follow with the next computation."""
        with self._lock:
            liked = self._likes.pop(user, None)
            if liked is not None:
                self._count, self._changed = self._count - len(liked), True
                self._due_s = 0.0  # the next request already

    def refresh(self) -> None:
        """Compute the neighbours now if likes came in since and are few, whatever was computed when."""
        if self._changed and self._count <= _FEW_LIKES:
            self._compute()

    def likes(self) -> dict[str, list[int]]:
        """What each user liked lately: first rows of items, the latest last."""
        with self._lock:
            return {user: list(liked) for user, liked in self._likes.items()}

    def neighbours(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """See :meth:`ItemItemSource.neighbours`."""
        if self._changed and time.monotonic() >= self._due_s:
            if self._count <= _FEW_LIKES:
                self._compute()
            elif not self._computes.locked():
                threading.Thread(target=self._compute, name="motet-together", daemon=True).start()
        lists, cosines = self._found
        if row >= len(lists):
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        at = slice(lists.offsets[row], lists.offsets[row + 1])
        return lists.values[at], cosines[at]

    def candidates(self, ask: CandidateQuery, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See :class:`CandidateSource`."""
        first = ask.now.origin[ask.liked[-_HISTORY:]]
        return summed([self.neighbours(int(row)) for row in np.unique(first)], ask, n)

    def _compute(self) -> None:
        if not self._computes.acquire(blocking=False):
            return
        try:
            began_s = time.monotonic()
            with self._lock:
                self._changed = False
                rows = np.array([row for liked in self._likes.values() for row in liked], np.int64)
                lengths = [len(liked) for liked in self._likes.values()]
            users = np.repeat(np.arange(len(lengths)), lengths)
            shape = (len(lengths), int(rows.max()) + 1 if len(rows) else 0)
            likes = sp.csc_array((np.ones(len(rows), np.float32), (users, rows)), shape=shape)
            likes.data[:] = 1.0
            self._found = together(likes)
            now_s = time.monotonic()
            self._due_s = now_s + max(_EVERY_S, _SHARE * (now_s - began_s))
        finally:
            self._computes.release()


class MemberSource:
    """The best items by the plain members that rank beside the bundle's model.

    Args:
        blend: Of the bundle.
    """

    inline = True
    changes = 0
    name = "together"

    def __init__(self, blend: RankingBlend) -> None:
        self._blend = blend

    def candidates(self, ask: CandidateQuery, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See :class:`CandidateSource`."""
        had = ask.now.origin[ask.liked] if ask.had is None else ask.had
        rows = self._blend.touched(had) if len(had) else np.zeros(0, np.int64)
        scores = self._blend.of_members(had, rows)
        current = ask.now.latest[rows].astype(np.int64)
        allowed = (scores > 0) & ask.may_come(current)
        return best_of(current[allowed], scores[allowed], n)


def summed(
    found: list[tuple[NDArray[np.int32], NDArray[np.float32]]], ask: CandidateQuery, n: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The best n that may come, by the sum of their scores; rows are first rows of items."""
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    rows, at = np.unique(np.concatenate([rows for rows, _ in found]), return_inverse=True)
    scores = np.bincount(at, np.concatenate([s for _, s in found]), minlength=len(rows)).astype(np.float32)
    current = ask.now.now(rows)
    allowed = ask.may_come(current)
    return best_of(current[allowed], scores[allowed], n)


# Candidates that share facts with the items the user liked lately.

_GRAPH_HISTORY: Final = 10
_GRAPH_NEIGHBOURS: Final = 100
_HUB: Final = 2000  # an entity with more edges than this says nothing
_KEPT: Final = 20_000


class GraphNeighbours:
    """Items one fact away from a liked one, or two with one entity in between.

    The score of an item is the sum over shared entities of w_e·w_r, the inverse log degrees (Adamic & Adar 2003)
    of the entity and of the relation; see :class:`motet.graph.KnowledgeGraph`.

    Args:
        graph: Linked to the bundle's items.
    """

    inline = True
    changes = 0
    name = "graph"

    def __init__(self, graph: KnowledgeGraph) -> None:
        self._graph = graph
        self._kept: OrderedDict[int, tuple[NDArray[np.int32], NDArray[np.float32]]] = OrderedDict()

    def neighbours(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Items that share facts with one, by first rows, with scores."""
        found = self._kept.get(row)
        if found is None:
            found = self._walked(row)
            self._kept[row] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found

    def candidates(self, ask: CandidateQuery, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See :class:`CandidateSource`."""
        first = ask.now.origin[ask.liked[-_GRAPH_HISTORY:]]
        return summed([self.neighbours(int(row)) for row in np.unique(first)], ask, n)

    def _walked(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        graph, adjacency = self._graph, self._graph.adjacency
        none = (np.zeros(0, np.int32), np.zeros(0, np.float32))
        if row >= len(graph.item_entity) or graph.item_entity[row] < 0:
            return none
        start = int(graph.item_entity[row])
        _, edges = adjacency.edges(np.array([start], np.int32))
        reached, side = adjacency.entity[edges], adjacency.side[edges]
        weight = adjacency.side_weight[side]
        degree = adjacency.offsets[reached.astype(np.int64) + 1] - adjacency.offsets[reached]
        specific = degree <= _HUB
        between, through = reached[specific], (weight * adjacency.entity_weight[reached])[specific]
        owner, further = adjacency.edges(between)
        ends, scores = adjacency.entity[further], through[owner]
        # a second step back along the same relation: two items that share the entity
        same = adjacency.side[further] // 2 == (side[specific] // 2)[owner]
        ends = np.concatenate([ends[same], reached])
        scores = np.concatenate([scores[same], 2 * weight])
        items = graph.entity_item[ends]
        kept = (items >= 0) & (items != row)
        rows, at = np.unique(items[kept], return_inverse=True)
        if not len(rows):
            return none
        total = np.bincount(at, scores[kept]).astype(np.float32)
        best, score = best_of(rows.astype(np.int64), total, _GRAPH_NEIGHBOURS)
        return best.astype(np.int32), score


# Candidates whose texts mean what the user said, or what the items mean that it liked lately.

_TEXT_HISTORY: Final = 10

Floats = NDArray[np.float32]


class TextMeaning:
    """Items by the meaning of a text feature of theirs.

    The query is the vector of the words of the request; without words, the mean of the vectors of the items
    liked last. New items are found by the vectors that the model gets too: nothing is encoded twice.

    Args:
        meaning: Of the feature, over the bundle's items.
        data: The bundle's data set.
        feature: The feature.
        now: The catalogue at the start.
        options: For :class:`VectorIndex`.
    """

    inline: Final = "without words"  # which must be encoded
    changes = 0
    name = "text"

    def __init__(
        self, meaning: MeaningIndex, data: Dataset, feature: str, now: CatalogueSnapshot, **options: Any
    ) -> None:
        self._meaning, self._feature = meaning, feature
        self._column = data.encoder.layout("item").vectors.index(feature)
        self._vectors = AppendOnlyArray(meaning.vectors_of_items(np.arange(len(meaning))))
        self._lock = threading.Lock()
        self.grow(now)
        self._index = LiveIndex(self._vectors.view, **options)

    def grow(self, now: CatalogueSnapshot) -> None:
        """Take in the rows that are new."""
        with self._lock:
            start = len(self._vectors)
            if start < len(now):
                rows = now.view.table.vector_rows[start:, self._column]
                self._vectors.append(self._meaning.placed(now.view.vectors[self._feature][rows]))

    def vectors(self, now: CatalogueSnapshot) -> Floats:
        """Unit vectors of the items, zeros for one without text, [I, W]."""
        if len(self._vectors) < len(now):
            self.grow(now)
        return self._vectors.view[: len(now)]

    def candidates(self, ask: CandidateQuery, n: int) -> tuple[NDArray[np.int64], Floats]:
        """See :class:`CandidateSource`."""
        vectors = self.vectors(ask.now)
        if ask.text is not None and ask.text.strip():
            query = self._meaning.vectors_of([ask.text])[0]
        elif len(ask.liked):
            query = vectors[ask.liked[-_TEXT_HISTORY:]].mean(0)
        else:
            query = np.zeros(vectors.shape[1], np.float32)
        if not query.any():
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        rows, scores = self._index.search(query, n, ask, vectors)
        said = vectors[rows].any(axis=1)
        return rows[said], scores[said]


# Candidates whose vectors are nearest to the user's: the retrieval task of the model.


class ModelVectors:
    """The best items by the model's own retrieval score, u·v + b.

    Args:
        now: The catalogue at the start; its model must have a retrieval task.
        options: For :class:`VectorIndex`.
    """

    inline = True
    changes = 0
    name = "model"

    def __init__(self, now: CatalogueSnapshot, **options: Any) -> None:
        self.index = LiveIndex(*_arrays(now), **options)

    def candidates(self, ask: CandidateQuery, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See :class:`CandidateSource`."""
        if ask.user_vector is None:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        return self.index.search(ask.user_vector, n, ask, *_arrays(ask.now))

    def nearest(self, row: int, ask: CandidateQuery, n: int) -> NDArray[np.int64]:
        """Items whose vectors point where one item's points, by cosine among the best products."""
        vectors, bias = _arrays(ask.now)
        rows, _ = self.index.search(vectors[row], 4 * n, ask, vectors, bias)
        norms = np.linalg.norm(vectors[rows], axis=1)
        cosine = (vectors[rows] @ vectors[row]) / np.maximum(norms, 1e-12)
        return rows[np.argsort(-cosine, kind="stable")][:n]


def _arrays(now: CatalogueSnapshot) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    assert now.side.retrieval is not None  # noqa: S101 (made for models with a retrieval task only)
    vectors, bias = now.side.retrieval
    return vectors.numpy(), bias.numpy()
