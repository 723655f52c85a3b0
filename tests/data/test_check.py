from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from motet.data import DataReport, check_data
from motet.errors import DataError
from motet.schema import Schema

N = 2_000
RNG = np.random.default_rng(7)
LABEL = RNG.integers(0, 2, N)
RARE = (RNG.random(N) < 0.03).astype(int)
NUMBER = RNG.normal(size=N).round(4)
CLASS = RNG.choice(["a", "b", "c"], N)

Check = Callable[..., DataReport]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Check a table of one feature, on the interaction or on the item, and one task."""

    def run(
        values: Any, feature: Any, label: Any, task: str = "binary", *, on: str = "interaction"
    ) -> DataReport:
        content: dict[str, Any] = {
            "name": "planted",
            "tables": {"interactions": "x.csv"},
            "features": {on: {"planted": feature}},
            "tasks": {"y": {"kind": task, "label": "y", "on": on}},
            "split": {"by": "random"},
        }
        table = pl.DataFrame({"planted": values, "y": label})
        if on == "item":
            table.with_columns(item=pl.arange(N)).write_csv(tmp_path / "items.csv")
            content["tables"]["items"], content["keys"] = "items.csv", {"item": "item"}
            content["tasks"]["click"] = {"kind": "binary", "label": "click"}
            table = pl.DataFrame({"item": np.arange(N), "click": RNG.integers(0, 2, N)})
        table.write_csv(tmp_path / "x.csv")
        return check_data(Schema.parse(content), tmp_path)

    return run


def noisy(label: Any, share: float) -> Any:
    flip = RNG.random(N) < share
    return np.where(flip, RNG.permutation(label), label)


@pytest.mark.parametrize(
    ("values", "feature", "label", "task"),
    [
        pytest.param(LABEL, "categorical", LABEL, "binary", id="a copy"),
        pytest.param(np.where(LABEL, "no", "yes"), "categorical", LABEL, "binary", id="a copy in words"),
        pytest.param(noisy(LABEL, 0.02), "categorical", LABEL, "binary", id="a near copy"),
        pytest.param(RARE, "categorical", RARE, "binary", id="a copy of a rare label"),
        pytest.param(LABEL + RNG.normal(0, 0.01, N), "numeric", LABEL, "binary", id="a number that tells"),
        pytest.param([1.5 if y else None for y in LABEL], "numeric", LABEL, "binary", id="missing unless"),
        pytest.param([f"refund {k}" if y else None for k, y in enumerate(LABEL)], "text", LABEL, "binary", id="a text that is there only then"),
        pytest.param(["x|late" if y else "x" for y in LABEL], "tags", LABEL, "binary", id="a tag"),
        pytest.param(NUMBER * 2 + 1, "numeric", NUMBER, "regression", id="a scaled number"),
        pytest.param(NUMBER + RNG.normal(0, 0.05, N), "numeric", NUMBER, "regression", id="a noisy number"),
        pytest.param(CLASS, "categorical", CLASS, "multiclass", id="a class"),
    ],
)  # fmt: skip
def test_planted_leaks_are_found(values: Any, feature: str, label: Any, task: str, check: Check) -> None:
    leaks = check(values, feature, label, task).leaks
    assert [(leak.feature, leak.task) for leak in leaks] == [("planted", "y")]
    assert 0.95 <= leaks[0].explained <= 1


@pytest.mark.parametrize("on", ["interaction", "item"])
def test_leaks_on_items_are_found_like_those_on_interactions(on: str, check: Check) -> None:
    assert [leak.feature for leak in check(CLASS, "categorical", CLASS, "multiclass", on=on).leaks] == [
        "planted"
    ]
    assert not check(RNG.permutation(CLASS), "categorical", CLASS, "multiclass", on=on).leaks


@pytest.mark.parametrize(
    ("values", "feature", "label", "task"),
    [
        pytest.param(RNG.integers(0, 5, N), "categorical", LABEL, "binary", id="chance"),
        pytest.param(noisy(LABEL, 0.4), "categorical", LABEL, "binary", id="a strong feature"),
        pytest.param(RNG.integers(0, N // 2, N), "categorical", LABEL, "binary", id="many values"),
        pytest.param(RNG.integers(0, N // 2, N), "categorical", RARE, "binary", id="many values, rare label"),
        pytest.param([f"order {k}" for k in range(N)], "categorical", LABEL, "binary", id="one a row"),
        pytest.param(RNG.normal(size=N), "numeric", LABEL, "binary", id="a number"),
        pytest.param(RNG.normal(size=N), "numeric", RARE, "binary", id="a number, rare label"),
        pytest.param(NUMBER + RNG.normal(size=N), "numeric", NUMBER, "regression", id="a strong number"),
        pytest.param(RNG.integers(0, N // 2, N), "categorical", NUMBER, "regression", id="many values, number"),
        pytest.param([f"text {k}" for k in range(N)], "text", LABEL, "binary", id="a text a row"),
    ],
)  # fmt: skip
def test_honest_columns_are_left_in_peace(
    values: Any, feature: str, label: Any, task: str, check: Check
) -> None:
    assert check(values, feature, label, task).leaks == []


def test_the_report_tells_what_the_files_hold(tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "user": ["a", "b", "a", "a"] * 10,
            "place": ["home", "home", "away", "home"] * 10,
            "when": [1_700_000_000 + k // 2 for k in range(40)],
            "price": [1.0, None, 3.0, 400.0] * 10,
            "click": [0, 1, None, 1] * 10,
            "idle": ["[bold]x"] * 40,
        }
    ).write_csv(tmp_path / "x.csv")
    schema = Schema.parse(
        {
            "name": "small",
            "tables": {"interactions": "x.csv"},
            "keys": {"user": "user", "time": "when", "scenario": "place"},
            "features": {"interaction": {"price": {"kind": "numeric", "range": [0, 100]}}, "user": {"user": "id"}},
            "tasks": {"click": {"kind": "binary", "label": "click"}},
            "split": {"by": "time"},
        }
    )  # fmt: skip
    seen: list[str] = []
    report = check_data(schema, tmp_path, progress=lambda what, done, total: seen.append(what))
    assert "reading x.csv" in seen
    columns = {c.column: c for c in report.columns}
    assert columns["price"].missing == 10
    assert (columns["price"].low, columns["price"].high) == ("1.0", "400.0")
    assert columns["price"].used == ("feature price",)
    assert columns["idle"].used == ()
    assert columns["user"].used == ("keys.user", "feature user")
    assert report.rows == {"train": 32, "validation": 4, "test": 4, "unused": 0}
    assert (report.users, report.items) == (2, 0)
    assert report.labels["click"] == {
        "kind": "binary",
        "labelled": 30,
        "missing": 10,
        "mean": pytest.approx(2 / 3),
    }
    assert report.scenarios["home"] == {"rows": 30, "click": pytest.approx(2 / 3)}
    assert report.scenarios["away"] == {"rows": 10, "click": None}
    assert report.cleaning == ["x.csv.price: outside 0 to 100 in 10 rows: taken as missing"]
    assert json.loads(json.dumps(report.to_json()))["users"] == 2


def test_what_training_could_not_read_check_cannot_either(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("click,price\n1,cheap\n0,2\n1,3\n0,4\n")
    content = {
        "name": "small",
        "tables": {"interactions": "x.csv"},
        "features": {"interaction": {"price": "numeric"}},
        "tasks": {"click": {"kind": "binary", "label": "click"}},
        "split": {"by": "random"},
    }
    with pytest.raises(
        DataError, match=r"x\.csv, column 'price', data row 1: the value 'cheap' is not a number"
    ):
        check_data(Schema.parse(content), tmp_path)
