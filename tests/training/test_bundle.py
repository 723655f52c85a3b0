from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from motet.data import Dataset
from motet.errors import BundleError
from motet.models import MultiTaskModel, build_model
from motet.models.baselines import read_scores
from motet.recommend import Recommender
from motet.schema import Schema
from motet.testing import hashed_words_for_tests, toy_dataset
from motet.training import (
    FORMAT,
    PARTS,
    ModelPredictor,
    check_place,
    load_bundle,
    save_bundle,
    write_manifest,
    write_metrics,
)


@pytest.fixture(scope="module")
def model(toy: Dataset) -> MultiTaskModel:
    return build_model(toy.schema, toy.encoder, seed=3).eval()


@pytest.fixture(scope="module")
def written(toy: Dataset, model: MultiTaskModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bundles") / "one"
    save_bundle(place, model=model, data=toy, metrics={"a": 1.5, "none": float("nan")})
    return place


@pytest.fixture
def bundle(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "bundle"))


def test_weights_and_entities_come_back_bit_for_bit(
    toy: Dataset, model: MultiTaskModel, written: Path
) -> None:
    loaded = load_bundle(written)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, loaded.model.state_dict()[name]), name
    assert loaded.schema == toy.schema
    for entity in ("user", "item"):
        ours, theirs = toy.table(entity), loaded.data.table(entity)
        assert np.array_equal(ours.codes, theirs.codes)
        assert np.array_equal(ours.numbers, theirs.numbers)
        assert np.array_equal(ours.vector_rows, theirs.vector_rows)
        for name, lists in ours.tags.items():
            assert np.array_equal(lists.values, theirs.tags[name].values)
            assert np.array_equal(lists.offsets, theirs.tags[name].offsets)
    assert loaded.data.user_ids.to_list() == toy.user_ids.to_list()
    assert loaded.data.item_ids.to_list() == toy.item_ids.to_list()
    assert not loaded.model.training


def test_predictions_after_loading_equal_those_before_bit_for_bit(
    toy: Dataset, model: MultiTaskModel, written: Path
) -> None:
    loaded = load_bundle(written)
    rows = toy.rows("test")
    # the same data through the loaded model and the loaded encoder's entities
    again = replace(toy, users=loaded.data.users, items=loaded.data.items, encoder=loaded.data.encoder)
    before = ModelPredictor(model, toy)
    after = ModelPredictor(loaded.model, again)
    for task, values in before.predict(rows).items():
        assert np.array_equal(values, after.predict(rows)[task]), task
    users = np.arange(len(toy.users))
    assert np.array_equal(before.score_items(users), after.score_items(users))  # type: ignore[arg-type]
    for entity in ("user", "item"):
        for task, values in before.predict_entities(entity).items():
            assert np.array_equal(values, after.predict_entities(entity)[task])


def test_metrics_of_older_versions_are_read_under_their_current_names(
    toy: Dataset, model: MultiTaskModel, tmp_path: Path
) -> None:
    validation = {"step": 1, "headlines": {"click": 0.5}}
    old = {"controls": {"ease": {"tasks": {}}}, "history": {"best": 0, "validations": [validation]}}
    save_bundle(tmp_path / "old", model=model, data=toy, metrics=old)
    assert load_bundle(tmp_path / "old").metrics == {
        "baselines": {"ease": {"tasks": {}}},
        "history": {"best": 0, "validations": [{"step": 1, "primary_values": {"click": 0.5}}]},
    }


def test_saving_a_loaded_bundle_gives_the_same_weights(written: Path, tmp_path: Path) -> None:
    loaded = load_bundle(written)
    save_bundle(tmp_path / "two", model=loaded.model, data=loaded.data, metrics={})
    one, two = load_file(written / "weights.safetensors"), load_file(tmp_path / "two/weights.safetensors")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_metrics_that_are_not_finite_become_null(written: Path) -> None:
    assert load_bundle(written).metrics == {"a": 1.5, "none": None}


@pytest.mark.parametrize("name", [*PARTS, "manifest.json"])
@pytest.mark.parametrize("damage", ["removed", "emptied", "cut", "flipped"])
def test_every_damaged_file_is_named(bundle: Path, name: str, damage: str) -> None:
    path = bundle / name
    content = path.read_bytes()
    half = len(content) // 2
    if damage == "removed":
        path.unlink()
    elif damage == "flipped":
        path.write_bytes(content[:half] + bytes([content[half] ^ 255]) + content[half + 1 :])
    else:
        path.write_bytes(b"" if damage == "emptied" else content[:-1])
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle)
    if name == "manifest.json" and damage == "removed":
        assert "no manifest.json" in str(caught.value)
    else:
        assert name in str(caught.value) or name == "manifest.json"
    assert "Cure:" in str(caught.value)


def _change(bundle: Path, change: Callable[[dict[str, object]], None]) -> None:
    content = json.loads((bundle / "manifest.json").read_text())
    change(content)
    (bundle / "manifest.json").write_text(json.dumps(content))


def test_another_format_says_which_version_reads_it(bundle: Path) -> None:
    def change(content: dict[str, object]) -> None:
        content["format"], content["motet"] = FORMAT + 1, "9.9.9"

    _change(bundle, change)
    with pytest.raises(
        BundleError, match=rf"format {FORMAT + 1}, written by motet 9\.9\.9.*install motet 9\.9\.9"
    ):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "name", ["../other.txt", "/etc/passwd", "..", "", "sub/weights.safetensors", "more.bin"]
)
def test_a_manifest_cannot_name_a_file_outside(bundle: Path, name: str) -> None:
    def change(content: dict[str, object]) -> None:
        content["files"][name] = {"bytes": 0, "sha256": ""}  # type: ignore[index]

    _change(bundle, change)
    with pytest.raises(BundleError, match="do not trust this bundle"):
        load_bundle(bundle)


@pytest.mark.parametrize("files", [None, [], {}, {"weights.safetensors": 3}, {"weights.safetensors": {}}])
def test_a_manifest_of_the_wrong_shape_is_damage(bundle: Path, files: object) -> None:
    _change(bundle, lambda content: content.update(files=files))
    with pytest.raises(BundleError, match=r"manifest\.json"):
        load_bundle(bundle)


def test_replacing_metrics_leaves_a_whole_bundle(bundle: Path) -> None:
    (bundle / "notes.txt").write_text("mine")
    write_metrics(bundle, {"b": 2})
    (bundle / "notes.txt").unlink()  # no part of the bundle: it may go
    assert load_bundle(bundle).metrics == {"b": 2}
    assert not list(bundle.glob("*.new"))


def test_replacing_metrics_cut_off_before_its_last_step_is_completed(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if self.name == "metrics.json.new":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_metrics(bundle, {"b": 2})
    monkeypatch.undo()
    assert load_bundle(bundle).metrics == {"b": 2}
    assert not list(bundle.glob("*.new"))


def test_metrics_cut_off_before_the_manifest_are_the_old_ones(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_metrics(bundle, {"b": 2})
    monkeypatch.undo()
    assert load_bundle(bundle).metrics == {"a": 1.5, "none": None}


def test_only_a_bundle_is_ever_replaced(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"holds a bundle already.*--overwrite"):
        check_place(bundle, False)
    check_place(bundle, True)
    other = tmp_path / "photos"
    other.mkdir()
    (other / "a.jpg").write_text("dear")
    for overwrite in (False, True):
        with pytest.raises(BundleError, match="not empty and is not a bundle"):
            check_place(other, overwrite)
    with pytest.raises(BundleError, match="is a file"):
        check_place(other / "a.jpg", True)
    with pytest.raises(BundleError, match=r"a\.jpg is a file"):
        check_place(other / "a.jpg" / "below", True)
    check_place(tmp_path / "new" / "below", False)


def test_overwriting_that_fails_leaves_the_old_bundle(
    bundle: Path, toy: Dataset, model: MultiTaskModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(BundleError, match="No space left"):
        save_bundle(bundle, model=model, data=toy, metrics={}, overwrite=True)
    monkeypatch.undo()
    assert load_bundle(bundle).metrics == {"a": 1.5, "none": None}
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_a_full_disk_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    size = (bundle / "weights.safetensors").stat().st_size // 2
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from motet.training import load_bundle, save_bundle\n"
        "from motet.errors import BundleError\n"
        "loaded = load_bundle(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
        "try:\n"
        "    save_bundle(Path(sys.argv[2]), model=loaded.model, data=loaded.data, metrics={})\n"
        "except BundleError as error:\n"
        "    print(error)\n"
    )
    place = tmp_path / "there"
    run = subprocess.run(
        [sys.executable, "-c", code, str(bundle), str(place)], capture_output=True, text=True, check=True
    )
    assert "cannot be written" in run.stdout
    assert "free some space" in run.stdout
    assert not place.exists()
    assert not place.with_name("there.new").exists()


@pytest.mark.parametrize(
    ("users", "items"), [(False, True), (False, False)], ids=["no users", "neither users nor items"]
)
def test_schemas_without_users_or_items_round_trip(users: bool, items: bool, tmp_path: Path) -> None:
    data = toy_dataset(users=users, items=items, rows=150, sequences=())
    model = build_model(data.schema, data.encoder).eval()
    save_bundle(tmp_path / "b", model=model, data=data, metrics={})
    loaded = load_bundle(tmp_path / "b")
    assert len(loaded.data.users) == 1
    assert len(loaded.data.items) == len(data.items)
    assert Recommender(loaded, hashed_words_for_tests).schema == data.schema


def test_a_bundle_of_format_2_keeps_the_defaults_of_its_time(tmp_path: Path) -> None:
    data = toy_dataset(rows=150)
    old = ["model.width=16", "training.schedule=constant", "training.warmup=0", "training.refit=false"]
    schema = Schema.parse(yaml.safe_load(data.schema.to_yaml()), old)
    then = replace(data, schema=schema, encoder=replace(data.encoder, schema=schema))
    save_bundle(tmp_path / "old", model=build_model(schema, then.encoder).eval(), data=then, metrics={})
    content = yaml.safe_load((tmp_path / "old" / "schema.yaml").read_text("utf-8"))
    for section, names in (("model", ["width"]), ("training", ["schedule", "warmup", "refit"])):
        for name in names:
            del content[section][name]  # what format 2 left out, because it was the default
    (tmp_path / "old" / "schema.yaml").write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    write_manifest(tmp_path / "old")
    manifest = json.loads((tmp_path / "old" / "manifest.json").read_text("utf-8"))
    (tmp_path / "old" / "manifest.json").write_text(json.dumps({**manifest, "format": 2}), "utf-8")
    found = load_bundle(tmp_path / "old").schema
    assert found.model.width == 16
    assert (found.training.schedule, found.training.warmup, found.training.refit) == ("constant", 0.0, False)
    assert found.training.batch_size == schema.training.batch_size


def test_weights_between_items_that_are_no_matrix_are_refused() -> None:
    arrays = {"values": np.ones(2, np.float32), "columns": np.array([0, 9]), "offsets": np.array([0, 1, 2])}
    for wrong in (
        {},
        {"columns": np.array([0, -1])},
        {"offsets": np.array([0, 5, 2])},
        {"offsets": np.array([1, 2, 2])},
    ):
        with pytest.raises(ValueError, match="no matrix"):
            read_scores("weights", 1.0, {**arrays, **wrong})
