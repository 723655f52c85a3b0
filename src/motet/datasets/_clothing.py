"""Women's Clothing E-Commerce Reviews: one table."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from motet import assets

__all__ = ["write_clothing"]

_COLUMNS = {
    "Clothing ID": "clothing_id",
    "Age": "age",
    "Title": "title",
    "Review Text": "review_text",
    "Rating": "rating",
    "Recommended IND": "recommended",
    "Positive Feedback Count": "positive_feedback_count",
    "Division Name": "division",
    "Department Name": "department",
    "Class Name": "class_name",
}


def write_clothing(directory: Path, progress: assets.Progress | None = None) -> None:
    """Write ``reviews.parquet``, the rows in their published order."""
    files = assets.fetch("clothing-reviews", progress)
    reviews = pl.read_parquet(files / "reviews.parquet").select(_COLUMNS.keys()).rename(_COLUMNS)
    reviews.write_parquet(directory / "reviews.parquet")
