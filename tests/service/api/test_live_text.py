"""Texts use the live state: events just ingested, items added after training, hidden or deleted."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from motet.assistant.explain import EvidenceIndex, verify
from motet.service.engine import Engine, LiveAnswerContext
from motet.service.store import Event, Item, Store

NEW = {"name": "Quantum Heist (2020)", "kinds": ["Horror", "Comedy"], "year": 2020}


def ingest(client: TestClient, *events: dict[str, Any]) -> None:
    answer = client.post("/v1/events", json={"events": list(events)})
    assert answer.status_code == 200, answer.text


def add(client: TestClient, id: str, **fields: Any) -> None:
    answer = client.put(f"/v1/items/{id}", json={"fields": {**NEW, **fields}})
    assert answer.status_code == 200, answer.text


def get(client: TestClient, path: str, **params: str) -> dict[str, Any]:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ask(client: TestClient, text: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/ask", json={"text": text, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def asked(client: TestClient, text: str, **more: Any) -> list[str]:
    return [one["id"] for one in ask(client, text, **more)["items"]]


# -- profiles --------------------------------------------------------------------------------------


def test_a_new_user_has_a_profile_of_live_events(client: TestClient) -> None:
    before = get(client, "/v1/users/fresh/profile")
    assert (before["known"], before["events"], before["interests"]) == (False, 0, [])
    horrors = [str(k) for k in range(30) if k % 5 == 2]  # horror and nothing else
    ingest(client, *({"type": "liked", "user": "fresh", "item": k, "value": 1} for k in horrors))
    after = get(client, "/v1/users/fresh/profile")
    assert after["known"]
    assert (after["events"], after["likes"], after["live_events"]) == (6, 6, 6)
    horror = next(one for one in after["interests"] if one["trait"]["value"] == "Horror")
    assert horror["polarity"] == "likes"
    assert (horror["support"]["events"], horror["support"]["likes"]) == (6, 6)
    assert {one["id"] for one in after["liked"]} <= set(horrors)
    assert any("Horror" in line for line in after["sentences"])
    assert any(
        "Horror" in line for line in get(client, "/v1/users/fresh/profile", language="zh")["sentences"]
    )


def test_what_is_told_joins_what_the_bundle_knows(client: TestClient) -> None:
    before = get(client, "/v1/users/u1/profile")
    ingest(
        client,
        {"type": "liked", "user": "u1", "item": "7", "value": 1},
        {"type": "hide", "user": "u1", "item": "8"},
    )
    after = get(client, "/v1/users/u1/profile")
    assert after["events"] == before["events"] + 2
    assert after["likes"] == before["likes"] + 1
    assert after["liked"][0]["id"] == "7"


def test_a_pause_does_not_wipe_out_what_was_known(client: TestClient) -> None:
    """The events of the bundle are of 2023; live events age them by one half-life, not by years."""
    before = {one["trait"]["value"]: one for one in get(client, "/v1/users/u1/profile")["interests"]}
    ingest(client, {"type": "liked", "user": "u1", "item": "7", "value": 1})
    after = {one["trait"]["value"]: one for one in get(client, "/v1/users/u1/profile")["interests"]}
    assert before
    sure = {value for value, one in before.items() if one["certainty"] != "a hint"}
    assert sure <= set(after)


def test_a_new_item_counts_in_a_profile(client: TestClient) -> None:
    add(client, "new")
    ingest(client, {"type": "liked", "user": "fresh", "item": "new", "value": 1})
    found = get(client, "/v1/users/fresh/profile")
    assert found["liked"][0] == {**found["liked"][0], "id": "new", "name": "Quantum Heist (2020)"}
    assert found["likes"] == 1


def test_who_was_deleted_has_no_profile(client: TestClient) -> None:
    ingest(client, {"type": "liked", "user": "u1", "item": "7", "value": 1})
    assert client.delete("/v1/users/u1").status_code == 200
    found = get(client, "/v1/users/u1/profile")
    assert (found["known"], found["events"], found["interests"], found["liked"]) == (False, 0, [], [])


# -- reasons ---------------------------------------------------------------------------------------


def evidence(client: TestClient, user: str, item: str, **params: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(client, "/v1/explain", user=user, item=item, **params)["evidence"]
    return found


def test_a_film_told_a_second_ago_may_be_the_reason(client: TestClient) -> None:
    assert not [one for one in evidence(client, "fresh", "12") if "you" in one["text"].lower()]
    ingest(client, *({"type": "liked", "user": "fresh", "item": str(k), "value": 1} for k in (2, 7, 17, 22)))
    found = evidence(client, "fresh", "12")
    assert any(one["kind"] == "tags" and "4" in one["text"] for one in found)
    why = get(client, "/v1/explain", user="fresh", item="12")["reason"]
    assert "you" in why.lower()
    shown = client.post("/v1/recommend", json={"user": "fresh", "k": 10, "explain": True}).json()
    assert any("you" in (one["reason"] or "").lower() for one in shown["items"])


def test_what_a_session_tells_may_be_the_reason(client: TestClient) -> None:
    body = {"history": ["2", "7", "17", "22"], "k": 10, "explain": True}
    shown = client.post("/v1/recommend", json=body).json()
    assert any("you liked" in (one["reason"] or "").lower() for one in shown["items"])


def test_what_was_hidden_is_not_said_to_be_liked(client: TestClient, engine: Engine) -> None:
    ingest(
        client,
        {"type": "liked", "user": "u1", "item": "7", "value": 1},
        {"type": "hide", "user": "u1", "item": "7"},
    )
    assert not any("Number 7”" in one["text"] for one in evidence(client, "u1", "12"))


def test_a_new_item_is_described_by_its_own_fields(client: TestClient) -> None:
    add(client, "new")
    english = get(client, "/v1/items/new/description")
    assert english["title"] == "Quantum Heist"
    assert english["text"].startswith("“Quantum Heist” is a horror and comedy film from 2020.")
    chinese = get(client, "/v1/items/new/description", language="zh")
    assert chinese["text"].startswith("《Quantum Heist》是一部2020年的")


def test_a_new_item_has_a_reason_and_no_false_claim(client: TestClient) -> None:
    add(client, "new")
    found = evidence(client, "u1", "new")
    kinds = {one["kind"] for one in found}
    assert kinds & {"tags", "rate", "near", "moved", "number"}
    assert not kinds & {"popular", "others", "peers"}  # it has no likes yet
    why = get(client, "/v1/explain", user="u1", item="new")
    assert why["title"] == "Quantum Heist"
    assert why["reason"]
    assert set(why["predictions"]) == {"like", "stars", "next"}


def test_a_new_item_beside_a_knowledge_graph_has_no_facts_and_breaks_nothing(
    serve: Callable[..., TestClient], films_with_graph: Path
) -> None:
    """A graph knows the items of training only; what is added later has no facts, and everything else."""
    client = serve(films_with_graph)
    assert "directed by Ann Lee" in get(client, "/v1/items/3/description")["text"]
    add(client, "new")
    described = get(client, "/v1/items/new/description")["text"]
    assert described == "“Quantum Heist” is a horror and comedy film from 2020."
    assert {one["kind"] for one in evidence(client, "u1", "new")} & {"tags", "rate", "number"}
    ingest(client, *({"type": "liked", "user": who, "item": "new", "value": 1} for who in ("u1", "fresh")))
    ingest(client, {"type": "liked", "user": "fresh", "item": "3", "value": 1})
    found = {one["kind"]: one for one in evidence(client, "fresh", "9")}  # 3 and 9 have one director
    assert "fact" in found
    for user in ("u1", "fresh", "u2"):
        answer = ask(client, "horror comedies", user=user, k=10)
        assert answer["items"]
        assert all(one["reason"] for one in answer["items"])
    assert "new" in [one["id"] for one in ask(client, "horror comedies from 2020", user="u2")["items"]]
    body = {"user": "u2", "k": 31, "explain": True}
    shown = client.post("/v1/recommend", json=body).json()["items"]
    reasons = {one["id"]: one["reason"] for one in shown}
    assert reasons.get("new", "said")
    assert sum(bool(reason) for reason in reasons.values()) > len(reasons) / 2


def test_every_claim_about_live_items_and_users_is_true(engine: Engine) -> None:
    engine.items.put([Item("new", fields=NEW), Item("3", fields={"kinds": ["Horror"]})])
    engine.add_events(
        [Event("liked", who, item, 1.0) for who in ("u1", "fresh") for item in ("2", "7", "new", "12")]
    )
    engine.add_events([Event("hide", "u1", "9"), Event("stars", "u1", "22", 4.0)])
    served = engine.active
    said = 0
    for who in ("u1", "u2", "fresh", "unknown"):
        explainer = LiveAnswerContext(served, who).explainer(who)
        evidence: EvidenceIndex = explainer.evidence
        for item in ("new", "3", "17", "9", "22", "5"):
            for claim in explainer.explain(who, item, attribute=False).evidence:
                assert verify(claim, evidence), claim
                said += 1
    assert said > 30
    other = LiveAnswerContext(served, "u2").explainer("u2").evidence
    mine = list(LiveAnswerContext(served, "u1").explainer("u1").explain("u1", "22", attribute=False).evidence)
    did = next(one for one in mine if one.kind == "did")
    assert not verify(did, other)  # no other user has this evidence
    assert not verify(did, served.text_index.now().evidence) or not served.rows_of_user("u1")


@pytest.mark.parametrize(
    ("event", "english", "chinese"),
    [
        (("stars", 4.0), "You gave it 4 on 3 May 1998.", "你给它打了4分（1998年5月3日）。"),
        (("liked", 1), "You liked it on 3 May 1998.", "你喜欢它（1998年5月3日）。"),
        (("hide", 1), "You turned it down on 3 May 1998.", "你表示过对它不感兴趣（1998年5月3日）。"),
        (("looked", 1), "You came across it on 3 May 1998.", "你接触过它（1998年5月3日）。"),
    ],
)
def test_what_was_done_with_the_item_is_said(
    client: TestClient, event: tuple[str, float], english: str, chinese: str
) -> None:
    add(client, "new")
    at = datetime(1998, 5, 3, 12, tzinfo=UTC).isoformat()
    for item in ("new", "11"):
        ingest(client, {"type": event[0], "value": event[1], "user": "fresh", "item": item, "time": at})
        assert get(client, "/v1/explain", user="fresh", item=item)["reason"].startswith(english)
        said = get(client, "/v1/explain", user="fresh", item=item, language="zh")
        assert said["reason"].startswith(chinese)
        assert said["sentences"][0]["claim"] == "did"


def test_what_the_bundle_knows_was_done_is_said(client: TestClient) -> None:
    history = get(client, "/v1/users/u1/history", n="30")["events"]
    one = history[0]
    stars = f"{one['labels']['stars']:g}"
    said = get(client, "/v1/explain", user="u1", item=one["item"])["reason"]
    day = datetime.fromisoformat(one["time"]).astimezone(UTC)
    assert said.startswith(f"You gave it {stars} on {day.day} {day:%B} {day.year}.")


# -- requests --------------------------------------------------------------------------------------


def test_a_new_item_is_found_by_its_tags_and_numbers(client: TestClient) -> None:
    assert "new" not in asked(client, "horror comedies from 2020", user="u1")
    add(client, "new")
    found = ask(client, "horror comedies from 2020", user="u1")
    assert found["items"][0]["id"] == "new"
    assert found["items"][0]["title"] == "Quantum Heist"
    assert found["items"][0]["misses"] == []
    assert found["items"][0]["reason"]


def test_a_tag_that_no_item_had_can_be_asked_for(client: TestClient) -> None:
    add(client, "new", kinds=["Musical"])
    found = ask(client, "a musical", user="u1")
    assert found["understood"]["must"] == [{"column": "kinds", "value": "Musical"}]
    assert found["items"][0]["id"] == "new"


def test_a_new_title_can_be_named(client: TestClient) -> None:
    add(client, "new")
    add(client, "other", name="Quantum Burglary (2021)", year=2021)
    found = ask(client, "something like Quantum Heist", user="u1")
    assert found["understood"]["like"] == ["new"]
    assert "new" not in [one["id"] for one in found["items"]]
    assert "other" in [one["id"] for one in found["items"]]
    add(client, "new", name="Silent Mill (2020)")  # ingested again under another name
    assert ask(client, "something like Silent Mill")["understood"]["like"] == ["new"]
    assert not ask(client, "something like Quantum Heist")["understood"].get("like")


def test_what_the_user_has_told_of_does_not_come(client: TestClient) -> None:
    first = asked(client, "a horror film", user="u1", k=5)
    ingest(
        client,
        {"type": "liked", "user": "u1", "item": first[0], "value": 1},
        {"type": "hide", "user": "u1", "item": first[1]},
        {"type": "dislike", "user": "u1", "item": first[2]},
    )
    after = asked(client, "a horror film", user="u1", k=5)
    assert not {*first[:3]} & {*after}
    made = client.post("/v1/lists", json={"text": "3 horror films", "user": "u1"}).json()
    assert not {*first[:3]} & {one["id"] for one in made["items"]}


def test_what_is_hidden_or_deleted_never_comes(client: TestClient) -> None:
    add(client, "new")
    add(client, "gone", name="Silent Mill (2020)")
    text = "horror comedies from 2020"
    assert {"new", "gone"} <= {*asked(client, text)}
    made = client.post("/v1/lists", json={"text": "2 horror films from 2020"}).json()
    assert {one["id"] for one in made["items"]} == {"new", "gone"}
    assert client.delete("/v1/items/gone").status_code == 200
    assert client.patch("/v1/items/new", json={"is_hidden": True}).status_code == 200
    first = asked(client, "horror", k=20)
    assert client.delete(f"/v1/items/{first[0]}").status_code == 200
    assert not {"new", "gone"} & {*asked(client, text)}
    assert first[0] not in asked(client, "horror", k=20)
    made = client.post("/v1/lists", json={"text": "2 horror films from 2020"}).json()
    assert not made["items"]
    assert not ask(client, "something like Silent Mill")["understood"].get("like")
    assert client.patch("/v1/items/new", json={"is_hidden": False}).status_code == 200
    assert "new" in asked(client, text)


def test_a_conversation_goes_on_after_what_it_showed_was_deleted(client: TestClient) -> None:
    first = ask(client, "horror films", user="u1", k=3)
    gone = first["items"][0]["id"]
    assert client.delete(f"/v1/items/{gone}").status_code == 200
    then = ask(client, "newer ones", user="u1", conversation=first["conversation"], k=5)
    assert gone not in [one["id"] for one in then["items"]]


def test_an_item_told_anew_is_what_is_said_of_it_now(client: TestClient) -> None:
    """Horror so far; an item that was ingested twice is listed once."""
    assert client.patch("/v1/items/2", json={"fields": {"kinds": ["Musical"]}}).status_code == 200
    assert asked(client, "a musical")[0] == "2"
    horror = {one["id"]: one["misses"] for one in ask(client, "horror", k=30)["items"]}
    assert horror["2"] == ["Horror"]
    assert get(client, "/v1/items/2/description")["text"].startswith("“The Old Number 2” is a musical film")
    ids = asked(client, "films", k=50)
    assert len(ids) == len(set(ids))


def test_words_are_the_same_after_a_restart(start: Any, store: Store) -> None:
    engine = start(store)
    engine.items.put([Item("new", fields=NEW)])
    engine.add_events([Event("liked", "fresh", item, 1.0) for item in ("2", "7", "new")])
    before = engine.language.explain("fresh", "12"), engine.language.profile("fresh")
    engine.close()
    again = start(store)
    assert (again.language.explain("fresh", "12"), again.language.profile("fresh")) == before


def test_nothing_of_the_catalogue_is_built_for_a_request(client: TestClient, engine: Engine) -> None:
    add(client, "new")
    engine.model.follow_now()
    words = engine.active.text_index
    first = words.now()
    for user in ("u1", "u2", "fresh"):
        engine.language.explain(user, "3")
        engine.language.profile(user)
    assert words.now() is first
    engine.add_events([Event("liked", "u1", "2", 1.0)])
    assert words.now() is first  # an event changes no item


def test_many_tell_while_others_ask(engine: Engine) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    from motet.service.engine import AskRequest  # noqa: PLC0415

    until = time.monotonic() + 3.0

    def write(k: int) -> int:
        done = 0
        while time.monotonic() < until:
            id = f"w{k}-{done}"
            engine.items.put([Item(id, fields={**NEW, "name": f"Heist {id}"})])
            engine.add_events([Event("liked", f"x{k}", id, 1.0)])
            if done % 3 == 0:
                engine.items.delete(id)
            done += 1
        return done

    def read(k: int) -> int:
        done = 0
        while time.monotonic() < until:
            engine.language.ask(AskRequest(text="something like Quantum Heist, horror", user=f"x{k}"))
            engine.language.explain(f"x{k}", "3")
            engine.language.profile(f"x{k}")
            done += 1
        return done

    with ThreadPoolExecutor(4) as pool:
        done = [task.result(60) for task in [pool.submit(job, k) for k in range(2) for job in (write, read)]]
    assert min(done) > 0


def test_reasons_are_kept_until_something_changes(
    client: TestClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    explainer = LiveAnswerContext.explainer

    def counted(context: LiveAnswerContext, user: str) -> Any:
        made.append(user)
        return explainer(context, user)

    monkeypatch.setattr(LiveAnswerContext, "explainer", counted)

    def reasons(user: str = "u1", **more: Any) -> list[str | None]:
        answer = client.post("/v1/recommend", json={"user": user, "k": 3, "explain": True, **more})
        assert answer.status_code == 200, answer.text
        return [one["reason"] for one in answer.json()["items"]]

    first = reasons()
    assert any(first)
    assert reasons() == first
    assert made == ["u1"]
    assert reasons(language="zh") != first  # other words are other sentences
    assert len(made) == 2
    ingest(client, {"type": "liked", "user": "u1", "item": "7", "value": 1})
    reasons()
    assert len(made) == 3
    add(client, "other")
    reasons()
    assert len(made) == 4
    assert client.delete("/v1/users/u2").status_code == 200  # what is kept may speak of anybody
    assert not engine.active.kept_reasons._kept
    reasons()
    assert len(made) == 5
    reasons(history=["3"])  # a session is of one request
    reasons(history=["3"])
    assert len(made) == 7


def test_reasons_begun_before_a_deletion_are_not_kept(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = engine.active
    history = served.parts.live.history
    read: list[Any] = []
    of = history.of

    def deleted_meanwhile(*asked: Any) -> Any:
        found = of(*asked)
        if not read:
            read.append(asked)
            served.forget("u2")
        return found

    monkeypatch.setattr(history, "of", deleted_meanwhile)
    assert engine.reasons(served, "u1", ["3"], language="en", tone="plain")[0] is not None
    assert not served.kept_reasons._kept
    engine.reasons(served, "u1", ["3"], language="en", tone="plain")
    assert len(served.kept_reasons._kept) == 1
