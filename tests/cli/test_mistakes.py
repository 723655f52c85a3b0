"""Every mistake gets one message that names the place and the cure, exit code 2, and leaves nothing behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

Run = Callable[..., Any]


def lies(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


def assert_explained(answer: Any, *words: str) -> None:
    assert answer.code == 2, answer.err
    assert answer.err.splitlines()[-1].startswith("error: "), answer.err
    assert "Cure: " in answer.err
    assert "Traceback" not in answer.err
    for word in words:
        assert word in answer.err, answer.err


def edit(path: Path, old: str, new: str) -> None:
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new, 1))


def clicks(data: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    change(pl.read_csv(data / "clicks.csv")).write_csv(data / "clicks.csv")


def goods(data: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    change(pl.read_csv(data / "goods.csv")).write_csv(data / "goods.csv")


def first(column: str, value: Any) -> pl.Expr:
    """The column with another first cell."""
    return pl.when(pl.arange(pl.len()) == 0).then(pl.lit(value)).otherwise(pl.col(column).cast(pl.String)).alias(column)  # fmt: skip


SPOILT: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "no schema": (lambda d: (d / "schema.yaml").unlink(), ("schema.yaml", "No such file", "motet inspect")),
    "not YAML": (lambda d: (d / "schema.yaml").write_text("a: [b"), ("schema.yaml is not YAML", "line")),
    "no mapping": (lambda d: (d / "schema.yaml").write_text("hello"), ("schema.yaml holds no mapping",)),
    "no file": (lambda d: (d / "goods.csv").unlink(), ("goods.csv does not exist", "clicks.csv")),
    "no column": (lambda d: goods(d, lambda t: t.rename({"price": "prise"})), ("goods.csv has no column 'price'", "did you mean 'prise'")),
    "no label column": (lambda d: clicks(d, lambda t: t.rename({"stars": "stras"})), ("clicks.csv has no column 'stars'", "did you mean 'stras'")),
    "duplicate key": (lambda d: goods(d, lambda t: pl.concat([t, t[:1]])), ("goods.csv, column 'what'", "'0'", "more than one row", "duplicate_keys")),
    "not a number": (lambda d: goods(d, lambda t: t.with_columns(first("price", "cheap"))), ("goods.csv, column 'price', data row 1", "'cheap' is not a number", "unparseable")),
    "not a time": (lambda d: clicks(d, lambda t: t.with_columns(first("when", "soon"))), ("clicks.csv, column 'when', data row 1", "'soon' is not a time")),
    "header only": (lambda d: clicks(d, lambda t: t.clear()), ("clicks.csv", "no rows")),
    "empty file": (lambda d: (d / "clicks.csv").write_text(""), ("clicks.csv is empty",)),
    "empty items": (lambda d: goods(d, lambda t: t.clear()), ("goods.csv has no rows", "tables.items")),
    "binary junk": (lambda d: (d / "clicks.csv").write_bytes(bytes(range(256)) * 9), ("clicks.csv",)),
    "all labels 1": (lambda d: clicks(d, lambda t: t.with_columns(click=1)), ("task 'click'", "one class only", "every label is 1")),
    "all labels 0": (lambda d: clicks(d, lambda t: t.with_columns(click=0)), ("task", "no positive label in the training split")),
    "no labels": (lambda d: clicks(d, lambda t: t.with_columns(stars=pl.lit(None))), ("task 'stars'", "no label in the training split")),
    "labels of 2": (lambda d: clicks(d, lambda t: t.with_columns(click=pl.col("click") * 2)), ("clicks.csv", "tasks.click.label", "gives 2", "click >= 2")),
    "label does not parse": (lambda d: edit(d / "schema.yaml", "label: click", "label: click >="), ("tasks.click.label", "'click >=' does not parse", "SQL")),
    "misspelt key": (lambda d: edit(d / "schema.yaml", "batch_size", "batchsize"), ("schema.yaml", "'training.batchsize' is not an option", "did you mean 'batch_size'")),
    "misspelt kind": (lambda d: edit(d / "schema.yaml", "kind: binary", "kind: binray"), ("tasks.click", "'binray' is not known", "did you mean 'binary'")),
    "table elsewhere": (lambda d: edit(d / "schema.yaml", "goods.csv", "../../goods.csv"), ("../../goods.csv does not exist",)),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_data_is_explained_and_leaves_nothing(
    name: str, motet: Run, data: Path, tmp_path: Path
) -> None:
    spoil, words = SPOILT[name]
    spoil(data)
    before = lies(tmp_path)
    answer = motet("train", data / "schema.yaml", "--data", data, "--out", tmp_path / "deep" / "bundle")
    assert_explained(answer, *words)
    assert lies(tmp_path) == before
    if name not in ("all labels 1", "all labels 0", "no labels"):  # only training minds these
        assert_explained(motet("check", data / "schema.yaml", "--data", data), *words)


OPTIONS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "setting": (["--set", "training.epcohs=3"], ("'training.epcohs' is not an option", "did you mean 'epochs'")),
    "architecture": (["--set", "model.architecture=mmo"], ("'mmo' is not known", "did you mean 'mmoe'")),
    "its option": (["--set", "model.options.expert=2"], ("model.options.expert is not an option of mmoe", "did you mean 'experts'")),
    "balancer": (["--set", "objective.balancer=equl"], ("'equl' is not known", "did you mean 'equal'")),
    "value": (["--set", "training.epochs=many"], ("training.epochs", "'many'")),
    "out of range": (["--seed", "-1"], ("training.seed", "'-1'")),
    "no value": (["--set", "training.epochs"], ("'training.epochs' has no form a.b=c", "--set training.epochs=5")),
    "flag": (["--sed", "3"], ("--sed", "--seed", "motet train --help")),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_misspelt_options_name_the_nearest(name: str, motet: Run, data: Path, tmp_path: Path) -> None:
    options, words = OPTIONS[name]
    before = lies(tmp_path)
    answer = motet("train", data / "schema.yaml", "--data", data, "--out", tmp_path / "b", *options)
    assert_explained(answer, *words)
    assert lies(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predct"], ("No such command 'predct'", "Did you mean 'predict'", "motet --help")),
        (["train"], ("Missing argument", "motet train --help")),
        (["check", "schema.yaml"], ("Missing option '--data'",)),
        (["inspect", "nowhere"], ("nowhere is not a directory",)),
        (["report", "nowhere"], ("nowhere is not a bundle", "motet train")),
        (["datasets", "fetch", "movilens-100k"], ("'movilens-100k' is not known", "did you mean 'movielens-100k'")),
        (["train", "schema.yaml", "--data", "nowhere", "--out", "b"], ("schema.yaml", "No such file")),
    ],
)  # fmt: skip
def test_mistakes_on_the_command_line(
    arguments: list[str], words: tuple[str, ...], motet: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_explained(motet(*arguments), *words)
    assert lies(tmp_path) == []


def test_places_that_cannot_take_a_bundle(motet: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo.jpg").write_text("mine")
    before = lies(tmp_path)
    for out, words in (
        (tmp_path / "file", ("is a file", "name a directory")),
        (tmp_path / "file" / "below", ("file is a file",)),
        (tmp_path / "full", ("not empty and is not a bundle",)),
        (Path("/proc/nowhere/bundle"), ("/proc/nowhere/bundle cannot be made",)),
    ):
        for more in ([], ["--overwrite"]):
            answer = motet("train", data / "schema.yaml", "--data", data, "--out", out, *more)
            assert_explained(answer, *words)
    assert lies(tmp_path) == before


def test_a_data_directory_that_is_not_there(motet: Run, data: Path, tmp_path: Path) -> None:
    answer = motet("train", data / "schema.yaml", "--data", tmp_path / "no", "--out", tmp_path / "b")
    assert_explained(answer, "no is not a directory")


def test_mistakes_in_predicting_and_recommending(motet: Run, trained: Path, tmp_path: Path) -> None:
    bundle, rows, out = trained / "bundle", tmp_path / "rows.csv", tmp_path / "out.csv"

    def predict(content: str, place: Path = out) -> Any:
        rows.write_text(content)
        return motet("predict", bundle, "--pairs", rows, "--out", place)

    good = "who,what\nu1,3\n"
    assert_explained(predict("who,what\nu1,3\nu2,\n"), "no item in data row 2, column 'what'")
    assert_explained(predict("who,thing\nu1,3\n"), "no column 'what'")
    assert_explained(predict("who,what\n"), "rows.csv has no rows")
    assert_explained(
        predict("who,what,price\nu1,new,dear\n"), "column 'price'", "not numbers (such as ['dear'])"
    )
    assert_explained(predict(good, tmp_path / "out.txt"), "out.txt is neither .csv nor .parquet")
    assert_explained(predict(good, tmp_path / "no" / "out.csv"), "no does not exist")
    assert_explained(predict(good, tmp_path), "is neither .csv")
    rows.write_text(good)
    recommend = ["recommend", bundle, "--users", rows, "--out", out]
    assert_explained(
        motet(*recommend, "--scenario", "hom"), "the scenario 'hom' is not known", "did you mean 'home'"
    )
    assert_explained(motet(*recommend, "--by", "clik"), "did you mean 'click'")
    assert_explained(motet(*recommend, "-k", "0"), "-k")
    assert_explained(
        motet("recommend", bundle, "--users", tmp_path / "no.csv", "--out", out), "no.csv does not exist"
    )
    answer = motet("evaluate", bundle, "--data", trained / "data", "--split", "tset")
    assert_explained(answer, "the split 'tset' is not known", "did you mean 'test'")
    assert lies(tmp_path) == ["rows.csv"]


def test_a_damaged_bundle_is_named_by_every_command(motet: Run, trained: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(trained / "bundle", tmp_path / "bundle")
    path = bundle / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    (tmp_path / "rows.csv").write_text("who,what\nu1,3\n")
    rows, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    for command in (
        ["report", bundle],
        ["evaluate", bundle, "--data", trained / "data"],
        ["predict", bundle, "--pairs", rows, "--out", out],
        ["recommend", bundle, "--users", rows, "--out", out],
    ):
        assert_explained(
            motet(*command), "weights.safetensors has", "bytes instead of", "copy the bundle again"
        )
    assert not out.exists()


def test_mistakes_are_json_where_json_is_asked_for(motet: Run, tmp_path: Path) -> None:
    answer = motet("report", tmp_path, "--json")
    assert answer.code == 2
    content = json.loads(answer.out)
    assert "is not a bundle" in content["error"]
    assert "motet train" in content["cure"]


def test_no_label_in_the_test_split_is_said_and_does_no_harm(motet: Run, data: Path, tmp_path: Path) -> None:
    late = pl.col("when").rank("ordinal", descending=True).over("who") <= pl.len().over("who") * 0.35
    clicks(data, lambda t: t.with_columns(stars=pl.when(~late).then(pl.col("stars"))))
    answer = motet("train", data / "schema.yaml", "--data", data, "--out", tmp_path / "b", "--json")
    assert answer.code == 0, answer.err
    metrics = json.loads(answer.out)
    assert metrics["tasks"].get("stars", {}).get("rmse") is None
    assert metrics["tasks"]["click"]["auc"] is not None
    assert motet("report", tmp_path / "b").code == 0
    assert motet("evaluate", tmp_path / "b", "--data", data, "--baselines").code == 0
