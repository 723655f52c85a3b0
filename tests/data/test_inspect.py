from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from motet.data import build_dataset, inspect_directory
from motet.errors import DataError
from motet.schema import Schema
from motet.testing import hashed_words_for_tests

RNG = np.random.default_rng(0)
N = 400


def write(place: Path, **tables: pl.DataFrame) -> Path:
    for name, table in tables.items():
        table.write_csv(place / f"{name}.csv")
    return place


def orders() -> pl.DataFrame:
    start = datetime(2024, 1, 1)
    return pl.DataFrame(
        {
            "Order #": [f"O-{k:04}" for k in range(N)],
            "Customer ID": [f"C {k}" for k in RNG.integers(0, 30, N)],
            "Product No.": RNG.integers(1000, 1020, N),
            "Ordered at": [(start + timedelta(hours=k)).isoformat() + "Z" for k in range(N)],
            "Channel": RNG.choice(["web", "app"], N),
            "Qty": RNG.integers(1, 5, N),
            "Returned": RNG.choice([True, False], N),
            "Star Rating": [None if k == 6 else k for k in RNG.integers(1, 7, N).tolist()],
        }
    )


def customers() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "Customer ID": [f"C {k}" for k in range(30)],
            "Newsletter?": [k % 2 == 0 for k in range(30)],
            "Interests": ["Garden;Toys" if k % 3 else "Books" for k in range(30)],
        }
    )


def products() -> pl.DataFrame:
    words = ["sturdy", "light", "blue", "folding", "classic", "tiny"]
    return pl.DataFrame(
        {
            "Product No.": range(1000, 1020),
            "Description": [", ".join(" ".join(RNG.choice(words, 6)) for _ in range(3)) for _ in range(20)],
            "Price (EUR)": RNG.gamma(2, 20, 20).round(2),
        }
    )


def test_a_shop_is_understood(tmp_path: Path) -> None:
    write(tmp_path, orders=orders(), customers=customers(), products=products())
    schema = inspect_directory(tmp_path).schema
    assert schema.tables.model_dump(exclude_defaults=True) == {
        "interactions": "orders.csv",
        "users": "customers.csv",
        "items": "products.csv",
    }
    assert schema.keys.model_dump() == {
        "user": "Customer ID",
        "item": "Product No.",
        "time": "Ordered at",
        "scenario": "Channel",
    }
    kinds = {name: feature.kind for _, name, feature in schema.features.all()}
    assert kinds == {
        "customer_id": "id",
        "newsletter": "categorical",
        "interests": "tags",
        "history": "sequence",
        "product_no": "id",
        "description": "text",
        "price_eur": "numeric",
    }
    assert {n: t.kind for n, t in schema.tasks.items()} == {
        "qty": "regression",
        "returned": "binary",
        "star_rating": "regression",
        "star_rating_high": "binary",
        "next": "retrieval",
    }
    assert schema.tasks["next"].label == '"Star Rating" >= 4'  # not what was returned
    assert schema.split.by == "user_time"


def test_what_is_proposed_can_be_read_back_and_built(tmp_path: Path) -> None:
    write(tmp_path, orders=orders(), customers=customers(), products=products())
    found = inspect_directory(tmp_path)
    (tmp_path / "schema.yaml").write_text("".join(f"# {n}\n" for n in found.notes) + found.schema.to_yaml())
    schema = Schema.load(tmp_path / "schema.yaml")
    assert schema == found.schema
    data = build_dataset(schema, tmp_path, encode_text=hashed_words_for_tests)
    assert len(data) == N
    assert set(data.encoder.scenarios[1:]) == {"app", "web"}


def test_tables_are_tied_by_their_values_where_names_differ(tmp_path: Path) -> None:
    people = customers().rename({"Customer ID": "id"}).with_columns(serial=pl.arange(30))
    write(tmp_path, orders=orders(), people=people)
    schema = inspect_directory(tmp_path).schema
    assert schema.tables.users == "people.csv"
    assert schema.derive == {"users": {"Customer ID": "id"}}
    data = build_dataset(schema, tmp_path, encode_text=hashed_words_for_tests)
    assert len(data.users) == 30


def test_a_flat_table_of_yes_and_no(tmp_path: Path) -> None:
    flat = pl.DataFrame(
        {
            "Lead Source": RNG.choice(["ads", "friend"], N),
            "Video quality": RNG.choice(["low", "high"], N),
            "order": RNG.choice(["Yes", "No"], N),
            "Deal won": RNG.integers(0, 2, N),
            "Deal-won": [{0: "y", 1: "n"}.get(k) for k in RNG.integers(0, 3, N).tolist()],
        }
    )
    schema = inspect_directory(write(tmp_path, flat=flat)).schema
    assert schema.keys.model_dump(exclude_none=True) == {}
    assert {n: t.label for n, t in schema.tasks.items()} == {
        "order": "\"order\" = 'Yes'",
        "deal_won": '"Deal won"',
        "deal_won_2": "\"Deal-won\" = 'y'",
    }
    assert schema.split.by == "random"
    data = build_dataset(schema, tmp_path)
    assert np.isnan(data.labels[:, 2]).sum() == flat["Deal-won"].null_count()


def test_numbers_of_rows_are_neither_labels_nor_features(tmp_path: Path) -> None:
    table = orders().with_columns(pl.arange(N).alias("order id"), pl.lit(5).alias("rating"))
    schema = inspect_directory(write(tmp_path, orders=table)).schema
    assert not {"order_id", "rating", "rating_high"} & set(schema.tasks)
    assert not {"order_id", "order", "rating"} & {name for _, name, _ in schema.features.all()}


def test_numbers_that_all_differ_are_still_numbers(tmp_path: Path) -> None:
    dwell = RNG.permutation(10 * N)[:N]
    people = customers().with_columns(age=18 + pl.arange(30))
    write(tmp_path, orders=orders().with_columns(pl.Series("watch_ms", dwell)), customers=people)
    schema = inspect_directory(tmp_path).schema
    assert schema.tasks["watch_ms"].kind == "regression"
    assert schema.features.user["age"].kind == "numeric"


def test_an_open_number_has_no_range(tmp_path: Path) -> None:
    table = orders().with_columns(pl.Series("dwell_s", RNG.exponential(30, N)))
    schema = inspect_directory(write(tmp_path, orders=table)).schema
    assert getattr(schema.tasks["dwell_s"], "range", 0) is None
    assert getattr(schema.tasks["star_rating"], "range", 0) == (1, 5)


def test_small_data_gets_small_batches(tmp_path: Path) -> None:
    training = inspect_directory(write(tmp_path, orders=orders())).schema.training
    assert training.batch_size is None
    sizes = [training.rows_a_step(rows) for rows in (0, 200, 12_799, 12_800, 10_000_000)]
    assert sizes == [16, 16, 128, 256, 2048]
    assert training.model_copy(update={"batch_size": 7}).rows_a_step(12_800) == 7


def test_a_table_that_fits_nowhere_is_named(tmp_path: Path) -> None:
    other = pl.DataFrame({"colour": ["red", "blue"], "hex": ["f00", "00f"]})
    found = inspect_directory(write(tmp_path, orders=orders(), colours=other))
    assert any("colours.csv is not used" in note for note in found.notes)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,x\n2,y\n3,z\n", ["x.csv", "label", "'a', 'b'", "rating"]),
        ("", ["x.csv is empty"]),
        ("click,user\n1,7\n0,8\n", None),
        ("click\n1\n0\n", ["no column of x.csv is left for a feature"]),
    ],
)
def test_what_cannot_be_proposed_is_explained(content: str, words: list[str] | None, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(content)
    if words is None:
        assert inspect_directory(tmp_path).schema.keys.user == "user"
        return
    with pytest.raises(DataError) as caught:
        inspect_directory(tmp_path)
    for word in words:
        assert word in str(caught.value)


def test_a_directory_without_tables(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no CSV, TSV, other text, JSON lines or Parquet"):
        inspect_directory(tmp_path)
    with pytest.raises(DataError, match="is not a directory"):
        inspect_directory(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["select", 'say "hi"', "a.b", "x:y", "group", "#", "🦊", "new\nline", "{x}"])
def test_any_column_name_can_be_a_label_and_a_feature(name: str, tmp_path: Path) -> None:
    table = pl.DataFrame({"user": RNG.integers(0, 20, N), "kind": RNG.choice(["a", "b"], N)})
    as_label = table.with_columns(pl.Series(name, RNG.integers(0, 2, N)))
    as_text = table.with_columns(
        pl.Series("click", RNG.integers(0, 2, N)),
        pl.Series(name, [" ".join(RNG.choice(list("abcdefgh"), 5)) for _ in range(N)]),
    )
    for kind, frame in (("label", as_label), ("text", as_text)):
        place = tmp_path / kind
        place.mkdir()
        found = inspect_directory(write(place, x=frame))
        assert all("\n" not in note for note in found.notes)
        assert Schema.parse(found.schema.model_dump()) == found.schema
        data = build_dataset(found.schema, place, encode_text=hashed_words_for_tests)
        assert len(data) == N
        assert not np.isnan(data.labels).any()
        if kind == "text":
            assert next(iter(data.texts.values()))[1] in frame[name].to_list()


def usage(rows: int = 2000) -> pl.DataFrame:
    """Uses of apps, each with circumstances in codes."""
    rng = np.random.default_rng(3)
    user, weekday = rng.integers(0, 50, rows), rng.integers(0, 7, rows)
    return pl.DataFrame(
        {
            "user_id": user,
            "app_id": rng.integers(0, 300, rows),
            "weekday": weekday,
            "free_day": (weekday > 4).astype(int),
            "pays": user % 2,
            "city": rng.integers(0, 40, rows),
            "brand_id": rng.integers(0, 150, rows),
            "height": rng.integers(140, 200, rows),
            "opened_at_home": rng.integers(0, 2, rows),
            "used": rng.integers(0, 2, rows),
        }
    )


def test_what_follows_from_another_column_is_no_task(tmp_path: Path) -> None:
    """Whether it is a free day follows from the weekday, and who pays from the user: circumstances, not outcomes."""
    found = inspect_directory(write(tmp_path, usage=usage()))
    assert set(found.schema.tasks) == {"opened_at_home", "used", "next"}
    assert getattr(found.schema.tasks["next"], "positive", "") == "used"
    kinds = {name: feature.kind for _, name, feature in found.schema.features.all()}
    assert {kinds[name] for name in ("weekday", "free_day", "pays", "city", "brand_id")} == {"categorical"}
    assert kinds["height"] == "numeric"
    assert "'free_day' follows from 'weekday': a feature, not a task" in found.notes
    assert "'pays' follows from 'user_id': a feature, not a task" in found.notes
    build_dataset(found.schema, tmp_path)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        # a label of each user is an outcome where there is no other
        (["user_id", "app_id", "weekday", "pays"], {"pays", "next"}),
        # what is called an outcome is one, whatever it follows from
        (["user_id", "app_id", "weekday", "pays", "buy"], {"pays", "buy", "next"}),
        (["user_id", "app_id", "stars", "liked"], {"stars", "stars_high", "liked", "next"}),
    ],
)
def test_outcomes_stay_tasks(columns: list[str], expected: set[str], tmp_path: Path) -> None:
    stars = np.random.default_rng(4).integers(1, 6, 2000)
    table = usage().with_columns(
        pl.col("pays").alias("buy"), pl.Series("stars", stars), pl.Series("liked", (stars > 3).astype(int))
    )
    if "buy" in columns:
        table = table.with_columns(pays=pl.col("free_day"))  # now it follows from the weekday
        expected = expected - {"pays"}
    found = inspect_directory(write(tmp_path, usage=table.select(columns)))
    assert set(found.schema.tasks) == expected


def test_few_rows_show_nothing(tmp_path: Path) -> None:
    """Each order holds one row, so that every column follows from its number; a few pairs agree by chance."""
    table = usage(12).with_columns(
        pl.Series("basket", np.arange(12) // 2), pl.Series("good", [0] * 10 + [1] * 2)
    )
    found = inspect_directory(
        write(tmp_path, usage=table.select("user_id", "app_id", "basket", "good", "used"))
    )
    assert "good" in found.schema.tasks


def logs(form: str, rows: int = 1500) -> tuple[str, pl.DataFrame, bool]:
    """Logs in forms that people have, by name: the file, its content, and whether it has a header."""
    rng = np.random.default_rng(6)
    user, item, at = rng.integers(0, 60, rows), rng.integers(0, 200, rows), np.arange(rows)
    did = rng.choice(["pv", "buy", "fav"], rows, p=[0.9, 0.05, 0.05])
    found: dict[str, tuple[str, dict[str, object], bool]] = {
        "reviews": ("r.csv", {"reviewerID": [f"A{u}" for u in user], "asin": [f"B{i}" for i in item], "overall": rng.integers(1, 6, rows), "unixReviewTime": 1_300_000_000 + at * 60}, True),
        "no header": ("log.csv", {"a": user, "b": item + 2_000_000, "c": item % 9 + 400_000, "d": did, "e": 1_511_000_000 + at}, False),
        "games": ("games.csv", {"a": 151_000_000 + user, "b": [f"Game {i}" for i in item], "c": rng.choice(["purchase", "play"], rows), "d": rng.gamma(1, 10, rows).round(1) + 0.1}, False),
        "sessions": ("clicks.csv", {"session_id": user, "product": item, "page": item % 4}, True),
        "orders": ("lines.csv", {"order_id": at // 3, "customer_id": at // 3 % 60, "product_id": item, "quantity": rng.integers(1, 5, rows)}, True),
        "actions": ("log.csv", {"user_id": user, "item_id": item, "brand_id": item % 70, "action_type": rng.integers(0, 4, rows)}, True),
        "videos": ("log.csv", {"user_id": user, "video_id": item, "video_duration": (item + 1) * 900, "watch_ratio": rng.gamma(1, 1, rows)}, True),
        "plays": ("log.csv", {"user_id": user, "song_id": item, "count": rng.integers(0, 90, rows)}, True),
        "artists": ("log.csv", {"user_id": user, "artist_id": item, "weight": rng.lognormal(5, 2, rows).astype(int) + 1}, True),
        "bank": ("bank.csv", {"customer_id": at, "age": rng.integers(18, 80, rows), "housing": rng.choice(["yes", "no"], rows), "y": rng.choice(["yes", "no"], rows)}, True),
    }  # fmt: skip
    name, columns, has_header = found[form]
    return name, pl.DataFrame(columns), has_header


@pytest.mark.parametrize(
    ("form", "keys", "tasks", "features", "positive"),
    [
        ("reviews", "reviewerID asin unixReviewTime", "overall overall_high next", "", "overall >= 4"),
        ("no header", "user item time", "next", "column_3", "column_4 IN ('buy', 'fav')"),
        ("games", "user item", "count next", "", "column_3 IN ('purchase')"),
        ("sessions", "session_id product page", "next", "", "true"),
        ("orders", "customer_id product_id", "quantity next", "", "true"),
        ("actions", "user_id item_id", "next", "brand_id", "true"),
        ("videos", "user_id video_id", "watch_ratio next", "video_duration", "true"),
        ("plays", "user_id song_id", "count next", "", "count > 0"),
        ("artists", "user_id artist_id", "log_weight next", "", "true"),
        ("bank", "", "y", "age housing", None),
    ],
)
def test_forms_that_people_have(
    form: str, keys: str, tasks: str, features: str, positive: str | None, tmp_path: Path
) -> None:
    name, table, has_header = logs(form)
    table.write_csv(tmp_path / name, include_header=has_header)
    schema = inspect_directory(tmp_path).schema
    assert list(schema.keys.model_dump(exclude_none=True).values()) == keys.split()
    assert set(schema.tasks) == set(tasks.split())
    assert set(schema.features.interaction) == set(features.split())
    assert positive is None or getattr(schema.tasks["next"], "positive", "") == positive
    assert len(build_dataset(schema, tmp_path)) == len(table)  # no row was taken for a header


def test_a_header_of_years_is_one(tmp_path: Path) -> None:
    years = {str(year): RNG.integers(0, 2, 50) for year in range(2018, 2022)}
    pl.DataFrame({"customer_id": range(50), "age": range(20, 70), **years}).write_csv(tmp_path / "wide.csv")
    assert inspect_directory(tmp_path).schema.tables.columns == {}


def test_the_log_with_outcomes_is_taken_for_the_interactions(tmp_path: Path) -> None:
    """Taggings are more than plays, but what was played how often is the log."""
    plays, tags = logs("plays")[1], usage(4000).select("user_id", song_id="app_id", tag_id="brand_id")
    found = inspect_directory(write(tmp_path, plays=plays, taggings=tags)).schema
    assert found.tables.interactions == "plays.csv"
