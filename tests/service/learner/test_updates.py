"""Between two trainings in full the active model learns from new events: when, from which, and whatever is killed."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.service.learner.conftest import NETWORK, fill, open_parts, stream

from motet.service.learner import Learner, LearnerSettings, RunSettings, learner_status, run_training
from motet.service.store import Store
from motet.training import load_bundle

FIRST, EVERY = 200, 80
SETTINGS = LearnerSettings(
    first_events=10, first_users=2, rest_s=0.0, every_s=0.0, growth=100.0, update_events=EVERY
)
RUN = RunSettings(judged=20, tolerance=1.0, canary=0.5)  # an update has no canary
PATIENCE_S = 240.0


@pytest.fixture
def network(home: Path) -> Path:
    """The directory of the models with a schema of a small network."""
    home.mkdir()
    (home / "schema.yaml").write_text(NETWORK, encoding="utf-8")
    return home


def trained(store: Store, home: Path) -> None:
    """A model that was trained in full on the first events, and is active."""
    fill(store, stream(0, FIRST))
    last = store.events.last()
    store.learner.begin("first", last, last)
    assert run_training(store, home, 1, open_parts, RUN).state == "active"


def due(store: Store, settings: LearnerSettings = SETTINGS) -> str | None:
    return Learner(store, Path("unused"), settings, lambda number: ["false"]).due()


def begin(store: Store) -> None:
    """Begin what is due, by a learner whose process ends at once."""
    import threading  # noqa: PLC0415

    Learner(store, Path("unused"), SETTINGS, lambda number: ["false", str(number)]).step(threading.Event())


@pytest.mark.usefixtures("url")
def test_an_update_is_due_by_number_of_events_and_takes_up_where_the_model_is(
    store: Store, network: Path
) -> None:
    trained(store, network)
    base = store.models.in_state("active")
    assert base is not None
    assert due(store) is None
    store.events.add(stream(FIRST, FIRST + EVERY))
    assert due(store) is None  # nothing is left to judge it on
    store.events.add(stream(FIRST + EVERY, FIRST + EVERY + EVERY // 4))
    assert due(store, replace(SETTINGS, update_events=0)) is None
    assert due(store) == "update"
    begin(store)
    training = store.learner.latest(1)[0]
    first = store.learner.get(1)
    assert first is not None
    assert training.until == store.learner.seq_after(first.until, EVERY)
    assert training.judged_until == store.events.last()
    done = run_training(store, network, training.number, open_parts, RUN)
    assert (done.state, done.cause, done.base, done.details["started_from"]) == (
        "active",
        "update",
        base.name,
        base.name,
    )
    assert store.learner.get(1).state == "replaced"  # type: ignore[union-attr]
    facts = load_bundle(network / "learned-2").metrics["updates"]
    assert (facts["after"], facts["until"]) == (first.until, training.until)
    assert (
        done.details["changes_until"] == first.details["changes_until"]
    )  # its weights rest on all that those rest on
    status = learner_status(store)
    assert status["learnt_until"] == training.until
    assert due(store) is None
    store.users.delete("u3")
    assert learner_status(store)["users_deleted_since"] == 1


def test_what_was_not_good_enough_is_tried_again_on_as_many_events_more(store: Store, network: Path) -> None:
    trained(store, network)
    store.events.add(stream(FIRST, FIRST + EVERY + EVERY // 4))
    begin(store)
    store.learner.change(2, "kept", reason="not good enough")
    assert due(store) is None
    store.events.add(stream(FIRST + EVERY + EVERY // 4, FIRST + 2 * EVERY + EVERY // 4))
    assert due(store) == "update"
    begin(store)
    first, second = store.learner.get(1), store.learner.get(3)
    assert first is not None
    assert second is not None
    assert second.until == store.learner.seq_after(first.until, 2 * EVERY)


def test_a_plain_method_is_trained_in_full_alone(store: Store, edited: Path) -> None:
    trained(store, edited)
    store.events.add(stream(FIRST, FIRST + 2 * EVERY))
    assert due(store) is None


def test_updates_do_not_count_as_trainings_in_full(store: Store, network: Path) -> None:
    trained(store, network)
    store.events.add(stream(FIRST, FIRST + EVERY + EVERY // 4))
    begin(store)
    store.learner.change(2, "active", model="other")
    assert [one.number for one in store.learner.latest(5, full=True)] == [1]
    assert due(store, replace(SETTINGS, every_s=1e-9)) == "schedule"
    assert due(store, replace(SETTINGS, events=EVERY)) == "events"


def update_here(store: str, home: str) -> None:
    """What ``motet learn --number 2`` does, in a process whose imports are done."""
    with Store(store) as opened:
        run_training(opened, Path(home), 2, open_parts, RUN)


@pytest.mark.soak
@pytest.mark.usefixtures("url")
def test_killed_anywhere_an_update_ends_as_if_it_had_not_been(
    store: Store, place: str, network: Path, tmp_path: Path
) -> None:
    trained(store, network)
    store.events.add(stream(FIRST, FIRST + EVERY + EVERY // 4))
    begin(store)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.service.learner.test_updates", "torch", "sklearn.metrics"])

    def start() -> Any:
        process = processes.Process(target=update_here, args=(place, str(network)))
        process.start()
        return process

    began_s = time.monotonic()
    with Store(tmp_path / "other.sqlite") as other:  # uninterrupted, and timed
        home = tmp_path / "others"
        home.mkdir()
        (home / "schema.yaml").write_text(NETWORK, encoding="utf-8")
        trained(other, home)
        other.events.add(stream(FIRST, FIRST + EVERY + EVERY // 4))
        begin(other)
        began_s = time.monotonic()
        wanted = run_training(other, home, 2, open_parts, RUN)
        took_s = time.monotonic() - began_s
    assert wanted.state == "active"
    kills = 0
    for share in (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.8):
        process = start()
        process.join(share * took_s + 0.1)
        if process.exitcode is None:
            process.kill()
            kills += 1
        process.join()
        if not store.learner.latest(1)[0].is_open:
            break
    assert kills >= 3
    process = start()
    process.join(PATIENCE_S)
    assert process.exitcode == 0
    done = store.learner.get(2)
    assert done is not None
    assert (done.state, done.until, done.model) == ("active", wanted.until, wanted.model)
    for name in ("rows", "events", "users", "items"):
        assert done.details[name] == wanted.details[name]
    for part in ("weights.safetensors", "members.safetensors", "vocabularies.parquet"):
        there = (home / "learned-2" / part), (network / "learned-2" / part)
        assert there[0].exists() == there[1].exists()
        if there[0].exists():
            assert there[0].read_bytes() == there[1].read_bytes()
    assert not [path.name for path in network.iterdir() if path.name.endswith((".new", ".old"))]
