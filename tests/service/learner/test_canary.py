"""A new model answers a share of the users, and then all of them or nobody: real models, engines and events."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.service.learner.conftest import EDITED, GROUPS, Learned, begun, open_parts

from motet.errors import RequestError
from motet.service.engine import Engine, EngineSettings, ModelRegistry, RecommendRequest
from motet.service.learner import (
    Learner,
    LearnerSettings,
    RunSettings,
    Success,
    fell,
    run_training,
    users_fell,
)
from motet.service.monitor import ListFigures
from motet.service.store import Event, ModelVersion, Store, Training

VISITORS = 130
WATCHING = LearnerSettings(watch_s=0.0, horizon_s=0.0)
Serve = Callable[[Store], Engine]
Canary = tuple[Store, Training, Training]
WORSE = EDITED.replace("like = 1", "like = 0")  # it looks for what is not liked
NARROW = EDITED.replace("  like: {kind: binary, label: like}\n", "")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts engines as processes of one store do."""
    with ExitStack() as stack:

        def one(store: Store) -> Engine:
            engine = Engine(store, open_parts, EngineSettings(follow_s=0.05))
            stack.callback(engine.close)
            active = store.models.in_state("active")
            assert active is not None
            ModelRegistry(engine).start(Path(active.path))
            return engine

        yield one


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def candidate(store: Store, home: Path, schema: str = EDITED) -> Training:
    """A training whose model is to answer half of the users for a minute."""
    (home / "schema.yaml").write_text(schema, encoding="utf-8")
    settings = RunSettings(judged=5, tolerance=1.0, canary=0.5, canary_s=60.0)
    found = run_training(store, home, begun(store).number, open_parts, settings)
    assert found.state == "canary", found.details
    return found


@pytest.fixture(scope="module")
def begun_once(learned_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which a model has just begun to answer half of the users, for a minute."""
    place = shutil.copytree(learned_once, tmp_path_factory.mktemp("canary") / "store")
    with Store(place / "store.sqlite") as store:
        candidate(store, place / "models")
    return place / "store.sqlite"


@pytest.fixture
def canary(begun_once: Path, tmp_path: Path) -> Iterator[Canary]:
    """A copy of it, with the training whose model is active, and the one whose model is new."""
    with Store(shutil.copy(begun_once, tmp_path / "store.sqlite")) as store:
        found, first = store.learner.latest(2)
        yield store, first, found


def visit(engines: list[Engine], first: int = 0, last: int = VISITORS, length: int = 3) -> dict[str, str]:
    """People who are new look at a list each, and like the first item of their group in it; which model answered whom."""
    store = engines[0].store
    likes = [
        Event(type, f"n{k}", str(GROUPS * at + (k + turned) % GROUPS))
        for k in range(first, last)
        for at in range(2)
        for type, turned in (("like", 0), ("view", 1))
    ]
    store.events.add(likes)
    answered, taken = {}, []
    for k in range(first, last):
        engine = engines[k % len(engines)]
        answer = engine.recommend(RecommendRequest(user=f"n{k}", k=length))
        answered[f"n{k}"] = answer.model
        own = next((one.id for one in answer.items if int(one.id) % GROUPS == k % GROUPS), None)
        if own is not None:
            taken.append(Event("like", f"n{k}", own, list_id=answer.list_id))
    store.events.add(taken)
    for engine in engines:
        assert engine.shown_log.flush(10.0)
    return answered


def opened(engines: list[Engine], model: str | None) -> None:
    until(lambda: all(str(model) in one.model.beside for one in engines))


def counted(store: Store, number: int) -> int:
    return sum(one[role]["lists"] for one in store.learner.figures(number) for role in ("new", "active"))


def look(store: Store, settings: LearnerSettings = WATCHING) -> Training:
    """A learner that was just started looks twice."""
    learner, stop = Learner(store, Path("unused"), settings, lambda _: ["false"]), threading.Event()
    for _ in range(2):
        training = store.learner.latest(1)[0]
        if training.state == "canary":
            assert not learner.step(stop)
        time.sleep(0.005)
    return store.learner.latest(1)[0]


def test_a_model_that_does_no_worse_is_activated_and_a_restart_changes_nobody(
    canary: Canary, serve: Serve
) -> None:
    store, first, found = canary
    engines = [serve(store), serve(store)]
    opened(engines, found.model)
    answered = visit(engines, 0, 30)
    assert set(answered.values()) == {first.model, found.model}
    engines.reverse()  # whichever process answers
    assert {user: engines[int(user[1:]) % 2].recommend(RecommendRequest(user=user, k=3)).model for user in answered} == answered  # fmt: skip
    nobody = engines[0].recommend(RecommendRequest(history=("3",), k=3))
    assert nobody.model == first.model
    assert look(store).state == "canary"  # of too few users anything is known
    until(lambda: counted(store, found.number) == 60)
    engines.pop().close()
    engines.append(serve(store))
    opened(engines, found.model)
    again = {user: engines[1].recommend(RecommendRequest(user=user, k=3)).model for user in answered}
    assert again == answered
    more = visit(engines, 30)
    assert look(store).state == "canary"  # its time is not over
    details = store.learner.latest(1)[0].details["canary"]
    store.learner.change(found.number, "canary", canary={**details, "watched_s": 60.0})
    assert 0.35 < sum(one == found.model for one in more.values()) / len(more) < 0.65
    ended = look(store)
    assert (ended.state, ended.details["reason"]) == ("active", "")
    new, active = ended.details["canary"]["new"], ended.details["canary"]["active"]
    assert new["users"] + active["users"] == VISITORS
    assert new["hits"] > 0.8 * new["users"]
    assert store.learner.figures(found.number) == []
    until(lambda: all(one.model.name == found.model and not one.model.beside for one in engines))
    assert store.learner.get(1).state == "replaced"  # type: ignore[union-attr]
    said = engines[0].watch.summary(5)["kinds"]["model"]
    assert set(said) == {"active", "new"}


def test_a_model_whose_lists_lead_to_less_is_dropped_with_the_reason(learned: Learned, serve: Serve) -> None:
    store, home, first = learned
    found = candidate(store, home, WORSE)
    engine = serve(store)
    opened([engine], found.model)
    visit([engine], last=180, length=1)
    ended = look(store)
    assert ended.state == "kept"
    assert "lists of its canary" in ended.details["reason"]
    assert ended.details["canary"]["problem"] == "success"
    versions = {one.name: one for one in store.models.all()}
    assert (versions[str(first.model)].state, versions[str(found.model)].state) == ("active", "loaded")
    assert versions[str(found.model)].reason == ended.details["reason"]
    until(lambda: not engine.model.beside)
    assert {engine.recommend(RecommendRequest(user=f"n{k}", k=3)).model for k in range(9)} == {first.model}


def test_an_operator_ends_it_or_activates_the_model_at_once(canary: Canary, serve: Serve) -> None:
    store, first, found = canary
    engine = serve(store)
    models = ModelRegistry(engine)
    opened([engine], found.model)
    users = [f"n{k}" for k in range(12)]
    answers = {engine.recommend(RecommendRequest(user=one, k=3)).model for one in users}
    assert answers == {first.model, found.model}
    assert models.roll_back() == first.model
    assert {engine.recommend(RecommendRequest(user=one, k=3)).model for one in users} == {first.model}
    ended = store.learner.latest(1)[0]
    assert (ended.state, ended.details["reason"]) == ("kept", "an operator ended its canary")
    store.learner.change(found.number, "canary")
    models.activate(str(found.model))
    assert look(store).state == "active"
    store.learner.change(found.number, "canary")
    store.models.put(ModelVersion("other", "/elsewhere"))
    store.models.activate("other")
    assert "another model was activated" in look(store).details["reason"]


def test_errors_and_slow_lists_end_it(canary: Canary) -> None:
    store, _, found = canary
    new, active = ListFigures(), ListFigures()
    for k in range(100):
        new.add(10.0, failed=False)
        active.add(10.0, failed=k % 50 == 0)
    whole = {"new": new.plain(), "active": active.plain()}
    store.learner.put_figures(found.number, "a", whole)
    assert look(store).state == "canary"
    for kind, ms in (("slow", 400.0), ("failed", 10.0)):
        worse = ListFigures()
        for k in range(60):
            worse.add(ms, failed=kind == "failed" and k % 2 == 0)
        store.learner.put_figures(found.number, "b", {"new": worse.plain(), "active": active.plain()})
        ended = look(store)
        assert (ended.state, ended.details["canary"]["problem"]) == ("kept", kind)
        assert not store.learner.put_figures(found.number, "b", whole)  # it has ended
        store.learner.change(found.number, "canary")
        store.learner.put_figures(found.number, "a", whole)
    store.models.put(ModelVersion(str(found.model), "/gone", "refused", "a nan"))
    assert look(store).details["reason"] == "a service refused it: a nan"


def test_what_the_new_model_refuses_the_active_one_answers(learned: Learned, serve: Serve) -> None:
    store, home, first = learned
    found = candidate(store, home, NARROW)
    engine = serve(store)
    opened([engine], found.model)
    objective = {"weights": {"like": 1.0}}
    for k in range(60):
        answer = engine.recommend(RecommendRequest(user=f"n{k}", k=3, objective=objective))
        assert answer.model == first.model
    for k in range(4):
        with pytest.raises(RequestError):  # which is no fault of a model
            engine.recommend(RecommendRequest(user=f"n{k}", k=3, objective={"weights": {"love": 1.0}}))
    until(lambda: counted(store, found.number) == 60)
    ended = look(store)
    new, active = ended.details["canary"]["new"], ended.details["canary"]["active"]
    assert (new["failed"], active["failed"]) == (new["lists"], 0)
    assert (ended.state, ended.details["canary"]["problem"]) == ("kept", "failed")
    assert ended.details["reason"].startswith(f"of {new['lists']} lists of its canary 100.0% failed")


def test_with_few_users_it_waits_four_times_as_long(canary: Canary) -> None:
    store, _, found = canary
    for watched_s, state in ((239.0, "canary"), (239.9999, "active")):
        details = {**found.details["canary"], "watched_s": watched_s}
        store.learner.change(found.number, "canary", canary=details)
        assert look(store).state == state


def test_users_are_the_unit() -> None:
    one_user = [Success(400, 0)] + [Success(2, 1)] * 99  # who only looks, again and again
    rest = [Success(2, 1)] * 100
    assert not users_fell(rest, one_user, fewest=50, least=0.1)
    assert fell(Success(200, 100), Success(598, 99), fewest=50, least=0.1)
    nothing = [Success(2, 0)] * 100
    assert users_fell(rest, nothing, fewest=50, least=0.1)
    assert not users_fell(rest, nothing[:49], fewest=50, least=0.1)
    assert not users_fell(nothing, nothing, fewest=50, least=0.1)
