from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from motet.datasets import DATASETS


def test_ratings_are_the_published_ones(prepared: Callable[[str], Path]) -> None:
    ratings = pl.read_parquet(prepared("movielens-100k") / "ratings.parquet")
    counts = dict(ratings["rating"].value_counts().iter_rows())
    assert counts == {1: 6_110, 2: 11_370, 3: 27_145, 4: 34_174, 5: 21_201}  # as in the README of GroupLens
    assert ratings["timestamp"].min() == 874_724_710
    assert ratings["timestamp"].max() == 893_286_638
    assert ratings.filter((pl.col("user_id") == 196) & (pl.col("item_id") == 242)).row(0) == (
        196,
        242,
        3,
        881250949,
    )
    assert ratings.select(pl.struct("user_id", "item_id").is_unique().all()).item()


def test_genres_keep_their_names_and_unknown_is_missing(prepared: Callable[[str], Path]) -> None:
    items = pl.read_parquet(prepared("movielens-100k") / "items.parquet")
    genres = items["genres"].str.split("|").explode().drop_nulls()
    assert genres.n_unique() == 18
    assert {"Children's", "Film-Noir", "Sci-Fi"} <= set(genres)
    assert (genres == "Drama").sum() == 725
    assert items.filter(pl.col("genres").is_null())["item_id"].to_list() == [267, 1373]
    assert items.row(0) == (1, "Toy Story", 1995, "Animation|Children's|Comedy")


def test_years_and_titles_that_are_none_are_missing(prepared: Callable[[str], Path]) -> None:
    items = pl.read_parquet(prepared("movielens-100k") / "items.parquet")
    assert items.filter(pl.col("year").is_null())["item_id"].to_list() == [267, 1412]
    assert items.filter(pl.col("title").is_null())["item_id"].to_list() == [267]
    assert items["year"].drop_nulls().is_between(1900, 1998).all()


def test_zip_codes_are_text(prepared: Callable[[str], Path]) -> None:
    users = pl.read_parquet(prepared("movielens-100k") / "users.parquet")
    assert users.filter(pl.col("user_id") == 940)["zip_code"].item() == "02215"
    assert users["gender"].value_counts(sort=True).rows() == [("M", 670), ("F", 273)]


def test_histories_are_of_likes_and_of_dislikes() -> None:
    user = DATASETS["movielens-100k"].schema.features.user
    assert {name: f.where for name, f in user.items() if f.kind == "sequence"} == {
        "history": "rating >= 4",
        "disliked": "rating <= 3",
    }
    assert DATASETS["movielens-100k"].schema.tasks["genres"].hide == ("genres",)
