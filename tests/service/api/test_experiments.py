"""Experiments over HTTP: created, started, seen by other processes, applied, exposed, stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from motet.errors import RequestError
from motet.service.engine import Engine, RecommendRequest
from motet.service.experiments import assign, read_experiment
from motet.service.store import Event, Store, StoreSettings

DEFINITION: dict[str, Any] = {
    "key": "stars-first",
    "hypothesis": "ranking by stars makes more people like a film",
    "variants": [{"name": "as-it-is"}, {"name": "stars", "objective": {"weights": {"stars": 1.0}}}],
    "metric": {"name": "likers", "events": ["liked"]},
    "planned_users": 1000,
    "window_hours": 24,
}


def variant_of(user: str, definition: dict[str, Any] = DEFINITION) -> str | None:
    traffic = read_experiment(definition).traffic
    found = assign(traffic, user)
    return traffic.variations[found.variation] if found is not None else None


def test_from_start_to_stop_over_a_real_port(
    serve: Callable[..., TestClient], on_a_port: Callable[[TestClient], str], store: Store
) -> None:
    client = serve()
    with httpx.Client(base_url=on_a_port(client), timeout=30, trust_env=False) as http:
        assert http.get("/v1/experiments").json() == []
        plain = {f"u{at}": http.post("/v1/recommend", json={"user": f"u{at}"}).json() for at in range(12)}
        made = http.post("/v1/experiments", json=DEFINITION)
        assert made.status_code == 201, made.text
        assert made.json()["state"] == "draft"
        draft = http.get("/v1/experiments/stars-first").json()
        assert (draft["results"], draft["settings"]["metric"]["name"]) == (None, "likers")
        again = http.post("/v1/recommend", json={"user": "u1"}).json()
        assert again["objective"] == plain["u1"]["objective"]  # a draft changes nothing
        assert http.post("/v1/experiments/stars-first/start").json()["state"] == "running"
        for user, before in plain.items():
            now = http.post("/v1/recommend", json={"user": user}).json()
            is_changed = variant_of(user) == "stars"
            assert now["objective"] == ({"stars": 1.0} if is_changed else before["objective"])
            assert now.keys() == before.keys()
            if not is_changed:
                assert [one["id"] for one in now["items"]] == [one["id"] for one in before["items"]]
        assert {variant_of(user) for user in plain} == {"as-it-is", "stars"}
        http.post("/v1/recommend", json={"history": ["3"]})  # nobody's
        http.post("/v1/events", json={"events": [{"type": "liked", "user": "u1", "item": "3"}]})
        shown = http.get("/v1/experiments/stars-first").json()
        counts = {name: sum(variant_of(user) == name for user in plain) for name in ("as-it-is", "stars")}
        assert shown["users"] == counts
        assert shown["results"]["sample_ratio"]["passed"]
        assert shown["results"]["decision"]["kind"] == "running"
        exposures = store.experiments.exposures("stars-first")
        assert len(exposures) == len(plain)
        assert {one.seq for one in exposures} == {0}
        assert http.get("/api/recommend/u1?n=3").status_code == 200
        stopped = http.post("/v1/experiments/stars-first/stop", json={"reason": "seen enough"}).json()
        assert (stopped["state"], stopped["reason"]) == ("stopped", "seen enough")
        for user, before in plain.items():
            now = http.post("/v1/recommend", json={"user": user}).json()
            assert now["objective"] == before["objective"]
        assert http.post("/v1/experiments/stars-first/start").status_code == 409
        assert http.delete("/v1/experiments/stars-first").json() == {"done": True}
        assert http.get("/v1/experiments/stars-first").status_code == 404
        assert store.experiments.exposures("stars-first") == []


def test_gorse_lists_are_in_experiments_too(client: TestClient, store: Store) -> None:
    client.post("/v1/experiments", json=DEFINITION)
    client.post("/v1/experiments/stars-first/start")
    users = [f"u{at}" for at in range(6)]
    for user in users:
        assert client.get(f"/api/recommend/{user}?n=3").json()
    client.get("/v1/experiments/stars-first")
    exposures = {one.user: one.variant for one in store.experiments.exposures("stars-first")}
    assert exposures == {user: variant_of(user) for user in users}


def test_other_processes_follow_within_a_second(
    start: Callable[..., Engine], store: Store, tmp_path: Path
) -> None:
    first = start(store)
    with Store(tmp_path / "store.sqlite", StoreSettings()) as again:
        second = start(again)
        user = next(f"u{at}" for at in range(40) if variant_of(f"u{at}") == "stars")
        first.experiments.create(read_experiment(DEFINITION))
        first.experiments.start("stars-first")

        def objective() -> dict[str, float]:
            return dict(second.recommend(RecommendRequest(user=user)).objective)

        until_s = time.monotonic() + 20
        while objective() != {"stars": 1.0}:
            assert time.monotonic() < until_s
            time.sleep(0.05)
        first.experiments.stop("stars-first")
        until_s = time.monotonic() + 20
        while objective() == {"stars": 1.0}:
            assert time.monotonic() < until_s
            time.sleep(0.05)
        second.close()


def test_a_variant_may_be_a_model_or_rules(client: TestClient, other_films: Path, store: Store) -> None:
    name = client.post("/v1/models", json={"path": str(other_films)}).json()["name"]
    active = client.post("/v1/recommend", json={"user": "u1"}).json()["model"]
    variants = [
        {"name": "now"},
        {"name": "other", "model": name},
        {"name": "pinned", "rules": [{"kind": "pin", "item": "9"}], "diversity": {"strength": 0.4}},
    ]
    definition = {**DEFINITION, "key": "three", "variants": variants}
    made = client.post("/v1/experiments", json=definition)
    assert made.status_code == 201, made.text
    client.post("/v1/experiments/three/start").raise_for_status()
    until_s = time.monotonic() + 30
    while client.get("/v1/experiments/three").json()["problem"]:
        assert time.monotonic() < until_s
        time.sleep(0.05)
    seen = set()
    for at in range(20):
        user = f"u{at}"
        answer = client.post("/v1/recommend", json={"user": user, "include_seen": True}).json()
        variant = variant_of(user, definition)
        seen.add(variant)
        assert answer["model"] == (name if variant == "other" else active)
        if variant == "pinned":
            assert answer["items"][0]["id"] == "9"
    assert seen == {"now", "other", "pinned"}
    # an event counts in the next list of the other model as well
    user = next(f"u{at}" for at in range(20) if variant_of(f"u{at}", definition) == "other")
    first = client.post("/v1/recommend", json={"user": user, "k": 1}).json()["items"][0]["id"]
    client.post("/v1/events", json={"events": [{"type": "liked", "user": user, "item": first}]})
    again = client.post("/v1/recommend", json={"user": user, "k": 5}).json()
    assert again["model"] == name
    assert first not in [one["id"] for one in again["items"]]


MIXED: dict[str, Any] = {**DEFINITION, "key": "two-in-one", "kind": "interleaving"}


def ids(engine: Engine, user: str, **request: Any) -> list[str]:
    return [one.id for one in engine.recommend(RecommendRequest(user=user, **request)).items]


def test_lists_of_two_rankings(start: Callable[..., Engine], store: Store, tmp_path: Path) -> None:
    engine = start(store)
    users = [f"u{at}" for at in range(30)]
    objective = {"weights": {"stars": 1.0}}
    plain = {user: ids(engine, user) for user in users}
    stars = {user: ids(engine, user, objective=objective) for user in users}
    engine.experiments.create(read_experiment(MIXED))
    engine.experiments.start("two-in-one")
    with Store(tmp_path / "store.sqlite", StoreSettings()) as again:
        other = start(again)  # another process makes the same lists
        other.experiments.refresh()
        seen: dict[str, list[str]] = {}
        list_ids: dict[str, str] = {}
        for user in users:
            answer = engine.recommend(RecommendRequest(user=user))
            seen[user], list_ids[user] = [one.id for one in answer.items], answer.list_id
            assert [one.rank for one in answer.items] == list(range(1, 11))
            assert seen[user] == ids(engine, user) == ids(other, user)
            assert seen[user][:4] == ids(engine, user, k=4)  # a shorter one begins alike
            assert ids(engine, user, objective=objective) == stars[user]  # both variants rank by it
        assert engine.shown_log.flush(10.0)
        engine.experiments.flush()
        other.close()
    firsts = {one.user: one.variant for one in store.experiments.exposures("two-in-one")}
    assert set(firsts) == set(users)
    assert set(firsts.values()) == {"as-it-is", "stars"}
    for user in users:
        shown = store.shown.of_user(user)[-3]  # the first since it began
        teams = {one.item: one.variant.removeprefix("two-in-one:") for one in shown.items}
        assert list(teams) == seen[user]
        assert teams[seen[user][0]] == firsts[user]
        assert list(teams.values()).count("stars") == 5  # teams take turns
        for name, ranking in (("as-it-is", plain[user]), ("stars", stars[user])):
            own = [item for item in seen[user] if teams[item] == name]
            assert own == [item for item in ranking if item in own]
        assert {one.propensity for one in shown.items} == {None}
    assert any(seen[user] not in (plain[user], stars[user]) for user in users)
    liked = {user: seen[user][0] for user in users}
    engine.add_events([Event("liked", user, item, list_id=list_ids[user]) for user, item in liked.items()])
    results = engine.experiments.results("two-in-one")
    assert results is not None
    assert results.mixed is not None
    assert results.mixed.wins == {name: list(firsts.values()).count(name) for name in ("as-it-is", "stars")}
    changed = {user: ids(engine, user) for user in users}
    assert all(liked[user] not in changed[user] for user in users)
    engine.experiments.stop("two-in-one")
    fresh = start(store)  # has kept nothing
    assert [ids(engine, user) for user in users] == [ids(fresh, user) for user in users]


def test_two_models_in_one_list_are_a_list_of_neither(
    client: TestClient, other_films: Path, store: Store
) -> None:
    name = client.post("/v1/models", json={"path": str(other_films)}).json()["name"]
    active = client.post("/v1/recommend", json={"user": "u1"}).json()["model"]
    definition = {**MIXED, "variants": [{"name": "now"}, {"name": "other", "model": name}]}
    client.post("/v1/experiments", json=definition).raise_for_status()
    client.post("/v1/experiments/two-in-one/start").raise_for_status()
    until_s = time.monotonic() + 30
    while client.get("/v1/experiments/two-in-one").json()["problem"]:
        assert time.monotonic() < until_s
        time.sleep(0.05)
    answer = client.post("/v1/recommend", json={"user": "u2", "explain": True}).json()
    assert answer["model"] == f"{active} + {name}"
    assert all(one["title"].startswith("The ") for one in answer["items"])
    assert client.get("/api/recommend/u2?n=4").json() == [one["id"] for one in answer["items"]][:4]
    client.post("/v1/events", json={"events": [{"type": "liked", "user": "u2", "item": answer["items"][1]["id"]}]})  # fmt: skip
    shown = client.get("/v1/experiments/two-in-one").json()
    assert shown["settings"]["kind"] == "interleaving"
    assert sum(shown["users"].values()) == 1
    assert shown["results"]["mixed"]["lists"] == 1
    lists = store.shown.of_user("u2")
    assert len(lists) == 2
    assert {one.model for one in lists} == {answer["model"]}
    assert all({item.variant for item in one.items} == {"two-in-one:now", "two-in-one:other"} for one in lists)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"variants": [{"name": "a"}, {"name": "b", "objective": {"weights": {"starz": 1}}}]}, 422, "starz"),
        ({"variants": [{"name": "a"}, {"name": "b", "model": "nothing"}]}, 422, "nothing"),
        ({"variants": [{"name": "a"}, {"name": "b", "rules": [{"kind": "cap", "field": "yeer", "at_most": 1}]}]}, 422, "yeer"),
        ({"hypothesis": ""}, 422, "hypothesis"),
        ({"colour": "blue"}, 422, "colour"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused(
    client: TestClient, change: dict[str, Any], status: int, said: str
) -> None:
    answer = client.post("/v1/experiments", json={**DEFINITION, **change})
    assert answer.status_code == status, answer.text
    assert said in answer.text
    assert client.get("/v1/experiments").json() == []


def test_a_mistyped_key_is_told_the_nearest_one(client: TestClient) -> None:
    for change, place, right in (
        ({"hypotesis": "x"}, "hypotesis", "hypothesis"),
        ({"metric": {"name": "likers", "evnts": ["like"]}}, "metric.evnts", "events"),
        ({"variants": [{"name": "a"}, {"name": "b", "diversty": {"strength": 0.5}}]}, "variants.1.diversty", "diversity"),
        ({"variants": [{"name": "a"}, {"name": "b", "diversity": {"strengt": 0.5}}]}, "strengt", "strength"),
        ({"variants": [{"name": "a"}, {"name": "b", "rules": [{"kind": "cap", "field": "year", "atmost": 1}]}]}, "atmost", "at_most"),
    ):  # fmt: skip
        content = {**DEFINITION, **change}
        answer = client.post("/v1/experiments", json=content)
        assert answer.status_code == 422
        assert place in answer.json()["detail"]
        assert answer.json()["cure"] == f"did you mean '{right}'?"
        with pytest.raises(RequestError) as caught:
            read_experiment(content)
        assert place in caught.value.problem
        assert caught.value.cure == f"did you mean '{right}'?"


def test_states_and_clashes_are_conflicts(client: TestClient) -> None:
    assert client.post("/v1/experiments/none/start").status_code == 404
    assert client.post("/v1/experiments/none/stop").status_code == 404
    assert client.get("/v1/experiments/none").status_code == 404
    client.post("/v1/experiments", json=DEFINITION).raise_for_status()
    assert client.post("/v1/experiments", json=DEFINITION).status_code == 409
    assert client.post("/v1/experiments/stars-first/stop").status_code == 409
    client.post("/v1/experiments/stars-first/start").raise_for_status()
    assert client.delete("/v1/experiments/stars-first").status_code == 409
    client.post("/v1/experiments", json={**DEFINITION, "key": "second"}).raise_for_status()
    clash = client.post("/v1/experiments/second/start")
    assert clash.status_code == 409
    assert "objective" in clash.json()["detail"]


def test_keys_with_the_scope_admin_operate_and_others_look(client: TestClient) -> None:
    admin = client.post("/v1/keys", json={"scopes": ["admin"]}).json()["key"]
    writer = client.post("/v1/keys", json={"scopes": ["write"]}, headers={"X-API-Key": admin}).json()["key"]
    assert client.post("/v1/experiments", json=DEFINITION, headers={"X-API-Key": writer}).status_code == 403
    assert client.post("/v1/experiments", json=DEFINITION, headers={"X-API-Key": admin}).status_code == 201
    assert client.get("/v1/experiments/stars-first", headers={"X-API-Key": writer}).status_code == 200
    assert client.post("/v1/experiments/stars-first/start", headers={"X-API-Key": writer}).status_code == 403
    assert client.get("/v1/experiments").status_code == 401


def test_a_user_who_is_deleted_is_exposed_anew(client: TestClient, store: Store) -> None:
    client.post("/v1/experiments", json=DEFINITION)
    client.post("/v1/experiments/stars-first/start")
    client.post("/v1/recommend", json={"user": "u1"})
    client.get("/v1/experiments/stars-first")
    (before,) = store.experiments.exposures("stars-first")
    client.delete("/v1/users/u1")
    assert store.experiments.exposures("stars-first") == []
    between = datetime.now(UTC)
    client.post("/v1/recommend", json={"user": "u1"})
    client.get("/v1/experiments/stars-first")
    (after,) = store.experiments.exposures("stars-first")
    assert before.time < between < after.time
