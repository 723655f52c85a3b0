from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from motet.data import Dataset
from motet.errors import MissingExtraError, MotetError, SchemaError, TrainingError
from motet.models import MultiTaskModel
from motet.schema import TrainingSettings
from motet.testing import toy_dataset
from motet.training import BALANCERS, ModelPredictor, Trained, TrainingStep, learning_rate_at, train_model

Build = Callable[..., Dataset]
Clicks = Callable[..., dict[str, Any]]

EAGER = ("training.checkpoint_s=1e-9", "training.epochs=3", "model.dropout=0.2", "model.id_dropout=0.2")


class InterruptedRunError(Exception):
    """What a user's Ctrl-C amounts to."""


def weights(model: MultiTaskModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(one: Trained, two: Trained) -> None:
    for name, value in weights(one.model).items():
        assert torch.equal(value, two.model.state_dict()[name]), name
    assert one.history.best == two.history.best
    assert one.history.rows == two.history.rows
    assert len(one.history.validations) == len(two.history.validations)
    for a, b in zip(one.history.validations, two.history.validations, strict=True):
        assert (a.step, a.loss, a.primary_values, a.score) == (b.step, b.loss, b.primary_values, b.score)


def run(data: Dataset, *overrides: str, **options: Any) -> Trained:
    return train_model(data, schema=data.schema.with_overrides(*overrides), **options)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(toy: Dataset) -> None:
    one, two = run(toy, *EAGER), run(toy, *EAGER)
    assert_same(one, two)
    other = run(toy, *EAGER, "training.seed=1")
    assert any(not torch.equal(v, other.model.state_dict()[n]) for n, v in weights(one.model).items())


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "adagrad"])
@pytest.mark.parametrize("balancer", ["fixed", "uncertainty"])
def test_resumed_after_any_step_ends_the_same_to_the_bit(
    toy: Dataset, tmp_path: Path, optimizer: str, balancer: str
) -> None:
    overrides = (*EAGER, f"training.optimizer={optimizer}", f"objective.balancer={balancer}")
    whole = run(toy, *overrides)
    steps = -(-len(toy.rows("train")) // 64) * 3
    for stop in (1, steps // 2, steps - 1):
        place = tmp_path / str(stop)

        def interrupt(line: str, done: int, total: int, stop: int = stop) -> None:
            if done == stop:
                raise InterruptedRunError

        with pytest.raises(InterruptedRunError):
            run(toy, *overrides, checkpoint=place, progress=interrupt)
        assert_same(run(toy, *overrides, checkpoint=place, resume=True), whole)


@pytest.mark.parametrize(
    ("balancer", "options"),
    [
        ("random", "{}"),
        ("dwa", "{temperature: 0.3}"),
        ("famo", "{}"),
        ("gradnorm", "{alpha: 0.5}"),
        ("cagrad", "{smoothing: 0.5}"),
        ("pcgrad", "{}"),
        ("gradvac", "{beta: 0.2}"),
        ("pcd", "{primary: buy}"),
        ("graddrop", "{}"),
    ],
)
def test_what_a_balancer_remembers_is_in_the_checkpoint(
    toy: Dataset, tmp_path: Path, balancer: str, options: str
) -> None:
    overrides = (*EAGER, f"objective.balancer={balancer}", f"objective.balancer_options={options}")
    try:
        whole = run(toy, *overrides)
    except MissingExtraError:  # pragma: no cover
        pytest.skip("torchjd is not installed")

    def interrupt(line: str, done: int, total: int) -> None:
        if done == total // 2 + 1:  # within an epoch
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        run(toy, *overrides, checkpoint=tmp_path / "c", progress=interrupt)
    assert_same(run(toy, *overrides, checkpoint=tmp_path / "c", resume=True), whole)


def test_checkpoints_between_steps_lose_only_the_steps_since(toy: Dataset, tmp_path: Path) -> None:
    whole = run(toy, *EAGER)
    calls = 0

    def interrupt(line: str, done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if done == 7:
            raise InterruptedRunError

    schema = [*EAGER[1:], "training.checkpoint_s=1000000"]
    with pytest.raises(InterruptedRunError):
        run(toy, *schema, checkpoint=tmp_path / "c", progress=interrupt)
    assert not (tmp_path / "c").exists()
    assert_same(run(toy, *schema, checkpoint=tmp_path / "c", resume=True), whole)


KILLED = """
import sys
from pathlib import Path
from motet.testing import toy_dataset
from motet.training import train_model
from safetensors.torch import save_file

data = toy_dataset(overrides=["training.checkpoint_s=1e-9", "training.epochs=12", "training.patience=99", "model.dropout=0.2"])
def say(line, done, total):
    print(done, flush=True)
trained = train_model(data, checkpoint=Path(sys.argv[1]), resume=True, progress=say)
save_file(trained.model.state_dict(), sys.argv[2])
print("scores", [v.score for v in trained.history.validations], flush=True)
"""


@pytest.mark.soak
def test_killed_twice_and_resumed_ends_the_same(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(checkpoint: str, out: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", KILLED, str(tmp_path / checkpoint), str(tmp_path / out)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    with start("whole", "whole.st") as process:
        whole, _ = process.communicate(timeout=120)
    for after in (5, 23):
        process = start("killed", "killed.st")
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= after:
                break
        time.sleep(0.003)  # anywhere within a step or a checkpoint
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) == -signal.SIGKILL
        process.stdout.close()
        assert not (tmp_path / "killed.st").exists()
    with start("killed", "killed.st") as process:
        resumed, _ = process.communicate(timeout=120)
    assert int(resumed.splitlines()[0]) > 20
    assert resumed.splitlines()[-1] == whole.splitlines()[-1]
    assert (tmp_path / "killed.st").read_bytes() == (tmp_path / "whole.st").read_bytes()


def test_the_best_weights_are_kept_whether_patience_fired_or_not(toy: Dataset) -> None:
    for patience, stopped in ((2, "patience"), (99, "epochs")):
        trained = run(
            toy, "training.epochs=12", f"training.patience={patience}", "training.learning_rate=0.05"
        )
        history = trained.history
        scores = [look.score for look in history.validations]
        assert history.stopped == stopped
        assert history.best == int(np.argmax(scores))
        assert history.best < len(scores) - 1, "the last look is the best: the test shows nothing"
        if stopped == "patience":
            assert len(scores) == history.best + 3
        from motet.evaluation import primary_values, score_of  # noqa: PLC0415

        found = primary_values(toy, ModelPredictor(trained.model, toy, known="train"), "validation")
        assert score_of(toy.schema, found) == max(scores)


def test_the_score_is_taken_as_often_as_asked(toy: Dataset) -> None:
    history = run(toy, "training.validations_per_epoch=2").history
    assert [look.step for look in history.validations] == [2, 4, 6, 8]
    assert [look.epoch for look in history.validations] == [0.5, 1.0, 1.5, 2.0]


def test_the_time_limit_stops_and_validates(toy: Dataset) -> None:
    began = time.monotonic()
    trained = run(toy, "training.time_limit_s=0.2", "training.epochs=100000", "training.patience=100000")
    assert trained.history.stopped == "time limit"
    assert trained.history.validations
    assert trained.history.elapsed_s >= 0.2
    assert time.monotonic() - began < 20


def rows(n: int = 40, **columns: Any) -> pl.DataFrame:
    base = {"user": ["a", "b"] * (n // 2), "item": range(n), "at": range(n), "click": [0, 1, 1, 0] * (n // 4)}
    return pl.DataFrame({**base, **columns})


def fails(data: Dataset, match: str, *overrides: str) -> None:
    with pytest.raises(TrainingError, match=match):
        run(data, *overrides)


def test_a_loss_that_is_not_finite_names_task_and_step(build: Build, clicks: Clicks) -> None:
    data = build(
        clicks(
            tasks={
                "click": {"kind": "binary", "label": "click"},
                "spend": {"kind": "regression", "label": "spend"},
            },
            split={"by": "random"},
        ),
        {"clicks.csv": rows(spend=[float(k) for k in range(40)])},
    )
    fails(
        data,
        r"the loss of (click|spend|click, spend|the balanced sum or its gradient) is not finite at step \d+ .*Cure: lower training.learning_rate",
        "training.learning_rate=1e30", "training.batch_size=8", "training.clip_norm=0",
    )  # fmt: skip
    huge = data.labels.copy()
    huge[data.rows("train")[:3], 1] = 3e38
    from dataclasses import replace  # noqa: PLC0415

    data.encoder.label_std["spend"] = 1e-3
    fails(replace(data, labels=huge), r"the loss of spend is not finite at step 1 ")


def test_predictions_that_are_not_finite_name_the_step(toy: Dataset) -> None:
    overrides = ("training.learning_rate=1e30", "training.clip_norm=0", "training.batch_size=4096")
    fails(toy, r"the predictions after step 1 are not finite. Cure: lower training.learning_rate", *overrides)


@pytest.mark.parametrize(
    ("tasks", "columns", "match"),
    [
        ({"kind": "binary", "label": "click"}, {"click": [1] * 40}, "task 't' has one class only.*every label is 1.*Cure"),
        ({"kind": "binary", "label": "click"}, {"click": [0] * 40}, "task 't' has no positive label.*Cure"),
        ({"kind": "retrieval", "positive": "click = 1"}, {"click": [0] * 40}, "task 't' has no positive label.*Cure"),
        ({"kind": "regression", "label": "x"}, {"x": [None] * 39 + [1.0]}, "task 't' has no label in the training split.*Cure"),
        ({"kind": "multiclass", "label": "x"}, {"x": ["one"] * 40}, "task 't' has one class only.*'one'.*Cure"),
        ({"kind": "multiclass", "label": "x"}, {"x": [None] * 39 + ["one"]}, "task 't' has no label in the training split"),
    ],
)  # fmt: skip
def test_labels_that_teach_nothing(
    build: Build, clicks: Clicks, tasks: dict[str, Any], columns: dict[str, Any], match: str
) -> None:
    data = build(clicks(tasks={"t": tasks}, split={"by": "time"}), {"clicks.csv": rows(**columns)})
    fails(data, match)


def test_one_class_among_items(build: Build, clicks: Clicks) -> None:
    items = pl.DataFrame({"item": range(40), "kids": [0] * 40})
    content = clicks(
        tables={"interactions": "clicks.csv", "items": "items.csv"},
        tasks={"kids": {"kind": "binary", "label": "kids", "on": "item"}},
    )
    fails(build(content, {"clicks.csv": rows(), "items.csv": items}), "task 'kids' has no positive label")


def test_no_label_in_validation(build: Build, clicks: Clicks) -> None:
    data = build(clicks(split={"by": "time"}), {"clicks.csv": rows(click=[0, 1] * 10 + [0] * 20)})
    with pytest.raises(MotetError, match=r"no task with a score weight has a defined metric.*Cure"):
        run(data)


def test_misspelt_balancer_names_the_nearest(toy: Dataset) -> None:
    with pytest.raises(
        SchemaError, match=r"objective.balancer 'upgrd' is not known. Cure: did you mean 'upgrad'\?"
    ):
        run(toy, "objective.balancer=upgrd")


def test_options_of_a_balancer_are_checked_before_any_work(toy: Dataset) -> None:
    with pytest.raises(
        SchemaError, match=r"objective.balancer_options.alfa is not an option of gradnorm.*'alpha'"
    ):
        run(toy, "objective.balancer=gradnorm", "objective.balancer_options.alfa=1")


def test_draws_of_a_balancer_follow_the_seed_of_training(toy: Dataset) -> None:
    balancers = [
        TrainingStep(
            toy, toy.schema.with_overrides("objective.balancer=random", f"training.seed={seed}")
        ).balancer
        for seed in (0, 0, 1)
    ]
    losses = {name: torch.tensor(1.0 + k) for k, name in enumerate(toy.schema.tasks)}
    one, same, other = (float(balancer(losses, [])) for balancer in balancers)
    assert one == same != other


@pytest.mark.parametrize("name", sorted(BALANCERS))
def test_every_balancer_trains_the_toy_world(toy: Dataset, name: str) -> None:
    try:
        trained = run(toy, f"objective.balancer={name}", "training.epochs=4")
    except MissingExtraError:  # pragma: no cover
        pytest.skip("torchjd is not installed")
    first, *_, last = trained.history.validations
    assert sum(last.loss.values()) < sum(first.loss.values())


def test_something_is_learnt() -> None:
    data = toy_dataset(rows=3000, sequences=("mean",))
    history = run(data, "training.epochs=6", "training.patience=6").history
    best = history.validations[history.best].primary_values
    assert best["click"] is not None
    assert best["click"] > 0.7
    assert best["stars"] is not None
    assert best["stars"] > 0.1


def test_rates_by_hand() -> None:
    def rates(**options: Any) -> list[float]:
        settings = TrainingSettings(learning_rate=2.0, **options)
        return [round(learning_rate_at(step, 8, settings), 4) for step in range(8)]

    assert rates(schedule="constant", warmup=0) == [2.0] * 8
    assert rates(schedule="constant", warmup=0.5) == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0]
    assert rates(schedule="linear", warmup=0.25) == [1.0, 2.0, 2.0, 1.6667, 1.3333, 1.0, 0.6667, 0.3333]
    assert rates(schedule="cosine", warmup=0) == [round(1 + np.cos(np.pi * k / 8), 4) for k in range(8)]


def test_l1_pulls_dense_weights_to_zero_and_clipping_bounds_the_step(toy: Dataset) -> None:
    def total(*overrides: str) -> float:
        model = run(toy, "training.epochs=6", *overrides).model
        table = model.features.table.weight
        return sum(float(p.detach().abs().sum()) for p in model.parameters() if p is not table)

    assert total("training.l1=0.1") < 0.9 * total()
    stepper = TrainingStep(toy, toy.schema.with_overrides("training.clip_norm=0.001"))
    stepper(next(iter(stepper.batcher.epoch(toy.rows("train"), 64, (0,)))), 0.01)
    norm = torch.stack([p.grad.norm() for p in stepper.dense if p.grad is not None]).norm()
    assert float(norm) <= 0.00101
