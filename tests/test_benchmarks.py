"""Benchmarks take all their parts when none is named, as `make benchmark-NAME` calls them."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from motet.models.architectures import ARCHITECTURES
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


@pytest.mark.usefixtures("measures")
def test_what_a_baseline_says_is_read_as_it_was_written(tmp_path: Path) -> None:
    rival: Any = importlib.import_module("benchmarks.defaults").Rival
    answers = {"like": np.array([0.25, 0.5], np.float32), "next": np.array([1.0, 0.0])}
    for by_events, events in ((0.125, {"ndcg@10": np.array([0.5]), "hr@10": np.array([1.0])}), (None, {})):
        one = rival({"like": 0.7}, {"like": 0.6}, by_events, answers, events)
        one.save(tmp_path / "set-ease.npz")
        two = rival.load(tmp_path / "set-ease.npz")
        assert (two.chosen_by, two.values, two.chosen_by_events) == ({"like": 0.7}, {"like": 0.6}, by_events)
        for before, after in ((answers, two.answers), (events, two.events)):
            assert {n: (v.dtype, v.tolist()) for n, v in after.items()} == {n: (v.dtype, v.tolist()) for n, v in before.items()}  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["set-ease.npz"]


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


@pytest.mark.slow
def test_methods_of_the_data_are_measured_cell_by_cell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first and the last method of each part, with few rows and one epoch."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    module: Any = importlib.import_module("benchmarks.data_methods")
    for part, methods in module.METHODS.items():
        for changes in methods.values():
            module.tables(part, 10)[0].with_overrides(*changes)
    few = {
        part: {name: of[name] for name in (next(iter(of)), list(of)[-1])}
        for part, of in module.METHODS.items()
    }
    monkeypatch.setattr(module, "METHODS", few)
    cells = tmp_path / "cells.json"

    def ran(*words: str) -> list[str]:
        given = ("data_methods", *words, "--seeds", "0", "--cells", str(cells))
        monkeypatch.setattr(sys, "argv", list(given))
        module.main()
        return capsys.readouterr().out.splitlines()

    adult = ("resampling", "gates", "--rows", "4000", "--epochs", "1")
    assert "4 cells are left" in ran(*adult, "--seconds", "0")[-1]
    lines = ran(*adult)
    found = json.loads(cells.read_text())
    assert list(found) == [
        f"{part}:{name}:0:1:4000" for part in ("resampling", "gates") for name in few[part]
    ]
    metrics = found["resampling:as it is:0:1:4000"]["metrics"]
    assert 0.5 < metrics["never_married auc"]["value"] < 1
    said = [line.split(" | ") for line in lines if line.startswith("| smote, ratio 0.2 | ")]
    assert [len(line) for line in said] == [7]
    assert re.search(r"^0\.\d{4} \([+-]0\.\d{4}: [+-]0\.\d{4} to [+-]0\.\d{4}\)$", said[0][2])
    ran("vectors", "texts", "versions", "--rows", "150", "--epochs", "1")
    found = json.loads(cells.read_text())
    assert len(found) == 8
    assert found["texts:mask 0.15:0:1:150"]["note"] == "384"
    monkeypatch.setattr(module, "run", None)
    assert ran(*adult) == lines  # from the file


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


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    return importlib.import_module("benchmarks.zoo")


def test_every_architecture_is_in_the_zoo(zoo: Any) -> None:
    compared = {method for name in zoo.ZOO for method in zoo.methods_of(name)}
    networks = {
        name for name, (kind, _) in ARCHITECTURES.items() if kind.about and kind.about.family != "plain"
    }
    assert compared == networks | {zoo.GATED}
    for name, of in zoo.ZOO.items():
        assert (zoo.GATED in zoo.methods_of(name)) == bool(of.scenario)


def test_the_zoo_is_compared_cell_by_cell_within_its_hours(
    zoo: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["world-strong", "--quick", "--rows", "600", "--seeds", "0", "--methods", "linear", "star"]
    given += ["--cache", str(tmp_path)]
    zoo.main([*given, "--hours", "0"])
    assert "world-strong: left out, the 0 hours are spent" in capsys.readouterr().err
    zoo.main([*given, "--json", str(tmp_path / "found.json")])
    (cells,) = tmp_path.glob("*/cells")
    first = {path: path.stat().st_mtime_ns for path in cells.glob("*.json")}
    assert len(first) == 3
    assert 0 < zoo.spent_s(tmp_path) < 600
    out = capsys.readouterr().out
    (head,) = [line for line in out.splitlines() if line.startswith("| method ")]
    lines = [line for line in out.splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == ["shared_bottom", "linear", "star"]
    assert {line.count("|") for line in lines} == {head.count("|")}
    assert "than `shared_bottom`" in out or "no method differs from `shared_bottom` beyond noise" in out
    zoo.main(given)
    assert {
        path: path.stat().st_mtime_ns for path in cells.glob("*.json")
    } == first  # nothing is trained twice


def test_p_values_of_the_zoo_are_corrected_over_all_sets(zoo: Any) -> None:
    def content(p: float) -> dict[str, Any]:
        lines = {"shared_bottom": {}, "mmoe": {"p": p, "difference": 0.01}}
        return {"schemas": {"x": {"tasks": {"click": {"methods": lines}}}}}

    contents = {"a": content(0.03), "b": content(0.04)}
    zoo.correct_over_sets(contents)
    (first, second) = (c["schemas"]["x"]["tasks"]["click"]["methods"]["mmoe"] for c in contents.values())
    assert (first["p_holm"], second["p_holm"]) == (0.06, 0.06)
    assert first["verdict"] == "level"


def test_sets_of_the_zoo_keep_all_rows_of_a_user(zoo: Any) -> None:
    sets: Any = importlib.import_module("benchmarks._zoo_sets")
    events = pl.DataFrame({"user": [k % 40 for k in range(1000)], "row": range(1000)})
    few = sets.sampled(events, "user", 200)
    assert 150 <= len(few) <= 200
    assert few["user"].value_counts()["count"].to_list() == [25] * few["user"].n_unique()
    assert few["row"].is_sorted()
    assert few.equals(sets.sampled(events, "user", 200))
    assert len(sets.sampled(events, None, 200)) == 200


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    return importlib.import_module("benchmarks.peers_methods")


def test_methods_beside_those_of_peers(
    peers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    n, users, items = 600, 20, 12
    user, item = rng.integers(users, size=n), rng.integers(items, size=n)
    stars = 1 + (user + item + rng.integers(2, size=n)) % 5
    frame = pl.DataFrame(
        {"row": np.arange(n, dtype=np.uint32), "timestamp": rng.permutation(n)}
        | {name: (user % (7 + k)).astype(str) for k, name in enumerate(peers.USER)}
        | {name: (item % (5 + k)).astype(str) for k, name in enumerate(peers.ITEM)}
        | {"user_id": user.astype(str), "item_id": item.astype(str), "hour": (np.arange(n) % 3).astype(str)}
        | {task: (stars >= least).astype(np.int8) for task, least in peers.TASKS.items()}
    )
    frame = peers.with_parts(frame)
    monkeypatch.setattr(peers, "films", lambda rows: frame)
    data = peers.coded(frame)
    assert sum(len(rows) for rows in data.parts.values()) == n
    for name, codes in data.columns.items():
        assert codes.max() < data.sizes[name]
        assert (codes[data.parts["train"]] > 0).all()  # 0 is for what training rows do not have
    times = frame.group_by("user_id", "part").agg(
        first=pl.col("timestamp").min(), last=pl.col("timestamp").max()
    )
    train, test = (times.filter(pl.col("part") == part).sort("user_id") for part in ("train", "test"))
    assert (train["last"].to_numpy() < test["first"].to_numpy()).all()
    given = [
        "--libraries",
        "motet",
        "--methods",
        "shared_bottom",
        "ple",
        "--epochs",
        "1",
        "--cache",
        str(tmp_path),
    ]
    peers.main(given)
    out = capsys.readouterr().out
    peers.main(given)  # from the cache
    assert capsys.readouterr().out == out
    lines = [line for line in out.splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == ["shared_bottom", "ple"]
    assert len(list(tmp_path.glob("*.npy"))) == 4


def test_a_peer_is_measured_by_its_difference_to_motet(peers: Any) -> None:
    rng = np.random.default_rng(0)
    n = 4000
    labels = rng.integers(2, size=(n, 2)).astype(np.float32)
    frame = pl.DataFrame(
        {
            "user_id": (np.arange(n) // 20).astype(str),
            "part": ["test"] * n,
            "like": labels[:, 0],
            "love": labels[:, 1],
        }
    )

    def cell(library: str, seed: int, noise: float) -> dict[str, Any]:
        predictions = labels + noise * rng.standard_normal((n, 2)).astype(np.float32)
        of = {"library": library, "name": library, "method": "mmoe", "seed": seed}
        return of | {"rows": 10, "train_s": 2.0, "parameters": 7, "predictions": predictions}

    cells = [
        cell(library, seed, noise) for seed in (0, 1) for library, noise in (("motet", 1.0), ("FuxiCTR", 2.0))
    ]
    own, other = peers.table_of(frame, cells).splitlines()[2:]
    assert "[" not in own
    assert other.startswith("| `mmoe` | FuxiCTR | 0.6")
    differences = [float(one) for one in re.findall(r", (-0\.\d+) \[-", other)]
    # normal noise of deviation s leaves an AUC of Φ(1 / (s·√2)): 0.760 for 1 and 0.638 for 2
    np.testing.assert_allclose(differences, [-0.122, -0.122], atol=0.03)
    assert other.count("p 0.0") == 2
