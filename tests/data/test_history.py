from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from motet.data import Batcher, Dataset, build_history

Clicks = Callable[..., dict[str, Any]]
Build = Callable[..., Dataset]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 3), st.booleans()),
        min_size=1,
        max_size=25,
    )
)
def test_history_is_every_event_strictly_before_and_nothing_else(
    rows: list[tuple[int, int, int, bool]],
) -> None:
    user = np.array([r[0] for r in rows], np.int32)
    item = np.array([r[1] for r in rows], np.int32)
    time = np.array([r[2] for r in rows], np.int64)
    event = np.array([r[3] for r in rows])
    split = np.zeros(len(rows), np.uint8)
    order = np.lexsort((item, time, user))
    history = build_history(event, user, item, time, split, order, users=3)
    for row in range(len(rows)):
        start = history.items.offsets[user[row]]
        found = history.items.values[start : start + history.before[row]].tolist()
        past = [r for r in range(len(rows)) if user[r] == user[row] and time[r] < time[row] and event[r]]
        naive = [int(item[r]) for r in sorted(past, key=lambda r: (time[r], item[r]))]
        assert found == naive
    assert history.known.tolist() == [int((event & (user == u)).sum()) for u in range(3)]


def sequence(**options: Any) -> dict[str, Any]:
    return {"user": "id", "past": {"kind": "sequence", "of": "item", **options}}


def test_ties_and_the_target_itself_are_not_seen(build: Build, clicks: Clicks) -> None:
    rows = pl.DataFrame(
        {"user": ["a"] * 5, "item": [5, 6, 7, 8, 9], "at": [1, 2, 2, 3, 4], "click": [1, 0, 1, 1, 0]}
    )
    data = build(clicks(features={"user": sequence(), "item": {"item": "id"}}), {"clicks.csv": rows})
    assert data.histories["past"].before.tolist() == [0, 1, 1, 3, 4]
    filtered = build(
        clicks(features={"user": sequence(where="click = 1"), "item": {"item": "id"}}), {"clicks.csv": rows}
    )
    assert filtered.histories["past"].before.tolist() == [0, 1, 1, 2, 3]


def test_where_works_on_numbers_kept_as_text(build: Build, clicks: Clicks) -> None:
    rows = pl.DataFrame(
        {
            "user": ["a"] * 5,
            "item": range(5),
            "at": range(5),
            "click": [1, 0, 1, 1, 0],
            "stars": list("12345"),
        }
    )
    content = clicks(
        tables={"interactions": "clicks.parquet"},
        features={"user": sequence(where="stars >= 3"), "item": {"item": "id"}},
    )
    assert build(content, {"clicks.parquet": rows}).histories["past"].before.tolist() == [0, 0, 0, 1, 2]


def test_the_last_events_are_kept_oldest_first(build: Build, clicks: Clicks) -> None:
    rows = pl.DataFrame({"user": ["a"] * 6, "item": range(10, 16), "at": range(6), "click": [1, 0] * 3})
    data = build(clicks(features={"user": sequence(last=2), "item": {"item": "id"}}), {"clicks.csv": rows})
    batch = Batcher(data).batch(np.array([4]))
    events = batch.user.events["past"]
    of_code = {int(code): name for code, name in zip(data.items.codes[:, 0], data.item_ids, strict=True)}
    assert [of_code[int(batch.ids[p])] for p in events.positions[0]] == ["12", "13"]
    assert (events.lengths.tolist(), events.total.tolist()) == ([2], [4.0])


def test_a_random_split_shows_no_later_split_to_rankings_or_training(build: Build, clicks: Clicks) -> None:
    rng = np.random.default_rng(0)
    rows = pl.DataFrame(
        {"user": ["a"] * 60, "item": range(60), "at": range(60), "click": rng.integers(0, 2, 60)}
    )
    data = build(
        clicks(features={"user": sequence(), "item": {"item": "id"}}, split={"by": "random"}),
        {"clicks.csv": rows},
    )
    history = data.histories["past"]
    train = set(data.item_row[data.split == 0].tolist())
    assert set(history.items.values[: history.train[0]].tolist()) <= train
    for row in np.flatnonzero(data.split == 0):
        assert set(history.items.values[: history.before[row]].tolist()) <= train


def test_in_time_order_what_a_ranking_may_know_ends_with_its_split(toy: Dataset) -> None:
    for name, history in toy.histories.items():
        clicked = toy.label("click", np.arange(len(toy))) == 1
        event = clicked if name == "past_gru" else np.ones(len(toy), bool)
        for user in range(len(toy.users)):
            mine = (toy.user_row == user) & event
            start = history.items.offsets[user]
            for known, last in ((history.train, 0), (history.known, 1)):
                shown = history.items.values[start : start + known[user]].tolist()
                assert sorted(shown) == sorted(toy.item_row[mine & (toy.split <= last)].tolist())
