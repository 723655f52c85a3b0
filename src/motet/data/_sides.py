"""Columns of users and items that texts of the interaction name, such as ``{item.title}``."""

from __future__ import annotations

import polars as pl

from motet.data._index import as_words
from motet.schema import Entity, Schema

__all__ = ["side_columns", "side_fields"]


def side_fields(schema: Schema, entity: Entity) -> list[str]:
    """Fields such as ``user.about`` that templates of the interaction take from another entity."""
    return sorted(
        {
            field
            for feature in schema.features.interaction.values()
            for field in feature.side_fields
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
