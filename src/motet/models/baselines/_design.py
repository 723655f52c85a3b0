"""Rows of interactions as a sparse matrix: one-hot codes, tags, numbers and words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Dataset
from motet.schema import ENTITIES, Entity

__all__ = ["Design", "entity_rows", "fit_words", "text_features", "word_counter", "word_matrix"]

_MAX_WORDS = 50_000
_FEW_TEXTS = 100


def text_features(dataset: Dataset, *entities: Entity) -> list[tuple[Entity, str]]:
    """The text features of some entities."""
    return [
        (entity, name)
        for entity in entities
        for name, feature in dataset.schema.features.of(entity).items()
        if feature.is_text and name in dataset.texts
    ]


def entity_rows(dataset: Dataset, entity: Entity, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of an entity's table that belong to interactions."""
    if entity == "interaction":
        return rows
    return (dataset.user_row if entity == "user" else dataset.item_row)[rows].astype(np.int64)


def word_matrix(dataset: Dataset, entity: Entity, name: str, rows: NDArray[np.int64]) -> sp.csr_array | None:
    """TF-IDF of the distinct texts of a feature, words and pairs of words (Salton & Buckley 1988).

    Words and their weights come from the texts of the given interactions only.

    Args:
        dataset: Holds the texts.
        entity: Whose feature.
        name: The feature.
        rows: Interactions whose texts are looked at.

    Returns:
        One row a distinct text, or None if these texts hold no word.
    """
    texts = dataset.texts[name]
    vectorizer = fit_words(dataset, entity, name, rows)
    return None if vectorizer is None else sp.csr_array(vectorizer.transform(texts))


def fit_words(dataset: Dataset, entity: Entity, name: str, rows: NDArray[np.int64]) -> Any:
    """The words of texts and their weights, as scikit-learn's ``TfidfVectorizer``; None if they hold no word."""
    texts = dataset.texts[name]
    seen = np.unique(_text_rows(dataset, entity, name, rows))
    chosen = [texts[row] for row in seen if row > 0]
    vectorizer = word_counter(min_df=2 if len(chosen) >= _FEW_TEXTS else 1, max_features=_MAX_WORDS)
    try:
        vectorizer.fit(chosen)
    except ValueError:  # no text holds a word
        return None
    return vectorizer


def word_counter(**options: Any) -> Any:
    """What turns texts into rows of TF-IDF, words and pairs of words."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 (slow to import, only needed here)

    return TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), dtype=np.float32, **options)


def _text_rows(dataset: Dataset, entity: Entity, name: str, rows: NDArray[np.int64]) -> NDArray[np.int32]:
    column = dataset.encoder.layout(entity).vectors.index(name)
    values: NDArray[np.int32] = dataset.table(entity).vector_rows[entity_rows(dataset, entity, rows), column]
    return values


@dataclass(frozen=True, slots=True)
class Design:
    """How interactions become rows of a sparse matrix.

    Attributes:
        dataset: Where they are.
        words: TF-IDF of each text feature that is used.
        inputs: Whether ids, categories, tags and numbers are used as well.
    """

    dataset: Dataset
    words: dict[tuple[Entity, str], sp.csr_array]
    inputs: bool

    @classmethod
    def fit(
        cls, dataset: Dataset, rows: NDArray[np.int64], texts: list[tuple[Entity, str]], inputs: bool = True
    ) -> Design:
        """Fit the words on the texts of some rows."""
        matrices = {(entity, name): word_matrix(dataset, entity, name, rows) for entity, name in texts}
        return cls(dataset, {key: words for key, words in matrices.items() if words is not None}, inputs)

    def matrix(self, rows: NDArray[np.int64]) -> sp.csr_array:
        """The rows of some interactions, float32 CSR [n, F]."""
        parts: list[sp.csr_array] = [sp.csr_array((len(rows), 1), dtype=np.float32)]
        if self.inputs:
            for entity in ENTITIES:
                parts += self._inputs(entity, entity_rows(self.dataset, entity, rows))
        for (entity, name), words in self.words.items():
            parts.append(words[_text_rows(self.dataset, entity, name, rows)])
        return sp.csr_array(sp.hstack(parts, format="csr"))

    def _inputs(self, entity: Entity, rows: NDArray[np.int64]) -> list[sp.csr_array]:
        table, layout = self.dataset.table(entity), self.dataset.encoder.layout(entity)
        width = self.dataset.encoder.table_rows
        parts = []
        # Features have rows of their own in the one embedding table, so codes are column numbers.
        for column in range(table.codes.shape[1]):
            parts.append(_one_hot(table.codes[rows, column], width))
        if entity == "user" and self.dataset.schema.keys.user and not any(layout.is_id):
            parts.append(_one_hot(rows, len(table)))
        for lists in table.tags.values():
            taken = lists.take(rows)
            ones = np.ones(len(taken.values), np.float32)
            parts.append(sp.csr_array((ones, taken.values, taken.offsets), shape=(len(rows), width)))
        if table.numbers.shape[1]:
            parts.append(sp.csr_array(table.numbers[rows]))
        return parts


def _one_hot(columns: NDArray[np.integer[Any]], width: int) -> sp.csr_array:
    n = len(columns)
    return sp.csr_array((np.ones(n, np.float32), columns, np.arange(n + 1)), shape=(n, width))
