"""Comparisons: a better method is ahead, equal ones are not, test rows choose nothing, and what is finished is kept."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest
import yaml

import motet
from motet.errors import DataError, MotetError, SchemaError, TrainingError
from motet.schema import Schema
from motet.training import only_run
from motet.training.compare import compare_methods

SCHEMA = """\
name: clicks
tables: {interactions: clicks.csv}
keys: {user: user, item: item, scenario: page}
features: {user: {user: id}, item: {item: id}}
tasks:
  click: {kind: binary, label: click}
  stars: {kind: regression, label: stars}
split: {by: random, train: 0.6, validation: 0.2}
model: {architecture: shared_bottom, width: 8, dropout: 0.0, id_dropout: 0.0}
training: {epochs: 4, batch_size: 64, learning_rate: 0.02}
"""
# it never learns: a planted loser
SLOW = {"architecture": "shared_bottom", "training.learning_rate": 1.0e-9}


def write(place: Path, *, seed: int = 0, rows: int = 900) -> Path:
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 30, rows), rng.integers(0, 12, rows)
    taste = 2 * rng.normal(size=(30, 1)) + rng.normal(size=(1, 12))
    value = taste[user, item % 12]
    place.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(
        {
            "user": user,
            "item": item,
            "page": rng.choice(["home", "search"], rows, p=[0.7, 0.3]),
            "click": (value + rng.logistic(size=rows) * 0.3 > 0).astype(int),
            "stars": (value + 0.3 * rng.normal(size=rows)).round(3),
        }
    ).write_csv(place / "clicks.csv")
    (place / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    return place


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "data")


def spec(data: Path, **parts: Any) -> dict[str, Any]:
    methods: dict[str, Any] = {"slow": SLOW, "shared_bottom": {}}
    base = {"schemas": str(data / "schema.yaml"), "methods": methods, "baseline": "slow", "seeds": [0, 1]}
    return base | parts


def files(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (out / "cells").glob("*.json")}


def without_costs(found: Mapping[str, Any]) -> Any:
    return {key: value for key, value in found.items() if key not in ("cost", "fit_s")}


@pytest.mark.slow
def test_a_better_method_is_ahead_and_equal_ones_are_not(data: Path, tmp_path: Path) -> None:
    methods = {
        "slow": SLOW,
        "shared_bottom": {},
        "twin": {"architecture": "shared_bottom", "training.checkpoint_s": 30.0},
        "lightgbm": None,
    }
    found = motet.compare(spec(data, methods=methods, metrics=["log_loss"]), data, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert content == json.loads(json.dumps(found.content))
    assert content["complete"]
    tasks = content["schemas"]["clicks"]["tasks"]
    assert list(tasks) == ["click", "stars"]
    for table in tasks.values():
        lines = table["methods"]
        assert lines["shared_bottom"]["verdict"] == "better"
        assert lines["shared_bottom"]["interval"][0] > 0
        assert lines["shared_bottom"]["p_holm"] >= lines["shared_bottom"]["p"]
        assert lines["twin"]["values"] == lines["shared_bottom"]["values"]
        assert lines["twin"]["rank"] == lines["shared_bottom"]["rank"]
        assert "difference" not in lines["slow"]
        assert set(table["scenarios"]) == {"home"}  # there are few rows of the other one
        assert "shared_bottom (+" in table["sentence"]
    loss = tasks["click"]["metrics"]["log_loss"]
    assert not loss["higher_is_better"]
    assert loss["methods"]["shared_bottom"]["difference"] < 0
    assert tasks["stars"]["metrics"] == {}
    ranks = content["mean_rank"]
    assert ranks["slow"] == max(ranks.values())
    costs = content["schemas"]["clicks"]["costs"]
    assert {"parameters", "embedding_parameters", "fit_s", "rows_per_s", "latency_ms", "peak_bytes"} == set(costs["slow"])  # fmt: skip
    assert costs["shared_bottom"]["latency_ms"] > 0
    assert costs["lightgbm"]["rows_per_s"] is None
    text = str(found)
    assert "shared_bottom" in text
    assert "p (Holm)" in text
    # beside its twin, nothing differs
    methods.pop("lightgbm")
    methods.pop("slow")
    same = motet.compare(spec(data, methods=methods, baseline="twin"), data, tmp_path / "out").content
    for name, table in same["schemas"]["clicks"]["tasks"].items():
        line = table["methods"]["shared_bottom"]
        assert (line["difference"], line["p_holm"], line["verdict"]) == (0.0, 1.0, "level")
        assert table["sentence"].startswith(f"{name} (")
        assert table["sentence"].endswith(": no method differs from twin beyond noise.")


def test_the_page_says_what_was_found_and_escapes_names(data: Path, tmp_path: Path) -> None:
    schema = SCHEMA.replace("name: clicks", "name: worlds & <b>").replace("click:", "'cl<i>ck':", 1)
    (data / "schema.yaml").write_text(schema)
    motet.compare(spec(data, seeds=[0]), data, tmp_path / "out")
    page = (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "cl&lt;i&gt;ck" in page
    for part in ("What differs beyond noise", "What it costs", "Synthetic data.", "synthetic data</span>", "One seed.", "<svg", "prefers-color-scheme: dark", "milliseconds for 1,000 candidates", "seconds of training"):  # fmt: skip
        assert part in page
    assert "http" not in page.replace("Content-Security", "").split("</style>")[1].replace("http-equiv", "")


def test_an_interrupted_comparison_goes_on_cell_by_cell(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def stop(what: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_methods(spec(data), data, out, progress=stop)
    before = files(out)
    assert len(before) == 2
    assert not list(out.glob("*.lock"))
    seen: list[int] = []
    whole = compare_methods(spec(data), data, out, progress=lambda what, done, total: seen.append(done))
    after = files(out)
    assert len(after) == 4
    assert {name: after[name] for name in before} == before  # not trained again
    # another seed is trained alone; the table of fewer seeds is still there for the asking
    compare_methods(spec(data, seeds=[0, 1, 2]), data, out)
    assert len(files(out)) == 6
    again = compare_methods(spec(data), data, out)
    assert again["schemas"] == whole["schemas"]
    # other data is other cells
    write(data, seed=1)
    compare_methods(spec(data, seeds=[0]), data, out)
    assert len(files(out)) == 8


@pytest.mark.slow
def test_equal_seeds_give_equal_cells_in_whatever_process(data: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    compare_methods(spec(data, trials=2), data, one)
    compare_methods(spec(data, trials=2, processes=2), data, two)
    assert set(files(one)) == set(files(two))
    assert sum(".trial" in name for name in files(one)) == 4
    for name in files(one):
        found = [json.loads((out / "cells" / name).read_text()) for out in (one, two)]
        assert without_costs(found[0]) == without_costs(found[1])
    for path in (one / "cells").glob("*.npz"):
        with np.load(path) as left, np.load(two / "cells" / path.name) as right:
            for key in left:
                np.testing.assert_array_equal(left[key], right[key])


@pytest.mark.slow
def test_test_rows_choose_nothing(data: Path, tmp_path: Path) -> None:
    """Labels of the test rows are shuffled: trials, choice and predictions stay as they are."""
    schema = Schema.load(data / "schema.yaml", ["split.by=column", "split.column=part"])
    frame = pl.read_csv(data / "clicks.csv")
    rng = np.random.default_rng(0)
    part = rng.choice(["train", "validation", "test"], len(frame), p=[0.6, 0.2, 0.2])
    frame = frame.with_columns(part=pl.Series(part))
    test = np.flatnonzero(part == "test")
    order = np.arange(len(frame))
    order[test] = rng.permutation(test)
    shuffled = frame.with_columns(frame[c].gather(order).alias(c) for c in ("click", "stars"))
    methods = {"slow": SLOW, "shared_bottom": {"search": {"training.learning_rate": [1e-4, 0.02, 0.05]}}}
    found = []
    for name, table in (("a", frame), ("b", shuffled)):
        content = compare_methods(
            spec(data, schemas=schema, methods=methods, trials=3), table, tmp_path / name
        )
        arrays: dict[str, dict[str, Any]] = {}
        for path in sorted((tmp_path / name / "cells").glob("*.npz")):
            with np.load(path) as kept:
                arrays[path.name.rsplit(".", 2)[0]] = {key: kept[key] for key in kept}
        found.append((content["schemas"]["clicks"], arrays))
    (first, given), (second, other) = found
    assert first["chosen"] == second["chosen"]
    assert len(first["chosen"]["shared_bottom"]["tried"]) == 3
    assert "training.learning_rate" in first["chosen"]["shared_bottom"]["tried"][1]["settings"]
    assert (
        "training.learning_rate" not in first["chosen"]["slow"]["tried"][1]["settings"]
    )  # set by the method
    assert given.keys() == other.keys()
    for name, kept_arrays in given.items():
        for key, array in kept_arrays.items():
            np.testing.assert_array_equal(array, other[name][key])
    values = [one["tasks"]["click"]["methods"]["shared_bottom"]["mean"] for one in (first, second)]
    assert values[0] > values[1] + 0.1  # the labels that it is measured by are others


def test_every_method_has_as_many_trials_and_the_first_is_as_it_is(data: Path, tmp_path: Path) -> None:
    methods = {"shared_bottom": {}, "mmoe": {"search": {"model.options.experts": [2, 3]}}, "lightgbm": {}}
    content = compare_methods(
        spec(data, methods=methods, baseline="shared_bottom", trials=3, seeds=[0]), data, tmp_path / "out"
    )
    chosen = content["schemas"]["clicks"]["chosen"]
    assert [len(one["tried"]) for one in chosen.values()] == [3, 3, 0]  # a plain method chooses by itself
    for name in ("shared_bottom", "mmoe"):
        tried = chosen[name]["tried"]
        assert tried[0]["settings"] == {}
        assert chosen[name]["score"] == max(one["score"] for one in tried)
        assert chosen[name]["settings"] == tried[chosen[name]["trial"]]["settings"]
        assert all("model.architecture" not in one["settings"] for one in tried)
    both = [chosen[name]["tried"][1]["settings"] for name in ("shared_bottom", "mmoe")]
    shared = set(both[0]) & set(both[1]) - {"model.options.hidden"}
    assert {path: both[0][path] for path in shared} == {path: both[1][path] for path in shared}


def test_the_time_is_over(data: Path, tmp_path: Path) -> None:
    content = compare_methods(spec(data, time_limit="0.001s"), data, tmp_path / "out")
    assert content["time_over"]
    assert not content["complete"]
    assert content["unfinished"]
    assert "Not complete" in (tmp_path / "out" / "compare.html").read_text()
    assert compare_methods(spec(data), data, tmp_path / "out")["complete"]


def test_a_second_run_in_the_same_place_is_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with only_run(out), pytest.raises(TrainingError, match=r"another run \(process \d+\) is writing"):
        compare_methods(spec(data), data, out)


@pytest.mark.soak
def test_a_process_that_dies_is_reported_and_its_cell_tried_again(data: Path, tmp_path: Path) -> None:
    """One of two processes is killed; the other goes on, another takes its place, and the next run does the rest."""
    slow = spec(data, processes=2)
    slow["methods"]["shared_bottom"] = {"training.epochs": 40, "training.patience": 40}
    killed: list[int] = []

    def kill(what: str, done: int, total: int) -> None:
        if not killed and "train" in what:
            child = workers()[0]
            killed.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)

    content = compare_methods(slow, data, tmp_path / "out", progress=kill)
    assert killed
    (failed,) = content["failed"]
    assert "was killed by signal 9" in failed["error"]
    assert "tries it again" in failed["cure"]
    assert not content["complete"]
    assert len(files(tmp_path / "out")) == 3
    assert compare_methods(slow, data, tmp_path / "out")["complete"]
    wait_until(lambda: not workers())


def workers() -> list[psutil.Process]:
    """Processes of a comparison; other tests may have left helpers of theirs."""
    every = psutil.Process().children()
    return [one for one in every if "training.compare" in " ".join(one.cmdline()[-1:])]


def wait_until(done: Callable[[], bool], limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_several_schemas_are_compared_together(data: Path, tmp_path: Path) -> None:
    write(tmp_path / "data" / "more", seed=5)
    schemas = [
        str(data / "schema.yaml"),
        {"path": str(data / "schema.yaml"), "data": "more", "name": "more", "training.epochs": 2},
    ]
    content = compare_methods(spec(data, schemas=schemas, seeds=[0]), data, tmp_path / "out")
    assert list(content["schemas"]) == ["clicks", "more"]
    lines = [t["methods"]["shared_bottom"] for s in content["schemas"].values() for t in s["tasks"].values()]
    assert len(lines) == 4
    least = min(lines, key=lambda line: line["p"])
    assert least["p_holm"] == pytest.approx(min(1.0, 4 * least["p"]))
    with pytest.raises(SchemaError, match="two schemas are called 'clicks'"):
        compare_methods(spec(data, schemas=[schemas[0], schemas[0]]), data, tmp_path / "out")


def test_rankings_and_tasks_without_users_are_compared(tmp_path: Path) -> None:
    data = write(tmp_path / "data")
    schema = Schema.load(
        data / "schema.yaml", ["tasks.next={kind: retrieval, positive: click = 1}", "model.retrieval_width=4"]
    )
    table = pl.read_csv(data / "clicks.csv").unique(["user", "item"], maintain_order=True)
    content = compare_methods(
        spec(data, schemas=schema, seeds=[0], metrics=["mrr"]), {"interactions": table}, tmp_path / "out"
    )
    found = content["schemas"]["clicks"]["tasks"]["next"]
    assert found["metric"] == "ndcg@10"
    assert found["drawn"] == "users"
    assert found["methods"]["shared_bottom"]["interval"] is not None
    assert found["metrics"]["mrr"]["methods"]["slow"]["mean"] > 0
    with pytest.raises(DataError, match=r"cannot be given to other processes.*processes: 1"):
        compare_methods(spec(data, schemas=schema, processes=2), {"interactions": table}, tmp_path / "out")


def test_lists_are_compared_in_each_scenario_too(tmp_path: Path) -> None:
    """In one scenario half of the items are sought, in the other one the other half; both halves by everybody alike."""
    rng, rows = np.random.default_rng(0), 3_000
    page, item = rng.integers(0, 2, rows), rng.integers(0, 40, rows)
    there = item % 2 == page
    table = pl.DataFrame(
        {
            "user": rng.integers(0, 150, rows),
            "item": item,
            "page": np.where(page == 1, "search", "home"),
            "click": (rng.random(rows) < np.where(there, 0.9, 0.1)).astype(int),
            "stars": rng.normal(size=rows),
        }
    )
    data = write(tmp_path / "data")
    next_item = "tasks.next={kind: retrieval, positive: click = 1}"
    schema = Schema.load(data / "schema.yaml", [next_item, "training.epochs=6"])
    out = tmp_path / "out"
    compare_methods(spec(data, schemas=schema, seeds=[0]), {"interactions": table}, out)
    found = json.loads((out / "compare.json").read_text())["schemas"]["clicks"]["tasks"]
    assert set(found["next"]["scenarios"]) == {"home", "search"}
    for of in found["next"]["scenarios"].values():
        # lists of no scenario in particular find half as much
        assert (
            of["methods"]["shared_bottom"]["mean"] > found["next"]["methods"]["shared_bottom"]["mean"] + 0.05
        )
        assert of["methods"]["shared_bottom"]["difference"] > 0.03
        assert 0 < of["rows"] < 150  # users with something to find
    for of in [of for table in found.values() for of in table["scenarios"].values()]:
        lines = sorted(of["methods"].values(), key=lambda line: -line["mean"])
        assert [line["rank"] for line in lines] == [1, 2]
    assert "NDCG@10 in scenario search" in (out / "compare.html").read_text(encoding="utf-8")


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"methds": {}}, "'methds' is not an option", "did you mean 'methods'?"),
    ({"seed": [0]}, "'seed' is not an option", "did you mean 'seeds'?"),
    ({"baseline": "slw"}, "the baseline 'slw' is no method", "did you mean 'slow'?"),
    ({"methods": {"slow": SLOW, "mmoee": {}}}, "'mmoee' changes nothing", "did you mean 'mmoe'?"),
    ({"methods": {"slow": SLOW, "x": {"architecture": "mmoee"}}}, "methods.x.architecture: the architecture 'mmoee'", "did you mean 'mmoe'?"),
    ({"methods": {"slow": SLOW, "mmoe": {"options": {"expert": 2}}}}, "methods.mmoe: ", "did you mean 'experts'?"),
    ({"methods": {"slow": SLOW, "mmoe": {"search": {"model.options.experts": [2, "many"]}}}}, "methods.mmoe: ", ""),
    ({"methods": {"slow": SLOW, "x": {"option": {}}}}, "'methods.x.option' is not an option", "did you mean 'options'?"),
    ({"methods": {"slow": SLOW, "x": {"learning_rate": 1}}}, "'methods.x.learning_rate' is not an option", "has a dot"),
    ({"methods": {"slow": SLOW, "x": {"training.epohs": 1}}}, "methods.x: settings: 'training.epohs'", "did you mean 'epochs'?"),
    ({"methods": {"slow": SLOW, "x": {"balancer": "uncertain"}}}, "methods.x: ", "uncertainty"),
    ({"methods": {"slow": SLOW, "x": {"balancer": "dwa", "balancer_options": {"temprature": 1}}}}, "methods.x: ", "temperature"),
    ({"methods": {"slow": SLOW, "x": {"split.by": "time"}}}, "'split.by' would give the method other rows", "for all methods"),
    ({"methods": {"slow": SLOW, "x": {"tasks.click.label": "stars > 0"}}}, "other rows or labels", "for all methods"),
    ({"methods": {"slow": SLOW, "x": {"training.seed": 3}}}, "is the seed, which all methods share", "seeds: [0, 1, 2]"),
    ({"methods": {"slow": SLOW, "ease": {}}}, "methods.ease: ", "retrieval"),
    ({"methods": {"slow": SLOW}}, "at least 2", ""),
    ({"seeds": [1, 1]}, "a seed stands twice", "[0, 1, 2]"),
    ({"time_limit": "soon"}, "'soon' is no time", "2h"),
    ({"metrics": ["aucc"]}, "the metric 'aucc' is not known", "did you mean 'auc'?"),
    ({"metrics": ["macro_ap"]}, "no task has the metric 'macro_ap'", "known:"),
    ({"schemas": [{"data": "x"}]}, "either a 'path' or 'inline'", "name its file"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "problem", "cure"), MISTAKES)
def test_a_wrong_comparison_is_refused_before_any_work(
    change: dict[str, Any], problem: str, cure: str, data: Path, tmp_path: Path
) -> None:
    path = data / "compare.yaml"
    path.write_text(yaml.safe_dump(spec(data) | {"schemas": "schema.yaml"} | change))
    with pytest.raises(MotetError) as caught:
        compare_methods(path, data, tmp_path / "out")
    assert problem in caught.value.problem
    assert cure in caught.value.cure
    assert str(path) in caught.value.problem
    assert not (tmp_path / "out").exists()


def test_data_is_checked_before_any_training(data: Path, tmp_path: Path) -> None:
    frame = pl.read_csv(data / "clicks.csv")
    frame.drop("stars").write_csv(data / "clicks.csv")
    with pytest.raises(DataError, match="stars"):
        compare_methods(spec(data), data, tmp_path / "out")
    frame.with_columns(stars=pl.lit(None, pl.Float64)).write_csv(data / "clicks.csv")
    with pytest.raises(MotetError, match="stars"):
        compare_methods(spec(data), data, tmp_path / "out")
    frame.write_csv(data / "clicks.csv")
    no_scenario = SCHEMA.replace(", scenario: page", "")
    (data / "schema.yaml").write_text(no_scenario)
    assert files(tmp_path / "out") == {}
    (tmp_path / "out" / "cells" / "x.json").write_text("{")  # another file there is no matter
    assert compare_methods(spec(data, seeds=[0]), data, tmp_path / "out")["complete"]


def test_a_damaged_cell_is_named(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    compare_methods(spec(data, seeds=[0]), data, out)
    predictions = next((out / "cells").glob("*.npz"))
    predictions.write_bytes(b"PK")
    with pytest.raises(TrainingError, match=r"missing or damaged.*remove .*\.json as well"):
        compare_methods(spec(data, seeds=[0]), data, out)
    cell = predictions.with_suffix(".json")
    cell.write_text("{")
    with pytest.raises(TrainingError, match=r"is damaged.*remove it"):
        compare_methods(spec(data, seeds=[0]), data, out)
    cell.unlink()
    assert compare_methods(spec(data, seeds=[0]), data, out)["complete"]


def test_a_method_that_diverges_is_reported_and_the_others_go_on(data: Path, tmp_path: Path) -> None:
    methods = {"slow": SLOW, "shared_bottom": {}, "wild": {"training.learning_rate": 1e30, "training.clip_norm": 0}}  # fmt: skip
    content = compare_methods(spec(data, methods=methods, seeds=[0], trials=1), data, tmp_path / "out")
    assert {one["cell"] for one in content["failed"]} >= {"clicks, wild, trial 0"}
    assert set(content["schemas"]["clicks"]["tasks"]["click"]["methods"]) == {"slow", "shared_bottom"}
    assert "wild, trial 0: the" in (tmp_path / "out" / "compare.html").read_text()
