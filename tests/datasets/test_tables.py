"""Clothing reviews, adult and open bandit: what is special about each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from motet.datasets import DATASETS, fetch_asset

Prepared = Callable[[str], Path]


def test_clothing_reviews_are_the_published_ones(prepared: Prepared) -> None:
    reviews = pl.read_parquet(prepared("clothing-reviews") / "reviews.parquet")
    missing = reviews.null_count().row(0, named=True)
    assert {column: count for column, count in missing.items() if count} == {
        "title": 3_810,
        "review_text": 845,
        "division": 14,
        "department": 14,
        "class_name": 14,
    }
    assert reviews["recommended"].sum() == 19_314
    assert reviews["clothing_id"].n_unique() == 1_206


def test_clothing_id_gives_department_away_and_is_no_feature(prepared: Prepared) -> None:
    reviews = pl.read_parquet(prepared("clothing-reviews") / "reviews.parquet")
    assert reviews.group_by("clothing_id").agg(pl.col("department").n_unique())["department"].max() == 1
    schema = DATASETS["clothing-reviews"].schema
    read = {
        column for entity, name, _ in schema.features.all() for column in schema.feature_columns(entity, name)
    }
    assert read == {"age", "title", "review_text", "both"}  # both: title and text, for their words


def test_adult_rates_and_missing_values(prepared: Prepared) -> None:
    user_encoder = pl.read_parquet(prepared("adult") / "people.parquet")
    missing = user_encoder.null_count().row(0, named=True)
    assert {column: count for column, count in missing.items() if count} == {
        "workclass": 2_799,
        "occupation": 2_809,
        "native_country": 857,
    }
    schema = DATASETS["adult"].schema
    rates = user_encoder.select(
        (pl.sql_expr(task.label).mean()).alias(name) for name, task in schema.tasks.items()
    ).row(0, named=True)
    assert rates == {
        "income": pytest.approx(11_687 / 48_842),
        "never_married": pytest.approx(16_117 / 48_842),
    }
    assert not {"marital_status", "relationship", "fnlwgt", "income"} & set(schema.features.interaction)


def test_open_bandit_clicks_by_log(prepared: Prepared) -> None:
    impressions = pl.read_parquet(prepared("open-bandit") / "impressions.parquet")
    clicks = impressions.group_by("policy", "campaign").agg(pl.len(), pl.col("click").sum())
    assert set(clicks.rows()) == {
        ("random", "all", 10_000, 38),
        ("random", "men", 10_000, 46),
        ("random", "women", 10_000, 46),
        ("bts", "all", 10_000, 42),
        ("bts", "men", 10_000, 69),
        ("bts", "women", 10_000, 46),
    }
    assert impressions["time"].is_sorted()


def test_open_bandit_items_belong_to_their_campaign(prepared: Prepared) -> None:
    directory = prepared("open-bandit")
    impressions = pl.read_parquet(directory / "impressions.parquet")
    items = pl.read_parquet(directory / "items.parquet")
    assert set(impressions["item_id"]) == set(items["item_id"])
    joined = impressions.join(items, on="item_id")
    assert (joined["campaign"] == joined["campaign_right"]).all()
    # The random policy shows each of a campaign's 80, 34 or 46 items alike.
    at_random = impressions.filter(pl.col("policy") == "random")
    for campaign, number in (("all", 80), ("men", 34), ("women", 46)):
        shown = at_random.filter(pl.col("campaign") == campaign)["propensity"].to_list()
        assert shown == pytest.approx([1 / number] * len(shown))


@pytest.mark.parametrize(("policy", "campaign"), [("random", "men"), ("bts", "all")])
def test_open_bandit_affinity_is_the_one_to_the_shown_item(
    prepared: Prepared, policy: str, campaign: str
) -> None:
    impressions = pl.read_parquet(prepared("open-bandit") / "impressions.parquet")
    log = impressions.filter(pl.col("policy") == policy, pl.col("campaign") == campaign)
    source = pl.read_csv(fetch_asset("open-bandit") / policy / campaign / f"{campaign}.csv")
    expected = {
        (row["timestamp"][:26], f"{campaign}-{row['item_id']}"): row[f"user-item_affinity_{row['item_id']}"]
        for row in source.iter_rows(named=True)
        if row[f"user-item_affinity_{row['item_id']}"] > 0
    }
    assert len(expected) >= 2
    positive = log.filter(pl.col("affinity") > 0).with_columns(pl.col("time").dt.strftime("%F %T%.6f"))
    assert {
        (time, item): value
        for time, item, value in positive.select("time", "item_id", "affinity").iter_rows()
    } == expected


def test_open_bandit_codes_stand_one_to_one_between_policies() -> None:
    files = fetch_asset("open-bandit")
    for campaign in ("all", "men", "women"):
        one, other = (
            pl.read_csv(files / policy / campaign / "item_context.csv") for policy in ("random", "bts")
        )
        both = one.join(other, on="item_id")
        for number in (1, 2, 3):
            pairs = both.select(f"item_feature_{number}", f"item_feature_{number}_right").unique()
            assert pairs.height == one[f"item_feature_{number}"].n_unique()
            assert pairs.height == other[f"item_feature_{number}"].n_unique()
