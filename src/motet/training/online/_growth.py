"""Ids that come and go between two full trainings: admitted after some sightings, dropped when they are not seen any more.

A vocabulary says which row of the embedding table each word has. What a full training gave stays where it is, so that plain
members that count by rows go on; a word that comes later has a row behind those. A row whose word is dropped is free for
the next one.

Legend of shapes: n words, R rows of the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import Encoder, IdIndex, Vocabulary
from motet.schema import Entity, Schema

__all__ = ["Grown", "grow_encoder", "id_features"]

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grown:
    """An encoder with other words.

    Attributes:
        encoder: The encoder.
        rows: Rows of the table that new words have, [n].
        like: Rows that they begin as: the unknown one of their feature, [n].
        admitted: New words by feature.
        dropped: Words by feature that are unknown again.
    """

    encoder: Encoder
    rows: Rows
    like: Rows
    admitted: Mapping[str, int]
    dropped: Mapping[str, int]


def id_features(schema: Schema) -> dict[str, Entity]:
    """Features that are the id of a user or an item itself, with whose it is."""
    found: dict[str, Entity] = {}
    sides: tuple[tuple[Entity, str | None], ...] = (("user", schema.keys.user), ("item", schema.keys.item))
    for entity, key in sides:
        for name, feature in schema.features.of(entity).items():
            if feature.is_id and schema.feature_columns(entity, name) == [key]:
                found[name] = entity
    return found


def grow_encoder(
    encoder: Encoder,
    sightings: Mapping[str, pl.DataFrame],
    *,
    admit_after: int,
    keep_from: int | None = None,
) -> Grown:
    """Admit words that were seen often enough, and drop those that were not seen for long.

    Args:
        encoder: Fitted; it is not changed.
        sightings: Per feature, ``word``, ``count`` and ``last``, the number of the last event of each word so far.
        admit_after: Sightings from which on a word has a row of its own, ≥ 1.
        keep_from: Words whose last event has a smaller number are dropped, as are those without any; none when left out.
    """
    if keep_from is not None:
        sightings = {name: of.filter(pl.col("last") >= keep_from) for name, of in sightings.items()}
    kept = {
        name: encoder.vocabularies[name] if keep_from is None else _kept(encoder.vocabularies[name], of)
        for name, of in sightings.items()
    }
    vocabularies = {**encoder.vocabularies, **kept}
    begin = max((v.offset + v.rows for v in vocabularies.values()), default=0)
    taken = np.zeros(max(encoder.table_rows, begin), bool)
    for vocabulary in vocabularies.values():
        taken[vocabulary.places] = True
    free = begin + np.flatnonzero(~taken[begin:])
    size, rows, like = len(taken), [], []
    admitted: dict[str, int] = {}
    for name, of in sightings.items():
        vocabulary = vocabularies[name]
        often = of.filter(pl.col("count") >= admit_after).sort("count", "word", descending=[True, False])[
            "word"
        ]
        new = often.filter(pl.Series(vocabulary.words.rows(often) < 0, dtype=pl.Boolean))
        behind = size + np.arange(max(0, len(new) - len(free)))
        places = np.concatenate([free[: len(new)], behind]).astype(np.int32)
        free, size = free[len(new) :], size + len(behind)
        words = IdIndex(pl.concat([vocabulary.words.words, new.cast(pl.String).alias("word")]))
        vocabularies[name] = replace(vocabulary, words=words, places=np.append(vocabulary.places, places))
        rows.append(places.astype(np.int64))
        like.append(np.full(len(new), vocabulary.offset, np.int64))
        admitted[name] = len(new)
    none = np.zeros(0, np.int64)
    return Grown(
        replace(encoder, vocabularies=vocabularies, table_rows=size),
        np.concatenate([none, *rows]),
        np.concatenate([none, *like]),
        admitted,
        {name: len(encoder.vocabularies[name].words) - len(one.words) for name, one in kept.items()},
    )


def _kept(vocabulary: Vocabulary, seen: pl.DataFrame) -> Vocabulary:
    """A vocabulary without the words that were not seen."""
    words = vocabulary.words.words
    stays = IdIndex(seen["word"]).rows(words) >= 0
    left = words.filter(pl.Series(stays, dtype=pl.Boolean))
    return replace(vocabulary, words=IdIndex(left), places=vocabulary.places[stays])
