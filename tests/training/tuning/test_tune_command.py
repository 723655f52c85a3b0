from __future__ import annotations

import json
from pathlib import Path

import pytest

from motet.cli import main
from motet.data import Dataset
from motet.testing import toy_tables
from motet.training import only_run

QUICK = ["--set", "tune.steps=3", "--set", "tune.check_every=3", "--set", "tune.max_tokens=1500"]


@pytest.fixture(scope="module")
def place(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tables")
    for name, table in toy_tables(rows=500).items():
        table.write_parquet(directory / f"{name}.parquet")
    (directory / "schema.yaml").write_text(world.schema.to_yaml(), encoding="utf-8")
    return directory


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def test_an_encoder_is_tuned_and_then_trained_with(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema, out = place / "schema.yaml", tmp_path / "tuned"
    assert run("tune", "align", schema, "--data", place, "--out", out, "--seed", "3", *QUICK, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((out / "tuning.json").read_text(encoding="utf-8"))
    assert report["settings"]["seed"] == 3
    encoder = ["--set", f"language.encoder={out / 'encoder'}", "--set", "training.epochs=1"]
    assert run("train", schema, "--data", place, "--out", tmp_path / "bundle", *encoder) == 0
    assert (tmp_path / "bundle" / "manifest.json").is_file()


def test_a_second_run_with_one_result_is_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "tuned"
    out.parent.mkdir()
    command: list[str | Path] = ["tune", "align", place / "schema.yaml", "--data", place, *QUICK, "--out"]
    with only_run(out):
        assert run(*command, out) == 2
        assert "another run (process" in (err := capsys.readouterr().err)
        assert "name another directory with --out" in err
        assert run(*command, tmp_path / "other") == 0
    assert not out.exists()
    assert sorted(p.name for p in tmp_path.rglob(".*.lock")) == []


def test_joint_and_instruct(
    place: Path, tiny_generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = place / "schema.yaml"
    joint = ["--set", "tune.items_per_step=4", "--set", "training.epochs=1", "--set", "tune.max_tokens=16"]
    assert (
        run("tune", "joint", schema, "--data", place, "--out", tmp_path / "a", "--method", "full", *joint)
        == 0
    )
    assert "validation score" in capsys.readouterr().out
    chat = ["--set", f"tune.generator={tiny_generator}", "--set", "tune.check_questions=2"]
    assert run("tune", "instruct", schema, "--data", place, "--out", tmp_path / "b", *QUICK, *chat) == 0
    assert f"language.generator={tmp_path / 'b' / 'generator'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tune", "aline"], "did you mean 'align'?"),
        (["tune", "align", "--set", "tune.stepps=3"], "did you mean 'steps'?"),
        (["tune", "align", "--method", "qlora"], "tune.method"),
        (["tune", "align", "--set", "tune.feature=stroy"], "did you mean 'story'?"),
        (["tune", "align", "--set", "keys.user=null"], "user"),
        (["tune", "align", "--device", "cuda:77"], "cuda:77"),
        (["tune", "instruct", "--set", "tune.tasks=[nxt]"], "did you mean 'next'?"),
    ],
)
def test_mistakes_end_with_one_message(
    arguments: list[str], says: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, kind, *rest = arguments
    given: list[str | Path] = [
        command,
        kind,
        place / "schema.yaml",
        "--data",
        place,
        "--out",
        tmp_path / "out",
        *rest,
    ]
    assert run(*given) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: ")
    assert says in message
    assert not (tmp_path / "out").exists()
