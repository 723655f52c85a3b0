"""Matrices of text and vector features: encoded once a distinct text, whitened on training rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data._containers import IdIndex
from motet.data._dataset import Dataset
from motet.data._encoder import Encoder, Whitening
from motet.data._raw import RawTable
from motet.errors import DataError
from motet.schema import ENTITIES, Entity, Schema

__all__ = [
    "ItemsToVectors",
    "TextToVectors",
    "build_vectors",
    "graph_features",
    "known_items",
    "with_vectors",
]

TextToVectors = Callable[[Sequence[str]], NDArray[np.float32]]
ItemsToVectors = Callable[[pl.Series, NDArray[np.int32], NDArray[np.int32]], NDArray[np.float32]]
"""From the keys of the items [I], and the user and the item row of each training interaction [N], to vectors
[I, D]; zeros where an item has none."""


def graph_features(schema: Schema) -> list[str]:
    """Item features whose vectors come from the knowledge graph."""
    return [name for name, feature in schema.features.item.items() if feature.from_graph]


def with_vectors(table: RawTable, names: Sequence[str], vectors: NDArray[np.float32]) -> RawTable:
    """A table of items as read, with the vectors of some features put in.

    Raises:
        DataError: If there is not one finite vector an item.
    """
    if vectors.ndim != 2 or len(vectors) != table.rows or not np.isfinite(vectors).all():
        raise DataError(
            f"the vectors of '{names[0]}' have shape {vectors.shape} for {table.rows} items, or are not finite",
            "give item_vectors a function that gives one vector an item",
        )
    return replace(table, vectors={**table.vectors, **dict.fromkeys(names, vectors.astype(np.float32))})


def known_items(data: Dataset) -> ItemsToVectors:
    """The vectors that the items of a data set have already, by key: a trained model knows no others."""
    columns = data.encoder.layout("item").vectors
    name = next(name for name in columns if name in graph_features(data.schema))
    matrix = data.vectors[name]
    at = data.items.vector_rows[:, columns.index(name)]
    index = IdIndex(data.item_ids)

    def look_up(
        keys: pl.Series, user_row: NDArray[np.int32], item_row: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        rows = index.rows(keys)
        return matrix[np.where(rows >= 0, at[np.where(rows >= 0, rows, 0)], 0)]

    return look_up


def build_vectors(
    schema: Schema,
    raw: dict[Entity, RawTable],
    weight: dict[Entity, NDArray[np.int64]],
    used: NDArray[np.bool_],
    encoder: Encoder,
    encode_text: TextToVectors | None,
) -> tuple[dict[str, NDArray[np.float32]], dict[str, list[str]], dict[Entity, NDArray[np.int32]]]:
    """Build the matrix of each text and vector feature.

    Args:
        schema: Says which are whitened.
        raw: Tables as read.
        weight: Per entity, the number of training interactions of each row; whitening is fitted on
            rows that have some.
        used: Interactions that fall into a split: texts of the others are not encoded, but those of all users
            and items are, since predictions may be asked for any of them.
        encoder: Takes the fitted whitenings and the widths.
        encode_text: Turns distinct texts into vectors.

    Returns:
        Per feature its matrix [rows, D], row 0 all zeros: missing; per text feature the distinct
        texts, aligned with the matrix; per entity the matrix row of each of its rows, int32 [n, V].
    """
    vectors: dict[str, NDArray[np.float32]] = {}
    texts: dict[str, list[str]] = {}
    rows: dict[Entity, NDArray[np.int32]] = {}
    assert encode_text is not None or not any(t.texts for t in raw.values())  # noqa: S101 (checked at the entrance)
    encoded = _EachOnce(encode_text)
    for entity in ENTITIES:
        table, columns = raw[entity], []
        for name in encoder.layout(entity).vectors:
            if name in table.texts:
                index, positions = table.texts[name]
                words, positions = _needed(
                    index.words, positions, used if entity == "interaction" else np.ones(table.rows, bool)
                )
                texts[name] = words.to_list()
                matrix = encoded(texts[name][1:], name)
            else:
                matrix = table.vectors[name]
                positions = np.where(matrix.any(1), np.arange(1, len(matrix) + 1), 0).astype(np.int32)
            matrix = np.concatenate([np.zeros((1, matrix.shape[1]), np.float32), matrix])
            width = schema.features.of(entity)[name].whitened
            if width and name not in encoder.whitenings:
                seen = np.unique(positions[weight[entity] > 0])
                encoder.whitenings[name] = Whitening.fit(matrix[seen[seen > 0]], min(width, matrix.shape[1]))
            if name in encoder.whitenings:
                matrix = encoder.whitenings[name].apply(matrix)
            vectors[name] = matrix
            encoder.vector_widths[name] = matrix.shape[1]
            columns.append(positions)
        rows[entity] = np.stack(columns, 1) if columns else np.empty((table.rows, 0), np.int32)
    return vectors, texts, rows


def _needed(
    words: pl.Series, positions: NDArray[np.int32], used: NDArray[np.bool_]
) -> tuple[pl.Series, NDArray[np.int32]]:
    """The distinct texts of the rows that are used, and each row's place among them: 0 for other rows."""
    keep = np.zeros(len(words), bool)
    keep[positions[used]] = True
    keep[0] = True
    if keep.all():
        return words, positions
    place = np.cumsum(keep, dtype=np.int32) - 1
    return words.filter(pl.Series(keep)), np.where(used, place[positions], 0).astype(np.int32)


class _EachOnce:
    """Encodes the texts of one feature after another: what two of them share, once."""

    def __init__(self, encode: TextToVectors | None) -> None:
        self._encode = encode
        self._known: dict[str, NDArray[np.float32]] = {}

    def __call__(self, texts: list[str], name: str) -> NDArray[np.float32]:
        assert self._encode is not None  # noqa: S101 (there are no texts without an encoder)
        if not texts:
            return np.zeros((0, 1), np.float32)
        new = [text for text in texts if text not in self._known]
        if new:
            vectors = _checked(self._encode(new), len(new), name)
            self._known |= zip(new, vectors, strict=True)
            if len(new) == len(texts):
                return vectors
        return np.stack([self._known[text] for text in texts])


def _checked(vectors: NDArray[np.float32], n: int, name: str) -> NDArray[np.float32]:
    cure = "see that the encoder gives one finite vector a text: motet.testing.check_text_encoder"
    if vectors.ndim != 2 or len(vectors) != n:
        raise DataError(
            f"the text feature '{name}': the encoder gave vectors of shape {vectors.shape} for {n} texts",
            cure,
        )
    if not np.isfinite(vectors).all():
        raise DataError(f"the text feature '{name}': the encoder gave a vector that is not finite", cure)
    return vectors.astype(np.float32, copy=False)
