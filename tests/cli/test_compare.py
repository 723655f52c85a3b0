"""``motet compare`` on the command line: its table, JSON, mistakes, and what Ctrl-C leaves."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

SPEC = """\
schemas: {path: schema.yaml, model.architecture: shared_bottom}
methods:
  shared_bottom:
  mmoe: {options: {experts: 2}}
baseline: shared_bottom
seeds: [0]
"""


@pytest.fixture
def spec(data: Path) -> Path:
    path = data / "compare.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def test_a_table_and_json_are_printed(
    motet: Callable[..., Any], spec: Path, data: Path, tmp_path: Path
) -> None:
    command = ("compare", spec, "--data", data, "--out", tmp_path / "out")
    said = motet(*command)
    assert said.code == 0, said.err
    for part in ("clicks, test rows, 1 seed", "click, auc", "next, ndcg@10", "mmoe", "ms / 1,000", "one seed:", "compare.html"):  # fmt: skip
        assert part in said.out
    assert "beyond noise" in said.out
    assert "compare: clicks, shared_bottom, seed 0" in said.err
    again = motet(*command, "--json")
    assert again.code == 0
    assert again.err == ""
    content = json.loads(again.out)
    assert content == json.loads((tmp_path / "out" / "compare.json").read_text())
    assert set(content) == {
        "form", "motet", "created", "baseline", "methods", "seeds", "trials", "members", "processes", "synthetic",
        "complete", "time_over", "unfinished", "failed", "schemas", "mean_rank",
    }  # fmt: skip
    (schema,) = content["schemas"].values()
    assert set(schema) == {"synthetic", "rows", "tasks", "scores", "costs", "chosen"}
    for table in schema["tasks"].values():
        assert set(table) == {
            "kind",
            "metric",
            "drawn",
            "rows",
            "methods",
            "scenarios",
            "metrics",
            "sentence",
        }
        for name, line in table["methods"].items():
            compared = (
                set() if name == "shared_bottom" else {"difference", "interval", "p", "p_holm", "verdict"}
            )
            assert set(line) == {"values", "mean", "deviation", "rank"} | compared


def test_a_mistake_is_one_line(motet: Callable[..., Any], spec: Path, data: Path, tmp_path: Path) -> None:
    spec.write_text(SPEC.replace("baseline: shared_bottom", "baseline: shared"))
    said = motet("compare", spec, "--data", data, "--out", tmp_path / "out")
    assert said.code == 2
    assert (
        said.err
        == f"error: {spec}: the baseline 'shared' is no method. Cure: did you mean 'shared_bottom'?\n"
    )
    spec.write_text(SPEC.replace("baseline: shared_bottom", "baseline: ["))
    said = motet("compare", spec, "--data", data, "--out", tmp_path / "out", "--json")
    assert said.code == 2
    assert "is not YAML" in json.loads(said.out)["error"]
    said = motet("compare", data / "none.yaml", "--data", data, "--out", tmp_path / "out")
    assert said.code == 2
    assert "none.yaml: No such file" in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.soak
def test_ctrl_c_ends_the_processes_and_says_how_to_go_on(
    start: Callable[..., Any], spec: Path, data: Path, tmp_path: Path
) -> None:
    spec.write_text(SPEC + "processes: 2\n")
    slow = SPEC.replace("schema.yaml", "schema.yaml, training.epochs: 100000, training.patience: 100000")
    spec.write_text(slow + "processes: 2\n")
    process = start("compare", spec, "--data", data, "--out", tmp_path / "out")
    end = time.monotonic() + 90
    while len(children := psutil.Process(process.pid).children()) < 2 or not all(
        child.num_threads() and child.cpu_times().user > 4 for child in children
    ):  # until both are at work
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted; the same command goes on with what is finished" in err
    assert "Traceback" not in err
    assert out == ""
    assert not any(child.is_running() for child in children)
    assert not list((tmp_path / "out" / "cells").iterdir())
    assert not list(tmp_path.glob(".*.lock"))
