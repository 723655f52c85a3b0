"""Plain scores of items: from the items a user had by item-item weights or vectors, or the same for every user.

Legend of shapes: U users, I items, D width of a vector, n items of one user.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg.lapack import sposv

from motet.data import Ragged

__all__ = [
    "LAST",
    "FoldedFactors",
    "ItemPrior",
    "ItemScores",
    "ItemToItem",
    "ItemVectors",
    "read_scores",
    "strongest",
]

Floats = NDArray[np.float32]

_FOLDED_AT_ONCE: Final = 256
_FEW_DENSE: Final = 3000  # items whose weights fit into 36 MB
_FEW: Final = 200_000  # items of which a vector of all is as quick as a sorted list of some

LAST: Final = 100
"""Items of a user that count, the latest ones: what serving keeps of each user."""


@dataclass(frozen=True, slots=True)
class ItemScores(ABC):
    """Scores every item by the latest items of a user: s = w·S, with w_j the weight of item j.

    With ``decay`` d below 1 the last item weighs 1, the one before it d, then d²; an item that comes
    twice adds up. With 1 the items are a set: each distinct one weighs 1.

    Attributes:
        decay: In (0, 1].
    """

    decay: float

    kind: ClassVar[str]

    @property
    @abstractmethod
    def items(self) -> int:
        """Items it scores, I."""

    def user_weights(self, had: Ragged) -> sp.csr_array:
        """Weight of each item for each user, [U, I].

        Args:
            had: Item rows of each user, oldest first; rows from I on are left out.
        """
        lengths = had.lengths()
        users = np.repeat(np.arange(len(had)), lengths)
        age = np.repeat(had.offsets[1:], lengths) - np.arange(len(had.values)) - 1
        kept = (age < LAST) & (had.values < self.items)
        weight = np.power(np.float32(self.decay), age[kept], dtype=np.float32)
        matrix = sp.csr_array(
            sp.coo_array((weight, (users[kept], had.values[kept])), shape=(len(had), self.items))
        )
        matrix.sum_duplicates()
        if self.decay == 1:
            matrix.data[:] = 1
        return matrix

    def weights_of(self, had: NDArray[np.int32]) -> tuple[NDArray[np.int32], Floats]:
        """The same for one user, as a request asks, without a sparse matrix: distinct items, rising, and weights."""
        last = had[-LAST:]
        known, age = last < self.items, len(last) - 1 - np.arange(len(last))
        items, place = np.unique(last[known], return_inverse=True)
        if self.decay == 1:
            return items, np.ones(len(items), np.float32)
        weight = np.power(np.float32(self.decay), age[known], dtype=np.float32)
        return items, np.bincount(place, weight, minlength=len(items)).astype(np.float32)

    @abstractmethod
    def scores(self, had: Ragged) -> Floats:
        """Score of every item for each user, [U, I].

        Args:
            had: Item rows of each user, oldest first, [U].
        """

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What has to be kept to read it again."""

    @classmethod
    @abstractmethod
    def read(cls, decay: float, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Take over what :meth:`arrays` gave."""


@dataclass(frozen=True, slots=True)
class ItemToItem(ItemScores):
    """Scores by weights between items.

    Attributes:
        weights: Row j says what item j adds to the score of each item, float32 CSR [I, I].
    """

    weights: sp.csr_array
    _kept: list[Floats] = field(default_factory=list, repr=False, compare=False)

    kind = "weights"

    @property
    def items(self) -> int:
        """Items it scores."""
        return int(self.weights.shape[0])

    def scores(self, had: Ragged) -> Floats:
        """Sum of the rows of the user's items, weighed."""
        scores: Floats = (self.user_weights(had) @ self.weights).toarray()
        return scores

    def touched(self, had: NDArray[np.int32]) -> tuple[NDArray[np.int64], Floats]:
        """Items whose score is not 0 for one user, rising, with their scores.

        Args:
            had: Item rows of the user, oldest first.
        """
        had, weight = self.weights_of(had[had < self.items])  # later items take no place among the last ones
        if self.items <= _FEW and (rows := self._dense()) is not None:
            dense = weight @ rows[had]
            found = np.flatnonzero(dense)
            return found, dense[found].astype(np.float32)
        starts, stops = self.weights.indptr[had], self.weights.indptr[had + 1]
        lengths = stops - starts
        at = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
        columns = self.weights.indices[at]
        values = self.weights.data[at] * np.repeat(weight, lengths)
        if self.items <= _FEW:
            sums = np.bincount(columns, values, minlength=self.items)
            found = np.flatnonzero(sums)
            return found, sums[found].astype(np.float32)
        found, place = np.unique(columns, return_inverse=True)
        return found.astype(np.int64), np.bincount(place, values, minlength=len(found)).astype(np.float32)

    def _dense(self) -> Floats | None:
        """The matrix with its zeros, where it is small and has few of them: a request reads it twenty times faster."""
        if not self._kept and self.items <= _FEW_DENSE and self.weights.nnz > self.items**2 / 4:
            self._kept.append(self.weights.toarray())
        return self._kept[0] if self._kept else None

    def touched_by_each(self, had: Ragged) -> tuple[NDArray[np.int64], Floats]:
        """The same for several users who had almost the same items: those that any of them touches, [n, c].

        Args:
            had: Item rows of each user, oldest first, [n].
        """
        weight = self.user_weights(had)
        items = np.unique(weight.indices)
        rows = self.weights[items]
        columns, at = np.unique(rows.indices, return_inverse=True)
        of_items = sp.csr_array((rows.data, at, rows.indptr), shape=(len(items), len(columns)))
        scores: Floats = (weight[:, items].toarray() @ of_items.toarray()).astype(np.float32)
        return columns.astype(np.int64), scores

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The matrix."""
        w = self.weights
        return {"values": w.data, "columns": w.indices.astype(np.int32), "offsets": w.indptr.astype(np.int64)}

    @classmethod
    def read(cls, decay: float, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """The matrix again."""
        size = len(arrays["offsets"]) - 1
        values: NDArray[Any] = arrays["values"]
        columns: NDArray[Any] = arrays["columns"]
        offsets: NDArray[Any] = arrays["offsets"]
        rising = len(offsets) > 0 and offsets[0] == 0 and bool((np.diff(offsets) >= 0).all())
        inside = not len(columns) or (int(columns.min()) >= 0 and int(columns.max()) < size)
        if not (rising and inside and len(values) == len(columns) == offsets[-1]):
            raise ValueError("the weights between items are no matrix of them")  # native code trusts them
        return cls(decay, sp.csr_array((values, columns, offsets), shape=(size, size)))


@dataclass(frozen=True, slots=True)
class ItemVectors(ItemScores):
    """Scores by the cosine between an item and the weighed sum of the user's items.

    Attributes:
        vectors: Of length 1, or zeros for an item without one, float32 [I, D].
    """

    vectors: Floats

    kind = "vectors"

    @property
    def items(self) -> int:
        """Items it scores."""
        return len(self.vectors)

    def scores(self, had: Ragged) -> Floats:
        """Cosines, 0 for a user or an item without a vector."""
        scores: Floats = self.profiles(had) @ self.vectors.T
        return scores

    def profiles(self, had: Ragged) -> Floats:
        """Weighed sum of the vectors of each user's items, of length 1, or zeros, [U, D]."""
        if len(had) == 1:
            items, weight = self.weights_of(had.values)
            profile = (weight @ self.vectors[items])[None]
        else:
            profile = self.user_weights(had) @ self.vectors
        norm = np.linalg.norm(profile, axis=1, keepdims=True)
        found: Floats = profile / np.maximum(norm, 1e-12)
        return found

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The vectors."""
        return {"vectors": self.vectors}

    @classmethod
    def read(cls, decay: float, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """The vectors again."""
        return cls(decay, arrays["vectors"].astype(np.float32, copy=False))


@dataclass(frozen=True, slots=True)
class ItemPrior(ItemScores):
    """Scores that are the same for every user.

    Attributes:
        values: float32 [I].
    """

    values: Floats

    kind = "prior"

    @property
    def items(self) -> int:
        """Items it scores."""
        return len(self.values)

    def scores(self, had: Ragged) -> Floats:
        """The same for each user."""
        return np.broadcast_to(self.values, (len(had), len(self.values)))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The scores."""
        return {"values": self.values}

    @classmethod
    def read(cls, decay: float, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """The scores again."""
        return cls(decay, arrays["values"].astype(np.float32, copy=False))


@dataclass(frozen=True, slots=True)
class FoldedFactors(ItemVectors):
    """Scores by the factors of an item and of a user, who is folded in from what the user had.

    x = (YᵀY + Yᵀ(C − I)Y + λI)⁻¹ YᵀCp with confidences c_j = 1 + α·w_j of the user's items and p = 1 for them
    (Hu, Koren & Volinsky 2008, eq. 4), so that users never seen and events of this minute count like all others.

    Attributes:
        vectors: Factors Y of the items, zeros for one that was not fitted, float32 [I, D].
        confidence: α, > 0.
        penalty: λ, > 0.
        gram: YᵀY, float32 [D, D].
    """

    confidence: float
    penalty: float
    gram: Floats

    kind = "factors"

    def profiles(self, had: Ragged) -> Floats:
        """Factors of each user, zeros for one without items, [U, D]."""
        if len(had) == 1:
            return self._profile(had.values)[None]
        weights, width = self.user_weights(had), self.vectors.shape[1]
        found = np.zeros((len(had), width), np.float32)
        base = self.gram + np.float32(self.penalty) * np.eye(width, dtype=np.float32)
        for start in range(0, len(had), _FOLDED_AT_ONCE):
            stop = min(start + _FOLDED_AT_ONCE, len(had))
            lengths = np.diff(weights.indptr[start : stop + 1])
            longest = int(lengths.max(initial=0))
            if not longest:
                continue
            # the shorter lists are filled up with items of weight 0, which must not count as had
            there = np.arange(longest) < lengths[:, None]
            at = slice(weights.indptr[start], weights.indptr[stop])
            items, weight = np.zeros(there.shape, np.int64), np.zeros(there.shape, np.float32)
            items[there], weight[there] = weights.indices[at], weights.data[at]
            y = self.vectors[items]  # [n, L, D]
            more = np.float32(self.confidence) * weight
            left = base + np.matmul((y * more[..., None]).transpose(0, 2, 1), y)
            right = np.matmul((there + more)[:, None, :], y)[:, 0]
            found[start:stop] = np.linalg.solve(left, right[..., None])[..., 0]
        return found

    def _profile(self, had: NDArray[np.int32]) -> Floats:
        """The same for one user, as a request asks, without sparse matrices, [D]."""
        width = self.vectors.shape[1]
        items, weight = self.weights_of(had)
        if not len(items):
            return np.zeros(width, np.float32)
        y, more = self.vectors[items], np.float32(self.confidence) * weight
        left = self.gram + (y * more[:, None]).T @ y
        left[np.diag_indices(width)] += np.float32(self.penalty)
        _, found, failed = sposv(left, (1 + more) @ y)  # half of what solving by elimination takes
        return found if not failed else np.linalg.solve(left, (1 + more) @ y)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The factors and the two settings."""
        return {"vectors": self.vectors, "settings": np.array([self.confidence, self.penalty])}

    @classmethod
    def read(cls, decay: float, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """The factors again."""
        vectors = arrays["vectors"].astype(np.float32, copy=False)
        confidence, penalty = (float(one) for one in arrays["settings"].astype(np.float64))
        return cls(decay, vectors, confidence, penalty, vectors.T @ vectors)


_KINDS: Final[dict[str, type[ItemScores]]] = {
    one.kind: one for one in (ItemToItem, ItemVectors, ItemPrior, FoldedFactors)
}


def read_scores(kind: str, decay: float, arrays: Mapping[str, NDArray[np.generic]]) -> ItemScores:
    """Scores from their ``kind``, ``decay`` and :meth:`~ItemScores.arrays`."""
    return _KINDS[kind].read(decay, arrays)


def strongest(matrix: sp.csr_array, kept: int) -> sp.csr_array:
    """The entries of each row that are largest in size, at most ``kept`` of them.

    Example:
        >>> strongest(sp.csr_array([[1.0, -3.0, 2.0]]), 2).toarray().tolist()
        [[0.0, -3.0, 2.0]]
    """
    lengths = np.diff(matrix.indptr)
    if lengths.max(initial=0) <= kept:
        return matrix
    chosen = np.ones(len(matrix.data), bool)
    size = np.abs(matrix.data)
    for row in np.flatnonzero(lengths > kept):
        start, stop = matrix.indptr[row], matrix.indptr[row + 1]
        chosen[start + np.argpartition(-size[start:stop], kept)[kept:]] = False
    rows = np.repeat(np.arange(matrix.shape[0]), lengths)[chosen]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=matrix.shape[0]))])
    return sp.csr_array((matrix.data[chosen], matrix.indices[chosen], offsets), shape=matrix.shape)
