"""Whatever values are given: they are taken, or refused with an error that says why, and nothing is half done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motet.data import Dataset, Frames, build_dataset
from motet.errors import DataError, RequestError
from motet.models import build_model
from motet.recommend import LiveRecommender, Query, RawRows, Recommender
from motet.recommend.live import LiveEvent
from motet.schema import Schema
from motet.testing import hashed_words_for_tests
from motet.training import load_bundle, save_bundle

ITEM_COLUMNS = ("title", "blurb", "price", "brand", "genres", "released", "picture", "stock", "unused")
USER_COLUMNS = ("age", "job", "joined", "about", "plan", "worth", "churned", "hobbies", "unused")
EVENT_COLUMNS = ("at", "place", "device", "wait", "query", "notes", "click", "buy", "stars", "mood", "marks")

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, -(2**63), 2**70, 2**127, 10**400, 0.5, 1e308, -1e308, 1e39, float("nan"),
    float("inf"), "", "x", "nan", "1e400", "b'x'", "\0", "٣", "2024-13-45", "x" * 5000, b"x", b"\xff", "\ud800",
    [], [[]], [None], [[1]], [[[]]], [1, 2], [1.0] * 5, [float("nan")] * 5, [1e308] * 5, [2**70], [10**400],
    ["a", "b"], ["a", 1], [True], ["\0"], [{}], {}, {"a": 1}, {"a": {}}, {"a": [1]}, {"a": 10**400}, (1, 2),
    {1, 2}, object(),
)  # fmt: skip


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory, toy: Dataset) -> Recommender:
    place = tmp_path_factory.mktemp("values") / "bundle"
    save_bundle(place, model=build_model(toy.schema, toy.encoder, seed=3).eval(), data=toy, metrics={})
    return Recommender(load_bundle(place), hashed_words_for_tests)


@pytest.fixture(scope="module")
def live(recommender: Recommender) -> LiveRecommender:
    return LiveRecommender(recommender)


def whole(live: LiveRecommender) -> bool:
    """Whether all that is kept of items is of the same items, and the model makes numbers of it."""
    now = live.items.now
    assert len(now.view) == len(now.view.frame) == len(now.side.item) == len(now) == len(now.shown)
    ids = [now.ids[row] for row in np.flatnonzero(now.shown).tolist()]
    answer = live.rank(Query(user="u1"), ids)
    return len(answer.items) == len(ids) and all(np.isfinite(item.value) for item in answer.items)


def refused(ingest: Any, *said: Any) -> str:
    try:
        ingest(*said)
    except DataError as error:
        return error.problem
    return ""


def several(column: str, value: Any) -> Iterator[list[dict[str, Any]]]:
    """A value alone, and beside a good one."""
    yield [{"item": "new", "user": "new", column: value}]
    yield [{"item": "20", "user": "u1", column: value}, {"item": "good", "user": "good"}]


@pytest.mark.parametrize("column", ITEM_COLUMNS)
def test_any_value_of_items(live: LiveRecommender, column: str) -> None:
    for value in VALUES:
        before, version = len(live.items.now), live.items.now.version
        for rows in several(column, value):
            if refused(live.upsert_items, rows):
                assert (len(live.items.now), live.items.now.version) == (before, version)
            before, version = len(live.items.now), live.items.now.version
        refused(live.patch_items, [{"item": "30", column: value}])
    assert whole(live)


@pytest.mark.parametrize("column", USER_COLUMNS)
def test_any_value_of_users(live: LiveRecommender, column: str) -> None:
    for value in VALUES:
        for rows in several(column, value):
            refused(live.upsert_users, rows)
        try:
            user = live.user_encoder.of(None, -1, {column: value})
        except DataError:
            continue
        assert user.table.numbers.dtype == np.float32
    assert whole(live)
    live.forget_user("u1")


@pytest.mark.parametrize("column", EVENT_COLUMNS)
def test_any_value_of_events_and_contexts(live: LiveRecommender, column: str) -> None:
    plain = [v for v in VALUES if v is None or isinstance(v, bool | int | float | str)]
    plain = [v for v in plain if not (isinstance(v, float) and not np.isfinite(v)) and v != "\ud800"]
    for value in plain:
        events = [
            LiveEvent(user="v", item="10", columns={column: value}, at_s=1e9),
            LiveEvent(user="v", item="10", type=column, value=value),
            LiveEvent(user="v", item="20", columns={column: "y"}),
        ]
        for some in ([events[0]], [events[1]], [events[0], events[2]]):
            refused(live.add_events, some)
            refused(live.rank, Query(history=tuple(some)), ["10"])
        with suppress(RequestError):  # a column that is no context
            refused(live.rank, Query(context={column: value}), ["10"])
    assert whole(live)
    live.forget_user("v")


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e308, 2**70], ids=["+", "-", "1e308", "2**70"])
def test_whatever_number_a_rule_holds(live: LiveRecommender, value: float) -> None:
    for rule in (
        {"kind": "cap", "field": "price", "value": value, "at_most": 1},
        {"kind": "cap", "field": "genres", "value": value, "at_most": 1},
    ):
        try:
            query = Query.model_validate({"user": "u1", "rules": [rule]})
        except ValueError:
            continue
        assert live.recommend(query).items


@pytest.mark.parametrize(
    ("rows", "column"),
    [
        ([{"item": "new", "genres": [[1]]}], "genres"),
        ([{"item": "new", "title": [[1]]}], "title"),
        ([{"item": "new", "title": [[]], "price": 3}], "title"),
        ([{"item": "new", "price": {"a": 1}, "title": "x"}], "price"),
        ([{"item": "new", "brand": [10**400]}], "brand"),
        ([{"item": "new", "picture": [["x"]]}], "picture"),
        ([{"item": "new", "picture": []}], "picture"),
        ([{"item": "new", "picture": [1, 2]}], "picture"),
    ],
)
def test_the_column_is_named(live: LiveRecommender, rows: list[dict[str, Any]], column: str) -> None:
    assert f"'{column}'" in refused(live.upsert_items, rows)


cells = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(ITEM_COLUMNS), cells, max_size=4), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(USER_COLUMNS), cells, max_size=4),
)
def test_whatever_is_drawn(live: LiveRecommender, items: list[dict[str, Any]], user: dict[str, Any]) -> None:
    refused(live.upsert_items, [{**row, "item": f"drawn {k}"} for k, row in enumerate(items)])
    refused(live.patch_items, [{**items[0], "item": "30"}])
    refused(live.upsert_users, [{**user, "user": "drawn"}])
    refused(live.user_encoder.of, None, -1, user)
    assert whole(live)


def test_many_users_at_once_are_encoded_as_each_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = Schema.parse(
        {
            "name": "people",
            "tables": {"interactions": "views", "users": "users", "items": "items"},
            "keys": {"user": "user", "item": "item", "time": "at"},
            "features": {
                "user": {"user": "id", "age": "numeric", "job": "categorical"},
                "item": {"item": "id"},
            },
            "tasks": {"next": {"kind": "retrieval", "positive": "true"}},
            "split": {"by": "time", "train": 0.8, "validation": 0.1},
        }
    )
    people: list[dict[str, Any]] = [
        {"user": f"u{k}", "age": 20 + k, "job": ("cook", "nurse")[k % 2]} for k in range(8)
    ]
    rows = [{"user": f"u{k % 8}", "item": f"i{k % 5}", "at": k} for k in range(60)]
    frames = {
        "views": pl.DataFrame(rows),
        "users": pl.DataFrame(people),
        "items": pl.DataFrame({"item": ["i1"]}),
    }
    data = build_dataset(schema, Frames(frames))
    save_bundle(tmp_path / "b", model=build_model(schema, data.encoder, seed=0).eval(), data=data, metrics={})
    live = LiveRecommender(Recommender(load_bundle(tmp_path / "b")))
    given: list[dict[str, Any]] = [
        *people[:3],
        {"user": "new", "job": None},
        {"user": "none"},
        {"user": "other", "age": 31.5},
    ]
    own = LiveRecommender(Recommender(load_bundle(tmp_path / "b"))).user_encoder
    calls, extended = list[int](), RawRows.extended

    def counted(raw: RawRows, data: Dataset, entity: Any, frame: pl.DataFrame) -> Any:
        calls.append(len(frame))
        return extended(raw, data, entity, frame)

    monkeypatch.setattr(RawRows, "extended", counted)
    calls.clear()
    for some, passes in (
        (given[:5], 1),
        (given, len(given)),
    ):  # 31.5 is no whole number: a column of two kinds
        live.upsert_users(some)
        assert len(calls) == passes
        for row in some:
            own.upsert([row])
            one, alone = (of.of(row["user"], -1, {}) for of in (live.user_encoder, own))
            assert one.known
            assert one.table.codes.tolist() == alone.table.codes.tolist()
            np.testing.assert_array_equal(one.table.numbers, alone.table.numbers)
        calls.clear()
