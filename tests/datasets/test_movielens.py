from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from motet.datasets import DATASETS, film_numbers, link_films


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


def test_the_million_has_its_published_numbers_and_order(prepared: Callable[[str], Path]) -> None:
    place = prepared("movielens-1m")
    ratings, items = pl.read_parquet(place / "ratings.parquet"), pl.read_parquet(place / "items.parquet")
    counts = dict(ratings["rating"].value_counts().iter_rows())
    assert counts == {1: 56_174, 2: 107_557, 3: 261_197, 4: 348_971, 5: 226_310}
    assert ratings.head(2).rows() == [(1, 1193, 5, 978300760), (1, 661, 3, 978302109)]  # as in ratings.dat
    assert ratings["user_id"].is_sorted()
    assert set(ratings["item_id"]) <= set(items["item_id"])
    assert items.row(-1) == (3952, "Contender, The", 2000, "Drama|Thriller")
    writers = pl.read_parquet(place / "users.parquet").filter(pl.col("occupation") == "writer")
    assert writers.height == 281


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
    assert {name: f.history.where for name, f in user.items() if f.history is not None} == {
        "history": "rating >= 4",
        "disliked": "rating <= 3",
    }
    assert DATASETS["movielens-100k"].schema.tasks["genres"].hide == ("genres",)


def test_links_are_of_the_films_they_name(prepared: Callable[[str], Path]) -> None:
    """Ids as Freebase had them; the links as they come give "Star Wars" the entity of "The Usual Suspects"."""
    place = prepared("movielens-100k")
    links = dict(pl.read_parquet(place / "links.parquet").iter_rows())
    assert len(links) == 1_536
    assert {item: links[item] for item in (1, 50, 172)} == {1: "m.0dyb1", 50: "m.0dtfn", 172: "m.0f3m1"}
    assert links[246] == links[268]  # "Chasing Amy" twice
    triples = pl.read_parquet(place / "knowledge.parquet")
    assert len(triples) == 91_631
    assert triples.filter((pl.col("head") == links[50]) & (pl.col("relation") == "film.film.sequel"))[
        "tail"
    ].to_list() == [links[172]]
    titles = pl.read_parquet(place / "items.parquet")
    animated = triples.filter((pl.col("relation") == "film.film.genre") & (pl.col("tail") == "m.0hcr"))
    entities = pl.DataFrame({"item_id": list(links), "entity": list(links.values())})
    drawn = titles.join(entities, on="item_id").filter(pl.col("entity").is_in(animated["head"].implode()))
    assert drawn["genres"].str.contains("Animation").mean() > 0.9  # type: ignore[operator]


def test_films_are_found_by_any_form_of_their_title() -> None:
    films = pl.DataFrame(
        {
            "number": ["7", "8", "9", "10", "11"],
            "title": [
                "Boys",
                "Boat, The (Das Boot)",
                "Star Wars: Episode IV - A New Hope",
                "Hamlet",
                "Hamlet",
            ],
            "year": [1996, 1981, 1977, 1996, 1997],
        }
    )
    links = pl.DataFrame(
        {"number": ["7", "8", "9", "10", "11"], "entity": ["boys", "boot", "wars", "h96", "h97"]}
    )
    items = pl.DataFrame(
        {
            "item_id": [1, 2, 3, 4, 5, 6, 7],
            "title": ["Boys, Les", "Boot, Das", "Star Wars", "Hamlet", "Hamlet", None, "Boot, Das"],
            "year": [1997, 1981, 1977, 1996, 1995, 1996, 1990],
        }
    )
    assert dict(link_films(items, films, links).iter_rows()) == {2: "boot", 3: "wars", 4: "h96", 5: "h96"}
    assert len(film_numbers()) == 3_883
