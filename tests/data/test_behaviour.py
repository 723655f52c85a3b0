"""What users did, with its outcomes."""

from __future__ import annotations

import numpy as np
import pytest

from motet.data import Dataset, behaviour_of, liking
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
    found = liking(data.schema)
    assert found is not None
    assert data.schema.tasks[found].kind == "binary"
    assert data.schema.tasks[found].after is None
