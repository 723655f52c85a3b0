"""Frames in the place of files, and one object that loads once; tests/test_docs.py runs the ten lines of the README."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import motet
from motet.errors import BundleError, DataError

SCHEMA = """\
name: shop
tables: {interactions: clicks.csv, items: goods.csv}
keys: {user: who, item: what, time: at, scenario: place}
features:
  user: {who: id, past: {kind: sequence, of: what, last: 5}}
  item: {what: id, price: numeric, kind: categorical}
tasks:
  click: {kind: binary, label: click}
  next: {kind: retrieval, positive: click = 1}
model: {architecture: mmoe, width: 4}
training: {batch_size: 64, epochs: 1}
"""


@pytest.fixture(scope="module")
def frames() -> dict[str, pl.DataFrame]:
    rng = np.random.default_rng(0)
    who, what = rng.integers(0, 20, 400), rng.integers(0, 30, 400)
    clicks = pl.DataFrame(
        {
            "who": who,
            "what": what,
            "at": 1_700_000_000 + 60 * np.arange(400),
            "place": rng.choice(["home", "search"], 400),
            "click": (rng.random(400) < np.where(who % 2 == what % 2, 0.8, 0.2)).astype(int),
        }
    )
    price = [None if k == 3 else round(float(p), 2) for k, p in enumerate(rng.gamma(2, 10, 30))]
    goods = pl.DataFrame({"what": np.arange(30), "price": price, "kind": ["hat", "shoe", "tie"] * 10})
    return {"interactions": clicks, "items": goods}


@pytest.fixture(scope="module")
def directory(frames: dict[str, pl.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shop")
    frames["interactions"].write_csv(place / "clicks.csv")
    frames["items"].write_csv(place / "goods.csv")
    (place / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def model(directory: Path) -> motet.Model:
    return motet.fit(directory / "schema.yaml", directory)


@pytest.mark.parametrize("kind", ["polars", "lazy", "pandas", "arrow", "categories"])
def test_frames_give_the_model_of_the_files(
    kind: str, model: motet.Model, directory: Path, frames: dict[str, pl.DataFrame]
) -> None:
    if kind == "pandas":
        pytest.importorskip("pandas")
    convert: dict[str, Any] = {
        "polars": lambda frame: frame,
        "lazy": lambda frame: frame.lazy(),
        "pandas": lambda frame: frame.to_pandas(),
        "arrow": lambda frame: frame.to_arrow(),
        "categories": lambda frame: frame.with_columns(pl.col(pl.String).cast(pl.Categorical)),
    }
    tables = {name: convert[kind](frame) for name, frame in frames.items()}
    other = motet.fit(directory / "schema.yaml", tables)
    assert other.metrics["tasks"] == model.metrics["tasks"]
    asked = convert[kind](frames["interactions"].select("who", "what", "place"))
    assert other.predict(asked).equals(model.predict(asked))


def test_frames_by_the_names_of_the_files(directory: Path, frames: dict[str, pl.DataFrame]) -> None:
    tables = {"clicks.csv": frames["interactions"], "items": frames["items"]}
    assert motet.fit(directory / "schema.yaml", tables).metrics["tasks"]


def test_one_frame_from_its_columns(frames: dict[str, pl.DataFrame]) -> None:
    log = frames["interactions"].rename({"who": "user_id", "what": "item_id"})
    schema = motet.Schema.infer(log).with_overrides("training.epochs=1")
    assert schema.keys.user == "user_id"
    assert (
        motet.Schema.infer({"interactions": log, "items": frames["items"]}).tables.interactions
        == "interactions"
    )
    model = motet.fit(schema, log)
    assert len(model.recommend(["1", "2"], k=3)) == 6


def test_numbers_alone_are_enough() -> None:
    """No input of such a model needs a gradient, so that its tasks have no gradients in common to compare."""
    rng = np.random.default_rng(0)
    size = rng.random(200)
    rows = pl.DataFrame({"size": size, "sold": (rng.random(200) < size).astype(int), "price": 3 * size})
    schema = motet.Schema.parse(
        {
            "name": "sizes",
            "tables": {"interactions": "rows.csv"},
            "features": {"interaction": {"size": "numeric"}},
            "tasks": {
                "sold": {"kind": "binary", "label": "sold"},
                "price": {"kind": "regression", "label": "price"},
            },
            "split": {"by": "random"},
            "training": {"epochs": 2, "batch_size": 16},
        }
    )
    found = motet.fit(schema, rows).metrics
    assert found["tasks"]["price"]["rmse"] > 0
    assert found["relations"]["gradient_cosine"]["matrix"] == [[None, None], [None, None]]


@pytest.mark.parametrize(
    ("tables", "problem", "cure"),
    [
        (lambda f: {"interactions": f["interactions"]}, "has a table of items", "{'items': frame}"),
        (lambda f: {**f, "users": f["items"]}, "has no table of users", "users: users"),
        (lambda f: {**f, "itemz": f["items"]}, "the table 'itemz' is not known", "did you mean 'items'"),
        (lambda f: 3, "is of the type int", "directory"),
        (lambda f: {}, "is empty", "interactions"),
        (lambda f: {"interactions": f["interactions"].drop("click"), "items": f["items"]}, "click", "click"),
    ],
)
def test_frames_that_do_not_fit(
    tables: Any, problem: str, cure: str, directory: Path, frames: dict[str, pl.DataFrame]
) -> None:
    with pytest.raises(DataError) as raised:
        motet.fit(directory / "schema.yaml", tables(frames))
    assert problem in raised.value.problem
    assert cure in str(raised.value)


def test_a_model_is_kept_once_it_is_saved(model: motet.Model, directory: Path, tmp_path: Path) -> None:
    pairs = pl.DataFrame({"who": ["1", "new"], "what": ["2", "3"]})
    other = motet.fit(directory / "schema.yaml", directory)
    temporary = other.directory
    assert "not saved" in repr(other)
    assert other.save(tmp_path / "runs" / "shop") == tmp_path / "runs" / "shop"
    assert not temporary.exists()
    assert other.predict(pairs).equals(motet.load(tmp_path / "runs" / "shop").predict(pairs))
    again = motet.fit(directory / "schema.yaml", directory)
    with pytest.raises(BundleError, match="holds a bundle already"):
        again.save(tmp_path / "runs" / "shop")
    again.save(tmp_path / "runs" / "shop", overwrite=True)
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["shop"]


def test_what_is_printed_is_for_people(model: motet.Model) -> None:
    found = model.evaluate()
    table = str(found)
    assert "click" in table
    assert f"{found.metrics['tasks']['click']['auc']:.4f}" in table
    assert model.metrics["tasks"] == found.metrics["tasks"]
    assert model.explain("1", "2").text == str(model.explain("1", "2"))
    answer = model.ask("hats", user="1", k=2)
    assert str(answer).startswith("1. ")


def test_its_parts_share_one_bundle(model: motet.Model) -> None:
    assert model.assistant.recommender is model.recommender
    assert model.explainer is model.assistant.explainer
    assert model.recommender.bundle.data is model.bundle.data


def test_a_loaded_model_says_what_it_needs(model: motet.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "b")
    with pytest.raises(DataError, match=r"model\.evaluate"):
        motet.load(tmp_path / "b").evaluate()
    with pytest.raises(DataError, match=r"give a list: \['1'\]"):
        model.recommend("1")


def test_what_is_not_saved_leaves_nothing(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = motet.fit(directory / "schema.yaml", directory)
    assert list(tmp_path.iterdir()) == [model.directory.parent]
    del model
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError):
        motet.fit(directory / "schema.yaml", tmp_path)
    assert list(tmp_path.iterdir()) == []
