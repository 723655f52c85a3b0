"""Ctrl-C between two steps."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from motet.testing import toy_dataset
from motet.training import held_interrupts, train_model


def test_the_first_interrupt_waits_until_somebody_asks() -> None:
    with pytest.raises(KeyboardInterrupt), held_interrupts() as interrupted:  # noqa: PT012
        assert not interrupted()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_interrupts_at_once() -> None:
    after = False
    with pytest.raises(KeyboardInterrupt), held_interrupts():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        after = True
    assert not after


def test_other_threads_train_without_signals() -> None:
    said: list[bool] = []

    def run() -> None:
        with held_interrupts() as interrupted:
            said.append(interrupted())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert said == [False]


def test_an_interrupted_run_loses_no_step(tmp_path: Path) -> None:
    data = toy_dataset(rows=200)
    schema = data.schema.with_overrides("training.epochs=2", "training.batch_size=32")
    steps: list[int] = []

    def stop_at_four(what: str, done: int, total: int) -> None:
        steps.append(done)
        if done == 3:
            os.kill(os.getpid(), signal.SIGINT)  # lands while step 4 is prepared or computed

    with pytest.raises(KeyboardInterrupt):
        train_model(data, schema=schema, checkpoint=tmp_path / "c", progress=stop_at_four)
    assert steps[-1] == 3
    whole = train_model(data, schema=schema)
    resumed: list[int] = []
    rest = train_model(
        data,
        schema=schema,
        checkpoint=tmp_path / "c",
        resume=True,
        progress=lambda what, done, total: resumed.append(done),
    )
    assert resumed[0] == 5  # step 4 was done and kept
    for name, tensor in whole.model.state_dict().items():
        assert tensor.equal(rest.model.state_dict()[name]), name
