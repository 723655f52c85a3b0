"""A run may be stopped, killed or run out of disk: it goes on, or nothing is left half-written."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# long enough to be hit, and a checkpoint after every step; one plain member is enough to see that they come after it
SLOW = ("--set", "training.epochs=7", "--set", "training.patience=60", "--set", "training.checkpoint_s=1e-6", "--set", "training.batch_size=16", "--set", "model.members=[ease]")  # fmt: skip
SHORT = ("--set", "training.epochs=1", "--set", "model.members=[]", "--set", "training.refit=false")
TIMES = {"created", "cost"}


def lies(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def plain(metrics: Any) -> Any:
    """Metrics without the times in them."""
    if isinstance(metrics, dict):
        return {k: plain(v) for k, v in metrics.items() if k not in TIMES and not k.endswith("_s")}
    return [plain(part) for part in metrics] if isinstance(metrics, list) else metrics


def wait_for(path: Path, process: Any, limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_killed_twice_and_resumed_ends_with_the_same_metrics(
    start: Callable[..., Any], installed: Callable[..., Any], data: Path, tmp_path: Path
) -> None:
    command = ["train", data / "schema.yaml", "--data", data, *SLOW, "--json"]
    whole = installed(*command, "--out", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    out, steps = tmp_path / "killed", list[int]()
    state = tmp_path / "killed.checkpoint" / "state.json"
    for resume in ([], ["--resume"]):
        process = start(*command, "--out", out, *resume)
        wait_for(state, process)
        begun = steps[-1] if steps else 0
        end = time.monotonic() + 60
        while True:  # until this run has got further than the one before it
            try:
                step = json.loads(state.read_text())["step"]
            except (OSError, ValueError):
                step = 0
            if step > begun + 30:
                break
            assert process.poll() is None
            assert time.monotonic() < end
        process.kill()
        process.communicate()
        steps.append(step)
        assert not out.exists()
    resumed = installed(*command, "--out", out, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    one, two = json.loads(whole.stdout), json.loads(resumed.stdout)
    assert plain(one) == plain(two)
    assert plain(json.loads((out / "metrics.json").read_text())) == plain(one)
    one_weights = (tmp_path / "whole" / "weights.safetensors").read_bytes()
    assert (out / "weights.safetensors").read_bytes() == one_weights
    assert lies(tmp_path) == ["data", "killed", "whole"]


def test_ctrl_c_says_how_to_go_on(
    start: Callable[..., Any], installed: Callable[..., Any], data: Path, tmp_path: Path
) -> None:
    command = ["train", data / "schema.yaml", "--data", data, "--out", tmp_path / "b"]
    # far too many epochs to end by themselves
    process = start(*command, *SLOW, "--set", "training.epochs=100000", "--set", "training.patience=100000")
    wait_for(tmp_path / "b.checkpoint" / "state.json", process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted; the same command with --resume goes on" in err
    assert "Traceback" not in err
    assert out == ""
    assert set(lies(tmp_path)) - {"b.checkpoint.new", "b.checkpoint.old"} == {"data", "b.checkpoint"}
    other = installed(*command, "--resume")
    assert other.returncode == 2
    assert "written with another schema" in other.stderr
    assert "resume with the schema and the options of the first run" in other.stderr
    again = installed(*command, *SHORT)
    assert again.returncode == 0, again.stderr
    assert lies(tmp_path) == ["b", "data"]


@pytest.mark.soak
def test_a_search_killed_and_resumed_keeps_its_finished_trials(
    start: Callable[..., Any], installed: Callable[..., Any], data: Path, tmp_path: Path
) -> None:
    command = ["train", data / "schema.yaml", "--data", data, "--out", tmp_path / "b", "--json"]
    command += ["--search", "1h", "--trials", "3", *SHORT]
    process = start(*command)
    trials = tmp_path / "b.search" / "trials.log"
    wait_for(trials, process)
    end = time.monotonic() + 60
    while trials.read_text().count("elapsed_s") < 2:  # two are finished
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.001)
    process.kill()
    process.communicate()
    before = trials.read_text()
    resumed = installed(*command, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    found = json.loads(resumed.stdout)["search"]["trials"]
    assert len(found) == 3
    assert str(found[0]["elapsed_s"]) in before  # not trained again
    assert lies(tmp_path) == ["b", "data"]


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_folds_go_on_after(
    number: signal.Signals,
    start: Callable[..., Any],
    installed: Callable[..., Any],
    trained: Path,
    tmp_path: Path,
) -> None:
    shutil.copytree(trained / "bundle", tmp_path / "b")
    command = ["evaluate", tmp_path / "b", "--data", trained / "data", "--folds", "2"]
    process = start(*command)
    finished = tmp_path / "b.folds"
    end = time.monotonic() + 60
    while not (found := list(finished.rglob("fold-1.json"))):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate()
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "the same command goes on with the finished folds" in err
    seconds = json.loads(found[0].read_text())["elapsed_s"]
    again = installed(*command, "--json")
    assert again.returncode == 0, again.stderr
    folds = json.loads(again.stdout)["folds"]
    assert folds["each"][0]["elapsed_s"] == seconds  # not trained again
    assert not finished.exists()


@pytest.mark.parametrize("what", ["checkpoint", "bundle"])
def test_a_full_disk_while_training(
    what: str, installed: Callable[..., Any], data: Path, tmp_path: Path
) -> None:
    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))

    each = SLOW if what == "checkpoint" else ()
    run = installed(
        "train", data / "schema.yaml", "--data", data, "--out", tmp_path / "b", *each, preexec_fn=small_files
    )
    assert run.returncode == 2, run.stderr
    assert f"the {what} {tmp_path}/b" in run.stderr
    assert "cannot be written" in run.stderr
    assert "free some space" in run.stderr
    assert "Traceback" not in run.stderr
    assert lies(tmp_path) == ["data"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_full_disk_while_predicting(
    kind: str, installed: Callable[..., Any], trained: Path, tmp_path: Path
) -> None:
    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))

    out = tmp_path / f"out.{kind}"
    out.write_text("the answers of yesterday")
    pairs = trained / "data" / "clicks.csv"
    run = installed("predict", trained / "bundle", "--pairs", pairs, "--out", out, preexec_fn=small_files)
    assert run.returncode == 2, run.stderr
    assert f"{out} cannot be written" in run.stderr
    assert "free some space" in run.stderr
    assert lies(tmp_path) == [out.name]
    assert out.read_text() == "the answers of yesterday"
