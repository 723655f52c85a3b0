"""From files to a data set: read in chunks, clean, split, fit on training rows, encode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data._account import Account
from motet.data._columns import Spill
from motet.data._dataset import Dataset, EntityLabels, EntityTable
from motet.data._encoder import Encoder
from motet.data._history import History, build_history
from motet.data._index import WordIndex, as_words
from motet.data._labels import LabelReader, RawLabels
from motet.data._prepare import Preparer, evaluate, text_columns, used_columns
from motet.data._raw import RawReader, RawTable
from motet.data._read import iterate, open_table, require_columns
from motet.data._scale import Whitening
from motet.data._split import SPLIT_CODES, draw_split, split_rows
from motet.errors import DataError
from motet.schema import ENTITIES, Entity, Progress, Schema, silent, table_of, template_fields

__all__ = ["TextToVectors", "build_dataset", "read_entity", "side_columns", "side_fields"]

TextToVectors = Callable[[Sequence[str]], NDArray[np.float32]]

SPILL_ROWS = 3_000_000
_MOST_SCENARIOS = 2**15 - 1
_TABLED: tuple[Entity, ...] = ("user", "item")


@dataclass(slots=True)
class _Interactions:
    """Everything the one pass over the interactions collects."""

    raw: RawTable
    labels: RawLabels
    user_row: NDArray[np.int32]
    item_row: NDArray[np.int32]
    time: NDArray[np.int64]
    events: dict[str, NDArray[np.bool_]]
    split_words: pl.Series | None

    def take(self, rows: NDArray[np.int64]) -> _Interactions:
        return _Interactions(
            self.raw.take(rows),
            self.labels.take(rows),
            self.user_row[rows],
            self.item_row[rows],
            self.time[rows],
            {name: event[rows] for name, event in self.events.items()},
            None if self.split_words is None else self.split_words.gather(rows),
        )


def build_dataset(
    schema: Schema,
    directory: Path,
    *,
    encode_text: TextToVectors | None = None,
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
        directory: Where they are.
        encode_text: Turns distinct texts into vectors [n, D]; needed if the schema has text features.
        encoder: One that was fitted before, to see new files as a trained model does; fitted on the
            training rows of these files when left out.
        account: Takes note of what was found and what was done about it.
        spill_directory: Where columns of tables beyond 3 million rows go; in memory when left out.
        progress: Called with what is going on, the rows done and the rows in all.

    Raises:
        DataError: If a file, a column or a value is wrong; nothing is written then.
    """
    account = account if account is not None else Account()
    builder = _Builder(schema, Path(directory), account, spill_directory, progress or silent)
    return builder.build(encode_text, encoder)


class _Builder:
    def __init__(
        self,
        schema: Schema,
        directory: Path,
        account: Account,
        spill_directory: Path | None,
        progress: Progress,
    ) -> None:
        self.schema, self.directory, self.account, self.progress = schema, directory, account, progress
        self.preparer = Preparer(schema, account)
        self.frames: dict[Entity, pl.DataFrame] = {}
        self.indices: dict[Entity, WordIndex] = {}
        self.spill_directory = spill_directory
        self.spill = Spill()

    def build(self, encode_text: TextToVectors | None, fitted: Encoder | None) -> Dataset:
        schema = self.schema
        texts = [name for _, name, feature in schema.features.all() if feature.kind == "text"]
        if texts and encode_text is None:
            raise DataError(f"the text feature '{texts[0]}' needs an encoder", "pass encode_text")
        for entity in _TABLED:
            self._read_entity_frame(entity)
        inter = self._read_interactions()
        inter = self._without_duplicates(inter)
        if not len(inter.user_row):
            raise DataError(
                f"{schema.tables.interactions} has no usable row", "see what cleaning left out: 'motet check'"
            )
        split = split_rows(
            schema.split,
            inter.user_row,
            inter.item_row,
            inter.time,
            self._natural_order("item"),
            inter.split_words,
        )
        if not (split == SPLIT_CODES["train"]).any():
            raise DataError(
                "no interaction falls in the training split", "give more rows, or change split.train"
            )
        train = split == SPLIT_CODES["train"]
        weight: dict[Entity, NDArray[np.int64]] = {
            "user": np.bincount(inter.user_row[train], minlength=max(1, self._size("user"))),
            "item": np.bincount(inter.item_row[train], minlength=max(1, self._size("item"))),
            "interaction": train.astype(np.int64),
        }
        raw: dict[Entity, RawTable] = {"interaction": inter.raw}
        for entity in _TABLED:
            raw[entity] = self._read_entity(entity)

        self.progress("encoding features", 0, 1)
        encoder = fitted or Encoder(schema)
        if fitted is None:
            encoder.fit(raw, weight)
            inter.labels.fit(encoder, train)
        if len(encoder.scenarios) > _MOST_SCENARIOS:
            raise DataError(
                f"keys.scenario '{schema.keys.scenario}' has {len(encoder.scenarios) - 1:,} different values",
                "name a column of placements or domains, of which there are a few",
            )
        entity_labels: dict[str, EntityLabels] = {}
        for entity in _TABLED:
            entity_labels |= self._entity_labels(entity, encoder, fitted is None)
        vectors, kept_texts, rows = self._vectors(raw, weight, encoder, encode_text)
        tables: dict[Entity, EntityTable] = {}
        for entity in ENTITIES:
            encoded = encoder.encode(raw[entity], entity, self.spill)
            tables[entity] = EntityTable(encoded.codes, encoded.numbers, encoded.tags, rows[entity])
        labels, label_sets = inter.labels.encode(encoder, self.account, schema.tables.interactions)
        scenario = (
            tables["interaction"].codes[:, -1] - encoder.vocabularies["scenario"].offset
            if schema.keys.scenario
            else 0
        )
        self.account.close()
        self.progress("encoding features", 1, 1)
        return Dataset(
            schema=schema,
            encoder=encoder,
            users=tables["user"],
            items=tables["item"],
            context=tables["interaction"],
            vectors=vectors,
            texts=kept_texts,
            histories=self._histories(inter, split),
            user_row=inter.user_row,
            item_row=inter.item_row,
            scenario=np.broadcast_to(np.asarray(scenario, np.int16), (len(split),)),
            time=inter.time,
            labels=labels,
            label_sets=label_sets,
            entity_labels=entity_labels,
            split=split,
            user_ids=self.indices["user"].words if "user" in self.indices else pl.Series([""]),
            item_ids=self.indices["item"].words if "item" in self.indices else pl.Series([""]),
            sides={
                entity: side_columns(schema, entity, frame)
                for entity, frame in self.frames.items()
                if side_fields(schema, entity)
            },
        )

    # -- entities ------------------------------------------------------------------------------

    def _key(self, entity: Entity) -> str | None:
        key: str | None = getattr(self.schema.keys, entity)
        return key

    def _size(self, entity: Entity) -> int:
        return len(self.indices[entity]) if entity in self.indices else 0

    def _read_entity_frame(self, entity: Entity) -> None:
        key = self._key(entity)
        if key is None:
            return
        name: str | None = getattr(self.schema.tables, table_of(entity))
        self.frames[entity] = pl.DataFrame({key: pl.Series([], dtype=pl.String)})
        if name is not None:
            self.frames[entity] = self._unique_keys(
                read_entity(self.schema, entity, self.directory, name, self.preparer), key, name
            )
        self.indices[entity] = WordIndex(self.frames[entity][key])

    def _unique_keys(self, frame: pl.DataFrame, key: str, source: str) -> pl.DataFrame:
        repeated = frame.filter(pl.col(key).is_duplicated())
        if not len(repeated):
            return frame
        policy = self.schema.clean.duplicate_keys
        if policy == "error":
            raise DataError(
                f"{source}, column '{key}': the key {repeated[key][0]!r} stands in more than one row "
                f"({repeated[key].n_unique():,} such keys)",
                "leave one row a key, or set 'clean: {duplicate_keys: first}' (or last)",
            )
        self.account.note(
            source,
            key,
            "a key seen before",
            f"the {policy} row kept",
            len(repeated) - repeated[key].n_unique(),
        )
        return frame.unique(subset=[key], keep=policy, maintain_order=True)

    def _read_entity(self, entity: Entity) -> RawTable:
        """Read an entity's features, with an empty row for each one only interactions know."""
        key = self._key(entity)
        if key is None:
            return RawTable(1, {}, {}, {}, {}, {})
        frame, words = self.frames[entity], self.indices[entity].words
        source = getattr(self.schema.tables, table_of(entity)) or self.schema.tables.interactions
        new = len(words) - len(frame)
        if getattr(self.schema.tables, table_of(entity)) is not None:
            self.account.note(
                source, key, f"{entity}s seen in interactions only", "features taken as missing", new
            )
        full = pl.concat([frame, pl.DataFrame({key: words[len(frame) :]})], how="diagonal")
        self.frames[entity] = full
        reader = RawReader(self.schema, entity, source)
        reader.add(full)
        return reader.finish()

    def _natural_order(self, entity: Entity) -> NDArray[np.int64]:
        """Rank of each id: by number if all ids are whole numbers, else by letters."""
        if entity not in self.indices:
            return np.zeros(1, np.int64)
        words = self.indices[entity].words
        numbers = words.cast(pl.Int64, strict=False)
        return (words if numbers.null_count() else numbers).rank("ordinal").to_numpy().astype(np.int64)

    def _entity_labels(self, entity: Entity, encoder: Encoder, fit: bool) -> dict[str, EntityLabels]:
        tasks = [name for name, task in self.schema.tasks.items() if task.on == entity]
        if not tasks:
            return {}
        source = getattr(self.schema.tables, table_of(entity)) or self.schema.tables.interactions
        reader = LabelReader(self.schema, entity, source, self.account)
        reader.add(self.frames[entity])
        raw = reader.finish()
        split = draw_split(len(self.frames[entity]), self.schema.split, stream=ENTITIES.index(entity) + 1)
        if fit:
            raw.fit(encoder, split == SPLIT_CODES["train"])
        values, sets = raw.encode(encoder, self.account, source)
        labels = {}
        for column, name in enumerate(tasks):
            dense = values[:, column]
            if name in sets:
                dense = sets[name].multi_hot(len(encoder.classes[name]))
                dense[np.isnan(values[:, column])] = np.nan
            labels[name] = EntityLabels(dense, split)
        return labels

    # -- interactions --------------------------------------------------------------------------

    def _read_interactions(self) -> _Interactions:
        schema, source = self.schema, self.schema.tables.interactions
        keys = schema.keys
        table = open_table(
            self.directory,
            source,
            as_text=[k for k in (keys.user, keys.item) if k],
            words=text_columns(schema, "interaction"),
            numbers_as_text=schema.clean.unparseable == "null",
        )
        columns = used_columns(schema, "interaction")
        require_columns(table, columns, source, "the schema uses it")
        total = table.select(pl.len()).collect().item()
        if total > SPILL_ROWS and self.spill_directory is not None:
            self.spill = Spill(self.spill_directory)
        reader = RawReader(schema, "interaction", source, spill=self.spill)
        labels = LabelReader(schema, "interaction", source, self.account, self.spill)
        user, item = self.spill.writer(np.int32), self.spill.writer(np.int32)
        time = self.spill.writer(np.int64)
        wheres = {n: f.where for n, f in schema.features.user.items() if f.kind == "sequence"}
        events = {name: self.spill.writer(np.bool_) for name in wheres}
        splits: list[pl.Series] = []
        done = 0
        for chunk in iterate(table.select(columns), source):
            done += len(chunk)
            frame = self.preparer.prepare(chunk, "interaction", source)
            n = len(frame)
            user.append(self.indices["user"].grow(frame[keys.user]) if keys.user else np.zeros(n, np.int32))
            item.append(self.indices["item"].grow(frame[keys.item]) if keys.item else np.zeros(n, np.int32))
            time.append(
                frame[keys.time].dt.timestamp("us").to_numpy() if keys.time else np.zeros(n, np.int64)
            )
            reader.add(self._joined(frame))
            labels.add(frame)
            for name, where in wheres.items():
                chosen = (
                    pl.Series([True] * n)
                    if where is None
                    else evaluate(frame, where, source, f"features.user.{name}.where")
                )
                events[name].append(chosen.cast(pl.Boolean).fill_null(False).to_numpy())
            if schema.split.column:
                splits.append(frame[schema.split.column])
            self.progress(f"reading {source}", done, total)
        if not done:
            raise DataError(f"{source} has a header but no rows", "give a table with rows")
        return _Interactions(
            reader.finish(),
            labels.finish(),
            user.finish(),
            item.finish(),
            time.finish(),
            {name: column.finish() for name, column in events.items()},
            pl.concat(splits) if splits else None,
        )

    def _joined(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Bring in the columns of users and items that interaction texts name."""
        for entity in _TABLED:
            fields = side_fields(self.schema, entity)
            key = self._key(entity)
            if fields and key is not None:
                require_columns(
                    self.frames[entity].lazy(),
                    [f.partition(".")[2] for f in fields],
                    f"the {entity} table",
                    "a template names it",
                )
                side = self.frames[entity].select(
                    pl.col(key).alias("__key"),
                    *[pl.col(f.partition(".")[2]).alias(f) for f in sorted(fields)],
                )
                frame = frame.join(side, left_on=key, right_on="__key", how="left", maintain_order="left")
        return frame

    def _without_duplicates(self, inter: _Interactions) -> _Interactions:
        keys, policy = self.schema.keys, self.schema.clean.duplicates
        if policy == "keep" or not (keys.user and keys.item and keys.time):
            return inter
        scenario = (
            inter.raw.words["scenario"][1] if keys.scenario else np.zeros(len(inter.user_row), np.int32)
        )
        order = np.lexsort((scenario, inter.item_row, inter.time, inter.user_row))
        same = np.ones(max(len(order) - 1, 0), bool)
        for column in (scenario, inter.item_row, inter.time, inter.user_row):
            ordered = column[order]
            same &= ordered[1:] == ordered[:-1]
        if not same.any():
            return inter
        keep = np.ones(len(order), bool)
        keep[order[:-1][same] if policy == "last" else order[1:][same]] = False
        self.account.note(
            self.schema.tables.interactions,
            "",
            "same user, item, scenario and time",
            f"only the {policy} kept",
            int((~keep).sum()),
        )
        return inter.take(np.flatnonzero(keep))

    def _histories(self, inter: _Interactions, split: NDArray[np.uint8]) -> dict[str, History]:
        if not inter.events:
            return {}
        item_order = self._natural_order("item")[inter.item_row]
        order = np.lexsort((item_order, inter.time, inter.user_row))
        in_order = self.schema.split.by in ("time", "user_time")
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
                self._size("user"),
            )
            for name, event in inter.events.items()
        }

    # -- vectors -------------------------------------------------------------------------------

    def _vectors(
        self,
        raw: dict[Entity, RawTable],
        weight: dict[Entity, NDArray[np.int64]],
        encoder: Encoder,
        encode_text: TextToVectors | None,
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, list[str]], dict[Entity, NDArray[np.int32]]]:
        vectors: dict[str, NDArray[np.float32]] = {}
        texts: dict[str, list[str]] = {}
        rows: dict[Entity, NDArray[np.int32]] = {}
        for entity in ENTITIES:
            table, columns = raw[entity], []
            for name in encoder.layout(entity).vectors:
                if name in table.texts:
                    index, positions = table.texts[name]
                    texts[name] = index.words.to_list()
                    assert encode_text is not None  # noqa: S101 (checked at the entrance)
                    matrix = (
                        np.concatenate([np.zeros((1, 1), np.float32)])
                        if len(texts[name]) < 2
                        else _checked(encode_text(texts[name][1:]), len(texts[name]) - 1, name)
                    )
                    matrix = np.concatenate([np.zeros((1, matrix.shape[1]), np.float32), matrix])[
                        : max(len(texts[name]), 1)
                    ]
                else:
                    matrix = table.vectors[name]
                    positions = np.where(matrix.any(1), np.arange(1, len(matrix) + 1), 0).astype(np.int32)
                    matrix = np.concatenate([np.zeros((1, matrix.shape[1]), np.float32), matrix])
                feature = self.schema.features.of(entity)[name]
                width = getattr(feature, "whiten", 0)
                if width and name not in encoder.whitenings:
                    seen = np.unique(positions[weight[entity] > 0])
                    encoder.whitenings[name] = Whitening.fit(
                        matrix[seen[seen > 0]], min(width, matrix.shape[1])
                    )
                if name in encoder.whitenings:
                    matrix = encoder.whitenings[name].apply(matrix)
                vectors[name] = matrix
                encoder.vector_widths[name] = matrix.shape[1]
                columns.append(positions)
            rows[entity] = np.stack(columns, 1) if columns else np.empty((table.rows, 0), np.int32)
        return vectors, texts, rows


def side_fields(schema: Schema, entity: Entity) -> list[str]:
    """Fields such as ``user.about`` that templates of the interaction take from another entity."""
    return sorted(
        {
            field
            for feature in schema.features.interaction.values()
            if feature.kind == "text" and feature.template is not None
            for field in template_fields(feature.template)
            if field.startswith(f"{entity}.")
        }
    )


def side_columns(schema: Schema, entity: Entity, frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of :func:`side_fields` of an entity's prepared rows, as text."""
    columns = []
    for field in side_fields(schema, entity):
        name = field.partition(".")[2]
        cells = frame[name] if name in frame.columns else pl.Series(name, [None] * len(frame), pl.String)
        cells = cells.list.join(" ") if cells.dtype == pl.List(pl.String) else as_words(cells)
        columns.append(cells.alias(field))
    return pl.DataFrame(columns)


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


def read_entity(
    schema: Schema, entity: Entity, directory: Path, name: str, preparer: Preparer
) -> pl.DataFrame:
    """Read and prepare a whole users or items table.

    Raises:
        DataError: If it is missing, empty, lacks a column, or holds a wrong cell.
    """
    key = str(getattr(schema.keys, entity))
    table = open_table(
        directory,
        name,
        as_text=[key],
        words=text_columns(schema, entity),
        numbers_as_text=schema.clean.unparseable == "null",
    )
    columns = used_columns(schema, entity)
    require_columns(table, columns, name, "the schema uses it")
    chunks = list(iterate(table.select(columns), name))
    frame = pl.concat(chunks) if chunks else pl.DataFrame()
    if not len(frame):
        raise DataError(
            f"{name} has no rows",
            f"give a table of {table_of(entity)}, or leave tables.{table_of(entity)} out",
        )
    return preparer.prepare(frame, entity, name)
