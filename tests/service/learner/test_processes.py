"""Real processes: a service that begins with nothing trains itself, whatever is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.service.learner.conftest import EDITED, FEW, NETWORK, begun, fill, open_parts, stream

from motet.service.learner import RunSettings, run_training
from motet.service.store import Event, Store
from motet.testing import PostgresServer

PATIENCE_S = 240.0
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(place: str) -> Iterator[Start]:
    """Starts motet with arguments; what still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def one(*arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MOTET_STORE": place}
        command = [sys.executable, "-m", "motet", *arguments]
        running.append(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
            )
        )
        return running[-1]

    yield one
    for process in running:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def until(what: Callable[[], Any]) -> Any:
    """Wait until something is true."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        if found := what():
            return found
        time.sleep(0.005)
    raise AssertionError("it did not happen in time")


def train_here(store: str, home: str) -> None:
    """What ``motet learn --number 1`` does, in a process whose imports are done."""
    with Store(store) as opened:
        run_training(opened, Path(home), 1, open_parts, RunSettings(judged=10, tolerance=1.0))


@pytest.mark.soak
@pytest.mark.usefixtures("url")
def test_killed_at_every_step_a_training_ends_as_if_it_had_not_been(
    store: Store, place: str, edited: Path, tmp_path: Path
) -> None:
    fill(store)
    last = store.events.last()
    store.learner.begin("asked", int(0.9 * last), last)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.service.learner.test_processes", "torch", "sklearn.metrics"])

    def start() -> Any:
        process = processes.Process(target=train_here, args=(place, str(edited)))
        process.start()
        return process

    def is_at(step: str, process: Any) -> bool:
        at_work = store.learner.latest(1)[0].state == step and (edited / "training-1").is_dir()
        return at_work or process.exitcode is not None

    for step in ("exporting", "exporting", "training", "training", "judging"):
        process = start()
        until(partial(is_at, step, process))
        process.kill()
        process.join()
        assert store.learner.latest(1)[0].is_open, f"it had ended before it was killed at {step}"
    process = start()
    process.join(PATIENCE_S)
    assert process.exitcode == 0
    done = store.learner.latest(10)
    assert [(one.number, one.state) for one in done] == [(1, "active")]
    with Store(tmp_path / "other.sqlite") as other:
        fill(other)
        other.learner.begin("asked", int(0.9 * last), last)
        home = tmp_path / "others"
        home.mkdir()
        (home / "schema.yaml").write_text(EDITED, encoding="utf-8")
        again = run_training(other, home, 1, open_parts, RunSettings(judged=1, tolerance=1.0))
    assert again.model == done[0].model
    assert sorted(path.name for path in edited.iterdir()) == ["learned-1", "plain-lists", "schema.yaml"]


@pytest.mark.soak
@pytest.mark.usefixtures("url")
def test_a_service_that_begins_with_nothing_trains_itself(start: Start, store: Store, edited: Path) -> None:
    fill(store, stream(0, 150))
    busy = Counter(one.user for one in stream(0, 150)).most_common(1)[0][0]
    serve = ("serve", "--models", str(edited), "--port", "0", "--no-pages", "--tolerance", "1", "--first-events", "300", "--first-users", "5")  # fmt: skip
    process = start(*serve)
    client = served(process)
    assert client.get("/v1/health/ready").json()["message"] == "no model yet, serving plain lists"
    plain = client.post("/v1/recommend", json={"user": busy, "k": 3}).json()
    assert plain["served_by"] == "together"
    assert plain["model"].startswith("plain-lists-")
    events = [body(one) for one in stream(150)]
    for at in range(0, len(events), 100):
        assert client.post("/v1/events", json={"events": events[at : at + 100]}).status_code == 200

    owner = until(lambda: store.learner.open() and store.learner.owner())
    os.kill(int(owner.split(":")[1]), signal.SIGKILL)  # the service starts another, which goes on
    until(lambda: client.get("/v1/health/live").json()["model"].startswith("learned-1-"))
    found = client.get("/v1/learner").json()
    assert [one["cause"] for one in found["trainings"]] == ["first"]
    assert found["trainings"][0]["details"]["judged_against"] == plain["model"]
    personal = client.post("/v1/recommend", json={"user": busy, "k": 3}).json()
    assert personal["served_by"] == "personal"
    assert set(personal["items"][0]["predictions"]) == {"like", "next"}

    gone = client.delete("/v1/users/u2").json()
    assert gone["done"] is True
    assert gone["out_of_model"]["training"] == 2

    learner = until(store.learner.owner).split(":")[1]
    process.send_signal(signal.SIGKILL)
    process.wait()
    client.close()
    until(lambda: not Path(f"/proc/{learner}").exists())  # it ends with its service
    again = start(*serve)
    client = served(again)
    assert client.get("/v1/health/live").json()["model"] == personal["model"]
    assert client.post("/v1/learner/train").status_code == 202
    assert store.values.get("learner.asked")["cause"] == "asked"
    client.close()
    again.terminate()
    assert again.wait(60) == 0


@pytest.mark.soak
@pytest.mark.usefixtures("url")
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_killed_under_a_training_the_database_costs_nothing(
    start: Start, store: Store, edited: Path, tmp_path: Path, postgres: PostgresServer
) -> None:
    (edited / "schema.yaml").write_text(NETWORK, encoding="utf-8")
    fill(store, stream(0, 150))
    process = start("serve", "--models", str(edited), "--port", "0", "--no-pages", "--tolerance", "1", "--first-events", "300", "--first-users", "5")  # fmt: skip
    client = served(process)
    events = [body(one) for one in stream(150)]
    for at in range(0, len(events), 20):
        some = {"events": events[at : at + 20]}
        assert client.post("/v1/events", json=some).status_code == 200
    for _ in range(2):
        until(lambda: store.learner.open() and (edited / "training-1").is_dir())
        postgres.kill()
        try:
            for at, one in enumerate(events):
                late = {**one, "id": f"late {one['id']}"}
                refused = client.post("/v1/events", json={"events": [late]})
                assert refused.status_code == 503
                assert "see that the database runs" in refused.json()["cure"]
                assert client.post("/v1/recommend", json={"user": one["user"], "k": 3}).status_code == 200
                if at == 10:
                    break
        finally:
            postgres.start()
        until(lambda: client.post("/v1/events", json={"events": events[-20:]}).status_code == 200)
    until(lambda: client.get("/v1/health/live").json()["model"].startswith("learned-1-"))
    assert sorted(one.id for one in store.events.after(0, 10_000)) == sorted(one.id for one in stream())
    done = store.learner.latest(10)
    assert [(one.number, one.state, one.cause) for one in done] == [(1, "active", "first")]
    client.close()
    process.terminate()
    assert process.wait(60) == 0
    with Store(tmp_path / "other.sqlite") as other:
        fill(other)
        other.learner.begin("first", done[0].until, done[0].judged_until)
        home = tmp_path / "others"
        home.mkdir()
        (home / "schema.yaml").write_text(NETWORK, encoding="utf-8")
        again = run_training(other, home, 1, open_parts, RunSettings(tolerance=1.0))
    assert (again.state, again.model) == ("active", done[0].model)


@pytest.mark.soak
def test_killed_in_the_middle_of_a_canary_it_goes_on(start: Start, store: Store, edited: Path) -> None:
    """Two workers and a learner: each user has one model, in both and after all were killed, and then all have the new one."""
    fill(store)
    first = run_training(store, edited, begun(store).number, open_parts, FEW).model
    serve = ("serve", "--workers", "2", "--models", str(edited), "--port", "0", "--no-pages", "--tolerance", "1", "--rate", "100000", "--every", "5s", "--canary", "0.5", "--canary-for", "20s")  # fmt: skip

    def models(address: str) -> dict[str, set[str]]:
        """Of each user what answered it, over some connections, which any worker may take."""
        found: dict[str, set[str]] = {f"n{k}": set() for k in range(120)}
        for _ in range(4):
            with httpx.Client(base_url=address, timeout=60) as client:
                for user, seen in found.items():
                    seen.add(client.post("/v1/recommend", json={"user": user, "k": 3}).json()["model"])
        return found

    def are_split(address: str) -> dict[str, set[str]] | None:
        found = models(address)
        is_sticky = all(len(seen) == 1 for seen in found.values())
        return found if is_sticky and len(set().union(*found.values())) == 2 else None

    process = start(*serve)
    client = served(process)
    assert client.post("/v1/learner/train").status_code == 202
    until(store.learner.canary)
    before = until(lambda: are_split(str(client.base_url)))
    learner = (store.learner.owner() or "").split(":")[1]
    canary = store.learner.canary()
    assert canary is not None
    assert set().union(*before.values()) == {first, canary.model}
    process.kill()
    process.wait()
    client.close()
    until(lambda: not Path(f"/proc/{learner}").exists())
    client = served(start(*serve))
    assert until(lambda: are_split(str(client.base_url))) == before
    until(lambda: store.learner.latest(1)[0].state == "active")
    done = store.learner.latest(1)[0]
    assert done.number == canary.number
    assert done.details["canary"]["began"] == canary.details["canary"]["began"]
    until(lambda: set().union(*models(str(client.base_url)).values()) == {canary.model})
    client.close()


def served(process: subprocess.Popen[str]) -> httpx.Client:
    assert process.stdout is not None
    line = next(line for line in process.stdout if line.startswith("motet serves"))
    return httpx.Client(base_url=line.split(" on ")[1].split(" ")[0], timeout=60)


def body(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "user": event.user,
        "item": event.item,
        "time": event.time.isoformat(),
    }
