"""Adult census: one table."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from motet import assets

__all__ = ["write_adult"]


def write_adult(directory: Path, progress: assets.Progress | None = None) -> None:
    """Write ``people.parquet``, the rows in their published order."""
    files = assets.fetch("adult", progress)
    people = pl.read_parquet(files / "adult.parquet").with_columns(pl.col(pl.String).replace("?", None))
    people = people.rename({column: column.replace("-", "_") for column in people.columns})
    people.rename({"educational_num": "education_years"}).write_parquet(directory / "people.parquet")
