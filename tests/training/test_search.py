"""The search over settings: never worse than the schema, blind to test rows, resumable, and over in time."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import motet
from motet.cli import main
from motet.data import SPLIT_CODES, Dataset
from motet.errors import MissingExtraError, TrainingError
from motet.evaluation import primary_values, score_of
from motet.schema import Schema
from motet.training import (
    ModelPredictor,
    SearchResult,
    SearchSettings,
    chosen_line,
    search_settings,
    train,
)

HOUR = 3600.0


def clicks_with_taste(rows: int = 1200) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    user, item = rng.integers(0, 30, rows), rng.integers(0, 20, rows)
    taste = rng.normal(size=(30, 3)) @ rng.normal(size=(3, 20))
    return pl.DataFrame(
        {
            "user": user,
            "item": item,
            "at": np.arange(rows) * 60 + 1_700_000_000,
            "click": (taste[user, item] + 0.3 * rng.normal(size=rows) > 0).astype(int),
        }
    )


@pytest.fixture
def content(clicks: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return clicks(
        model={"architecture": "shared_bottom", "width": 4, "members": []},
        training={"epochs": 3, "batch_size": 64, "learning_rate": 0.01},
    )


@pytest.fixture
def data(build: Any, content: dict[str, Any]) -> Dataset:
    found: Dataset = build(content, {"clicks.csv": clicks_with_taste()})
    return found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    clicks_with_taste().write_csv(tmp_path / "data" / "clicks.csv")
    return tmp_path


def other(data: Dataset, *changes: str) -> Dataset:
    return replace(data, schema=data.schema.with_overrides(*changes))


def searched(data: Dataset, place: Path, trials: int, **options: Any) -> SearchResult:
    return search_settings(data, SearchSettings(HOUR, trials), place, **options)


def without_times(report: dict[str, Any]) -> dict[str, Any]:
    trials = [{k: v for k, v in trial.items() if k != "elapsed_s"} for trial in report["trials"]]
    return {k: v for k, v in report.items() if k != "elapsed_s"} | {"trials": trials}


@pytest.mark.parametrize(
    ("said", "time_s"), [("90s", 90), ("20m", 1200), ("1.5h", 5400), (" 2 m ", 120), ("45", 45), (30, 30)]
)
def test_durations(said: str | float, time_s: float) -> None:
    assert SearchSettings.parse(said).time_s == time_s


@pytest.mark.parametrize("said", ["soon", "0m", "-5m", "20 minutes", "", "inf", "1h30m"])
def test_what_is_no_duration(said: str) -> None:
    with pytest.raises(TrainingError, match="the time of the search") as caught:
        SearchSettings.parse(said)
    assert SearchSettings.parse(caught.value.cure.split("--search ")[1]).time_s == 1200


def test_it_is_never_worse_than_the_schema_and_says_what_it_chose(data: Dataset, tmp_path: Path) -> None:
    found = searched(data, tmp_path / "s", 6)
    report = found.report
    assert [trial["trial"] for trial in report["trials"]] == list(range(6))
    assert report["ended"] == "trials"
    complete = [trial["score"] for trial in report["trials"] if trial["state"] == "complete"]
    assert report["best"]["score"] == max(complete)
    assert report["default"]["score"] == report["trials"][0]["score"]
    assert report["gain"] == report["best"]["score"] - report["default"]["score"] >= 0
    predictor = ModelPredictor(found.trained.model, data, known="train")
    assert score_of(data.schema, primary_values(data, predictor)) == report["best"]["score"]
    values = found.data.schema.model_dump(mode="json")
    for path, choice in report["chosen"].items():
        node: Any = values
        for step in path.split("."):
            node = node[step]
        assert node == choice["value"] != choice["was"], path
    assert found.data.encoder.schema == found.data.schema


def test_trial_0_is_the_schema_as_it_is(data: Dataset, tmp_path: Path) -> None:
    found = searched(data, tmp_path / "s", 1)
    assert found.data.schema == data.schema
    assert found.report["chosen"] == {}
    assert found.report["gain"] == 0
    assert "none is better than the settings of the schema" in chosen_line(found.report)


@pytest.mark.parametrize("rate", ["1e-6", "3.0"])
def test_a_bad_setting_is_found_out(rate: str, data: Dataset, tmp_path: Path) -> None:
    found = searched(other(data, f"training.learning_rate={rate}"), tmp_path / "s", 8)
    assert found.report["gain"] > 0.1
    assert 1e-4 <= found.report["chosen"]["training.learning_rate"]["value"] <= 3e-2
    assert found.report["chosen"]["training.learning_rate"]["was"] == float(rate)
    assert found.report["best"]["test_score"] > found.report["default"]["test_score"] + 0.05


def test_a_schema_that_diverges_is_left_behind(data: Dataset, tmp_path: Path) -> None:
    bad = other(data, "training.learning_rate=1e30", "training.clip_norm=0")
    found = searched(bad, tmp_path / "s", 12)
    assert found.report["trials"][0]["state"] == "diverged"
    assert found.report["default"]["score"] is found.report["gain"] is None
    assert found.report["best"]["score"] > 0.5
    assert "diverged" in chosen_line(found.report)
    with pytest.raises(TrainingError, match="no trial of the search gave finite predictions") as caught:
        searched(bad, tmp_path / "t", 1)
    assert "lower training.learning_rate" in caught.value.cure
    assert searched(other(bad, "training.learning_rate=0.01"), tmp_path / "t", 1).report["best"]["score"] > 0


def test_bad_trials_are_given_up(data: Dataset, tmp_path: Path) -> None:
    report = searched(other(data, "training.epochs=6"), tmp_path / "s", 14).report
    pruned = [trial for trial in report["trials"] if trial["state"] == "pruned"]
    assert pruned
    assert all(1 < trial["validations"] <= 6 for trial in pruned)
    assert max(trial["score"] for trial in pruned) < report["best"]["score"]


def test_test_rows_are_not_looked_at(data: Dataset, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 2, data.labels.shape).astype(np.float32)
    is_test = (data.split == SPLIT_CODES["test"])[:, None]
    spoilt = replace(data, labels=np.where(is_test, noise, data.labels))
    low = "training.learning_rate=1e-6"
    one, two = (searched(other(d, low), tmp_path / n, 6).report for d, n in ((data, "one"), (spoilt, "two")))
    assert one["trials"][-1]["settings"] == two["trials"][-1]["settings"]
    assert [t["score"] for t in one["trials"]] == [t["score"] for t in two["trials"]]
    assert one["chosen"] == two["chosen"]
    assert one["best"]["test_score"] != two["best"]["test_score"]  # measured after the choice


def test_a_stopped_search_goes_on_as_if_it_had_not_stopped(data: Dataset, tmp_path: Path) -> None:
    whole = searched(data, tmp_path / "whole", 6)

    def stop(what: str, done: int, total: int) -> None:
        if "trial 3, epoch 2" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(data, tmp_path / "s", 6, progress=stop)
    with (tmp_path / "s" / "trials.log").open("a") as log:
        log.write('{"op_code": 9, "half a li')  # what a killed process may leave
    said: list[str] = []
    rest = searched(
        data, tmp_path / "s", 6, resume=True, progress=lambda what, done, total: said.append(what)
    )
    assert not any("trial 2," in what for what in said)
    assert any("trial 3," in what for what in said)
    assert without_times(rest.report) == without_times(whole.report)
    for name, tensor in whole.trained.model.state_dict().items():
        assert tensor.equal(rest.trained.model.state_dict()[name]), name


def test_a_process_killed_before_it_recorded_its_best_trial(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import optuna  # noqa: PLC0415

    low = other(data, "training.learning_rate=1e-6")  # the second trial is better
    whole = searched(low, tmp_path / "whole", 2)
    assert whole.report["best"]["trial"] == 1

    def killed(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "tell", killed)
        with pytest.raises(KeyboardInterrupt):
            searched(low, tmp_path / "s", 2)
    late = search_settings(low, SearchSettings(1e-9, 1), tmp_path / "s", resume=True)
    assert late.report["best"]["trial"] == 1
    assert late.report["best"]["score"] == whole.report["best"]["score"]


def test_a_search_of_another_schema_is_refused_and_the_cure_works(data: Dataset, tmp_path: Path) -> None:
    searched(data, tmp_path / "s", 1)
    changed = other(data, "training.epochs=2")
    with pytest.raises(TrainingError, match="another schema or other data") as caught:
        searched(changed, tmp_path / "s", 1, resume=True)
    assert "search again without --resume" in caught.value.cure
    assert searched(changed, tmp_path / "s", 1).report["trials"][0]["validations"] == 2


def test_a_slow_trial_ends_with_what_it_has_reached(data: Dataset, tmp_path: Path) -> None:
    long = other(data, "training.epochs=8", "training.patience=8", "training.learning_rate=1e-6")

    def slowed(what: str, done: int, total: int) -> None:
        if "trial 1," in what:
            time.sleep(0.15)

    first, second = searched(long, tmp_path / "s", 2, progress=slowed).report["trials"]
    assert first["validations"] == 8
    assert second["state"] == "cut"
    assert 1 <= second["validations"] < 8
    assert second["score"] > 0


@pytest.mark.parametrize("name", ["search.json", "best.safetensors"])
def test_a_damaged_search_is_refused_and_the_cure_works(name: str, data: Dataset, tmp_path: Path) -> None:
    searched(data, tmp_path / "s", 1)
    (tmp_path / "s" / name).write_text("half", encoding="utf-8")
    with pytest.raises(TrainingError, match=f"{name} is damaged") as caught:
        searched(data, tmp_path / "s", 1, resume=True)
    assert caught.value.cure == "remove its directory and search again"
    shutil.rmtree(tmp_path / "s")
    assert len(searched(data, tmp_path / "s", 1, resume=True).report["trials"]) == 1


def test_a_place_that_cannot_be_written(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"the search .* cannot be written"):
        searched(data, tmp_path / "file" / "s", 1)


def test_the_time_is_over_within_an_epoch(data: Dataset, tmp_path: Path) -> None:
    endless = other(data, "training.epochs=100000", "training.patience=100000")
    began_s = time.monotonic()
    found = search_settings(endless, SearchSettings(3.0), tmp_path / "s")
    elapsed_s = time.monotonic() - began_s
    (trial,) = found.report["trials"]
    assert (found.report["ended"], trial["state"]) == ("time", "cut")
    assert trial["validations"] > 1
    assert elapsed_s < 3.0 + trial["elapsed_s"] / trial["validations"] + 0.5
    assert elapsed_s > 1.0


def test_the_time_limit_of_a_training_holds_for_each_trial(data: Dataset, tmp_path: Path) -> None:
    endless = other(data, "training.epochs=100000", "training.patience=100000", "training.time_limit_s=1.5")
    report = searched(endless, tmp_path / "s", 2).report
    assert report["ended"] == "trials"
    assert [trial["elapsed_s"] < 2.5 for trial in report["trials"]] == [True, True]


def test_the_time_of_what_comes_after_is_kept_free(data: Dataset, tmp_path: Path) -> None:
    endless = other(data, "training.epochs=100000", "training.patience=100000", "training.time_limit_s=1.2")
    began_s = time.monotonic()
    search_settings(endless, SearchSettings(5.0), tmp_path / "s", finish=lambda trained: time.sleep(1.0))
    assert time.monotonic() - began_s < 5.0 - 1.0 + 0.5


def test_architectures_widths_and_drawn_items_are_searched(
    build: Any, content: dict[str, Any], tmp_path: Path
) -> None:
    tasks = {
        "click": {"kind": "binary", "label": "click"},
        "skip": {"kind": "binary", "label": "click = 0"},
        "next": {"kind": "retrieval", "positive": "click = 1", "negatives": 5},
    }
    some = build(content | {"tasks": tasks}, {"clicks.csv": clicks_with_taste(400)})
    report = searched(other(some, "training.epochs=1"), tmp_path / "s", 12).report
    seen = {
        path: {str(t["settings"][path]) for t in report["trials"]} for path in report["trials"][0]["settings"]
    }
    assert seen["model.architecture"] == {"shared_bottom", "mmoe", "ple"}
    assert "[256, 128]" in seen["model.options.hidden"]
    assert seen["tasks.next.negatives"] == {"5"}  # 256 is beyond the catalogue
    assert len(seen["model.retrieval_width"]) > 1


def test_without_optuna_the_extra_is_named_before_any_work(
    place: Path, content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motet.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="optuna") as caught:
        train(Schema.parse(content), place / "no such directory", place / "b", search="1m")
    assert caught.value.cure == "pip install 'motet[tune]'"


def test_a_bundle_is_of_the_best_trial_and_says_so(place: Path, content: dict[str, Any]) -> None:
    schema = Schema.parse(content).with_overrides("training.learning_rate=1e-6")
    bundle = train(schema, place / "data", place / "b", search=SearchSettings(HOUR, 4))
    search = bundle.metrics["search"]
    assert search["best"]["trial"] > 0
    rate = search["chosen"]["training.learning_rate"]["value"]
    assert bundle.schema.training.learning_rate == rate
    assert f"learning_rate: {rate}" in bundle.metrics["schema"]
    history = bundle.metrics["history"]
    assert history["validations"][history["best"]]["score"] == search["best"]["score"]
    page = (place / "b" / "report.html").read_text(encoding="utf-8")
    assert "Search over settings" in page
    assert "Validation score of 4 trials" in page
    assert sorted(p.name for p in place.iterdir()) == ["b", "data"]
    again = motet.load(place / "b").evaluate(place / "data")
    assert again.metrics["search"] == search
    assert again.metrics["tasks"] == bundle.metrics["tasks"]


def test_ctrl_c_keeps_finished_trials_and_resume_writes_the_bundle(
    place: Path, content: dict[str, Any]
) -> None:
    schema = Schema.parse(content)

    def stop(what: str, done: int, total: int) -> None:
        if "trial 2," in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(schema, place / "data", place / "b", search="1h", progress=stop)
    assert (place / "b.search" / "trials.log").is_file()
    bundle = train(schema, place / "data", place / "b", search=1e-6, resume=True)
    assert len(bundle.metrics["search"]["trials"]) == 2
    assert bundle.metrics["search"]["ended"] == "time"
    assert sorted(p.name for p in place.iterdir()) == ["b", "data"]


def test_the_command(place: Path, content: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    (place / "s.yaml").write_text(Schema.parse(content).to_yaml(), encoding="utf-8")
    command = ["train", str(place / "s.yaml"), "--data", str(place / "data"), "--out", str(place / "b")]
    assert main([*command, "--search", "later"]) == 2
    assert "--search 20m" in capsys.readouterr().err
    assert main([*command, "--trials", "2"]) == 2
    assert "say how long: --search 20m" in capsys.readouterr().err
    assert main([*command, "--search", "20m", "--trials", "2"]) == 0
    said = capsys.readouterr()
    assert "search: 2 trials; validation score 0." in said.out
    assert "search: trial 0, epoch 1/3" in said.err
