"""The split, the predictions and the lists that a measurement rests on, as tables for anybody's own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import SPLIT_CODES, Dataset
from motet.errors import DataError
from motet.evaluation import catalogue_task, rank_catalogue
from motet.training._predictor import ModelPredictor

__all__ = ["export_measured"]

_LIST = 10


def export_measured(data: Dataset, predictor: ModelPredictor, split: str, place: Path) -> None:
    """Write ``rows.parquet``, ``predictions.parquet`` and, with a retrieval task, ``lists.parquet``.

    * ``rows``: every interaction that was read, by its keys, with its split;
    * ``predictions``: the interactions of the split, with ``<task>_label`` and ``<task>`` for each task on interactions,
      a probability, a number, or a list with one probability a class;
    * ``lists``: the first ten items of each user who has something to find in the split, with ``rank`` from 1,
      and whether each was to be found.

    Args:
        data: The data set.
        predictor: Bound to it.
        split: Whose rows were measured.
        place: Directory; made if it is not there.

    Raises:
        DataError: If the directory cannot be written to.
    """
    try:
        place.mkdir(parents=True, exist_ok=True)
        names = {code: name for name, code in SPLIT_CODES.items()}
        everything = np.arange(len(data))
        splits = pl.Series("split", [names[code] for code in data.split.tolist()], dtype=pl.String)
        pl.DataFrame([*_keys(data, everything), splits]).write_parquet(place / "rows.parquet")
        rows = data.rows(split)
        columns = _keys(data, rows)
        for task, values in predictor.predict(rows).items():
            labels = data.label(task, rows)
            columns.append(pl.Series(f"{task}_label", labels if labels.ndim == 1 else labels.tolist()))
            columns.append(pl.Series(task, values if values.ndim == 1 else values.tolist()))
        pl.DataFrame(columns).write_parquet(place / "predictions.parquet")
        lists = _lists(data, predictor, split)
        if lists is not None:
            lists.write_parquet(place / "lists.parquet")
    except OSError as error:
        raise DataError(f"{place} cannot be written ({error.strerror})", "name another directory") from None


def _keys(data: Dataset, rows: NDArray[np.int64]) -> list[pl.Series]:
    keys, columns = data.schema.keys, []
    if keys.user is not None:
        columns.append(data.user_ids.gather(data.user_row[rows]).alias(keys.user))
    if keys.item is not None:
        columns.append(data.item_ids.gather(data.item_row[rows]).alias(keys.item))
    if keys.time is not None:
        columns.append(pl.Series(keys.time, data.time[rows].astype("datetime64[us]")))
    return columns


def _lists(data: Dataset, predictor: ModelPredictor, split: str) -> pl.DataFrame | None:
    task = catalogue_task(data, split)
    ranked = None if task is None else rank_catalogue(task, predictor.score_items, k=_LIST)
    if task is None or ranked is None:
        return None
    place, rank = np.nonzero(ranked.top >= 0)
    items = ranked.top[place, rank]
    found: Any = task.relevant[place, items] if len(place) else np.zeros(0)
    return pl.DataFrame(
        {
            str(data.schema.keys.user): data.user_ids.gather(task.users[place]),
            "rank": rank + 1,
            str(data.schema.keys.item): data.item_ids.gather(items),
            "found": np.asarray(found).ravel() > 0,
        }
    )
