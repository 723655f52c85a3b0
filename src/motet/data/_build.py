"""From files to a data set: read, clean, split, fit on training rows, encode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motet.data._account import Account
from motet.data._catalogue import build_catalogue
from motet.data._columns import release
from motet.data._dataset import Dataset, EntityLabels, EntityTable
from motet.data._encoder import Encoder
from motet.data._entities import TABLED, Entities
from motet.data._interactions import build_histories, read_interactions, without_duplicates
from motet.data._prepare import Preparer
from motet.data._raw import RawTable
from motet.data._read import Frames
from motet.data._sides import side_columns, side_fields
from motet.data._split import SPLIT_CODES, split_rows
from motet.data._vectors import (
    ItemsToVectors,
    TextToVectors,
    build_vectors,
    graph_features,
    with_vectors,
)
from motet.errors import DataError
from motet.schema import ENTITIES, Entity, Progress, Schema, silent

__all__ = ["build_dataset"]

_MOST_SCENARIOS = 2**15 - 1


def build_dataset(
    schema: Schema,
    directory: Path | Frames,
    *,
    encode_text: TextToVectors | None = None,
    item_vectors: ItemsToVectors | None = None,
    encoder: Encoder | None = None,
    account: Account | None = None,
    spill_directory: Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Build a data set from the files of a directory.

    Interactions are read once, in chunks; vocabularies, scales and classes are fitted on training
    rows only, and everything is encoded by the same code that serves raw rows later.

    Args:
        schema: What the files are.
        directory: Where they are; or frames in its place.
        encode_text: Turns distinct texts into vectors [n, D]; needed if the schema has text features.
        item_vectors: Gives each item its vector of the knowledge graph; needed if an item feature has
            ``source: knowledge``.
        encoder: One that was fitted before, to see new files as a trained model does; fitted on the
            training rows of these files when left out.
        account: Takes note of what was found and what was done about it.
        spill_directory: Where columns of tables beyond 3 million rows go; in memory when left out.
        progress: Called with what is going on, the rows done and the rows in all.

    Raises:
        DataError: If a file, a column or a value is wrong; nothing is written then.
    """
    account = account if account is not None else Account()
    progress = progress or silent
    directory = directory if isinstance(directory, Frames) else Path(directory)
    texts = [name for _, name, feature in schema.features.all() if feature.is_text]
    if texts and encode_text is None:
        raise DataError(f"the text feature '{texts[0]}' needs an encoder", "pass encode_text")
    from_graph = graph_features(schema)
    if from_graph and item_vectors is None:
        raise DataError(f"the feature '{from_graph[0]}' needs the vectors of a graph", "pass item_vectors")
    entities = Entities(schema, directory, Preparer(schema, account), account)
    inter, spill = read_interactions(entities, spill_directory, progress)
    inter = without_duplicates(inter, schema, account)
    if not len(inter.user_row):
        raise DataError(
            f"{schema.tables.interactions} has no usable row",
            f"fix what cleaning left out: {'; '.join(map(str, account))}",
        )
    split = split_rows(
        schema.split,
        inter.user_row,
        inter.item_row,
        inter.time,
        entities.natural_order("item"),
        inter.split_words,
    )
    release(inter.user_row, inter.item_row, inter.time)
    if not (split == SPLIT_CODES["train"]).any():
        raise DataError("no interaction falls in the training split", "give more rows, or change split.train")
    train = split == SPLIT_CODES["train"]
    weight: dict[Entity, NDArray[np.int64]] = {
        "user": np.bincount(inter.user_row[train], minlength=entities.size("user")),
        "item": np.bincount(inter.item_row[train], minlength=entities.size("item")),
        "interaction": train.astype(np.int64),
    }
    raw: dict[Entity, RawTable] = {"interaction": inter.raw}
    for entity in TABLED:
        raw[entity] = entities.read(entity)
    if from_graph and item_vectors is not None:
        given = item_vectors(entities.ids("item"), inter.user_row[train], inter.item_row[train])
        raw["item"] = with_vectors(raw["item"], from_graph, given)

    progress("encoding features", 0, 1)
    fit = encoder is None
    encoder = encoder or Encoder(schema)
    if fit:
        encoder.fit(raw, weight)
        inter.labels.fit(encoder, train)
    if len(encoder.scenarios) > _MOST_SCENARIOS:
        raise DataError(
            f"keys.scenario '{schema.keys.scenario}' has {len(encoder.scenarios) - 1:,} different values",
            "name a column of placements or domains, of which there are a few",
        )
    entity_labels: dict[str, EntityLabels] = {}
    for entity in TABLED:
        entity_labels |= entities.labels(entity, encoder, fit)
    vectors, kept_texts, rows = build_vectors(
        schema, raw, weight, split != SPLIT_CODES["unused"], encoder, encode_text
    )
    tables: dict[Entity, EntityTable] = {}
    for entity in ENTITIES:
        encoded = encoder.encode(raw[entity], entity, spill)
        tables[entity] = EntityTable(encoded.codes, encoded.numbers, encoded.tags, rows[entity])
    for positions in (*(at for _, at in inter.raw.words.values()), *inter.raw.numbers.values()):
        release(positions)
    labels, label_sets = inter.labels.encode(encoder, account, schema.tables.interactions, spill)
    scenario = (
        tables["interaction"].codes[:, -1] - encoder.vocabularies["scenario"].offset
        if schema.keys.scenario
        else 0
    )
    account.close()
    progress("encoding features", 1, 1)
    release(labels, inter.user_row, inter.item_row, inter.time, *(t.codes for t in tables.values()))
    return Dataset(
        schema=schema,
        encoder=encoder,
        users=tables["user"],
        items=tables["item"],
        context=tables["interaction"],
        vectors=vectors,
        texts=kept_texts,
        histories=build_histories(inter, entities, split),
        user_row=inter.user_row,
        item_row=inter.item_row,
        scenario=np.broadcast_to(np.asarray(scenario, np.int16), (len(split),)),
        time=inter.time,
        labels=labels,
        label_sets=label_sets,
        entity_labels=entity_labels,
        split=split,
        user_ids=entities.ids("user"),
        item_ids=entities.ids("item"),
        sides={
            entity: side_columns(schema, entity, frame)
            for entity, frame in entities.frames.items()
            if side_fields(schema, entity)
        },
        catalogue=build_catalogue(schema, entities.frames["item"]) if schema.keys.item else None,
    )
