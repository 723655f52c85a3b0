from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from motet.data import Dataset
from motet.errors import TrainingError
from motet.testing import toy_dataset
from motet.training import load_checkpoint, only_run, save_checkpoint, train_model

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.zeros(0)}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", TENSORS, {"step": 3})
    save_checkpoint(tmp_path / "c", {**TENSORS, "a": TENSORS["a"] + 1}, {"step": 4})
    found = load_checkpoint(tmp_path / "c")
    assert found is not None
    tensors, state = found
    assert state["step"] == 4
    assert torch.equal(tensors["a"], TENSORS["a"] + 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c"]
    assert load_checkpoint(tmp_path / "none") is None


def test_a_run_killed_between_the_two_renames_left_the_older_one(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", TENSORS, {"step": 3})
    (tmp_path / "c").rename(tmp_path / "c.old")
    (tmp_path / "c.new").mkdir()
    (tmp_path / "c.new" / "state.json").write_text("{")
    found = load_checkpoint(tmp_path / "c")
    assert found is not None
    assert found[1]["step"] == 3
    save_checkpoint(tmp_path / "c", TENSORS, {"step": 5})
    again = load_checkpoint(tmp_path / "c")
    assert again is not None
    assert again[1]["step"] == 5


@pytest.mark.parametrize("file", ["state.json", "state.safetensors"])
@pytest.mark.parametrize("how", ["cut", "empty", "noise", "gone"])
def test_damage_is_one_clear_error(tmp_path: Path, file: str, how: str) -> None:
    save_checkpoint(tmp_path / "c", TENSORS, {"step": 3})
    path = tmp_path / "c" / file
    whole = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "noise": b"\x00\xff" * 50}[how])
    with pytest.raises(
        TrainingError, match=r"the checkpoint .*c is damaged .*Cure: remove it and train again"
    ):
        load_checkpoint(tmp_path / "c")


def test_another_format(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", TENSORS, {"step": 3})
    state = json.loads((tmp_path / "c" / "state.json").read_text())
    (tmp_path / "c" / "state.json").write_text(json.dumps({**state, "format": 99}))
    with pytest.raises(TrainingError, match=r"has format 99, not 1.*train again"):
        load_checkpoint(tmp_path / "c")


def test_a_checkpoint_with_old_names_is_resumed(toy: Dataset, tmp_path: Path) -> None:
    schema = toy.schema.with_overrides("training.checkpoint_s=1e-9", "training.epochs=1")
    trained = train_model(toy, schema=schema, checkpoint=tmp_path / "c")
    state = tmp_path / "c" / "state.json"
    assert "primary_values" in state.read_text()
    state.write_text(state.read_text().replace("primary_values", "headlines"))
    resumed = train_model(toy, schema=schema, checkpoint=tmp_path / "c", resume=True)
    assert resumed.history.validations == trained.history.validations


def test_another_schema_or_other_data(toy: Dataset, tmp_path: Path) -> None:
    schema = toy.schema.with_overrides("training.checkpoint_s=1e-9", "training.epochs=1")
    train_model(toy, schema=schema, checkpoint=tmp_path / "c")
    with pytest.raises(TrainingError, match=r"was written with another schema.*train again"):
        train_model(
            toy, schema=schema.with_overrides("model.width=5"), checkpoint=tmp_path / "c", resume=True
        )
    other = toy_dataset(rows=300, seed=1)
    with pytest.raises(TrainingError, match=r"was written with other data.*train again"):
        train_model(other, schema=schema, checkpoint=tmp_path / "c", resume=True)


FULL = """
import resource, sys
from pathlib import Path
import torch
from motet.errors import TrainingError
from motet.training import load_checkpoint, save_checkpoint

place = Path(sys.argv[1])
save_checkpoint(place, {"a": torch.ones(10)}, {"step": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save_checkpoint(place, {"a": torch.ones(100_000)}, {"step": 2})
except TrainingError as error:
    print(error)
print(load_checkpoint(place)[1]["step"], sorted(p.name for p in place.parent.iterdir()))
"""


def test_a_full_disk_keeps_the_older_checkpoint(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "c")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    message, state = done.stdout.strip().splitlines()
    assert "cannot be written" in message
    assert "Cure: free some space and say --resume." in message
    assert state == "1 ['c']"


HOLD = """
import sys, time
from pathlib import Path
from motet.training import only_run

with only_run(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_one_run_at_a_time_writes_a_result_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with only_run(out), only_run(tmp_path / "another"):
        assert (tmp_path / ".bundle.lock").exists()
    assert not list(tmp_path.iterdir())
    command = [sys.executable, "-c", HOLD, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        try:
            assert other.stdout.readline() == "held\n"
            with (
                pytest.raises(
                    TrainingError, match=rf"another run \(process {other.pid}\) is writing"
                ) as caught,
                only_run(out),
            ):
                pass
            assert "--out" in caught.value.cure
        finally:
            other.kill()
    with only_run(out):  # its lock went with it
        pass
    assert not list(tmp_path.iterdir())
