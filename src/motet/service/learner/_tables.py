"""Training tables from what a store holds, and the schema that is inferred from them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from motet.data import NEGATIVE_EVENTS, Frames, inspect_directory, quoted
from motet.errors import DataError
from motet.schema import Schema, expression_columns
from motet.service.store import Event, Item, Store, User

__all__ = ["TrainingTables", "infer_schema", "keep_schema", "write_tables"]

_AT_ONCE: Final = 5_000
_PAGE: Final = 1_000
_MOST_TYPES: Final = 12
_MOST_COLUMNS: Final = 40
_FEWEST_CELLS: Final = 0.05  # of the rows, or a column of the context is left out
_REPEATED: Final = 0.1
_LONG_HISTORY: Final = 20  # rows of half of the users
_IMAGES: Final = ("image", "image_url", "picture", "poster", "cover", "thumbnail", "img")
_US_A_DAY: Final = 86_400_000_000
_KEYS: Final = ("user_id", "item_id", "timestamp", "scenario", "seq")
_EVENTS: Final = pa.schema(
    [
        ("seq", pa.int64()),
        ("type", pa.string()),
        ("user", pa.string()),
        ("item", pa.string()),
        ("value", pa.float64()),
        ("time", pa.int64()),
        ("scenario", pa.string()),
        ("context", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class TrainingTables:
    """What was written for one training.

    Attributes:
        events: Events read.
        rows: Rows of the interactions: one for each user and item, or for each day of both where users come back.
        users: Users of the events.
        items: Items of the store.
        types: Types of events that are columns of the interactions, the most frequent first.
        valued: Those of them whose values are more than yes and no.
    """

    events: int
    rows: int
    users: int
    items: int
    types: tuple[str, ...]
    valued: tuple[str, ...]


def write_tables(store: Store, until: int, directory: Path, *, numbered: bool = False) -> TrainingTables:
    """Write ``interactions.parquet``, ``items.parquet`` and ``users.parquet`` of what a store holds.

    Events are read in their order up to a fixed place, a few at a time, so the same store and the same place give the
    same tables. Users who were deleted are not in them, for the store does not hold their events any more. Each
    type of event is a column: of yes-or-no types 1 and 0, of others the latest value, or null. An event of
    :data:`motet.data.NEGATIVE_EVENTS` makes the yes-or-no columns 0.

    Args:
        store: The store.
        until: ``seq`` of the last event that is read.
        directory: Where the files go; made where missing, and what is there is replaced.
        numbered: Whether the interactions have the ``seq`` of the last event of each row.

    Raises:
        DataError: If there is no event up to this place.
        StoreUnavailableError: If the store cannot be read.
    """
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "events.parquet"
    events = 0
    with pq.ParquetWriter(log, _EVENTS) as file:
        for some in _events(store, until):
            file.write_table(pa.Table.from_pylist([_row(one) for one in some], _EVENTS))
            events += len(some)
    if not events:
        raise DataError("there is no event to train with", "record events first")
    types, valued, table = _interactions(log)
    table = table if numbered else table.drop("seq")
    table.write_parquet(directory / "interactions.parquet")
    items = _entity_table([_item_row(one) for one in _pages(store.items)], "item_id")
    store.identities.follow()
    whole = (one for one in _pages(store.users) if not store.identities.is_linked(one.id))
    users = _entity_table([_user_row(one) for one in whole], "user_id")
    for name, frame in (("items", items), ("users", users)):
        path = directory / f"{name}.parquet"
        path.unlink(missing_ok=True)
        if frame.width > 1 and len(frame) > 1:
            frame.write_parquet(path)
    log.unlink()
    return TrainingTables(
        events, len(table), table["user_id"].n_unique(), max(len(items), table["item_id"].n_unique()), types, valued
    )  # fmt: skip


def _events(store: Store, until: int) -> Iterator[list[Event]]:
    seq = 0
    while seq < until:
        read = store.events.after(seq, _AT_ONCE)
        some = [one for one in read if one.seq <= until]
        if some:
            yield some
        if len(some) < len(read) or not read:
            return
        seq = read[-1].seq


def _row(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "type": event.type,
        "user": event.user,
        "item": event.item,
        "value": event.value,
        "time": round(event.time.timestamp() * 1e6),
        "scenario": event.scenario,
        "context": json.dumps(dict(event.context)) if event.context else None,
    }


def _interactions(log: Path) -> tuple[tuple[str, ...], tuple[str, ...], pl.DataFrame]:
    """Types that are columns, those of them with values, and the rows."""
    events = pl.scan_parquet(log)
    counts = (
        events.group_by("type")
        .agg(
            pl.len().alias("n"),
            pl.col("value").n_unique().alias("values"),
            (pl.col("value") > 0).any().alias("positive"),
        )
        .sort("n", "type", descending=[True, False])
        .collect()
    )
    wanted = counts.filter(~pl.col("type").is_in([*NEGATIVE_EVENTS, *_KEYS])).head(_MOST_TYPES)
    pairs = events.select(pl.struct("user", "item", "type").n_unique().alias("n"), pl.len().alias("of"))
    distinct, total = pairs.collect().row(0)
    if total - distinct > _REPEATED * total:  # users come back: a day of theirs with an item is a row
        events = events.with_columns((pl.col("time") // _US_A_DAY).alias("day"))
        keys = ["user", "item", "day"]
    else:
        keys = ["user", "item"]
    taken = wanted["type"].to_list()
    context = _context_columns(events, {*taken, *_KEYS})
    events = events.with_columns(_cells(events, context))
    refused = pl.col("seq").filter(pl.col("type").is_in(list(NEGATIVE_EVENTS))).max().fill_null(-1)
    columns = [
        pl.col("time").last().alias("timestamp"),
        pl.col("scenario").drop_nulls().last(),
        pl.col("seq").last(),
        *(pl.col(f"context:{name}").drop_nulls().last().alias(name) for name in context),
    ]
    valued = []
    for type, values, positive in wanted.select("type", "values", "positive").iter_rows():
        here = pl.col("type") == type
        latest, at = pl.col("value").filter(here).last(), pl.col("seq").filter(here).max()
        if values > 2:
            valued.append(type)
            columns.append(latest.alias(type))
        else:  # where a type never has a value above 0, its senders give none
            yes = (latest > 0) if positive else latest.is_not_null()
            columns.append((yes & (at > refused)).fill_null(False).cast(pl.Int8).alias(type))
    table = events.group_by(keys).agg(columns).sort("seq").collect()
    table = table.rename({"user": "user_id", "item": "item_id"}).drop("day", strict=False)
    table = table.with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))
    if table["scenario"].n_unique() < 2:
        table = table.drop("scenario")
    return tuple(taken), tuple(valued), table


def _context_columns(events: pl.LazyFrame, taken: set[str]) -> list[str]:
    """Names of the columns of contexts that many events have, most frequent first."""
    some = events.select("context").head(200_000).collect()["context"]
    counts: dict[str, int] = {}
    for text in some.drop_nulls().to_list():
        for name in json.loads(text):
            if name.isidentifier() and name not in taken:
                counts[name] = counts.get(name, 0) + 1
    named = [name for name, n in counts.items() if n >= _FEWEST_CELLS * len(some)]
    return sorted(named, key=lambda name: (-counts[name], name))[:_MOST_COLUMNS]


def _cells(events: pl.LazyFrame, context: Sequence[str]) -> list[pl.Expr]:
    """Columns of the context: numbers where all cells are numbers, else words."""
    found = []
    for name in context:
        cell = pl.col("context").str.json_path_match(f"$.{name}")
        number = cell.cast(pl.Float64, strict=False)
        wrong = events.select((cell.is_not_null() & number.is_null()).any()).collect().item()
        found.append((cell if wrong else number).alias(f"context:{name}"))
    return found


def _pages(records: Any) -> Iterator[Any]:
    cursor = ""
    while True:
        page = records.page(_PAGE, cursor)
        yield from page.rows
        if not (cursor := page.cursor):
            return


def _item_row(item: Item) -> dict[str, Any]:
    """An item as a live catalogue reads it: see :class:`motet.service.engine.ItemColumns`."""
    row = {**(item.labels if isinstance(item.labels, Mapping) else {}), **item.fields}
    first: dict[str, Any] = {"item_id": item.id}
    if "title" not in row and item.comment:
        first["title"] = item.comment[:2000]
    if "categories" not in row and item.categories:
        first["categories"] = list(item.categories)
    return {**first, **{name: cell for name, cell in row.items() if name not in first}}


def _user_row(user: User) -> dict[str, Any]:
    labels = user.labels if isinstance(user.labels, Mapping) else {}
    return {"user_id": user.id, **{name: cell for name, cell in labels.items() if name != "user_id"}}


def _entity_table(rows: Sequence[Mapping[str, Any]], key: str) -> pl.DataFrame:
    """Rows as a table; a column of mixed kinds holds words."""
    counts: dict[str, int] = {}
    for row in rows:
        for name in row:
            counts[name] = counts.get(name, 0) + 1
    # categories first: an item's categories fill the first column of tags
    order = sorted(
        counts, key=lambda name: (name != key, name != "title", name != "categories", -counts[name], name)
    )
    columns = []
    for name in order[: _MOST_COLUMNS + 1]:
        column = _column(name, [row.get(name) for row in rows])
        if column is not None:
            columns.append(column)
    return pl.DataFrame(columns)


def _column(name: str, cells: list[Any]) -> pl.Series | None:
    kinds = {type(cell) for cell in cells if cell is not None}
    if not kinds:
        return None
    if kinds <= {int, float} or kinds == {bool}:
        return pl.Series(name, cells, strict=False)
    if kinds == {list}:
        words = [None if cell is None else [str(word) for word in cell if word is not None] for cell in cells]
        return pl.Series(name, words, pl.List(pl.String))
    if dict in kinds:  # nothing that a feature could read
        return None
    return pl.Series(name, [None if cell is None else _word(cell) for cell in cells], pl.String)


def _word(cell: Any) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell)


# -- the schema ---------------------------------------------------------------------------------


def infer_schema(tables: TrainingTables, directory: Path) -> tuple[Schema, tuple[str, ...]]:
    """The schema of tables that :func:`write_tables` wrote, and notes on it.

    The tables are read as ``motet inspect`` reads them. What is known better here: every type of event is a label
    and never a feature; texts are shown and not learned from, for that takes a language model.

    Args:
        tables: What was written.
        directory: Where.

    Raises:
        DataError: If nothing can be learned from them.
    """
    names = [
        "interactions",
        *(name for name in ("items", "users") if (directory / f"{name}.parquet").is_file()),
    ]
    frames = {name: pl.read_parquet(directory / f"{name}.parquet") for name in names}
    found = inspect_directory(Frames(frames))
    content: dict[str, Any] = yaml.safe_load(found.schema.to_yaml())
    content["name"] = "learned"
    content["tables"] = {role: f"{name}.parquet" for role, name in content["tables"].items()}
    notes = list(found.notes)
    features: dict[str, dict[str, Any]] = content["features"]
    kept = dict(features.get("interaction", {}))
    features["interaction"] = {n: f for n, f in kept.items() if _column_of(n, f) not in tables.types}
    shown: dict[str, dict[str, str]] = {}
    for entity in ("user", "item", "interaction"):
        for name, feature in list(features.get(entity, {}).items()):
            if (feature if isinstance(feature, str) else feature.get("kind")) == "text":
                del features[entity][name]
                column = _column_of(name, feature)
                if entity == "item" and column != "title" and column not in _IMAGES:
                    shown[column] = {"en": column.replace("_", " ")}
                notes.append(
                    f"the text '{column}' is not learned from: that takes a language model; to do so, add "
                    f"features.{entity}.{name}: {{kind: text, column: {column}}}"
                )
    content["features"] = {entity: of for entity, of in features.items() if of}
    if shown:
        content.setdefault("catalogue", {})["columns"] = shown
    if "items" in frames:
        named = _named(frames["items"])
        content.setdefault("catalogue", {}).update(named)
        if image := named.get("image"):  # an address says nothing of an item
            items = features.get("item", {})
            features["item"] = {name: of for name, of in items.items() if _column_of(name, of) != image}
            content["features"] = {entity: of for entity, of in features.items() if of}
    tasks: dict[str, dict[str, Any]] = content["tasks"]
    read = {
        column
        for task in tasks.values()
        for column in expression_columns(str(task.get("label", "")) or "true")
    }
    for type in tables.types:
        if type not in read and frames["interactions"][type].drop_nulls().n_unique() > 1:
            kind = "regression" if type in tables.valued else "binary"
            tasks[_free(type, tasks)] = {"kind": kind, "label": quoted(type)}
    # a tenth of a short history is no row: then the latest rows of all validate
    long = frames["interactions"]["user_id"].value_counts()["count"].median()
    by = "user_time" if isinstance(long, float) and long >= _LONG_HISTORY else "time"
    content["split"] = {"by": by, "train": 0.88, "validation": 0.1}
    return Schema.parse(content, source="the inferred schema"), tuple(notes)


def keep_schema(schema: Schema, notes: Sequence[str], path: Path) -> tuple[Schema, bool]:
    """Write the schema where people edit it; one that was edited is read instead.

    Args:
        schema: As inferred now.
        notes: Written above it.
        path: The file, such as ``schema.yaml`` in the directory of the models. Its first line holds a hash of the
            rest, by which an edited one is known.

    Returns:
        The schema to train with, and whether a person wrote it.

    Raises:
        SchemaError: If an edited schema is wrong.
    """
    if path.is_file():
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
        if first != _first_line(rest):
            return Schema.load(path), True
    text = "".join(f"# {note}\n" for note in notes) + schema.to_yaml()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".new")
    part.write_text(f"{_first_line(text)}\n{text}", encoding="utf-8")
    part.replace(path)
    return schema, False


def _first_line(rest: str) -> str:
    known = hashlib.sha256(rest.encode()).hexdigest()[:16]
    return f"# inferred from the events, again for every training ({known}); once edited it stays as it is"


def _named(items: pl.DataFrame) -> dict[str, str]:
    """The columns that pages show in places of their own, found by their names."""
    found = {"title": "title"} if "title" in items.columns else {}
    words = [name for name in _IMAGES if name in items.columns and items[name].dtype == pl.String]
    if words:
        found["image"] = words[0]
    if "price" in items.columns and items["price"].dtype.is_numeric():
        found["price"] = "price"
        currencies = (
            items["currency"].drop_nulls().unique() if "currency" in items.columns else pl.Series([""])
        )
        if len(currencies) == 1 and re.fullmatch("[A-Z]{3}", str(currencies[0])):
            found["currency"] = str(currencies[0])
    return found


def _column_of(name: str, feature: Any) -> str:
    return str(feature.get("column") or name) if isinstance(feature, Mapping) else name


def _free(name: str, taken: Mapping[str, Any]) -> str:
    plain = "_".join("".join(c.lower() if c.isalnum() else " " for c in name).split()) or "event"
    while plain in taken:
        plain += "_2"
    return plain
