"""Open Bandit: six logs, three campaigns under two policies, to two tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from motet import assets

__all__ = ["write_open_bandit"]

_CAMPAIGNS = ("all", "men", "women")
_POLICIES = ("random", "bts")


def write_open_bandit(directory: Path, progress: assets.Progress | None = None) -> None:
    """Write ``items.parquet`` and ``impressions.parquet``."""
    files = assets.fetch("open-bandit", progress)
    items = pl.concat(_items(files, campaign) for campaign in _CAMPAIGNS)
    logs = pl.concat(_log(files, policy, campaign) for policy in _POLICIES for campaign in _CAMPAIGNS)
    items.write_parquet(directory / "items.parquet")
    logs.sort("time", "campaign", "policy").write_parquet(directory / "impressions.parquet")


def _items(files: Path, campaign: str) -> pl.DataFrame:
    # Both policies show the same items; their codes are salted differently but stand one to one,
    # so one of them names the item's categories for both.
    context = pl.read_csv(files / "random" / campaign / "item_context.csv")
    return context.sort("item_id").select(
        _item_key(campaign),
        pl.lit(campaign).alias("campaign"),
        *(f"item_feature_{number}" for number in range(4)),
    )


def _log(files: Path, policy: str, campaign: str) -> pl.DataFrame:
    log = pl.read_csv(files / policy / campaign / f"{campaign}.csv")
    shown = log["item_id"].to_numpy()
    affinities = log.select(f"user-item_affinity_{item}" for item in range(int(shown.max()) + 1)).to_numpy()
    return log.select(
        pl.col("timestamp").str.to_datetime(time_zone="UTC", time_unit="us").alias("time"),
        pl.lit(campaign).alias("campaign"),
        pl.lit(policy).alias("policy"),
        _item_key(campaign),
        "position",
        pl.col("propensity_score").alias("propensity"),
        *(f"user_feature_{number}" for number in range(4)),
        pl.Series("affinity", affinities[np.arange(len(shown)), shown]),
        "click",
    )


def _item_key(campaign: str) -> pl.Expr:
    # Item 3 of one campaign is not item 3 of another.
    return pl.format("{}-{}", pl.lit(campaign), "item_id").alias("item_id")
