"""What users did, with its outcomes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from motet.data import NEGATIVE_EVENTS, Dataset, EventMeaning, EventMeanings, behaviour_of
from motet.schema import Schema
from motet.testing import toy_dataset


@pytest.fixture(scope="module")
def data() -> Dataset:
    return toy_dataset(rows=300)


def test_every_event_stands_once_oldest_first(data: Dataset) -> None:
    behaviour = behaviour_of(data)
    assert len(behaviour.items.values) == len(data)
    for user in range(len(data.users)):
        at = behaviour.events(user)
        mine = data.user_row == user
        assert sorted(behaviour.items.values[at]) == sorted(data.item_row[mine])
        assert (np.diff(behaviour.time[at]) >= 0).all()


def test_labels_stay_with_their_events(data: Dataset) -> None:
    behaviour = behaviour_of(data)
    task = behaviour.tasks[0]
    for user in range(len(data.users)):
        at = behaviour.events(user)
        mine = np.flatnonzero(data.user_row == user)
        expected = sorted(zip(data.time[mine], data.item_row[mine], strict=True))
        assert [
            (t, i) for t, i in zip(behaviour.time[at], behaviour.items.values[at], strict=True)
        ] == expected
        assert np.nansum(behaviour.label(task)[at]) == np.nansum(data.label(task, mine))


def test_only_the_latest_are_kept(data: Dataset) -> None:
    full, short = behaviour_of(data), behaviour_of(data, last=3)
    for user in range(len(data.users)):
        assert short.time[short.events(user)].tolist() == full.time[full.events(user)][-3:].tolist()


def test_splits_that_are_not_asked_for_stay_out(data: Dataset) -> None:
    known = behaviour_of(data, splits=("train", "validation"))
    assert len(known.time) == len(data.rows("train")) + len(data.rows("validation"))


def test_a_user_beyond_those_known_did_nothing(data: Dataset) -> None:
    assert behaviour_of(data).events(10**6) == slice(0, 0)


def test_liking_is_the_first_binary_task_that_needs_no_other(data: Dataset) -> None:
    found = data.schema.liking_task
    assert found is not None
    assert data.schema.tasks[found].kind == "binary"
    assert data.schema.tasks[found].after is None


def _meanings(**tasks: dict[str, Any]) -> EventMeanings:
    content = {
        "name": "toy",
        "tables": {"interactions": "a.csv", "items": "i.csv"},
        "keys": {"user": "user", "item": "item", "time": "at"},
        "features": {"user": {"user": "id"}, "item": {"item": "id"}},
        "tasks": tasks,
    }
    return EventMeanings(Schema.parse(content))


def test_what_types_of_events_mean() -> None:
    meanings = _meanings(
        premium={"kind": "binary", "label": "premium", "on": "item"},
        like={"kind": "binary", "label": "rating >= 4"},
        stars={"kind": "regression", "label": "rating"},
    )
    assert meanings.liking == "like"
    assert meanings.of("like", 1) == EventMeaning("like", True, False, True)
    assert meanings.of("like", 0) == meanings.of("like", -1) == EventMeaning("like", False, False, False)
    assert meanings.of("", 1) == EventMeaning("like", True, False, True)
    assert meanings.of("stars", 5) == EventMeaning("stars", True, False, None)
    for unknown in ("view", "premium", "rating"):  # a task on items is no event; a column is read as a cell
        assert meanings.of(unknown, 1) == EventMeaning(None, None, False, None)
    for negative in NEGATIVE_EVENTS:
        assert meanings.of(negative, 1) == EventMeaning("like", False, True, False)
    assert [meanings.value_of_none(type) for type in ("like", "stars", "view")] == [1.0, 0.0, 0.0]


def test_a_name_of_the_schema_stands_above_what_it_means_elsewhere() -> None:
    of_task = _meanings(like={"kind": "binary", "label": "like"}, hide={"kind": "binary", "label": "hide"})
    assert of_task.of("hide", 1) == EventMeaning("hide", True, False, None)
    of_column = _meanings(like={"kind": "binary", "label": "like = 1 AND hide = 0"})
    assert of_column.of("hide", 1) == EventMeaning(None, None, False, None)
    assert of_column.of("dislike", 1).is_negative
    nothing = _meanings(stars={"kind": "regression", "label": "stars"})  # nothing says what is liked
    assert nothing.of("hide", 1) == EventMeaning(None, None, True, False)
    assert nothing.of("", 1) == EventMeaning(None, None, False, None)


def test_a_like_is_said_as_events_say_it_anyway() -> None:
    rating = {"kind": "regression", "label": "rating"}

    def like_of(label: str, **more: dict[str, Any]) -> tuple[str, float]:
        return _meanings(rating_high={"kind": "binary", "label": label}, **more).like()

    assert like_of("rating >= 4", rating=rating) == ("rating", 4.0)
    assert like_of("rating > 3", rating=rating) == ("rating", 4.0)
    assert like_of("rating > 4.5", rating={**rating, "range": [1, 5]}) == ("rating", 5.0)
    assert like_of('"my rating" >= 70 AND "my rating" <= 90') == ("my rating", 70.0)
    assert like_of("marks <= 2") == ("marks", 2.0)  # of marks where 1 is the best
    assert like_of("bought") == ("bought", 1.0)
    assert like_of("rating_high") == ("rating_high", 1.0)
    assert like_of("mood = 'good'") == ("rating_high", 1.0)  # an event's value is a number
    assert like_of("rating >= 4 AND seen = 1") == ("rating_high", 1.0)  # no one column says it
    assert like_of("rating >= 4", like={"kind": "binary", "label": "rating = 5"}) == ("like", 1.0)
    assert _meanings(stars=rating).like() == ("like", 1.0)
    assert _meanings(next={"kind": "retrieval", "positive": "true"}).like() == ("like", 1.0)
    assert _meanings(next={"kind": "retrieval", "positive": "buy = 1"}).like() == ("buy", 1.0)
