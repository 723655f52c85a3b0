"""MovieLens-100K: from RecBole's atomic files to three tables, and a graph of facts about the films."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from motet import assets
from motet.datasets._movielens_links import film_numbers, link_films

__all__ = ["write_movielens"]


def write_movielens(directory: Path, progress: assets.Progress | None = None) -> None:
    """Write ``users``, ``items``, ``ratings``, ``knowledge`` and ``links``, each a ``.parquet`` file."""
    files = assets.fetch("movielens-100k", progress)
    users = _read(files / "ml-100k.user").select(
        pl.col("user_id").cast(pl.Int64),
        pl.col("age").cast(pl.Int64),
        "gender",
        "occupation",
        "zip_code",
    )
    items = _read(files / "ml-100k.item").select(
        pl.col("item_id").cast(pl.Int64),
        # The source misspells the one film without a name and a date.
        title=pl.col("movie_title").replace("unkonwn", None),
        year=pl.col("release_year").cast(pl.Int64, strict=False),
        # Genres hold hyphens and apostrophes but no space; "unknown" says that there is no label.
        genres=pl.col("class").replace("unknown", None).str.replace_all(" ", "|", literal=True),
    )
    ratings = _read(files / "ml-100k.inter").select(
        pl.col("user_id").cast(pl.Int64),
        pl.col("item_id").cast(pl.Int64),
        pl.col("rating").cast(pl.Int64),
        pl.col("timestamp").cast(pl.Int64),
    )
    users.sort("user_id").write_parquet(directory / "users.parquet")
    items.sort("item_id").write_parquet(directory / "items.parquet")
    ratings.sort("timestamp", "user_id", "item_id").write_parquet(directory / "ratings.parquet")
    triples = _read(files / "ml-100k.kg").select(head="head_id", relation="relation_id", tail="tail_id")
    triples.sort("head", "relation", "tail").write_parquet(directory / "knowledge.parquet")
    films = _read(assets.fetch("movielens-1m-titles", progress) / "ml-1m.item").select(
        pl.Series("number", film_numbers()),
        title="movie_title",
        year=pl.col("release_year").cast(pl.Int64, strict=False),
    )
    links = _read(files / "ml-100k.link").select(number="item_id", entity="entity_id")
    link_films(items, films, links).write_parquet(directory / "links.parquet")


def _read(path: Path) -> pl.DataFrame:
    # Titles hold single quotation marks, so quoting is off; "name:type" headers lose their type.
    frame = pl.read_csv(path, separator="\t", quote_char=None, infer_schema=False)
    return frame.rename({column: column.partition(":")[0] for column in frame.columns})
