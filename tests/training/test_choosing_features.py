"""Which features count: gates that close, exchanged values, and training without what was found useless."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from motet.cli import main
from motet.data import Dataset, build_dataset
from motet.errors import DataError, ModelError, SchemaError
from motet.models import FeatureGates, build_model, gate_report
from motet.schema import GateSettings, Schema
from motet.testing import toy_dataset, toy_schema
from motet.training import (
    ModelPredictor,
    exchanged,
    feature_importance,
    load_bundle,
    save_bundle,
    train,
    train_model,
)

ROWS = 3_000
SCHEMA = """
name: choice
tables: {interactions: rows.parquet}
features:
  interaction: {useful: numeric, colour: categorical, noise: numeric, letter: categorical}
tasks:
  good: {kind: binary, label: good}
split: {by: random, train: 0.6, validation: 0.2}
model: {architecture: mlp, dropout: 0, members: [], width: 4}
training: {epochs: 12, batch_size: 64, learning_rate: 0.01, refit: false}
"""
GATED = "model.feature_gates={penalty: 0.01}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A label that depends on a number and a category, beside a number and a category that say nothing."""
    place = tmp_path_factory.mktemp("choice")
    rng = np.random.default_rng(0)
    useful, noise = rng.normal(size=(2, ROWS))
    colour = rng.choice(["red", "blue"], ROWS)
    logit = 2 * useful + 2 * np.where(colour == "red", 1, -1)
    good = (rng.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    letter = rng.choice(list("abc"), ROWS)
    pl.DataFrame(
        {"useful": useful, "colour": colour, "noise": noise, "letter": letter, "good": good}
    ).write_parquet(place / "rows.parquet")
    (place / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    return place


def world(place: Path, *overrides: str) -> Dataset:
    return build_dataset(Schema.load(place / "schema.yaml", overrides), place)


@pytest.fixture(scope="module")
def gated(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "gated"
    train(Schema.load(place / "schema.yaml", [GATED]), place, out)
    return out


def test_a_gate_and_its_cost_by_their_formulas() -> None:
    """Louizos et al. 2018, eq. 10 to 13, in float64 by NumPy."""
    gates = FeatureGates(
        GateSettings(penalty=0.5), {"user": ("a", "a", "b"), "item": (), "interaction": ("b", "", "c")}
    ).double()
    assert gates.names == ("a", "b", "c")
    alpha = np.array([-3.0, 0.4, 9.0])
    with torch.no_grad():
        gates.scaled.copy_(torch.from_numpy(alpha / 10))

    beta, low, high = 2 / 3, -0.1, 1.1
    z = np.clip(expit(alpha) * (high - low) + low, 0, 1)
    np.testing.assert_allclose(gates.values().detach().numpy(), z, atol=1e-12)
    assert z[0] == 0
    assert z[2] == 1
    cost = 0.5 * expit(alpha - beta * np.log(-low / high)).sum()
    assert float(gates.cost().detach()) == pytest.approx(cost, abs=1e-12)
    ones = torch.ones(2, 3, dtype=torch.float64)
    sides = gates.eval()({"user": ones, "item": ones[:, :0], "interaction": ones})
    np.testing.assert_allclose(sides["user"][0].detach().numpy(), z[[0, 0, 1]])
    np.testing.assert_allclose(
        sides["interaction"][1].detach().numpy(), [z[1], 1, z[2]]
    )  # no gate on the scenario
    torch.manual_seed(3)
    u = torch.rand_like(gates.scaled).numpy()
    torch.manual_seed(3)
    drawn = gates.train()({"user": ones, "item": ones[:, :0], "interaction": ones})
    s = expit((np.log(u) - np.log(1 - u) + alpha) / beta)
    z = np.clip(s * (high - low) + low, 0, 1)
    np.testing.assert_allclose(drawn["user"][0].detach().numpy(), z[[0, 0, 1]], atol=1e-12)


def test_how_often_a_drawn_gate_is_open_is_what_its_cost_says() -> None:
    gates = FeatureGates(GateSettings(penalty=1.0), {"user": tuple(f"f{k}" for k in range(20_000))})
    with torch.no_grad():
        gates.scaled.fill_(-0.1)
    torch.manual_seed(0)
    z = gates.train()({"user": torch.ones(1, 20_000)})["user"]
    assert float((z != 0).float().mean()) == pytest.approx(float(gates.cost().detach()) / 20_000, abs=0.01)


def test_gates_close_on_what_says_nothing_and_the_report_names_it(gated: Path) -> None:
    bundle = load_bundle(gated)
    found = bundle.metrics["gates"]
    assert found["closed"] == ["letter", "noise"]
    assert found["gates"]["useful"] > 0.5
    assert found["gates"]["colour"] > 0.5
    assert found["without"] == "without=[letter, noise]"
    assert found == gate_report(bundle.model)
    page = (gated / "report.html").read_text(encoding="utf-8")
    assert "does not see them: letter, noise" in page
    assert "without=[letter, noise]" in page
    assert bundle.schema.model.feature_gates == GateSettings(penalty=0.01)


def test_the_weights_that_are_kept_have_every_gate_closed_that_closed(place: Path) -> None:
    """At this price even what is worth something closes, and the best score is that of before."""
    data = world(place, "model.feature_gates={penalty: 0.4}", "training.patience=12")
    trained = train_model(data)
    validations = trained.history.validations
    best, last = max(validations, key=lambda one: one.score), validations[-1].closed
    assert set(best.closed) < set(last)
    assert {"letter", "noise"} < set(last)
    assert (gate_report(trained.model) or {})["closed"] == last
    kept = validations[trained.history.best]
    assert kept.closed == last
    assert kept.score == max(one.score for one in validations if set(one.closed) == set(last))


def test_a_closed_feature_changes_no_prediction(gated: Path, place: Path) -> None:
    bundle = load_bundle(gated)
    data = build_dataset(bundle.schema, place, encoder=bundle.data.encoder)
    rows = data.rows("test")
    before = ModelPredictor(bundle.model, data).predict(rows)["good"]
    for name in bundle.metrics["gates"]["closed"]:
        other = exchanged(data, name, rows, "test", np.random.default_rng(0))
        np.testing.assert_array_equal(ModelPredictor(bundle.model, other).predict(rows)["good"], before)
    other = exchanged(data, "useful", rows, "test", np.random.default_rng(0))
    assert not np.allclose(ModelPredictor(bundle.model, other).predict(rows)["good"], before)


def test_what_was_closed_can_be_left_out_as_the_report_says(gated: Path, place: Path) -> None:
    said = load_bundle(gated).metrics["gates"]["without"]
    data = world(place, said)
    assert list(data.schema.features.interaction) == ["useful", "colour"]
    assert "noise" not in data.schema.to_yaml()
    rows = data.rows("test")
    y = data.label("good", rows)
    without = ModelPredictor(train_model(data).model, data).predict(rows)["good"]
    assert roc_auc_score(y, without) > 0.9


def test_without_the_setting_there_is_no_gate(place: Path) -> None:
    data = world(place)
    assert not any("gates" in name for name in build_model(data.schema, data.encoder).state_dict())


def test_every_column_has_its_feature_and_networks_with_gates_are_kept(tmp_path: Path) -> None:
    data = toy_dataset(overrides=["model.feature_gates={}"])
    model = build_model(data.schema, data.encoder).eval()
    gates = model.features.gates
    assert gates is not None
    assert set(gates.names) == {name for _, name, _ in data.schema.features.all()}
    widths = {
        entity: sum(model.features.blocks(entity).values()) for entity in ("user", "item", "interaction")
    }
    assert {entity: len(of) for entity, of in model.features.owners.items()} == widths
    assert model.features.owners["interaction"].count("") == data.schema.model.width  # the scenario
    save_bundle(tmp_path / "b", model=model, data=data, metrics={})
    again = load_bundle(tmp_path / "b").model
    rows = data.rows("test")
    for name, values in ModelPredictor(model, data).predict(rows).items():
        np.testing.assert_array_equal(ModelPredictor(again, data).predict(rows)[name], values)


def test_a_plain_method_has_no_gates(place: Path, tmp_path: Path) -> None:
    schema = Schema.load(place / "schema.yaml", [GATED, "model.architecture=lightgbm", "model.members=null"])
    with pytest.raises(ModelError, match=r"learns no gates.*leave model\.feature_gates out"):
        train(schema, place, tmp_path / "out")


def test_exchanged_values_cost_what_the_feature_is_worth(place: Path) -> None:
    data = world(place)
    model = train_model(data).model
    found = feature_importance(data, lambda other: ModelPredictor(model, other, known="train"), repeats=3)
    of = {name: facts["tasks"]["good"] for name, facts in found["features"].items()}
    assert set(found["weak"]) == {"noise", "letter"}
    assert of["useful"]["drop"] > 0.1
    assert of["colour"]["interval"][0] > 0
    assert abs(of["noise"]["drop"]) < 0.02
    # by hand: the mean loss of AUC over the same three exchanges
    rows = data.rows("validation")
    y, auc = data.label("good", rows), []
    for number in range(3):
        other = exchanged(data, "useful", rows, "validation", np.random.default_rng([0, 0, number]))
        auc.append(roc_auc_score(y, ModelPredictor(model, other).predict(rows)["good"]))
    before = roc_auc_score(y, ModelPredictor(model, data).predict(rows)["good"])
    assert of["useful"]["drop"] == pytest.approx(before - np.mean(auc), abs=1e-6)
    assert of["useful"]["deviation"] == pytest.approx(np.std(auc, ddof=1), abs=1e-6)


def test_only_the_feature_itself_is_exchanged_and_only_among_measured_rows() -> None:
    data = toy_dataset()
    rows = data.rows("validation")
    for entity, name, feature in data.schema.features.all():
        other = exchanged(data, name, rows, "validation", np.random.default_rng(1))
        for side in ("user", "item", "interaction"):
            one, two, layout = data.table(side), other.table(side), data.encoder.layout(side)
            owners = [*layout.codes, *layout.number_features, *layout.vectors]
            before = np.concatenate([one.codes, one.numbers, one.vector_rows], 1)
            after = np.concatenate([two.codes, two.numbers, two.vector_rows], 1)
            moved = [k for k, owner in enumerate(owners) if owner == name and side == entity]
            stays = [k for k in range(len(owners)) if k not in moved]
            np.testing.assert_array_equal(before[:, stays], after[:, stays])
            np.testing.assert_array_equal(np.sort(before[:, moved], 0), np.sort(after[:, moved], 0))
        if entity == "interaction":
            late = np.setdiff1d(np.arange(len(data)), rows)
            np.testing.assert_array_equal(data.context.codes[late], other.context.codes[late])
        for key, history in data.histories.items():
            found = other.histories[key]
            assert (found.before <= found.items.lengths()[data.user_row]).all()
            assert (key == name) == (found is not history)
        assert feature.kind


def test_importance_of_a_bundle_by_the_command(
    gated: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["importance", str(gated), "--data", str(place), "--repeats", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert load_bundle(gated).metrics["importance"] == found
    assert found["learnt_from"] is False
    assert found["features"]["noise"]["tasks"]["good"]["drop"] == 0  # its gate is closed
    assert "What each feature is worth" in (gated / "report.html").read_text(encoding="utf-8")
    assert main(["importance", str(gated), "--data", str(place), "--repeats", "1", "--split", "test"]) == 0
    said = capsys.readouterr().out
    assert "above 0 beyond noise for no task: noise, letter" in said
    assert "--set 'without=[noise]'" in said


def test_every_kind_of_task_has_its_importance() -> None:
    data = toy_dataset(rows=200, sequences=("mean",))
    model = build_model(data.schema, data.encoder)
    found = feature_importance(
        data, lambda other: ModelPredictor(model, other, known="train"), repeats=1, seed=1
    )
    assert list(found["metrics"]) == list(data.schema.tasks)
    assert set(found["features"]) == {name for _, name, _ in data.schema.features.all()}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["without=[agee]"], "the feature 'agee' is not known.*did you mean 'age'"),
        (["without=[item]"], "'past_mean' is made of 'item'.*add past_mean"),
        (["without=age"], r"is no list of features.*without: \[NAME\]"),
    ],
)
def test_leaving_out_what_is_not_there_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(SchemaError, match=f"(?s){message}"):
        toy_schema(sequences=("mean",), overrides=overrides)


def test_what_is_left_out_is_hidden_no_more() -> None:
    schema = toy_schema(overrides=["without=[price, age]"])
    assert "price" not in schema.features.item
    assert schema.tasks["dear"].hide == ()
    assert Schema.parse(schema.model_dump()) == schema


def test_nothing_to_measure_is_an_error(place: Path) -> None:
    data = world(place)
    model: Any = build_model(data.schema, data.encoder)
    with pytest.raises(DataError, match="at least one repeat"):
        feature_importance(data, lambda other: ModelPredictor(model, other), repeats=0)
