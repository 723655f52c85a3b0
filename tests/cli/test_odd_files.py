"""Four logs as people have them, from files to lists by commands alone: no schema is written or changed by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from motet.schema import Schema

USERS, ITEMS, GROUPS = 60, 40, 2


def events(seed: int = 0) -> list[tuple[str, str, int]]:
    """Users, items and the minute: a user mostly takes items of its own half of the catalogue."""
    rng = np.random.default_rng(seed)
    found = []
    for user in range(USERS):
        own = [item for item in range(ITEMS) if item % GROUPS == user % GROUPS]
        other = rng.choice(ITEMS, 2, replace=False).tolist()
        chosen = dict.fromkeys([*rng.choice(own, 9, replace=False).tolist(), *other])
        found += [(f"u{user:02}", f"i{item:02}", int(rng.integers(100_000))) for item in chosen]
    return sorted(found, key=lambda one: one[2])


def plays(place: Path) -> None:
    """Who listened to what how often: no time, no label, semicolons."""
    rng = np.random.default_rng(1)
    lines = [f"{user};{item};{rng.integers(1, 90)}" for user, item, _ in events()]
    (place / "plays.txt").write_text("user_id;artist_id;count\n" + "\n".join(lines) + "\n", encoding="utf-8")


def behaviours(place: Path) -> None:
    """Several behaviours in one log."""
    rng = np.random.default_rng(2)
    rows = []
    for user, item, minute in events():
        for at, name in enumerate(["view", "cart", "buy"][: int(rng.integers(1, 4))]):
            rows.append((user, item, name, 1_700_000_000 + 60 * minute + at))
    pl.DataFrame(rows, schema=["user", "item", "behavior", "timestamp"], orient="row").write_csv(
        place / "log.csv"
    )


def ratings(place: Path) -> None:
    """Ratings with two colons and no header."""
    lines = [
        f"{int(user[1:]) + 1}::{int(item[1:]) + 1}::{5 if int(item[1:]) % GROUPS == int(user[1:]) % GROUPS else 2}"
        f"::{1_700_000_000 + 60 * minute}"
        for user, item, minute in events()
    ]
    (place / "ratings.dat").write_text("\n".join(lines) + "\n", encoding="utf-8")


def gorse(place: Path) -> None:
    """What Gorse exports: feedback, items with labels as JSON, users."""
    rows = [
        (
            "like" if minute % 3 else "read",
            user,
            item,
            f"2026-01-{1 + minute % 28:02} {minute % 24:02}:00:00 +0000 UTC",
        )
        for user, item, minute in events()
    ]
    feedback = pl.DataFrame(rows, schema=["FeedbackType", "UserId", "ItemId", "Timestamp"], orient="row")
    feedback.write_csv(place / "feedback.csv")
    labels = [json.dumps({"genre": f"g{item % GROUPS}"}) for item in range(ITEMS)]
    ids = [f"i{item:02}" for item in range(ITEMS)]
    pl.DataFrame({"ItemId": ids, "Labels": labels, "Comment": [f"Item {one}" for one in ids]}).write_csv(
        place / "items.csv"
    )
    users = [f"u{user:02}" for user in range(USERS)]
    pl.DataFrame({"UserId": users, "Labels": ["{}"] * USERS}).write_csv(place / "users.csv")


@pytest.mark.parametrize("write", [plays, behaviours, ratings, gorse], ids=lambda one: one.__name__)
def test_from_files_to_lists(
    write: Callable[[Path], None], motet: Callable[..., Any], tmp_path: Path
) -> None:
    files, schema, bundle = tmp_path / "files", tmp_path / "schema.yaml", tmp_path / "bundle"
    files.mkdir()
    write(files)
    proposed = motet("inspect", files)
    assert proposed.code == 0, proposed.err
    schema.write_text(proposed.out, encoding="utf-8")
    trained = motet("train", schema, "--data", files, "--out", bundle)
    assert trained.code == 0, trained.err
    keys = Schema.load(schema).keys
    of_ratings = write is ratings
    users = [str(n + 1) if of_ratings else f"u{n:02}" for n in range(USERS)]
    (tmp_path / "users.csv").write_text("\n".join([str(keys.user), *users]) + "\n", encoding="utf-8")
    options = ("--users", tmp_path / "users.csv", "-k", "5", "--out", tmp_path / "lists.csv")
    listed = motet("recommend", bundle, *options)
    assert listed.code == 0, listed.err
    table = pl.read_csv(tmp_path / "lists.csv", infer_schema=False)
    of_half = [
        (int(item.removeprefix("i")) - int(user.removeprefix("u"))) % GROUPS == 0
        for user, item in table.select(str(keys.user), str(keys.item)).iter_rows()
    ]
    assert len(of_half) == 5 * USERS
    assert np.mean(of_half) > 0.55  # 11 of the 29 that a user did not have: 0.38 by chance
