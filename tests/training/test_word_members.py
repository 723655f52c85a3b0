"""Words of texts as a member: classes, chances and numbers, offline, in a request, and after a bundle was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from motet.data import Dataset
from motet.evaluation import evaluate
from motet.models.baselines import BASELINES, PAIR_MEMBERS, Pairs
from motet.recommend import LiveRecommender, Query, Recommender
from motet.schema import TEXT_ENCODERS, Schema
from motet.testing import HashedWordsForTests
from motet.text.encode import register_text_encoder
from motet.training import NETWORK, ModelPredictor, load_bundle, load_data, train

SCHEMA = """
name: notes
tables: {interactions: notes.csv, items: things.csv}
keys: {user: user, item: thing}
split: {by: random, train: 0.6, validation: 0.2}
features:
  user: {user: id}
  item: {thing: id, colour: categorical}
  interaction:
    note: {kind: text, template: "TEMPLATE"}
tasks:
  topic: {kind: multiclass, label: topic}
  good: {kind: binary, label: good}
  length: {kind: regression, label: length, range: [0, 20]}
language: {backend: words-for-tests}
model: {architecture: linear, width: 2, vector_width: 2}
training: {epochs: 1, batch_size: 1024, learning_rate: 0.0001, seed: 1}
"""
TOPICS = ("ship", "tree", "song", "soup")
TASKS = ("topic", "good", "length")


@pytest.fixture(scope="module", autouse=True)
def _encoder() -> Iterator[None]:
    register_text_encoder("words-for-tests")(lambda settings: HashedWordsForTests())
    yield
    TEXT_ENCODERS.remove("words-for-tests")


@pytest.fixture(scope="module", params=["{note}", "{item.colour} {note}"], ids=["own", "of the item"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Notes whose words say the topic, whether it was good, and how long it took."""
    place = tmp_path_factory.mktemp("notes")
    rng = np.random.default_rng(0)
    n = 1500
    topic, good, length = rng.integers(0, 4, n), rng.integers(0, 2, n), rng.integers(0, 12, n)
    notes = [
        f"{TOPICS[t] if rng.random() < 0.9 else 'thing'} {'fine' if g else 'awful'} {'very ' * k}{rng.integers(0, 300)}"
        for t, g, k in zip(topic, good, length, strict=True)
    ]
    pl.DataFrame(
        {
            "user": [f"u{k}" for k in rng.integers(0, 20, n)],
            "thing": [f"i{k}" for k in rng.integers(0, 10, n)],
            "note": notes,
            "topic": [TOPICS[t] for t in topic],
            "good": good,
            "length": length.astype(float),
        }
    ).write_csv(place / "notes.csv")
    colours = ["red", "blue"] * 5
    pl.DataFrame({"thing": [f"i{k}" for k in range(10)], "colour": colours}).write_csv(place / "things.csv")
    (place / "schema.yaml").write_text(SCHEMA.replace("TEMPLATE", request.param), encoding="utf-8")
    train(Schema.load(place / "schema.yaml"), place, place / "bundle")
    return place


@pytest.fixture(scope="module")
def data(place: Path) -> Dataset:
    return load_data(Schema.load(place / "schema.yaml"), place).data


def test_words_help_every_kind_of_task(place: Path, data: Dataset) -> None:
    bundle = load_bundle(place / "bundle")
    assert bundle.task_blend is not None
    report = bundle.metrics["blend"]["tasks"]
    alone = evaluate(data, ModelPredictor(bundle.model, data), intervals=False)["tasks"]
    for task in TASKS:
        assert report[task]["weights"]["tfidf"] > 0.3
        assert report[task]["loss"]["blend"] < 0.9 * report[task]["loss"][NETWORK]
    assert bundle.metrics["tasks"]["topic"]["macro_f1"] > alone["topic"]["macro_f1"] + 0.2
    assert bundle.metrics["tasks"]["topic"]["log_loss"] < 0.7 * alone["topic"]["log_loss"]


def test_the_member_is_the_baseline(data: Dataset) -> None:
    rows = data.rows("test")
    baseline = BASELINES["tfidf"].fit(data).predict(rows)
    member = PAIR_MEMBERS["tfidf"].fit(data, data.rows("train"))
    again = type(member).read(member.arrays())
    found, read = member.predict(Pairs.of(data, rows)), again.predict(Pairs.of(data, rows))
    assert set(found) == set(baseline) == set(TASKS)
    for task in TASKS:
        np.testing.assert_allclose(found[task], baseline[task], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(read[task], found[task])
    assert set(member.only(["good"]).predict(Pairs.of(data, rows))) == {"good"}


def test_texts_of_requests_and_of_new_rows_are_read(place: Path, data: Dataset) -> None:
    bundle = load_bundle(place / "bundle")
    rows = data.rows("test")[:40]
    wanted = ModelPredictor(bundle.model, data, task_blend=bundle.task_blend).predict(rows)
    frame = pl.read_csv(place / "notes.csv")[rows].select("user", "thing", "note")
    found = Recommender(bundle).predict(frame)
    np.testing.assert_allclose(found["good"].to_numpy(), wanted["good"], atol=1e-4)
    np.testing.assert_allclose(found["length"].to_numpy(), wanted["length"], atol=1e-3)
    classes = data.encoder.classes["topic"]
    assert found["topic"].to_list() == [classes[k] for k in wanted["topic"].argmax(1)]
    live = LiveRecommender(Recommender(bundle))
    for at in range(5):
        user, thing, note = frame.row(at)
        (item,) = live.rank(Query(user=user, context={"note": note}), [thing]).items
        assert item.predictions["good"] == pytest.approx(wanted["good"][at], abs=1e-4)
        assert item.predictions["topic"]["probability"] == pytest.approx(wanted["topic"][at].max(), abs=1e-4)
        assert item.predictions["topic"]["label"] == classes[wanted["topic"][at].argmax()]
    (none,) = live.rank(Query(user="u1"), ["i1"]).items  # no text is no error
    assert 0 < none.predictions["good"] < 1


def test_a_pool_of_distributions_is_normalised(place: Path, data: Dataset) -> None:
    bundle = load_bundle(place / "bundle")
    found = ModelPredictor(bundle.model, data, task_blend=bundle.task_blend).predict(data.rows("test"))[
        "topic"
    ]
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert bundle.task_blend is not None
    assert bundle.task_blend.weights["topic"]["bias"] == 0
