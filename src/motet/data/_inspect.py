"""A schema proposed from a user's own files: what each column looks like, and what it is probably for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from motet.data._containers import as_strings
from motet.data._formats import (
    JSON_SUFFIXES,
    TABLE_SUFFIXES,
    TEXT_SUFFIXES,
    default_separator,
    guess_form,
    text_form,
)
from motet.data._guesses import (
    Column,
    behaviours_of,
    event_feature_of,
    feature_of,
    find_key,
    free_name,
    is_labelled_log,
    is_scenario,
    names_something,
    positive_of,
    quoted,
    tasks_of,
)
from motet.data._read import Frames, open_table, unreadable
from motet.data._text_files import guess_encoding, plain_quotes_help
from motet.errors import DataError
from motet.schema import TASK_KINDS, Schema, Tables

__all__ = ["Inspection", "inspect_directory"]

_SAMPLE_ROWS = 200_000
_FEW_WRONG = 0.05  # of the cells of a column of numbers
_JSON_ROWS = 1000
_ENOUGH_LABELLED = 0.1
_REPEATED = 0.1
_IN_EVERY_ROW = 0.98


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found, and the schema it suggests.

    Attributes:
        schema: A first schema, to be edited.
        notes: Why each part is as it is, and what could not be decided, a line each.
    """

    schema: Schema
    notes: tuple[str, ...]


def inspect_directory(directory: Path | Frames) -> Inspection:
    """Propose a schema for the tables of a directory (CSV, other text, JSON lines, Parquet), or for frames.

    The largest table is taken for the interactions; a table whose key column it shares, without
    repetitions, for users or items.

    Raises:
        DataError: If there is no table, or no column that could be a label, nor users and items.
    """
    names = sorted(directory.frames) if isinstance(directory, Frames) else _files(directory)
    warnings: list[str] = []
    form = Tables(interactions="")
    if not isinstance(directory, Frames):
        form, warnings = _form(directory, [directory / name for name in names])
        form = _with_json_columns(directory, names, form, warnings)
    sizes: dict[str, int] = {}
    samples: dict[str, pl.DataFrame] = {}
    for name in names:
        table = open_table(directory, name, tables=form, infer_rows=_SAMPLE_ROWS)
        sizes[name] = _collected(table.select(pl.len()), directory, name, form).item()
        samples[name] = _collected(table.head(_SAMPLE_ROWS), directory, name, form)
    unparseable = _with_numbers(samples, warnings)
    keyed = {name: set(_key_columns(samples[name])) for name in samples}
    # a table of entities has a key of its own; the interactions are the largest of the others
    others = [n for n in sizes if not _is_entity_table(n, samples, keyed)] or list(sizes)
    main = max(others, key=lambda name: sizes[name])
    labelled = [n for n in others if sizes[n] >= _ENOUGH_LABELLED * sizes[main] and is_labelled_log(_columns(samples[n]))]  # fmt: skip
    main = max(labelled or [main], key=lambda name: sizes[name])
    if isinstance(directory, Frames) and "interactions" in sizes:
        main = "interactions"  # the caller says so
    notes = [f"{name}: {rows:,} rows, {len(samples[name].columns)} columns" for name, rows in sizes.items()]
    notes += warnings
    notes.append(f"{main} is taken for the interactions")
    columns = _columns(samples[main])
    keys: dict[str, str] = {}
    tables: dict[str, Any] = {"interactions": main}
    derive: dict[str, dict[str, str]] = {}
    shared = {column for name in samples if name != main for column in samples[name].columns}

    def once(column: Column) -> bool:
        if sizes[main] <= _SAMPLE_ROWS:
            return True
        table = open_table(directory, main, tables=form, infer_rows=_SAMPLE_ROWS)
        distinct = _collected(table.select(pl.col(column.name).n_unique()), directory, main, form).item()
        return bool(distinct > _IN_EVERY_ROW * sizes[main])

    for entity in ("user", "item"):
        key = find_key(columns, entity, shared, keys.values(), once)
        if key is None:
            notes.append(
                f"no column of {main} looks like the {entity}; name it in keys.{entity} if there is one"
            )
            continue
        keys[entity] = key
        home, column = _home(samples, main, key, keyed, set(tables.values()))
        if home is None:
            continue
        tables[f"{entity}s"] = home
        notes.append(f"{home} holds one row for each {key}")
        if column != key:
            derive[f"{entity}s"] = {key: quoted(column)}
            notes.append(f"column '{column}' of {home} holds the values of '{key}'")
    time = next((c.name for c in columns if c.time and c.name not in keys.values()), None)
    if time is not None:
        keys["time"] = time
    else:
        notes.append("no column looks like a time: rows are split at random")
    scenario = next((c for c in columns if is_scenario(c) and c.name not in keys.values()), None)
    if scenario is not None:
        keys["scenario"] = scenario.name
        notes.append(
            f"'{scenario.name}' is taken for the placement (keys.scenario): tasks are gated and reported by it"
        )
    notes += [
        f"{name} is not used: no column of it could be tied to {main}"
        for name in sizes
        if name not in tables.values()
    ]
    column_of_behaviours, behaviours = "", None
    if {"user", "item"} <= set(keys):
        column_of_behaviours, behaviours = behaviours_of(columns, keys.values(), notes)
    tasks, labels = tasks_of(columns, keys, column_of_behaviours, notes)
    if not tasks and not {"user", "item"} <= set(keys):
        seen = ", ".join(f"'{c.name}'" for c in columns if c.name not in keys.values())
        raise DataError(
            f"no column of {main} looks like a label (columns: {seen or 'keys only'})",
            "a label is a column of 0 and 1, true and false, yes and no, or a number named rating, score, "
            "dwell and the like; add one, or write the schema by hand",
        )
    labels |= {column_of_behaviours}
    features: dict[str, dict[str, Any]] = {"user": {}, "item": {}, "interaction": {}}
    taken: set[str] = {"scenario"}
    for entity in ("user", "item"):
        if entity in keys:
            features[entity][free_name(keys[entity], taken)] = {"kind": "id", "column": keys[entity]}
            if f"{entity}s" in tables:
                known = {keys[entity], *derive.get(f"{entity}s", {}).values()}
                for column_ in _columns(samples[tables[f"{entity}s"]]):
                    if {column_.name, quoted(column_.name)} & known:
                        continue
                    if (found := feature_of(column_, notes)) is not None:
                        features[entity][free_name(column_.name, taken)] = found
    for column_ in columns:
        if column_.name in labels or column_.name in keys.values():
            continue
        if (found := event_feature_of(column_, notes)) is not None:
            features["interaction"][free_name(column_.name, taken)] = found
    if {"user", "item", "time"} <= set(keys):
        item = next(iter(features["item"]))
        features["user"][free_name("history", taken)] = {"kind": "sequence", "of": item}
    if {"user", "item"} <= set(keys):
        yes_no = [t["label"] for t in tasks.values() if TASK_KINDS[t["kind"]].is_chance]
        positive = positive_of(columns, yes_no, behaviours)
        task: dict[str, Any] = {"kind": "retrieval", "positive": positive}
        if _come_back(samples[main], keys):
            task["repeats"] = True
            notes.append("users come back to items they had, which may be recommended again (repeats)")
        tasks[free_name("next", set(tasks))] = task
        what = "every row counts" if positive == "true" else f"items that fulfil {positive!r} count"
        notes.append(f"the retrieval task looks for the next items of a user, and {what}: is that the goal?")
    if not any(features.values()):
        raise DataError(
            f"no column of {main} is left for a feature: all are labels and keys",
            "add columns that are known before the label is, or write the schema by hand",
        )
    notes.append("remove whatever is not known at prediction time from features.interaction")
    split = "user_time" if {"user", "time"} <= set(keys) else "time" if "time" in keys else "random"
    content = {
        "name": "data" if isinstance(directory, Frames) else directory.resolve().name or "data",
        "tables": tables | _form_settings(form, set(tables.values())),
        "keys": keys,
        "derive": derive,
        "features": {
            entity: {n: _short(f, n) for n, f in fs.items()} for entity, fs in features.items() if fs
        },
        "tasks": tasks,
        "split": {"by": split},
    }
    if unparseable:
        content["clean"] = {"unparseable": "null"}
    return Inspection(
        Schema.parse(content, source="the proposed schema"), tuple(" ".join(note.split()) for note in notes)
    )


def _form(directory: Path, paths: Sequence[Path]) -> tuple[Tables, list[str]]:
    """How the text files are encoded and quoted, and what to say of it."""
    encoding: str | None = None
    quotes: dict[str, str] = {}
    notes: list[str] = []
    separators: dict[str, str] = {}
    headers: dict[str, tuple[str, ...]] = {}
    texts = [path for path in paths if path.suffix in TEXT_SUFFIXES]
    for path in texts:
        found = guess_encoding(path)
        if found is not None:
            encoding = encoding or found
            notes.append(
                f"{path.name} is not UTF-8 and read as {encoding}: check whether accents are right, "
                "and change tables.encoding if not"
            )
    for path in texts:
        separator, header = guess_form(path, encoding)
        if separator != default_separator(path):
            separators[path.name] = separator
            notes.append(f"columns of {path.name} are separated by {separator!r} (tables.separator)")
        if header is not None:
            headers[path.name] = header
            notes.append(
                f"{path.name} has no header; its columns are called {', '.join(header)} after what they look like: "
                "check tables.columns"
            )
    form = Tables(interactions="", encoding=encoding, separator=separators or None, columns=headers)
    for path in texts:
        try:
            table = open_table(directory, path.name, tables=form, infer_rows=_SAMPLE_ROWS)
            table.head(_SAMPLE_ROWS).collect()
        except (pl.exceptions.PolarsError, DataError):
            read = text_form(path, path.name, form)
            if plain_quotes_help(read.path, path.name, read.separator):
                quotes[path.name] = "none"
                notes.append(
                    f"quotes in {path.name} do not enclose values: they are plain characters (tables.quote)"
                )
    return form.model_copy(update={"quote": quotes or None}), notes


def _form_settings(form: Tables, used: set[str]) -> dict[str, Any]:
    """Settings of the tables that are used, as a schema says them."""
    found = form.model_dump(
        include={"encoding", "quote", "separator", "columns", "json_columns"}, exclude_none=True
    )
    for name in ("quote", "separator", "columns"):
        if name in found:
            found[name] = {table: said for table, said in found[name].items() if table in used}
    return {name: said for name, said in found.items() if said}


def _with_json_columns(directory: Path, names: Sequence[str], form: Tables, notes: list[str]) -> Tables:
    """The form with the columns whose cells are JSON."""
    columns = []
    for name in names:
        if (directory / name).suffix in JSON_SUFFIXES:
            continue
        table = open_table(directory, name, tables=form, infer_rows=_SAMPLE_ROWS).head(_JSON_ROWS)
        for column in _columns(_collected(table, directory, name, form)):
            cells = column.values
            if cells.dtype == pl.String and len(filled := cells.drop_nulls().str.strip_chars()):
                looks = filled.str.contains(r"^(\[.*\]|\{.*\})$")
                if looks.all() and not filled.is_in(["[]", "{}"]).all() and column.name not in columns:
                    columns.append(column.name)
                    notes.append(f"cells of column '{column.name}' of {name} are JSON (tables.json_columns)")
    return form.model_copy(update={"json_columns": tuple(columns)})


def _come_back(table: pl.DataFrame, keys: dict[str, str]) -> bool:
    """Whether a tenth of the rows is of a user and an item that were together before."""
    pairs = table.select(keys["user"], keys["item"])
    return len(pairs) - pairs.n_unique() > _REPEATED * len(pairs)


def _with_numbers(samples: dict[str, pl.DataFrame], notes: list[str]) -> bool:
    """Take columns of text for numbers where a few cells alone are none; says whether there were any."""
    found = False
    for name, table in samples.items():
        for column in _columns(table):
            if column.values.dtype != pl.String or names_something(column):
                continue
            cells = column.values
            numbers = cells.str.strip_chars().cast(pl.Float64, strict=False)
            wrong = numbers.is_null() & cells.is_not_null()
            filled = len(cells) - cells.null_count()
            if not wrong.any() or wrong.sum() > _FEW_WRONG * filled:
                continue
            found = True
            samples[name] = samples[name].with_columns(numbers.alias(column.name))
            notes.append(
                f"{wrong.sum():,} cells of column '{column.name}' of {name} are no numbers, such as "
                f"{str(cells.filter(wrong)[0])[:40]!r}: they are taken as missing (clean.unparseable)"
            )
    return found


def _collected(table: pl.LazyFrame, directory: Path | Frames, name: str, form: Tables) -> pl.DataFrame:
    try:
        return table.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(directory, name, error, form) from None


def _files(directory: Path) -> list[str]:
    """Names of the tables of a directory."""
    if not directory.is_dir():
        raise DataError(f"{directory} is not a directory", "name the directory that holds your tables")
    paths = sorted(p for p in directory.iterdir() if p.suffix in TABLE_SUFFIXES)
    if not paths:
        raise DataError(
            f"{directory} holds no CSV, TSV, other text, JSON lines or Parquet file", "put your tables there"
        )
    return [path.name for path in paths]


def _home(
    samples: dict[str, pl.DataFrame], main: str, key: str, keyed: dict[str, set[str]], taken: set[str]
) -> tuple[str | None, str]:
    """The table with one row for each value of a key, and its column: of the same name, or of the same values."""
    others = [n for n in samples if n != main and n not in taken]
    for name in others:
        if key in keyed[name]:
            return name, key
    values = as_strings(samples[main][key]).drop_nulls().unique()
    for name in others:
        for column in sorted(keyed[name]):
            known = as_strings(samples[name][column])
            # row numbers cover one another by chance: more than half of both sides must meet
            met = int(values.is_in(known.implode()).sum())
            if 2 * met > max(len(values), len(known)):
                return name, column
    return None, key


def _columns(table: pl.DataFrame) -> list[Column]:
    return [
        Column(n, table[n], table[n].n_unique() if table[n].dtype != pl.List else 0) for n in table.columns
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


def _short(feature: dict[str, Any], name: str) -> Any:
    rest = {key: value for key, value in feature.items() if key != "column" or value != name}
    return rest["kind"] if set(rest) == {"kind"} else rest
