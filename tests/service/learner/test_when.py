"""When the learner trains, who may, and when it takes a model back."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.service.learner.conftest import fill

from motet.cli import main
from motet.errors import StoreError
from motet.service.learner import (
    Learner,
    LearnerSettings,
    Success,
    ask_for_training,
    fell,
    learner_status,
    out_of_model,
    success_of,
)
from motet.service.store import Event, ModelVersion, Shown, ShownItem, Store
from motet.service.web import waits_in_words

pytestmark = pytest.mark.usefixtures("url")  # on each kind of database
SETTINGS = LearnerSettings(first_events=50, first_users=5, rest_s=0.0, poll_s=0.01, watch_s=0.0)


def learner(
    store: Store, settings: LearnerSettings = SETTINGS, command: Sequence[str] = ("false",)
) -> Learner:
    return Learner(store, Path("unused"), settings, lambda number: [*command, str(number)])


def ended(store: Store, state: str = "active", **details: object) -> None:
    last = store.events.last()
    number = store.learner.begin("asked", last, last).number
    store.learner.change(number, state, **details)  # type: ignore[arg-type]


def test_the_first_training_waits_for_enough_events_and_users(store: Store) -> None:
    assert learner(store).due() is None
    store.events.add([Event("like", "ann", str(k)) for k in range(60)])
    assert learner(store).due() is None  # all of one user
    store.events.add([Event("hide", f"u{u}", str(k)) for u in range(9) for k in range(3)])
    assert learner(store).due() is None  # who has turned things down has liked nothing
    store.events.add([Event("like", f"u{u}", str(k)) for u in range(9) for k in range(2)])
    assert learner(store).due() == "first"
    assert learner(store, replace(SETTINGS, first_events=1_000)).due() is None


def test_after_a_first_training_that_was_kept_it_waits_for_half_as_many_events_more(store: Store) -> None:
    fill(store)
    events = store.learner.events_after(0)
    ended(store, "kept", events=events)
    assert learner(store).due() is None
    store.events.add([Event("view", "u1", str(k)) for k in range(events // 2 + 1)])
    assert learner(store).due() == "first"


def test_later_trainings_are_due_by_time_events_and_deletions(store: Store) -> None:
    fill(store)
    ended(store, changes_until=store.changes.last())
    by_events = replace(SETTINGS, events=10)
    at_once = replace(SETTINGS, every_s=1e-9)
    assert learner(store, by_events).due() is None
    assert learner(store, at_once).due() is None  # nothing is new
    store.users.delete("u3")
    assert learner(store, at_once).due() == "schedule"
    assert learner(store, SETTINGS).due() is None
    assert learner(store, replace(SETTINGS, every_s=0.0)).due() is None
    store.events.add([Event("view", "u1", str(k)) for k in range(10)])
    assert learner(store, by_events).due() == "events"
    store.learner.change(1, "active", events=9)
    assert learner(store, SETTINGS).due() == "growth"
    assert learner(store, replace(SETTINGS, growth=2.5)).due() is None
    store.learner.change(1, "active", events=1_000)
    ask_for_training(store, "drift", feature="item.genres")
    assert learner(store, SETTINGS).due() == "drift"
    assert learner(store, replace(SETTINGS, rest_s=60.0)).due() is None
    ended(store)
    assert learner(store, SETTINGS).due() is None  # what was asked for was done


def test_what_becomes_of_a_model_later_is_not_part_of_its_training(store: Store) -> None:
    number = store.learner.begin("asked", 1, 2).number
    store.learner.change(number, "judging")
    assert store.learner.latest(1)[0].ended is None
    store.learner.change(number, "active")
    ended = store.learner.latest(1)[0].ended
    assert ended is not None
    time.sleep(0.01)
    store.learner.change(number, "active", success={"now": {"lists": 3}})
    store.learner.change(number, "replaced")
    training = store.learner.latest(1)[0]
    assert training.changed > ended
    assert training.ended == ended


def test_one_learner_works_on_a_store_and_a_dead_one_is_replaced_at_once(store: Store) -> None:
    held = store.learner.hold("elsewhere:1:2", 30.0)
    assert held == "elsewhere:1:2"
    assert store.learner.hold("other", 30.0) == held
    stop = threading.Event()
    waiting = threading.Thread(target=learner(store).run, args=(stop,))
    waiting.start()
    stop.set()
    waiting.join(30)
    assert store.learner.owner() == held  # it is another machine's, and may be alive
    store.learner.release(held)
    assert store.learner.owner() is None
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)  # fmt: skip
    store.learner.hold(f"{socket.gethostname()}:{gone.stdout.strip()}:7", 30.0)
    fill(store)
    one = learner(store, replace(SETTINGS, first_users=99))
    stop.clear()
    working = threading.Thread(target=one.run, args=(stop,))
    working.start()
    for _ in range(1_000):
        if (store.learner.owner() or "").startswith(f"{socket.gethostname()}:{os.getpid()}:"):
            break
        stop.wait(0.02)
    else:
        pytest.fail("the learner of a dead process was not replaced")
    stop.set()
    working.join(30)
    assert store.learner.owner() is None


def test_one_training_at_a_time(store: Store) -> None:
    fill(store)
    store.learner.begin("asked", 10, 20)
    with pytest.raises(StoreError, match="under way already"):
        store.learner.begin("asked", 10, 20)


def test_of_processes_that_wait_for_each_other_one_learns(store: Store, url: str) -> None:
    """Each sees what the one before it wrote, whatever isolation the database has by default."""
    place = f"{url}%20-cdefault_transaction_isolation%3Dserializable" if "://" in url else url
    with ExitStack() as stack:
        others = [stack.enter_context(Store(place)) for _ in range(3)]
        threads = stack.enter_context(ThreadPoolExecutor())
        with store._database.writing():  # until then they wait
            held = [threads.submit(one.learner.hold, f"p{k}", 30.0) for k, one in enumerate(others)]
            time.sleep(0.2)
        assert len({one.result() for one in held}) == 1
        with store._database.writing():
            begun = [threads.submit(one.learner.begin, "asked", 1, 2) for one in others]
            time.sleep(0.2)
        errors = [one.exception() for one in begun]
    assert [type(one) for one in errors if one is not None] == [StoreError, StoreError]
    assert [one.number for one in store.learner.latest()] == [1]


def test_a_process_that_dies_three_times_fails_its_training(store: Store) -> None:
    fill(store)
    one, stop = learner(store), threading.Event()
    for _ in range(3):
        assert one.step(stop)
    training = store.learner.latest(1)[0]
    assert (training.number, training.state) == (1, "failed")
    assert "ended three times, last with 1" in training.details["reason"]


def test_a_training_that_takes_too_long_is_ended(store: Store) -> None:
    fill(store)
    code = "import time; time.sleep(600)"
    one = learner(store, replace(SETTINGS, limit_s=0.2), (sys.executable, "-c", code))
    one.step(threading.Event())
    training = store.learner.latest(1)[0]
    assert (training.state, training.details["reason"]) == ("failed", "it took longer than 0.2 s")


def test_the_latest_events_are_for_the_judgement(store: Store) -> None:
    fill(store)
    learner(store).step(threading.Event())
    training = store.learner.latest(1)[0]
    events = store.learner.events_after(0)
    assert training.judged_until == store.events.last()
    assert store.learner.events_after(training.until) == events // 10


def shown(store: Store, model: str, lists: int, hits: int, at: datetime) -> None:
    """Lists of a model, some with an event on one of their items."""
    for k in range(lists):
        items = (ShownItem("0"), ShownItem("1"))
        one = Shown(items, user=f"{model}{k}", time=at, model=model)
        store.shown.add([one])
        if k < hits:
            named = one.id if k % 2 else None
            store.events.add(
                [Event("view", f"{model}{k}", "1", time=at + timedelta(seconds=5), list_id=named)]
            )
        else:  # what was not shown, what came late, and what turns it down, are no hits
            other = [("view", "7", 5), ("view", "1", 5_000), ("hide", "1", 5)][k % 3]
            store.events.add(
                [Event(other[0], f"{model}{k}", other[1], time=at + timedelta(seconds=other[2]))]
            )


def test_success_counts_what_was_taken_up_soon(store: Store) -> None:
    at = datetime.now(UTC) - timedelta(hours=3)
    shown(store, "m", 12, 5, at)
    store.shown.add(
        [Shown((ShownItem("0"),), time=at, model="m"), Shown((ShownItem("0"),), user="x", model="m")]
    )
    found = success_of(store, "m", most=100, horizon_s=60.0)
    assert (found.lists, found.hits) == (12, 5)
    assert success_of(store, "m", most=4, horizon_s=60.0).lists == 4
    assert success_of(store, "other", most=4, horizon_s=60.0) == Success(0, 0)
    assert not fell(Success(100, 50), Success(50, 0), fewest=60, least=0.1)


def test_a_model_that_does_worse_while_it_serves_is_taken_back(store: Store) -> None:
    fill(store)
    for name in ("old", "new"):
        store.models.put(ModelVersion(name, f"/{name}"))
        store.models.activate(name)
    training = store.learner.begin("asked", 10, 20, "old")
    store.learner.change(training.number, "active", model="new")
    at = datetime.now(UTC) - timedelta(hours=3)
    shown(store, "old", 60, 30, at)
    shown(store, "new", 45, 25, at)
    one = learner(store, replace(SETTINGS, watched=60, horizon_s=60.0, every_s=0.0))
    one.step(threading.Event())
    assert store.learner.latest(1)[0].state == "active"
    shown(store, "new", 15, 0, at + timedelta(minutes=1))
    for k in range(40):
        store.shown.add([Shown((ShownItem("0"),), user=f"{k}", time=at + timedelta(minutes=2), model="new")])
    one.step(threading.Event())
    taken = store.learner.latest(1)[0]
    assert taken.state == "rolled_back"
    assert "of the model before 50.0%" in taken.details["reason"]
    active = store.models.in_state("active")
    assert active is not None
    assert active.name == "old"
    assert one.due() is None  # it does not train again at once


def test_a_model_that_a_service_refuses_is_taken_back(store: Store) -> None:
    for name in ("old", "new"):
        store.models.put(ModelVersion(name, f"/{name}"))
        store.models.activate(name)
    training = store.learner.begin("asked", 10, 20, "old")
    store.learner.change(training.number, "active", model="new")
    store.models.put(ModelVersion("new", "/new", "refused", "an item twice"))
    learner(store).step(threading.Event())
    taken, active = store.learner.latest(1)[0], store.models.in_state("active")
    assert (taken.state, taken.details["reason"]) == ("rolled_back", "a service refused it: an item twice")
    assert active is not None
    assert active.name == "old"


def test_what_is_counted_in_a_canary_ends_with_it(store: Store) -> None:
    for name in ("old", "new"):
        store.models.put(ModelVersion(name, f"/{name}"))
    number = store.learner.begin("asked", 10, 20, "old").number
    assert not store.learner.put_figures(number, "a", {"n": 1})  # it has not begun
    store.learner.change(number, "canary", model="new")
    for process, n in (("a", 1), ("b", 2), ("a", 3)):
        assert store.learner.put_figures(number, process, {"n": n})
    assert store.learner.figures(number) == [{"n": 3}, {"n": 2}]
    assert store.learner.figures(number + 10) == []
    found = store.learner.canary()
    assert found is not None
    assert found.number == number
    assert not store.learner.change(number, "activating", before="judging")
    assert store.learner.change(number, "kept", before="canary", reason="slow")
    assert not store.learner.change(number, "activating", before="canary")
    assert (store.learner.canary(), store.learner.figures(number)) == (None, [])
    assert not store.learner.put_figures(number, "a", {"n": 1})
    assert {one.name: one.reason for one in store.models.all()} == {"old": "", "new": "slow"}


def settled(store: Store, settings: LearnerSettings) -> None:
    """A learner that ran with such settings, and is gone."""
    stop = threading.Event()
    stop.set()
    learner(store, settings).run(stop)


def test_the_status_says_what_the_first_training_waits_for(store: Store) -> None:
    assert learner_status(store)["waits_for"] is None  # no learner was here
    settled(store, SETTINGS)
    seen = set()
    for n in range(14):
        found = learner_status(store)["waits_for"]
        is_enough = found["events"] == found["users"] == 0
        assert is_enough == (learner(store).due() == "first")
        assert found["events"] == max(0, 50 - store.learner.events_after(0))
        seen.add((bool(found["events"]), bool(found["users"])))
        begin = [Event("like", "ann", f"{n}.{k}") for k in range(5)]
        store.events.add(begin + [Event("like", f"u{n}", str(k)) for k in range(2) if n > 8])
    assert seen == {(True, True), (False, True), (False, False)}
    settled(store, replace(SETTINGS, first_events=1_000, first_users=1))
    status = learner_status(store)
    said = waits_in_words(status, "en")
    assert said == f"The first training waits for {1_000 - status['events']:,} more events."
    assert str(1_000 - status["events"]) in waits_in_words(status, "zh")
    store.learner.begin("first", 1, 2)
    assert learner_status(store)["waits_for"] is None  # it is under way
    store.learner.change(1, "kept", events=600)
    events = store.learner.events_after(0)
    assert learner_status(store)["waits_for"]["events"] == 1_000 - events
    store.learner.change(1, "kept", events=2_000)
    assert learner_status(store)["waits_for"]["events"] == 3_000 - events
    assert "more events, or for 20" in waits_in_words(learner_status(store), "en")


def test_the_status_says_what_the_next_training_waits_for(store: Store) -> None:
    fill(store)
    settled(store, replace(SETTINGS, every_s=3_600.0))
    ended(store, events=40)
    for _ in range(9):
        found = learner_status(store)["waits_for"]
        assert (found["events"] == 0) == (learner(store).due() == "growth")
        assert found["at"] == (store.learner.latest(1)[0].began + timedelta(hours=1)).isoformat()
        store.events.add([Event("view", "u1", str(k)) for k in range(5)])
    assert waits_in_words(learner_status(store), "en") == "There is enough for a training; it begins soon."
    settled(store, replace(SETTINGS, events=70, every_s=0.0, growth=9.0))
    assert learner_status(store)["waits_for"] == {"first": False, "events": 25, "users": None, "at": None}
    assert waits_in_words(learner_status(store), "en") == "The next training waits for 25 more events."


def test_the_status_says_what_happened_and_a_deletion_when_it_takes_effect(store: Store) -> None:
    assert out_of_model(store) is None
    assert learner_status(store)["now"] == "waiting"
    fill(store)
    store.values.put("learner.settings", {"every_s": 3600.0})
    ended(store, changes_until=store.changes.last(), judged={"ndcg": 0.1})
    store.users.delete("u1")
    found = learner_status(store)
    assert found["users_deleted_since"] == 1
    assert found["events_since"] == 0
    assert found["trainings"][0]["details"]["judged"] == {"ndcg": 0.1}
    receipt = out_of_model(store)
    assert receipt is not None
    assert receipt["training"] == 2
    began = store.learner.latest(1)[0].began
    assert datetime.fromisoformat(receipt["by"]) == began + timedelta(hours=1)


def test_the_command_says_what_the_learner_waits_for(
    store: Store, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store.events.add([Event("like", "ann", str(k)) for k in range(30)])
    settled(store, SETTINGS)
    command = ["learn", "status", "--store", url]
    assert main(command) == 0
    assert "does not run · 30 events, none learnt yet" in " ".join(capsys.readouterr().out.split())
    store.learner.hold("elsewhere:1:2", 30.0)
    assert main(command) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "now: waiting · 30 events, none learnt yet" in said
    assert "waits for 20 more events and 4 more users with events of two items." in said
    ended(store, "active", events=30)
    assert main(command) == 0
    assert "30 events, 0 since the active training" in " ".join(capsys.readouterr().out.split())
