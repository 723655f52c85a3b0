"""The catalogue as people read it: titles, tags, categories, numbers and texts of items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from motet.data._containers import as_strings, split_words
from motet.schema import Schema

__all__ = ["Catalogue", "build_catalogue", "catalogue_columns", "catalogue_of"]

_TITLES = ("title", "name", "item_name", "product_name", "headline", "label")
_FEW_VALUES = 200  # words that repeat over a catalogue and are at most so many are a category


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What can be said of each item, as it stands in the user's own table.

    Attributes:
        frame: A row an item, in the order of the data set's items: column ``id``, then one column
            for each name below. Cells may be null.
        title: Column of the names of items; None if there is none.
        tags: Columns of several values, ``List(String)``.
        categories: Columns of one value out of a few, ``String``.
        numbers: Columns of numbers, ``Float64``.
        texts: Columns of running text, ``String``.
        columns: What columns are called, by language.
        words: Other ways to say a tag or category, by language.
        image: Column of the pictures of items, ``String``; None if there is none. Nothing is said of it.
    """

    frame: pl.DataFrame
    title: str | None
    tags: tuple[str, ...]
    categories: tuple[str, ...]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    columns: Mapping[str, Mapping[str, str]]
    words: Mapping[str, Mapping[str, tuple[str, ...]]]
    image: str | None = None

    def __len__(self) -> int:
        return len(self.frame)

    def name(self, row: int) -> str:
        """What an item is called: its title, else its id."""
        title = self.frame[self.title][row] if self.title is not None else None
        return str(title or self.frame["id"][row])

    def values(self, row: int, column: str) -> tuple[str, ...]:
        """The tags of an item in a column of tags, or its one category; empty where missing."""
        cell = self.frame[column][row]
        if cell is None:
            return ()
        return (cell,) if isinstance(cell, str) else tuple(cell.to_list())

    def number(self, row: int, column: str) -> float | None:
        """The number of an item in a column of numbers; None where missing."""
        cell = self.frame[column][row]
        return None if cell is None else float(cell)

    def column_name(self, column: str, language: str = "en") -> str:
        """What a column is called in a language; its own name, with spaces, where the schema names none.

        Example:
            >>> catalogue = Catalogue(pl.DataFrame({"id": []}), None, (), (), ("run_time",), (), {}, {})
            >>> catalogue.column_name("run_time")
            'run time'
        """
        return self.columns.get(column, {}).get(language, column.replace("_", " "))

    def word(self, value: str, language: str = "en") -> str:
        """How a tag or category is said in a language; as it is where the schema names none."""
        known = self.words.get(value, {}).get(language, ())
        return known[0] if known and language != "en" else value


def catalogue_columns(schema: Schema) -> list[str]:
    """Columns of the items table that the catalogue needs and no feature may use."""
    named = schema.catalogue
    found = (named.title, *named.columns, named.image, named.price)
    return list(dict.fromkeys(column for column in found if column is not None))


def build_catalogue(schema: Schema, frame: pl.DataFrame) -> Catalogue:
    """Put the prepared rows of the items table into the form that people read.

    Args:
        schema: Says what the columns are.
        frame: Prepared rows of all items, in order; with the key column.
    """
    key = str(schema.keys.item)
    title = _title(schema, frame)
    image = schema.catalogue.image if schema.catalogue.image in frame.columns else None
    kinds = _kinds(schema, frame, {key, title, image})
    columns = [frame[key].cast(pl.String).alias("id")]
    if title is not None:
        columns.append(as_strings(frame[title]))
    if image is not None and image != title:
        columns.append(as_strings(frame[image]))
    for column, kind in kinds.items():
        columns.append(_cells(schema, frame[column], kind))
    return catalogue_of(schema, pl.DataFrame(columns), title, kinds)


def catalogue_of(
    schema: Schema, frame: pl.DataFrame, title: str | None, kinds: Mapping[str, str]
) -> Catalogue:
    """A catalogue whose columns are known: as :func:`build_catalogue` made it, perhaps read back."""

    def of(kind: str) -> tuple[str, ...]:
        return tuple(column for column, found in kinds.items() if found == kind)

    return Catalogue(
        frame,
        title,
        of("tags"),
        of("category"),
        of("number"),
        of("text"),
        schema.catalogue.columns,
        schema.catalogue.words,
        schema.catalogue.image if schema.catalogue.image in frame.columns else None,
    )


def _title(schema: Schema, frame: pl.DataFrame) -> str | None:
    """The column that names an item."""
    if schema.catalogue.title is not None:
        return schema.catalogue.title
    for column in _TITLES:
        if column in frame.columns and frame[column].dtype != pl.List:
            return column
    for feature in schema.features.item.values():
        if feature.is_text:
            fields = feature.columns("")
            if fields and fields[0] in frame.columns:
                return fields[0]
    return None


def _kinds(schema: Schema, frame: pl.DataFrame, taken: set[str | None]) -> dict[str, str]:
    """Kind of each column that is worth saying: tags, category, number or text."""
    kinds: dict[str, str] = {}
    for name, feature in schema.features.item.items():
        for column in schema.feature_columns("item", name):
            shown = feature.shown_as()
            if column in taken or column not in frame.columns or shown == "hidden":
                continue
            if shown == "guess":
                kinds.setdefault(column, _kind_of(frame[column]))
            else:
                kinds[column] = shown
    for column in schema.catalogue.columns:
        if column in frame.columns and column not in taken:
            kinds.setdefault(column, _kind_of(frame[column]))
    price = schema.catalogue.price
    if price is not None and price in frame.columns and price not in taken:
        kinds[price] = "number"
    return kinds


def _kind_of(cells: pl.Series) -> str:
    if cells.dtype == pl.List:
        return "tags"
    if cells.dtype.is_numeric():
        return "number"
    few = cells.n_unique() <= min(_FEW_VALUES, max(2, len(cells) // 2))
    return "category" if few else "text"


def _cells(schema: Schema, cells: pl.Series, kind: str) -> pl.Series:
    if kind == "number":
        return cells.cast(pl.Float64, strict=False)
    if kind != "tags":
        return as_strings(cells)
    separators = {
        column: feature.cell_separator
        for name, feature in schema.features.item.items()
        if feature.cell_separator is not None
        for column in schema.feature_columns("item", name)
    }
    return split_words(cells, separators.get(cells.name, "|")).alias(cells.name)
