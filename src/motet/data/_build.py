"""From files to a data set: the interactions read once, in chunks; then split, fitted and encoded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data._catalogue import build_catalogue
from motet.data._containers import Spill, release
from motet.data._dataset import Dataset, EntityLabels, EntityTable, History, build_history
from motet.data._encoder import Encoder
from motet.data._entities import TABLED, Entities
from motet.data._labels import SPLIT_CODES, Fold, LabelReader, RawLabels, split_rows
from motet.data._prepare import CleaningReport, Preparer, evaluate, quoted_text, text_columns, used_columns
from motet.data._raw import RawReader, RawTable, side_columns, side_fields
from motet.data._read import Frames, iterate, open_table, require_columns, unreadable
from motet.data._vectors import ItemsToVectors, TextToVectors, build_vectors, graph_features, with_vectors
from motet.errors import DataError
from motet.schema import ENTITIES, Entity, Progress, Schema, silent

__all__ = ["Interactions", "build_dataset", "build_histories", "read_interactions", "without_duplicates"]

SPILL_ROWS = 3_000_000


@dataclass(slots=True)
class Interactions:
    """What the one pass over the interactions collects.

    Attributes:
        raw: Their features.
        labels: Their labels.
        user_row: int32 [N].
        item_row: int32 [N].
        time: Microseconds, int64 [N].
        events: Per sequence feature, which of them count.
        split_words: The split column, if the schema names one.
    """

    raw: RawTable
    labels: RawLabels
    user_row: NDArray[np.int32]
    item_row: NDArray[np.int32]
    time: NDArray[np.int64]
    events: dict[str, NDArray[np.bool_]]
    split_words: pl.Series | None

    def take(self, rows: NDArray[np.int64]) -> Interactions:
        """Some of the rows, in their order."""
        return Interactions(
            self.raw.take(rows),
            self.labels.take(rows),
            self.user_row[rows],
            self.item_row[rows],
            self.time[rows],
            {name: event[rows] for name, event in self.events.items()},
            None if self.split_words is None else self.split_words.gather(rows),
        )


def read_interactions(
    entities: Entities, spill_directory: Path | None, progress: Progress
) -> tuple[Interactions, Spill]:
    """Read the interactions in chunks, with bounded memory.

    Args:
        entities: The users and items, whose indices grow.
        spill_directory: Where columns of tables beyond 3 million rows go; in memory when left out.
        progress: Called with the rows done.

    Returns:
        The interactions, and where their columns went.

    Raises:
        DataError: If the file, a column or a value is wrong.
    """
    schema, source = entities.schema, entities.schema.tables.interactions
    preparer, cleaning_report, spill = entities.preparer, entities.cleaning_report, Spill()
    keys = schema.keys
    table = open_table(
        entities.directory,
        source,
        as_text=[k for k in (keys.user, keys.item) if k],
        words=text_columns(schema, "interaction"),
        numbers_as_text=schema.clean.unparseable == "null",
        tables=schema.tables,
    )
    columns = used_columns(schema, "interaction")
    require_columns(table, columns, source, "the schema uses it")
    try:
        total = table.select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(entities.directory, source, error, schema.tables) from None
    if total > SPILL_ROWS and spill_directory is not None:
        spill = Spill(spill_directory)
    reader = RawReader(schema, "interaction", source, spill=spill)
    labels = LabelReader(schema, "interaction", source, cleaning_report, spill)
    user, item = spill.writer(np.int32), spill.writer(np.int32)
    time = spill.writer(np.int64)
    wheres = {n: f.history.where for n, f in schema.features.user.items() if f.history is not None}
    events = {name: spill.writer(np.bool_) for name in wheres}
    splits: list[pl.Series] = []
    done = 0
    for chunk in iterate(table.select(columns), entities.directory, source, schema.tables):
        done += len(chunk)
        frame = preparer.prepare(chunk, "interaction", source)
        n = len(frame)
        user.append(entities.indices["user"].grow(frame[keys.user]) if keys.user else np.zeros(n, np.int32))
        item.append(entities.indices["item"].grow(frame[keys.item]) if keys.item else np.zeros(n, np.int32))
        time.append(frame[keys.time].dt.timestamp("us").to_numpy() if keys.time else np.zeros(n, np.int64))
        reader.add(_joined(entities, frame))
        labels.add(frame)
        for name, where in wheres.items():
            chosen = (
                pl.Series([True] * n)
                if where is None
                else evaluate(frame, where, source, f"features.user.{name}.where")
            )
            if chosen.dtype != pl.Boolean and not chosen.dtype.is_numeric() and chosen.dtype != pl.Null:
                raise DataError(
                    f"{source}: features.user.{name}.where {where!r} gives {chosen.dtype}, not true or false",
                    f'compare it with a value, such as "{where} = {quoted_text(chosen.drop_nulls()[0])}"',
                )
            events[name].append(chosen.cast(pl.Boolean).fill_null(False).to_numpy())
        if schema.split.column:
            splits.append(frame[schema.split.column])
        progress(f"reading {source}", done, total)
    if not done:
        raise DataError(f"{source} has a header but no rows", "give a table with rows")
    interactions = Interactions(
        reader.finish(),
        labels.finish(),
        user.finish(),
        item.finish(),
        time.finish(),
        {name: column.finish() for name, column in events.items()},
        pl.concat(splits) if splits else None,
    )
    return interactions, spill


def _joined(entities: Entities, frame: pl.DataFrame) -> pl.DataFrame:
    """Bring in the columns of users and items that interaction texts name."""
    for entity in TABLED:
        fields = side_fields(entities.schema, entity)
        key = entities.key(entity)
        if fields and key is not None:
            require_columns(
                entities.frames[entity].lazy(),
                [f.partition(".")[2] for f in fields],
                f"the {entity} table",
                "a template names it",
            )
            side = entities.frames[entity].select(
                pl.col(key).alias("__key"),
                *[pl.col(f.partition(".")[2]).alias(f) for f in sorted(fields)],
            )
            frame = frame.join(side, left_on=key, right_on="__key", how="left", maintain_order="left")
    return frame


def without_duplicates(inter: Interactions, schema: Schema, cleaning_report: CleaningReport) -> Interactions:
    """Leave out interactions of the same user, item, scenario and time, as the schema says."""
    keys, policy = schema.keys, schema.clean.duplicates
    if policy == "keep" or not (keys.user and keys.item and keys.time):
        return inter
    scenario = inter.raw.words["scenario"][1] if keys.scenario else np.zeros(len(inter.user_row), np.int32)
    order = np.lexsort((scenario, inter.item_row, inter.time, inter.user_row))
    same = np.ones(max(len(order) - 1, 0), bool)
    for column in (scenario, inter.item_row, inter.time, inter.user_row):
        ordered = column[order]
        same &= ordered[1:] == ordered[:-1]
    if not same.any():
        return inter
    keep = np.ones(len(order), bool)
    keep[order[:-1][same] if policy == "last" else order[1:][same]] = False
    cleaning_report.note(
        schema.tables.interactions,
        "",
        "same user, item, scenario and time",
        f"only the {policy} kept",
        int((~keep).sum()),
    )
    return inter.take(np.flatnonzero(keep))


def build_histories(inter: Interactions, entities: Entities, split: NDArray[np.uint8]) -> dict[str, History]:
    """The history of each sequence feature."""
    if not inter.events:
        return {}
    item_order = entities.natural_order("item")[inter.item_row]
    order = np.lexsort((item_order, inter.time, inter.user_row))
    in_order = entities.schema.split.by in ("time", "user_time")
    # where splits do not follow time, the past of a training row may hold validation and test rows
    allowed = split != SPLIT_CODES["unused"] if in_order else split == SPLIT_CODES["train"]
    return {
        name: build_history(
            np.asarray(event) & allowed,
            inter.user_row,
            inter.item_row,
            inter.time,
            split,
            order,
            entities.size("user"),
        )
        for name, event in inter.events.items()
    }


_MOST_SCENARIOS = 2**15 - 1


def build_dataset(
    schema: Schema,
    directory: Path | Frames,
    *,
    encode_text: TextToVectors | None = None,
    item_vectors: ItemsToVectors | None = None,
    encoder: Encoder | None = None,
    fit_tasks: Collection[str] = (),
    fold: Fold | None = None,
    cleaning_report: CleaningReport | None = None,
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
        fit_tasks: Tasks on interactions that this encoder does not know yet: their classes and statistics are
            fitted on the training rows of these files.
        fold: A fold of a cross-validation, in the place of the schema's split.
        cleaning_report: Takes note of what was found and what was done about it.
        spill_directory: Where columns of tables beyond 3 million rows go; in memory when left out.
        progress: Called with what is going on, the rows done and the rows in all.

    Raises:
        DataError: If a file, a column or a value is wrong; nothing is written then.
    """
    cleaning_report = cleaning_report if cleaning_report is not None else CleaningReport()
    progress = progress or silent
    directory = directory if isinstance(directory, Frames) else Path(directory)
    texts = [name for _, name, feature in schema.features.all() if feature.is_text]
    if texts and encode_text is None:
        raise DataError(f"the text feature '{texts[0]}' needs an encoder", "pass encode_text")
    from_graph = graph_features(schema)
    if from_graph and item_vectors is None:
        raise DataError(f"the feature '{from_graph[0]}' needs the vectors of a graph", "pass item_vectors")
    entities = Entities(schema, directory, Preparer(schema, cleaning_report), cleaning_report)
    inter, spill = read_interactions(entities, spill_directory, progress)
    inter = without_duplicates(inter, schema, cleaning_report)
    if not len(inter.user_row):
        raise DataError(
            f"{schema.tables.interactions} has no usable row",
            f"fix what cleaning left out: {'; '.join(map(str, cleaning_report))}",
        )
    split = split_rows(
        schema.split,
        inter.user_row,
        inter.item_row,
        inter.time,
        entities.natural_order("item"),
        inter.split_words,
        fold,
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
    inter.labels.fit(encoder, train, None if fit else fit_tasks)
    if len(encoder.scenarios) > _MOST_SCENARIOS:
        raise DataError(
            f"keys.scenario '{schema.keys.scenario}' has {len(encoder.scenarios) - 1:,} different values",
            "name a column of placements or domains, of which there are a few",
        )
    entity_labels: dict[str, EntityLabels] = {}
    for entity in TABLED:
        entity_labels |= entities.labels(entity, encoder, fit, fold)
    labels, label_sets = inter.labels.encode(encoder, cleaning_report, schema.tables.interactions, spill)

    def labelled(entity: Entity, task: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        if task in entity_labels:
            values, at = entity_labels[task].values, np.arange(entities.size(entity))
            known = (entity_labels[task].split == SPLIT_CODES["train"]) & ~np.isnan(values)
        else:
            values = labels[:, encoder.interaction_tasks.index(task)]
            of_row: dict[Entity, NDArray[Any]] = {
                "user": inter.user_row,
                "item": inter.item_row,
                "interaction": np.arange(len(split)),
            }
            at, known = of_row[entity].astype(np.int64), train & ~np.isnan(values)
        return at[known], values[known]

    vectors, kept_texts, rows, versions = build_vectors(
        schema, raw, weight, split != SPLIT_CODES["unused"], encoder, encode_text, labelled, changed=fit
    )
    tables: dict[Entity, EntityTable] = {}
    for entity in ENTITIES:
        encoded = encoder.encode(raw[entity], entity, spill)
        tables[entity] = EntityTable(encoded.codes, encoded.numbers, encoded.tags, rows[entity])
    for positions in (*(at for _, at in inter.raw.words.values()), *inter.raw.numbers.values()):
        release(positions)
    scenario = (
        tables["interaction"].codes[:, -1] - encoder.vocabularies["scenario"].offset
        if schema.keys.scenario
        else 0
    )
    cleaning_report.close()
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
        versions=versions,
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
