"""Items by the meaning of words: exact search over centred, whitened vectors of their texts.

Legend of shapes: I items, D width of a text's vector, W width after whitening, n queries.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.data import Catalogue, Dataset, TextToVectors, Whitening
from motet.errors import DataError
from motet.text.safety import clean_text

__all__ = ["MeaningIndex", "item_texts"]

_WIDTH: Final = 128
_CHARACTERS: Final = 1000
_FIT_ROWS: Final = 50_000

Floats = NDArray[np.float32]


class MeaningIndex:
    """Finds the items whose texts mean what some words mean.

    Vectors of sentence encoders fill a narrow cone only, where everything resembles everything; so
    they are centred and whitened on the items (Su et al. 2021, eq. 5–8), queries alike, and
    compared by cosine. The search is exact: one product of I·W numbers, about 0.1 s for a million
    items at W = 128 on one core, and 4·I·W bytes (512 MB).

    Args:
        vectors: Of the items' texts, in the order of the catalogue; all zeros where there is no
            text, [I, D].
        encode_text: The encoder that made them, for further items.
        width: W; 0 only centres.
        encode_private: The same encoder for queries; ``encode_text`` when left out.

    Raises:
        DataError: If the vectors are not a matrix of finite numbers.

    Example:
        >>> from motet.testing import hashed_words_for_tests as encode
        >>> index = MeaningIndex(encode(["red wine", "white wine", "black tea"]), encode, width=0)
        >>> rows, scores = index.search("tea", k=1)
        >>> rows.tolist()
        [2]
    """

    def __init__(
        self,
        vectors: Floats,
        encode_text: TextToVectors,
        *,
        width: int = _WIDTH,
        encode_private: TextToVectors | None = None,
    ) -> None:
        if vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise DataError(
                f"vectors of items have the shape {vectors.shape}, or one is not finite",
                "give one finite vector an item",
            )
        self._encode, self._encode_private = encode_text, encode_private or encode_text
        self._known = vectors.any(axis=1)
        self._whitening = _whitening(vectors[self._known], width)
        self._items = _unit(self._whitening.apply(vectors))

    def __len__(self) -> int:
        return len(self._items)

    @classmethod
    def of_catalogue(
        cls,
        catalogue: Catalogue,
        encode_text: TextToVectors,
        *,
        width: int = _WIDTH,
        encode_private: TextToVectors | None = None,
    ) -> MeaningIndex:
        """An index of titles, tags, categories and texts together; encodes every item once."""
        vectors = _encoded(item_texts(catalogue), encode_text)
        return cls(vectors, encode_text, width=width, encode_private=encode_private)

    @classmethod
    def of_feature(
        cls, data: Dataset, feature: str, encode_text: TextToVectors, *, width: int = _WIDTH
    ) -> MeaningIndex:
        """An index of a text feature of the items, from the vectors that the data set holds.

        Args:
            data: The data set.
            feature: A text feature of the items.
            encode_text: The encoder that made its vectors.
            width: W, as for the class.

        Raises:
            DataError: If the items have no such feature.
        """
        names = data.encoder.layout("item").vectors
        if feature not in names or not data.schema.features.item[feature].is_text:
            raise DataError(
                f"'{feature}' is no text feature of the items", f"name one of {', '.join(names) or 'none'}"
            )
        reduction = data.encoder.reductions.get(feature)

        def encode(texts: Sequence[str]) -> Floats:
            found = encode_text(texts)
            return reduction.apply(found) if reduction is not None else found

        rows = data.items.vector_rows[:, names.index(feature)]
        return cls(data.vectors[feature][rows], encode, width=width)

    def vectors_of(self, texts: Sequence[str]) -> Floats:
        """Unit vectors of some queries in the space of the items, [n, W]; zeros for an empty text."""
        return self._placed(texts, self._encode_private)

    def _placed(self, texts: Sequence[str], encode: TextToVectors) -> Floats:
        found = _encoded(texts, encode) if self._known.any() else np.zeros((len(texts), 1), np.float32)
        if not found.any():
            return np.zeros((len(texts), self._items.shape[1]), np.float32)
        return _unit(self._whitening.apply(found))

    def vectors_of_items(self, rows: NDArray[np.int64]) -> Floats:
        """Unit vectors of some items, [n, W]; zeros for one without text."""
        vectors: Floats = self._items[rows]
        return vectors

    def with_items(self, catalogue: Catalogue, changed: NDArray[np.int64]) -> MeaningIndex:
        """An index of :meth:`of_catalogue` with items added or changed; only these are encoded.

        Args:
            catalogue: All items, those of before in their places.
            changed: Places of the items that are new or changed, in order.
        """
        texts = item_texts(replace(catalogue, frame=catalogue.frame[changed]))
        found = self._placed(texts, self._encode)
        more, width = len(catalogue) - len(self._items), self._items.shape[1]
        new = copy.copy(self)
        new._items = np.concatenate([self._items, np.zeros((more, width), np.float32)])
        new._known = np.concatenate([self._known, np.zeros(more, bool)])
        new._items[changed], new._known[changed] = found, found.any(axis=1)
        return new

    def placed(self, vectors: Floats) -> Floats:
        """Vectors of further items, as given for the index's own, as unit vectors of its space, [n, W]."""
        return _unit(self._whitening.apply(vectors)) if len(vectors) else self._items[:0]

    def scores(self, query: str | Floats) -> Floats:
        """Cosine of every item to some words, or to a vector [W]; −1 for an item without text, [I]."""
        vector = self.vectors_of([query])[0] if isinstance(query, str) else query
        scores: Floats = self._items @ vector.astype(np.float32)
        scores[~self._known] = -1.0
        return scores

    def search(
        self, query: str | Floats, k: int = 10, *, among: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], Floats]:
        """The items nearest in meaning, nearest first; the lower row first of equals.

        Args:
            query: Words, or a vector of the items' space, [W].
            k: Items at most, ≥ 1.
            among: Items that may come, [I]; those with a text when left out.

        Returns:
            Rows of the items and their cosines, at most k each.
        """
        if k < 1:
            raise DataError(f"k is {k}", "ask for at least one item")
        allowed = self._known if among is None else self._known & among
        scores = np.where(allowed, self.scores(query), np.float32(-np.inf))
        kept = min(k, int(allowed.sum()))
        if not kept:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        lowest = np.partition(scores, len(scores) - kept)[len(scores) - kept]
        rows = np.flatnonzero(scores >= lowest)
        rows = rows[np.argsort(-scores[rows], kind="stable")][:kept]
        return rows, scores[rows]


def item_texts(catalogue: Catalogue) -> list[str]:
    """One text an item: its name, its tags and categories, its running texts.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"id": ["1"], "title": ["Alien"], "tags": [["Horror", "Sci-Fi"]]})
        >>> item_texts(Catalogue(frame, "title", ("tags",), (), (), (), {}, {}))
        ['Alien. Horror, Sci-Fi']
    """
    columns = [column for column in (catalogue.title,) if column is not None]
    columns += [*catalogue.tags, *catalogue.categories, *catalogue.texts]
    lists = [catalogue.frame[column].to_list() for column in columns]
    texts = []
    for cells in zip(*lists, strict=True):
        said = [", ".join(cell) if isinstance(cell, list) else str(cell) for cell in cells if cell]
        texts.append(clean_text(". ".join(said), _CHARACTERS))
    return texts or [""] * len(catalogue)


def _encoded(texts: Sequence[str], encode_text: TextToVectors) -> Floats:
    """Vectors of texts; an empty one is zeros and is not sent."""
    said = [text for text in texts if text.strip()]
    if not said:
        return np.zeros((len(texts), 1), np.float32)
    found = encode_text(said)
    vectors = np.zeros((len(texts), found.shape[1]), np.float32)
    vectors[[bool(text.strip()) for text in texts]] = found
    return vectors


def _whitening(vectors: Floats, width: int) -> Whitening:
    sample = vectors[:: max(1, len(vectors) // _FIT_ROWS)]
    if width and len(sample) > 1:
        return Whitening.fit(sample, min(width, vectors.shape[1], len(sample) - 1))
    mean = sample.mean(0) if len(sample) else np.zeros(vectors.shape[1])
    return Whitening(mean.astype(np.float32), np.eye(vectors.shape[1], dtype=np.float32))


def _unit(vectors: Floats) -> Floats:
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = np.divide(vectors, norm, out=np.zeros_like(vectors), where=norm > 0)
    return unit
