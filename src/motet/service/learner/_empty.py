"""The bundle of a service that begins with nothing: no user, no item, and weights that say nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from motet.data import Dataset, EntityTable, Frames, Ragged, build_dataset
from motet.models import build_model
from motet.schema import Schema
from motet.training import save_bundle

__all__ = ["write_empty_bundle"]

_SCHEMA: Final[dict[str, Any]] = {
    "name": "nothing yet",
    "tables": {"interactions": "interactions", "users": "users", "items": "items"},
    "keys": {"user": "user_id", "item": "item_id", "time": "timestamp"},
    "features": {
        "user": {"user_id": "id"},
        "item": {"item_id": "id", "categories": {"kind": "tags"}},
    },
    "tasks": {"next": {"kind": "retrieval", "positive": "true"}},
    "catalogue": {"title": "title", "image": "image", "price": "price"},
    "split": {"by": "column", "column": "part"},
    "model": {"architecture": "shared_bottom", "width": 2},
}


def write_empty_bundle(directory: str | Path) -> Path:
    """Write the bundle of a service that knows nothing yet; one that is there stays.

    Items have titles and categories, every event is an interaction, and of the weights nothing is used: see
    :attr:`motet.training.Bundle.is_empty`.

    Args:
        directory: Where it goes.

    Returns:
        The same.

    Raises:
        BundleError: If it cannot be written.
    """
    directory = Path(directory)
    if (directory / "manifest.json").is_file():
        return directory
    schema = Schema.parse(_SCHEMA, source="the schema of an empty service")
    one = {"user_id": ["?"], "item_id": ["?"]}
    frames = Frames(
        {
            "interactions": pl.DataFrame({**one, "timestamp": [0], "part": ["train"]}),
            "users": pl.DataFrame({"user_id": ["?"]}),
            "items": pl.DataFrame(
                {"item_id": ["?"], "title": ["?"], "categories": ["?"], "image": ["?"], "price": [0.0]}
            ),
        }
    )
    data = build_dataset(schema, frames)
    save_bundle(
        directory,
        model=build_model(schema, data.encoder, seed=0),
        data=_without_rows(data),
        metrics={},
        overwrite=True,
    )
    return directory


def _without_rows(data: Dataset) -> Dataset:
    """The data set without the one row that the encoder was fitted on."""
    assert data.catalogue is not None  # noqa: S101 (the schema has items)
    return replace(
        data,
        users=_no_rows(data.users),
        items=_no_rows(data.items),
        context=_no_rows(data.context),
        user_row=data.user_row[:0],
        item_row=data.item_row[:0],
        scenario=data.scenario[:0],
        time=data.time[:0],
        labels=data.labels[:0],
        split=data.split[:0],
        user_ids=data.user_ids[:0],
        item_ids=data.item_ids[:0],
        catalogue=replace(data.catalogue, frame=data.catalogue.frame[:0]),
    )


def _no_rows(table: EntityTable) -> EntityTable:
    tags = {name: Ragged.empty(0) for name in table.tags}
    return EntityTable(
        np.array(table.codes[:0]), np.array(table.numbers[:0]), tags, np.array(table.vector_rows[:0])
    )
