"""One profile across platforms: ids that are linked are one user wherever a user is named."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from motet.service.engine import Engine, RecommendRequest
from motet.service.store import MOST_IDENTITIES, Identity, Store


def _list(client: TestClient, user: str | None, **more: Any) -> list[str]:
    body = {"k": 8, "user": user, **more} if user is not None else {"k": 8, **more}
    answer = client.post("/v1/recommend", json=body)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def _like(client: TestClient, user: str, *items: str) -> None:
    events = [{"type": "like", "user": user, "item": item, "value": 1} for item in items]
    assert client.post("/v1/events", json={"events": events}).status_code == 200


def _link(client: TestClient, user: str, identity: str) -> Any:
    return client.post(f"/v1/users/{user}/identities", json={"identity": identity})


def _unlink(client: TestClient, user: str, identity: str) -> Any:
    return client.delete(f"/v1/users/{user}/identities/{identity}")


def test_a_second_platform_starts_with_the_list_of_the_first(client: TestClient) -> None:
    """Both for a user of the training data and for one who came since."""
    _like(client, "web:ann", "1", "6", "11")
    unknown = _list(client, None)
    for user, platform in (("u3", "app:3"), ("web:ann", "app:ann")):
        own = _list(client, user)
        assert _list(client, platform) == unknown != own  # not linked: as a new user
        assert _link(client, user, platform).json()["identities"][0]["id"] == platform
        assert _list(client, platform) == own
        assert _list(client, user) == own
        assert _unlink(client, user, platform).json() == {"user": user, "identities": []}
        assert _list(client, platform) == unknown
        assert _list(client, user) == own


def test_what_was_recorded_before_counts_and_comes_back_on_unlinking(
    client: TestClient, store: Store
) -> None:
    _like(client, "app:1", "2", "7")
    alone, known = _list(client, "app:1"), _list(client, "u3")
    _link(client, "u3", "app:1")
    joined = _list(client, "u3")
    assert joined != known
    assert not {"2", "7"} & set(joined)  # had under the other identity
    _like(client, "app:1", "12")  # under the identity while linked
    history = client.get("/v1/users/u3/history", params={"n": 3}).json()["events"]
    assert [(one["item"], one["identity"]) for one in history] == [(k, "app:1") for k in ("12", "7", "2")]
    assert {one.user for one in store.events.after(0)} == {"u3"}
    _unlink(client, "u3", "app:1")
    assert _list(client, "u3") == known
    history = client.get("/v1/users/app:1/history").json()["events"]
    assert [(one["item"], one["identity"]) for one in history] == [(k, None) for k in ("12", "7", "2")]
    after = _list(client, "app:1")
    assert "12" not in after
    assert after != alone


def test_two_ids_of_the_training_data_are_one_user(client: TestClient, engine: Engine) -> None:
    had = {one: set(_seen(client, one)) for one in ("u3", "u4")}
    _link(client, "u3", "u4")
    assert set(_seen(client, "u4")) == had["u3"] | had["u4"]
    both = _list(client, "u3")
    assert both == _list(client, "u4")
    assert not (had["u3"] | had["u4"]) & set(both)
    assert "u4" not in [one["id"] for one in client.get("/v1/users", params={"n": 100}).json()["users"]]
    _unlink(client, "u3", "u4")
    assert set(_seen(client, "u3")) == had["u3"]


def _seen(client: TestClient, user: str) -> list[str]:
    found = client.get(f"/v1/users/{user}/history", params={"n": 100}).json()["events"]
    return [one["item"] for one in found]


def test_an_identity_of_the_training_data_is_what_the_model_knows_of_a_new_user(client: TestClient) -> None:
    before = _list(client, "u3")
    _link(client, "person-1", "u3")
    _link(client, "person-1", "app:1")
    assert _list(client, "person-1") == _list(client, "app:1") == before
    assert client.get("/v1/users/app:1").json() | {"time": None} == {
        "id": "person-1", "labels": None, "comment": "", "time": None, "known": True,
    }  # fmt: skip


def test_every_route_that_reads_a_user_knows_its_identities(client: TestClient) -> None:
    _link(client, "u3", "app:3")

    def same(read: Callable[[str], Any]) -> None:
        assert _without_ids(read("app:3"), "app:3") == _without_ids(read("u3"), "u3")

    same(lambda user: client.post("/v1/rank", json={"user": user, "candidates": ["1", "2", "3"]}).json())
    same(lambda user: client.get("/v1/explain", params={"user": user, "item": "2"}).json())
    same(lambda user: client.get(f"/v1/users/{user}/profile").json())
    same(lambda user: client.post("/v1/ask", json={"user": user, "text": "a comedy"}).json())
    same(lambda user: client.get(f"/api/recommend/{user}").json())
    same(lambda user: client.get(f"/api/user/{user}/neighbors").json())
    first = client.post("/v1/ask", json={"user": "u3", "text": "a comedy"}).json()
    further = {"user": "app:3", "text": "no horror", "conversation": first["conversation"]}
    assert client.post("/v1/ask", json=further).status_code == 200
    assert client.patch("/v1/users/app:3", json={"comment": "both"}).json()["id"] == "u3"
    assert client.get("/v1/users/u3").json()["comment"] == "both"


def _without_ids(answer: Any, user: str) -> Any:
    varying = ("timings_ms", "elapsed_ms", "list_id", "conversation")
    found = {k: v for k, v in answer.items() if k not in varying} if isinstance(answer, dict) else answer
    return json.loads(re.sub(rf"\b{user}\b", "they", json.dumps(found)))


def test_gorse_feedback_of_an_identity_is_the_users(client: TestClient) -> None:
    _link(client, "zed", "app:z")
    for user in ("zed", "app:z"):
        row = {"FeedbackType": "like", "UserId": user, "ItemId": "5", "Value": 1}
        assert client.post("/api/feedback", json=[row]).status_code == 200
    (found,) = client.get("/api/user/app:z/feedback/like").json()
    assert (found["UserId"], found["Value"]) == ("zed", 2)
    assert "5" not in client.get("/api/recommend/app:z", params={"n": 30}).json()
    _unlink(client, "zed", "app:z")
    (found,) = client.get("/api/user/app:z/feedback/like").json()
    assert (found["UserId"], found["Value"]) == ("app:z", 1)


def test_deleting_any_id_of_a_user_deletes_all_of_them(client: TestClient, store: Store) -> None:
    for identity in ("app:1", "tv:1"):
        _link(client, "u3", identity)
        _like(client, identity, "2")
    _list(client, "app:1")
    assert client.delete("/v1/users/tv:1").status_code == 200
    assert store.events.after(0) == []
    assert store.identities.of_user("u3") == []
    assert store.identities.page().rows == ()
    assert store.shown.of_user("app:1") == []
    for user in ("u3", "app:1", "tv:1"):
        assert _list(client, user) == _list(client, None)
        assert client.get(f"/v1/users/{user}/history").json()["events"] == []
    assert not any("app:1" in one.key for one in store.changes.after(0))


@pytest.mark.parametrize(
    ("user", "identity", "problem"),
    [
        ("ann", "ann", "own id"),
        ("app:1", "ann", "own id"),  # app:1 stands for ann: no cycles
        ("bob", "app:1", "identity of another user"),
        ("bob", "ann", "has identities itself"),
        ("full", "one-more", f"{MOST_IDENTITIES} identities"),
    ],
)
def test_links_that_cannot_be_are_refused(
    client: TestClient, store: Store, user: str, identity: str, problem: str
) -> None:
    store.identities.link("ann", "app:1")
    store.identities.restore([Identity(f"full:{k}", "full") for k in range(MOST_IDENTITIES)])
    before = store.identities.page(1000).rows
    answer = _link(client, user, identity)
    assert answer.status_code == 409
    assert problem in answer.json()["detail"]
    assert answer.json()["cure"]
    assert store.identities.page(1000).rows == before


def test_linking_again_changes_nothing_and_unlinking_what_is_not_linked_is_not_found(
    client: TestClient,
) -> None:
    first = _link(client, "ann", "app:1").json()
    assert _link(client, "app:1", "app:1").status_code == 200
    assert _link(client, "ann", "app:1").json() == first
    assert client.get("/v1/users/app:1/identities").json() == first
    assert _unlink(client, "bob", "app:1").status_code == 404
    assert _unlink(client, "ann", "app%2F1").status_code == 404
    assert _link(client, "ann", "").status_code == 422
    assert _link(client, "ann", "nul\0").status_code == 422


def test_another_process_agrees_within_a_second(start: Callable[..., Engine], store: Store) -> None:
    here, there_store = start(store), Store(store.where.removeprefix("sqlite:///"))
    there = start(there_store)
    want = [one.id for one in here.recommend(RecommendRequest(user="u3", k=5)).items]
    here.users.link("u3", "app:3")
    _until(lambda: there.store.identities.resolve("app:3") == "u3")
    assert [one.id for one in there.recommend(RecommendRequest(user="app:3", k=5)).items] == want
    there.delete_user("u3")
    _until(lambda: here.store.identities.resolve("app:3") == "app:3")
    assert here.recommend(RecommendRequest(user="app:3", k=5)).served_by != "personal"
    assert here.recommend(RecommendRequest(user="u3", k=5)).served_by != "personal"
    there.close()
    there_store.close()


def _until(done: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20.0
    while not done():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_a_restart_answers_as_before(start: Callable[..., Engine], store: Store) -> None:
    before = start(store)
    before.users.link("person", "u3")
    before.users.link("person", "u4")
    before.users.link("person", "app:1")
    want = [one.id for one in before.recommend(RecommendRequest(user="app:1", k=8)).items]
    before.close()
    after = start(store)
    assert [one.id for one in after.recommend(RecommendRequest(user="app:1", k=8)).items] == want


def test_an_export_holds_users_with_the_ids_that_were_sent_and_is_read_again(
    client: TestClient, store: Store, tmp_path: Any
) -> None:
    _like(client, "app:1", "2", "7")
    _link(client, "ann", "app:1")
    _like(client, "ann", "12")
    for what in ("identities", "events"):
        for kind in ("jsonl", "parquet"):
            answer = client.get(f"/v1/export/{what}", params={"format": kind})
            (tmp_path / f"{what}.{kind}").write_bytes(answer.content)
            with Store(tmp_path / f"{kind}.sqlite") as again:
                again.import_file(what, tmp_path / f"{what}.{kind}")
    for kind in ("jsonl", "parquet"):
        with Store(tmp_path / f"{kind}.sqlite") as again:
            assert again.identities.of_user("ann") == store.identities.of_user("ann")
            assert again.events.after(0) == store.events.after(0)
            assert [one.identity for one in again.events.after(0)] == ["app:1", "app:1", None]
            again.identities.unlink("ann", "app:1")
            assert [one.item for one in again.events.of_user("app:1")] == ["7", "2"]
