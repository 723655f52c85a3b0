"""A first schema from a user's own files: what each column looks like, and what it is probably for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from motet.data._prepare import looks_like_time
from motet.data._read import open_table
from motet.errors import DataError
from motet.schema import Schema

__all__ = ["Inspection", "inspect_directory"]

_SAMPLE_ROWS = 200_000
_USER_WORDS = (
    "user",
    "customer",
    "member",
    "visitor",
    "client",
    "person",
    "account",
    "reader",
    "viewer",
    "uid",
)
_ITEM_WORDS = (
    "item",
    "product",
    "movie",
    "film",
    "article",
    "book",
    "song",
    "track",
    "video",
    "ad",
    "news",
    "sku",
    "iid",
)
_TIME_WORDS = ("time", "date", "timestamp", "ts", "at", "when", "day")
_LABEL_WORDS = ("click", "like", "buy", "purchase", "order", "cart", "rating", "stars", "score", "dwell", "watch", "read", "share", "label", "converted", "conversion", "recommended", "favorite", "favourite", "liked", "bought", "clicked", "finished", "skipped")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found, and the schema it suggests.

    Attributes:
        schema: A first schema, to be edited.
        notes: Why each part is as it is, and what could not be told, a line each.
    """

    schema: Schema
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    values: pl.Series
    distinct: int

    def has(self, words: Sequence[str]) -> bool:
        parts = "".join(c.lower() if c.isalnum() else " " for c in self.name).split()
        return any(
            part.removesuffix("s") == word or part.removesuffix("id") == word
            for part in parts
            for word in words
        )

    @property
    def binary(self) -> bool:
        if self.values.dtype == pl.Boolean:
            return True
        found = set(self.values.drop_nulls().unique().to_list()) if self.distinct <= 3 else {None}
        return self.values.dtype.is_numeric() and found <= {0, 1}

    @property
    def time(self) -> bool:
        return looks_like_time(self.values, named=self.has(_TIME_WORDS))


def inspect_directory(directory: Path) -> Inspection:
    """Propose a schema for the CSV, TSV and Parquet files of a directory.

    The largest table is taken for the interactions; a table whose key column it shares, without
    repetitions, for users or items.

    Raises:
        DataError: If there is no table, or no column that could be a label.
    """
    if not directory.is_dir():
        raise DataError(f"{directory} is not a directory", "name the directory that holds your tables")
    paths = sorted(p for p in directory.iterdir() if p.suffix in (".csv", ".tsv", ".parquet", ".pq"))
    if not paths:
        raise DataError(f"{directory} holds no CSV, TSV or Parquet file", "put your tables there")
    lazy = {path.name: open_table(directory, path.name) for path in paths}
    sizes = {name: int(table.select(pl.len()).collect().item()) for name, table in lazy.items()}
    samples = {name: table.head(_SAMPLE_ROWS).collect() for name, table in lazy.items()}
    keyed = {name: set(_key_columns(samples[name])) for name in samples}
    # a table of entities has a key of its own; the interactions are the largest of the others
    others = [n for n in sizes if not _is_entity_table(n, samples, keyed)] or list(sizes)
    main = max(others, key=lambda name: sizes[name])
    notes = [f"{name}: {rows:,} rows, {len(samples[name].columns)} columns" for name, rows in sizes.items()]
    notes.append(f"{main} is taken for the interactions")
    columns = _columns(samples[main])
    keys: dict[str, str] = {}
    tables: dict[str, str] = {"interactions": main}
    for entity, words in (("user", _USER_WORDS), ("item", _ITEM_WORDS)):
        key = _find_key(columns, words, samples, main, keys)
        if key is None:
            notes.append(
                f"no column of {main} looks like the {entity}; name it in keys.{entity} if there is one"
            )
            continue
        keys[entity] = key
        home = next((n for n in samples if n != main and key in keyed[n]), None)
        if home is not None:
            tables[f"{entity}s"] = home
            notes.append(f"{home} holds one row for each {key}")
    time = next((c.name for c in columns if c.time and c.name not in keys.values()), None)
    if time is not None:
        keys["time"] = time
    else:
        notes.append("no column looks like a time: rows are split at random")
    tasks = _tasks(columns, set(keys.values()), notes)
    if not tasks:
        raise DataError(
            f"no column of {main} looks like a label", "write the tasks yourself: see the guide on schemas"
        )
    labels = {str(task["label"]).split(" ")[0].strip('"') for task in tasks.values()}
    features: dict[str, dict[str, Any]] = {"user": {}, "item": {}, "interaction": {}}
    taken: set[str] = {"scenario"}
    for entity in ("user", "item"):
        if entity in keys:
            features[entity][_free(keys[entity], taken)] = {"kind": "id", "column": keys[entity]}
            if f"{entity}s" in tables:
                for column in _columns(samples[tables[f"{entity}s"]]):
                    if column.name != keys[entity]:
                        _add_feature(features[entity], column, taken, notes)
    for column in columns:
        if column.name not in labels and column.name not in keys.values():
            _add_feature(features["interaction"], column, taken, notes)
    if {"user", "item", "time"} <= set(keys):
        item = next(iter(features["item"]))
        features["user"][_free("history", taken)] = {"kind": "sequence", "of": item}
        positive = next((t["label"] for t in tasks.values() if t["kind"] == "binary"), None)
        if positive is not None:
            tasks[_free("next", set(tasks))] = {"kind": "retrieval", "positive": positive}
    split = "user_time" if {"user", "time"} <= set(keys) else "time" if "time" in keys else "random"
    content = {
        "name": directory.resolve().name or "data",
        "tables": tables,
        "keys": keys,
        "features": {
            entity: {n: _short(f, n) for n, f in fs.items()} for entity, fs in features.items() if fs
        },
        "tasks": tasks,
        "split": {"by": split},
    }
    return Inspection(Schema.parse(content, source="the proposed schema"), tuple(notes))


def _columns(table: pl.DataFrame) -> list[_Column]:
    return [
        _Column(n, table[n], table[n].n_unique() if table[n].dtype != pl.List else 0) for n in table.columns
    ]


def _key_columns(table: pl.DataFrame) -> list[str]:
    """Columns that tell rows apart: no value twice, none missing."""
    return [
        n
        for n in table.columns
        if (table[n].dtype.is_integer() or table[n].dtype == pl.String)
        and len(table) > 1
        and not table[n].null_count()
        and table[n].n_unique() == len(table)
    ]


def _is_entity_table(name: str, samples: dict[str, pl.DataFrame], keyed: dict[str, set[str]]) -> bool:
    return any(
        key in samples[other].columns and key not in keyed[other]
        for key in keyed[name]
        for other in samples
        if other != name
    )


def _find_key(
    columns: list[_Column],
    words: Sequence[str],
    samples: dict[str, pl.DataFrame],
    main: str,
    taken: dict[str, str],
) -> str | None:
    fit = [
        c
        for c in columns
        if c.has(words) and c.name not in taken.values() and not c.values.dtype.is_float() and not c.binary
    ]
    shared = [c for c in fit if any(c.name in samples[n].columns for n in samples if n != main)]
    named = [c for c in fit if "id" in c.name.lower() or c.name.lower() in words]
    for choice in (shared, named):
        if choice:
            return choice[0].name
    return None


def _tasks(columns: list[_Column], keys: set[str], notes: list[str]) -> dict[str, dict[str, Any]]:
    tasks: dict[str, dict[str, Any]] = {}
    for column in columns:
        if column.name in keys or column.time or column.values.null_count() == len(column.values):
            continue
        label = column.name if column.name.isidentifier() else f'"{column.name}"'
        name = _plain(column.name)
        if column.binary and column.distinct > 1:
            tasks[name] = {"kind": "binary", "label": label}
        elif column.has(_LABEL_WORDS) and column.values.dtype.is_numeric():
            low, high = float(column.values.min() or 0), float(column.values.max() or 0)  # type: ignore[arg-type]
            tasks[name] = {"kind": "regression", "label": label, "range": [low, high]}
            if column.distinct <= 11:
                middle = sorted(column.values.drop_nulls().unique().to_list())[column.distinct * 6 // 10]
                tasks[f"{name}_high"] = {"kind": "binary", "label": f"{label} >= {middle:g}"}
                notes.append(f"{name}_high: {label} >= {middle:g} is a guess at what counts as good")
    return tasks


def _add_feature(
    features: dict[str, dict[str, Any]], column: _Column, taken: set[str], notes: list[str]
) -> None:
    values, rows = column.values, max(1, len(column.values))
    kind: dict[str, Any] | None
    if column.time:
        kind = {"kind": "time"}
    elif isinstance(values.dtype, pl.List | pl.Array):
        inner = values.dtype.inner
        kind = {"kind": "vector"} if inner is not None and inner.is_numeric() else {"kind": "tags"}  # type: ignore[union-attr]
    elif values.dtype == pl.Boolean or (values.dtype.is_integer() and column.distinct <= 20):
        kind = {"kind": "categorical"}
    elif values.dtype.is_numeric():
        kind = {"kind": "numeric"}
    elif values.dtype == pl.String:
        kind = _text_kind(values, column.distinct, rows)
    else:
        kind = None
    if kind is None or (column.distinct <= 1 and not isinstance(values.dtype, pl.List | pl.Array)):
        notes.append(
            f"column '{column.name}' is left out: it says nothing that differs, or nothing motet reads"
        )
        return
    features[_free(_plain(column.name), taken)] = {**kind, "column": column.name}


def _text_kind(values: pl.Series, distinct: int, rows: int) -> dict[str, Any]:
    filled = values.drop_nulls()
    words = float(filled.str.count_matches(r"\s+").mean() or 0) + 1  # type: ignore[arg-type]
    for separator in ("|", ";", ","):
        parts = filled.str.split(separator)
        if float(parts.list.len().mean() or 0) > 1.3 and parts.explode().n_unique() < max(50, distinct):  # type: ignore[arg-type]
            return {"kind": "tags", "separator": separator}
    if words >= 3 and distinct > 0.3 * rows:
        return {"kind": "text"}
    if distinct > 0.5 * rows and words >= 1.5:
        return {"kind": "text"}
    return {"kind": "categorical", "min_count": 2} if distinct > 100 else {"kind": "categorical"}


def _plain(name: str) -> str:
    return "_".join("".join(c.lower() if c.isalnum() else " " for c in name).split()) or "column"


def _free(name: str, taken: set[str]) -> str:
    name = _plain(name)
    while name in taken:
        name += "_2"
    taken.add(name)
    return name


def _short(feature: dict[str, Any], name: str) -> Any:
    rest = {key: value for key, value in feature.items() if key != "column" or value != name}
    return rest["kind"] if set(rest) == {"kind"} else rest
