"""Benchmarks take all their parts when none is named, as `make benchmark-NAME` calls them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motet.testing import toy_dataset


@pytest.mark.parametrize("name", ["quality", "tuning"])
@pytest.mark.parametrize(("named", "run"), [((), ["a", "b"]), (("b",), ["b"])])
def test_parts(name: str, named: tuple[str, ...], run: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    module: Any = importlib.import_module(f"benchmarks.{name}")
    ran: list[str] = []
    parts = {part: lambda *given, part=part: ran.append(part) for part in ("a", "b")}
    monkeypatch.setattr(module, "PARTS", parts)
    for printed in ("_print", "show", "summary", "say"):
        monkeypatch.setattr(module, printed, lambda *given: None, raising=False)
    monkeypatch.setattr(sys, "argv", [name, *named, "--seeds", "0"])
    module.main()
    assert ran == run


@pytest.fixture
def measures(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    return importlib.import_module("benchmarks._default_measures")


def test_the_interval_is_over_users_and_seeds(measures: Any) -> None:
    rng = np.random.default_rng(0)
    of_users = rng.normal(0, 0.01, 400)
    one = measures.two_level_interval([of_users.tolist()])
    half = 1.959964 * of_users.std(ddof=1)
    np.testing.assert_allclose(one, [of_users.mean() - half, of_users.mean() + half], atol=1e-6)
    # seeds that agree leave the interval of users as it is: the same users stand behind all of them
    np.testing.assert_allclose(measures.two_level_interval([of_users.tolist()] * 5), one, atol=1e-3)
    apart = measures.two_level_interval([(of_users + shift).tolist() for shift in (-0.1, 0.0, 0.1)])
    assert apart[0] < -0.2  # Student's t with two degrees of freedom
    assert apart[1] > 0.2
    assert measures.two_level_interval([None, None]) is None
    assert measures.two_level_interval([None, of_users.tolist()]) == one


def test_draws_are_of_users_with_all_their_rows(measures: Any) -> None:
    # one user's rows all gain and the other's all lose: a draw of rows would know the mean far better
    gains = np.repeat([1.0, -1.0], 500)
    by_user = measures.drawn_means(gains, np.repeat([0, 1], 500))
    assert set(by_user) == {1.0, 0.0, -1.0}
    assert np.std(measures.drawn_means(gains, None)) < 0.1
    assert by_user == measures.drawn_means(gains, np.repeat([0, 1], 500))


@pytest.mark.parametrize(
    ("shift", "verdict", "last"),
    [(0.02, "ahead", "1 ahead"), (0.0, "level", "1 level"), (-0.02, "**behind**", "**1 behind**")],
)
def test_the_table_says_who_is_ahead(shift: float, verdict: str, last: str, measures: Any) -> None:
    table: Any = importlib.import_module("benchmarks._default_table")
    draws = (np.random.default_rng(1).normal(0, 0.005, 400) + shift).tolist()
    fact = {"metric": "auc", "users": True, "network": 0.7, "best": "lightgbm", "best_value": 0.75}
    fact |= {"ours": 0.75 + shift, "draws": draws, "deviation": None}
    cells = [{"set": "adult", "seed": seed, "train_s": 12.0, "tasks": {"income": fact}} for seed in (0, 1)]
    lines = table.defaults_table(cells).splitlines()
    assert len(lines) == 5
    assert lines[2].split(" | ")[-2:] == [verdict, "12 |"]
    assert f"{shift:+.4f} [" in lines[2]
    assert last in lines[-1]
    widths = {line.count("|") for line in lines[:3]}
    assert len(widths) == 1


def test_events_see_what_came_strictly_before(measures: Any) -> None:
    data = toy_dataset(rows=300)
    events = measures.events_of(data, "test")
    assert events is not None
    name = data.schema.retrieval_task
    for at, row in enumerate(events.rows):
        mine = (data.user_row == data.user_row[row]) & (data.time < data.time[row])
        liked = mine & (data.label(str(name), np.arange(len(data))) > 0)
        assert sorted(events.had.take(np.array([at])).values) == sorted(data.item_row[liked])
        assert data.item_row[row] not in events.out.take(np.array([at])).values
    right = np.zeros((len(events.rows), len(data.items)), np.float32)
    right[np.arange(len(right)), data.item_row[events.rows]] = 1
    gains = measures.event_gains(data, events, lambda rows, had: {"right": right, "flat": 0 * right})
    assert gains["right"]["ndcg@10"].mean() == 1
    assert gains["flat"]["ndcg@10"].mean() < 1


@pytest.fixture
def scenarios(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    return importlib.import_module("benchmarks.scenarios")


def test_a_new_scenario_is_in_the_test_alone_and_the_truth_is_of_its_rows(
    scenarios: Any, tmp_path: Path
) -> None:
    field = scenarios.field_of("new", 3000, tmp_path)
    data = field.data
    assert "checkout" not in data.encoder.scenarios
    assert not (data.scenario[data.rows("train")] == 0).any()
    new = data.scenario[data.rows("test")] == 0
    assert 0.15 < new.mean() < 0.35
    labels = data.label("click", data.rows("test"))
    assert abs(float(field.truth.mean()) - float(labels.mean())) < 0.05
    assert scenarios.auc_of(data, data.rows("test"), field.truth, None) > 0.7


def test_methods_for_scenarios_are_compared_cell_by_cell(scenarios: Any, tmp_path: Path) -> None:
    assert {"star", "hamur", "scenario_towers"} <= set(scenarios.METHODS)
    field = scenarios.field_of("strong", 2000, tmp_path)
    quick = field.schema.with_overrides("training.epochs=1")
    alike = field.control[0].with_overrides("training.epochs=1")
    field = scenarios.Field(field.source, quick, field.data, (alike, field.control[1]), field.truth)
    cells = {
        m: [scenarios.kept(tmp_path, "strong", m, 0, field, 2000)]
        for m in ("scenario_towers", "star", "star, control")
    }
    again = scenarios.kept(tmp_path, "strong", "star", 0, field, 2000)
    assert again[0] == cells["star"][0][0]  # from the cache
    baseline, star = scenarios.compared(field, cells)
    assert baseline["best"] == star["best"] == "scenario_towers"
    assert set(star["slices"]) == {"all", "feed", "search", "checkout"}
    assert star["control"]["auc"] != star["slices"]["all"]["auc"]
    assert len(star["control"]["interval"]) == 2
    low, high = star["slices"]["all"]["interval"]
    assert low < high
    table = scenarios.table_of(field, [baseline, star])
    assert "**scenario_towers**" in table
    assert "the truth" in table
