"""A task that is added to a bundle: the old ones do not move, and the new one is learnt."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import motet
from motet.cli import main
from motet.errors import BundleError, ModelError, MotetError, SchemaError
from motet.models import AddedShape
from motet.recommend import Recommender
from motet.schema import Schema
from motet.training import FORMAT, add_task, load_bundle, read_manifest, train, write_manifest

BUY = {"buy": {"kind": "binary", "label": "buy"}}
STARS = {"stars": {"kind": "regression", "label": "stars", "range": [1, 5]}}


def tables(seed: int = 0, rows: int = 1_500) -> dict[str, pl.DataFrame]:
    """Users and items with two hidden traits: everything that is done follows their product, and the item's colour."""
    rng, users, items = np.random.default_rng(seed), 30, 24
    u, v = rng.normal(size=(users, 2)), rng.normal(size=(items, 2))
    who, what = rng.integers(0, users, rows), rng.integers(0, items, rows)
    colour = rng.integers(0, 3, items)
    s = 1.5 * (u[who] * v[what]).sum(1)
    buy = s + 1.5 * (colour[what] - 1) + rng.logistic(size=rows) > 0
    return {
        "interactions": pl.DataFrame(
            {
                "user": who,
                "item": what,
                "at": np.arange(rows) + 1_700_000_000,
                "place": rng.choice(["home", "search"], rows),
                "click": (s + rng.logistic(size=rows) > 0).astype(int),
                "buy": buy.astype(int),
                "stars": np.clip(np.round(3 + s + rng.normal(size=rows) * 0.3), 1, 5),
                "mood": np.where(s > 0.7, "glad", np.where(s < -0.7, "sad", "calm")),
                "marks": np.where(s > 0, "warm|long", "dark"),
            }
        ),
        "items": pl.DataFrame(
            {"item": np.arange(items), "colour": [("red", "blue", "green")[c] for c in colour]}
        ),
    }


def schema_of(architecture: str = "shared_bottom", **parts: Any) -> Schema:
    """Tasks of every sort on interactions and items; keywords replace what is below ``training``."""
    return Schema.parse(
        {
            "name": "toy",
            "tables": {"interactions": "interactions.parquet", "items": "items.parquet"},
            "keys": {"user": "user", "item": "item", "time": "at", "scenario": "place"},
            "features": {
                "user": {"user": "id", "past": {"kind": "sequence", "of": "item", "where": "click = 1"}},
                "item": {"item": "id", "colour": "categorical"},
            },
            "tasks": {
                "click": {"kind": "binary", "label": "click"},
                "mood": {"kind": "multiclass", "label": "mood"},
                "next": {"kind": "retrieval", "positive": "click = 1"},
                "hue": {"kind": "multiclass", "on": "item", "label": "colour", "hide": ["colour"]},
            },
            "split": {"by": "time"},
            "model": {"architecture": architecture, "width": 8},
            "training": {"epochs": 4, "learning_rate": 0.01, "batch_size": 64, **parts},
        }
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("world")
    for name, table in tables().items():
        table.write_parquet(found / f"{name}.parquet")
    return found


@pytest.fixture(scope="module")
def bundle(place: Path) -> Path:
    return train(schema_of(), place, place / "base").directory


@pytest.fixture(scope="module")
def bought(place: Path, bundle: Path) -> Path:
    return add_task(bundle, place, BUY, place / "bought").directory


def pairs() -> pl.DataFrame:
    """Every row, and users and items that nobody has seen."""
    new = pl.DataFrame({"user": [99, 3, 99], "item": [5, 77, 77], "colour": ["red", "blue", "pink"]})
    asked = tables()["interactions"].select("user", "item", "place")
    return pl.concat([asked, new], how="diagonal")


@pytest.mark.parametrize("architecture", ["shared_bottom", "ple", "coupled", "esmm"])
def test_old_tasks_predict_what_they_predicted_bit_for_bit(
    place: Path, architecture: str, tmp_path: Path
) -> None:
    schema = schema_of(architecture, epochs=1)
    if architecture == "esmm":
        chain = {"cart": {"kind": "binary", "label": "buy", "after": "click"}}
        schema = Schema.parse({**schema.model_dump(), "tasks": {**schema.model_dump()["tasks"], **chain}})
    old = train(schema, place, tmp_path / "old")
    new = add_task(old.directory, place, STARS, tmp_path / "new")
    before, after = Recommender(old, None).predict(pairs()), Recommender(new, None).predict(pairs())
    assert after.columns == [*before.columns, "stars"]
    assert after.drop("stars").equals(before)
    assert after["stars"].is_between(1, 5).all()
    users = [str(k) for k in range(30)]
    ranked = [Recommender(one, None).recommend(users, 5, include_seen=True) for one in (old, new)]
    assert ranked[1].drop("stars").equals(ranked[0])
    for name, weight in old.model.state_dict().items():
        assert torch.equal(weight, new.model.state_dict()[name]), name
    for name, values in old.metrics["tasks"].items():
        assert new.metrics["tasks"][name] == values


def test_scores_of_many_items_at_once_equal_those_of_pairs(bought: Path) -> None:
    recommender = motet.load(bought).recommender
    ranked = recommender.recommend(["3"], 10, by="buy", include_seen=True)
    alone = recommender.predict(ranked.select("user", "item"))
    assert np.allclose(ranked["buy"], alone["buy"], atol=1e-5)
    assert ranked["buy"].is_sorted(descending=True)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_new_task_is_learnt_about_as_well_as_together_with_the_others(seed: int, tmp_path: Path) -> None:
    for name, table in tables(seed, 4_000).items():
        table.write_parquet(tmp_path / f"{name}.parquet")
    schema = schema_of(seed=seed).with_overrides("model.members=[]", "training.batch_size=128")
    old = train(schema, tmp_path, tmp_path / "old").directory
    added = add_task(old, tmp_path, BUY, tmp_path / "new").metrics["tasks"]["buy"]
    joint = Schema.parse({**schema.model_dump(), "tasks": {**schema.model_dump()["tasks"], **BUY}})
    together = train(joint, tmp_path, tmp_path / "joint").metrics["tasks"]["buy"]
    assert added["auc"] > 0.75
    low, high = added["auc_interval"]
    assert together["auc"] - added["auc"] < high - low  # noise of one measurement


def test_tasks_are_added_one_after_another_and_every_kind_can_be(
    place: Path, bought: Path, tmp_path: Path
) -> None:
    later = {"taste": {"kind": "multiclass", "label": "mood || click"}}
    marks = {"marks": {"kind": "multilabel", "label": "marks"}}
    cart = {"paid": {"kind": "binary", "label": "buy", "after": "click"}}
    one = bought
    more: list[dict[str, dict[str, Any]]] = [STARS, later, marks, cart]
    for k, task in enumerate(more):
        one = add_task(one, place, task, tmp_path / str(k), overrides=("training.epochs=1",)).directory
    found = load_bundle(one)
    assert list(found.schema.tasks)[-5:] == ["buy", "stars", "taste", "marks", "paid"]
    before, after = (Recommender(load_bundle(b), None).predict(pairs()) for b in (bought, one))
    assert after.select(before.columns).equals(before)
    assert found.data.encoder.classes["taste"][0] == "calm0"
    assert set(found.metrics["added"]) == {"buy", "stars", "taste", "marks", "paid"}
    assert found.schema.training.epochs == 4  # changes are of the run


def test_the_bundle_lists_the_new_task_everywhere(place: Path, bundle: Path, bought: Path) -> None:
    old, new = load_bundle(bundle), load_bundle(bought)
    assert new.manifest["added"] == {"buy": AddedShape().to_json()}
    assert old.manifest["format"] < new.manifest["format"] <= FORMAT
    assert new.metrics["tasks"]["buy"]["auc"] > 0.6
    assert "Added later: “buy”" in (bought / "report.html").read_text(encoding="utf-8")
    # the events of users have the label where the files have it
    table = tables()["interactions"]
    labels = new.behaviour.label("buy")
    assert not np.isnan(labels).any()
    assert labels.sum() == table["buy"].sum()
    assert np.array_equal(old.behaviour.labels, new.behaviour.labels[:, :-1], equal_nan=True)


def test_a_manifest_that_is_written_again_keeps_what_it_said(bought: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy"
    shutil.copytree(bought, copied)
    write_manifest(copied)  # as after a file of a bundle was replaced by hand
    before, after = read_manifest(bought), read_manifest(copied)
    assert {**after, "created": ""} == {**before, "created": ""}
    assert list(after["added"]) == ["buy"]
    found, wanted = (Recommender(load_bundle(one), None).predict(pairs()) for one in (copied, bought))
    assert found.equals(wanted)


def test_evaluating_measures_all_tasks_and_says_the_same(place: Path, bought: Path, tmp_path: Path) -> None:
    model = motet.load(bought)
    model.save(tmp_path / "copy")
    again = motet.load(tmp_path / "copy").evaluate(place, baselines=["popularity"]).metrics
    for task in ("click", "buy", "mood"):
        primary = {"click": "auc", "buy": "auc", "mood": "macro_f1"}[task]
        assert again["tasks"][task][primary] == model.metrics["tasks"][task][primary]
    assert again["baselines"]["popularity"]["tasks"]["buy"]["auc"] is not None


def test_same_seed_same_weights_and_an_interrupted_run_goes_on(
    place: Path, bundle: Path, bought: Path, tmp_path: Path
) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if what.startswith("train") and done == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        add_task(bundle, place, BUY, tmp_path / "b", progress=stop)
    assert [p.name for p in tmp_path.iterdir()] == ["b.checkpoint"]
    with pytest.raises(MotetError, match="another schema"):
        add_task(bundle, place, BUY, tmp_path / "b", shape=AddedShape(8), resume=True)
    steps: list[int] = []
    resumed = add_task(
        bundle, place, BUY, tmp_path / "b", resume=True,
        progress=lambda what, done, total: steps.append(done) if what.startswith("train") else None,
    )  # fmt: skip
    assert min(steps) > 5
    assert [p.name for p in tmp_path.iterdir()] == ["b"]
    for name, weight in load_bundle(bought).model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name


def test_the_embedding_table_does_not_move(bundle: Path, bought: Path) -> None:
    tables = [load_bundle(b).model.features.table.weight for b in (bundle, bought)]
    assert torch.equal(*tables)


def test_the_model_object_adds_a_task_too(place: Path) -> None:
    frames = tables(rows=400)
    schema = schema_of(epochs=1)
    model = motet.fit(schema, frames)
    more = model.add_task(BUY)
    assert list(more.schema.tasks) == [*model.schema.tasks, "buy"]
    assert "buy" not in model.schema.tasks
    assert more.predict(pairs()).drop("buy").equals(model.predict(pairs()))
    with pytest.raises(MotetError, match="does not know its data"):
        motet.load(model.directory).add_task(BUY)


WRONG = [
    ({"click": {"kind": "binary", "label": "buy"}}, ModelError, "has a task 'click' already"),
    (BUY | STARS, SchemaError, "one is added at a time"),
    ({}, SchemaError, "one is added at a time"),
    ({"then": {"kind": "retrieval", "positive": "buy = 1"}}, ModelError, "ranks the catalogue"),
    ({"red": {"kind": "binary", "label": "colour = 'red'", "on": "item", "hide": ["colour"]}}, ModelError, "is on the item"),
    ({"buy": {"kind": "binary", "label": "nope"}}, MotetError, "has no column 'nope'"),
    ({"buy": {"kind": "binary", "label": "buy = 7"}}, MotetError, "has no positive label"),
    ({"buy": {"kind": "binry", "label": "buy"}}, SchemaError, "the kind 'binry' is not known"),
    ({"late": {"kind": "binary", "label": "place = 'home'"}}, SchemaError, "gives away task 'late'"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "error", "says"), WRONG)
def test_mistakes_are_named_and_leave_nothing(
    place: Path, bundle: Path, tmp_path: Path, task: dict[str, Any], error: type[MotetError], says: str
) -> None:
    with pytest.raises(error, match=says) as found:
        add_task(bundle, place, task, tmp_path / "b")
    assert found.value.cure
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_is_there_and_a_plain_method_are_refused(
    place: Path, bundle: Path, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="--overwrite"):
        add_task(bundle, place, BUY, bundle)
    with pytest.raises(SchemaError, match="cannot be changed here"):
        add_task(bundle, place, BUY, tmp_path / "b", overrides=("model.width=3",))
    plain = train(schema_of().with_overrides("model.architecture=ease"), place, tmp_path / "plain").directory
    with pytest.raises(ModelError, match="no network to add a task to"):
        add_task(plain, place, BUY, tmp_path / "b")


def test_the_command(place: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["add-task", bundle, "--data", place, "--out", tmp_path / "b", "--set", "training.epochs=1"]

    def run(*more: object) -> int:
        return main([str(part) for part in (*command, *more)])

    assert run("--task", "buy: {kind: binary, label: buy}", "--adapter", 4, "--tower", "8") == 0
    assert "the other tasks are as they were" in capsys.readouterr().out
    assert json.loads((tmp_path / "b" / "manifest.json").read_text())["added"]["buy"]["tower"] == [8]
    for wrong in (("--task", "buy"), ("--task", "buy: {kind: binary, label: buy}", "--tower", "wide")):
        assert run(*wrong, "--overwrite") == 2
        assert "Cure: write --" in capsys.readouterr().err
