from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import motet
from motet.data import Dataset
from motet.errors import TrainingError
from motet.testing import toy_dataset
from motet.training import TaskAffinity, load_data, task_affinity


@pytest.fixture(scope="module")
def two_worlds(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Four yes-or-no tasks: two say, with some noise, what one hidden taste says, and two what another says."""
    rng = np.random.default_rng(0)
    users, items, rows = 30, 30, 3000
    u, i = rng.integers(0, users, rows), rng.integers(0, items, rows)
    labels = {}
    for world in ("left", "right"):
        of_user, of_item = rng.choice([-1, 1], users), rng.choice([-1, 1], items)
        taste = (of_user[u] * of_item[i] + 1) // 2
        for task in ("one", "two"):
            labels[f"{world}_{task}"] = np.where(rng.random(rows) < 0.05, 1 - taste, taste)
    order = ["left_one", "right_one", "left_two", "right_two"]
    frame = pl.DataFrame({"user": u, "item": i, **{name: labels[name] for name in order}})
    directory = tmp_path_factory.mktemp("worlds")
    frame.write_parquet(directory / "rows.parquet")
    schema = motet.Schema.parse(
        {
            "name": "two-worlds",
            "tables": {"interactions": "rows.parquet"},
            "keys": {"user": "user", "item": "item"},
            "features": {"user": {"user": "id"}, "item": {"item": "id"}},
            "tasks": {name: {"kind": "binary", "label": name} for name in order},
            "split": {"by": "random"},
            "model": {"architecture": "shared_bottom", "width": 8, "id_dropout": 0, "dropout": 0},
            "training": {"learning_rate": 0.01, "batch_size": 256},
        }
    )
    return load_data(schema, directory).data


def test_two_planted_groups_are_found(two_worlds: Dataset) -> None:
    found = task_affinity(two_worlds, steps=60, every=3)
    assert found.measured == 20
    same = np.array([[0, 2], [1, 3]])
    within = [found.matrix[i, j] for pair in same for i, j in itertools.permutations(pair, 2)]
    across = [found.matrix[i, j] for i in same[0] for j in same[1]]
    across += [found.matrix[j, i] for i in same[0] for j in same[1]]
    assert min(within) > max(across)
    assert min(within) > 0
    assert set(found.groups(2)) == {("left_one", "left_two"), ("right_one", "right_two")}


def test_measuring_changes_nothing(two_worlds: Dataset) -> None:
    """The affinities of step 8 are the same whether or not step 4 was measured on the way."""
    schema = two_worlds.schema.with_overrides("training.schedule=constant", "training.warmup=0")

    def total(steps: int, every: int) -> NDArray[np.float64]:
        found = task_affinity(two_worlds, schema=schema, steps=steps, every=every)
        return found.matrix * found.measured

    np.testing.assert_allclose(total(9, 8) - total(1, 8), total(9, 4) - total(5, 4), atol=1e-9)


def test_every_kind_of_task_has_a_row() -> None:
    data = toy_dataset(rows=300)
    found = task_affinity(data, steps=3, every=1)
    assert found.matrix.shape == (len(data.schema.tasks),) * 2
    assert np.isfinite(found.matrix).all()
    # a small step on a task lowers its own loss
    assert (np.diagonal(found.matrix) > 0).mean() > 0.7


def partitions(places: list[int]) -> list[list[list[int]]]:
    if not places:
        return [[]]
    first, rest = places[0], partitions(places[1:])
    return [[[first], *one] for one in rest] + [
        [*one[:k], [first, *one[k]], *one[k + 1 :]] for one in rest for k in range(len(one))
    ]


def test_the_grouping_is_the_best_of_all() -> None:
    names = ("a", "b", "c", "d", "e")
    for seed in range(10):
        found = TaskAffinity(names, np.random.default_rng(seed).standard_normal((5, 5)), 1)

        def worth(groups: Iterable[tuple[str, ...]], found: TaskAffinity = found) -> float:
            return sum(found.gain(group) for group in groups)

        for number in range(1, 6):
            named = [
                [tuple(names[k] for k in group) for group in one]
                for one in partitions(list(range(5)))
                if len(one) == number
            ]
            assert worth(found.groups(number)) == pytest.approx(max(worth(one) for one in named))


def test_what_cannot_be_grouped() -> None:
    few, many = (TaskAffinity(tuple(map(str, range(n))), np.zeros((n, n)), 1) for n in (3, 13))
    with pytest.raises(TrainingError, match=r"3 tasks cannot make 4 groups. Cure: choose 1 to 3"):
        few.groups(4)
    with pytest.raises(TrainingError, match="at most 12"):
        many.groups(2)
