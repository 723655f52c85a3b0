"""Files of a bundle about the catalogue and about what users did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from motet.data import Behaviour, Catalogue, Dataset, Encoder, Ragged, behaviour_of, catalogue_of
from motet.schema import Schema

__all__ = ["read_behaviour", "read_catalogue", "write_behaviour", "write_catalogue"]


def write_catalogue(directory: Path, catalogue: Catalogue | None) -> None:
    """Write ``catalogue.parquet`` and ``catalogue.json``."""
    kinds: dict[str, str] = {}
    if catalogue is not None:
        kinds |= dict.fromkeys(catalogue.tags, "tags") | dict.fromkeys(catalogue.categories, "category")
        kinds |= dict.fromkeys(catalogue.numbers, "number") | dict.fromkeys(catalogue.texts, "text")
    title = None if catalogue is None else catalogue.title
    frame = pl.DataFrame({"id": pl.Series([], dtype=pl.String)}) if catalogue is None else catalogue.frame
    frame.write_parquet(directory / "catalogue.parquet")
    content = json.dumps({"title": title, "kinds": kinds}, ensure_ascii=False)
    (directory / "catalogue.json").write_text(content, encoding="utf-8")


def read_catalogue(directory: Path, schema: Schema) -> Catalogue | None:
    """Read what :func:`write_catalogue` wrote; None where the schema has no items."""
    if schema.keys.item is None:
        return None
    content = json.loads((directory / "catalogue.json").read_text(encoding="utf-8"))
    frame = pl.read_parquet(directory / "catalogue.parquet")
    return catalogue_of(schema, frame, content["title"], content["kinds"])


def write_behaviour(directory: Path, data: Dataset) -> None:
    """Write ``behaviour.safetensors``: the latest events of each user, with their labels."""
    behaviour = behaviour_of(data)
    columns: dict[str, NDArray[Any]] = {
        "items.values": behaviour.items.values,
        "items.offsets": behaviour.items.offsets,
        "time": behaviour.time,
        "labels": behaviour.labels,
    }
    if behaviour.scenario is not None:
        columns["scenario"] = behaviour.scenario
    arrays: dict[str, NDArray[Any]] = {name: np.ascontiguousarray(a) for name, a in columns.items()}
    save_file(arrays, str(directory / "behaviour.safetensors"))


def read_behaviour(directory: Path, encoder: Encoder) -> Behaviour:
    """Read what :func:`write_behaviour` wrote; bundles of before it kept scenarios have none."""
    arrays = load_file(str(directory / "behaviour.safetensors"))
    items = Ragged(arrays["items.values"], arrays["items.offsets"])
    tasks = tuple(encoder.interaction_tasks)
    return Behaviour(items, arrays["time"], arrays["labels"], tasks, arrays.get("scenario"))
