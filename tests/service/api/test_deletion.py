"""Nothing of a deleted user comes back: not by an answer that was under way, and not by what waits to be stored."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from motet.assistant import Answer
from motet.service.engine import AskRequest, Engine, ItemAnswer, ShownLog
from motet.service.store import Shown, Store, StoreSettings, User


def _some_items(count: int = 3) -> list[ItemAnswer]:
    return [
        ItemAnswer(
            id=f"{k}",
            title="",
            rank=k + 1,
            value=0.5,
            predictions={},
            sources=(),
            propensity=1.0,
            reason=None,
            fields={},
        )
        for k in range(count)
    ]


@pytest.mark.parametrize("returns", [False, True])
def test_an_answer_under_way_brings_nobody_back(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch, returns: bool
) -> None:
    """The user is deleted, and perhaps added again, after the answer was made and before it is logged."""
    first = engine.language.ask(AskRequest(text="a comedy", user="zed"))
    assistant = engine.active.parts.assistant
    ask = assistant.ask

    def ask_and_delete(*said: Any, **more: Any) -> Answer:
        answer = ask(*said, **more)
        engine.delete_user("zed")
        if returns:
            store.users.put([User("zed")])
        return answer

    monkeypatch.setattr(assistant, "ask", ask_and_delete)
    request = AskRequest(text="no horror please", user="zed", conversation=first.conversation)
    second = engine.language.ask(request)
    monkeypatch.setattr(assistant, "ask", ask)
    assert second.items
    assert any("deleted" in note for note in second.notes)
    assert engine.shown_log.flush(5.0)
    assert store.states.get("conversation", first.conversation) is None
    assert store.shown.of_user("zed") == []
    again = engine.language.ask(AskRequest(text="a comedy", user="zed"))  # now a new user
    assert engine.shown_log.flush(5.0)
    assert store.states.get("conversation", again.conversation) is not None
    assert [one.id for one in store.shown.of_user("zed")] == [again.list_id]


def test_a_list_whose_request_began_before_the_deletion_is_not_recorded(store: Store) -> None:
    log = ShownLog(store, 100)
    began = datetime.now(UTC)
    store.users.put([User("zed")])
    store.users.delete("zed")
    asked = {"user": "zed", "scenario": None, "model": "m"}
    log.record(_some_items(), **asked, began=began)  # type: ignore[arg-type]
    log.record(_some_items(), **asked)  # type: ignore[arg-type]
    kept = log.record(_some_items(), user="other", scenario=None, model="m", began=began)
    assert log.flush(5.0)
    log.close()
    assert [one.time > began for one in store.shown.of_user("zed")] == [True]
    found = store.shown.get(kept)
    assert found is not None
    assert found.time == began
    assert (log.written, log.lost, log.waiting) == (2, 0, 0)


def test_flushing_waits_for_nothing_that_comes_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ShownLog(store, 10_000)
    stop = threading.Event()
    add = store.shown.add

    def slowly(lists: list[Shown]) -> list[bool]:
        time.sleep(0.05)
        return add(lists)

    monkeypatch.setattr(store.shown, "add", slowly)

    def ask() -> None:
        while not stop.is_set():
            log.record(_some_items(1), user="u", scenario=None, model="m")
            time.sleep(0.002)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.2)
    try:
        last = log.record(_some_items(1), user="u", scenario=None, model="m")
        began_s = time.monotonic()
        assert log.flush(5.0)
        assert time.monotonic() - began_s < 2.0
        assert store.shown.get(last) is not None
        assert log.waiting > 0
    finally:
        stop.set()
        thread.join()
        log.close()


@pytest.fixture
def hasty_store(tmp_path: Path) -> Any:
    with Store(tmp_path / "hidden place.sqlite", StoreSettings(patience_s=1.0, answer_s=5.0)) as store:
        yield store


def test_without_its_store_an_answer_does_not_say_where_that_is(start: Any, hasty_store: Store) -> None:
    engine = start(hasty_store)
    path = Path(str(hasty_store.where).removeprefix("sqlite:///"))
    away = [(one, one.with_name(f"away-{one.name}")) for one in path.parent.glob(f"{path.name}*")]
    for one, elsewhere in away:
        one.rename(elsewhere)
    english = engine.language.ask(AskRequest(text="a comedy"))
    chinese = engine.language.ask(AskRequest(text="a comedy", language="zh"))
    for one, elsewhere in away:
        elsewhere.rename(one)
    assert english.items
    assert "the conversation cannot go on: the store is gone" in english.notes
    assert "对话无法继续：the store is gone" in chinese.notes
    assert "hidden place" not in f"{english.notes}{chinese.notes}"


def test_an_answer_is_in_the_language_that_is_asked_for(shared_client: TestClient) -> None:
    def reasons(**more: Any) -> str:
        body = {"text": "a comedy", "user": "u1", **more}
        answer = shared_client.post("/v1/ask", json=body)
        assert answer.status_code == 200
        return " ".join(one["reason"] for one in answer.json()["items"])

    assert not any("\u4e00" <= sign <= "\u9fff" for sign in reasons())
    assert not any("\u4e00" <= sign <= "\u9fff" for sign in reasons(language="en"))
    assert any("\u4e00" <= sign <= "\u9fff" for sign in reasons(language="zh"))
    assert any("\u4e00" <= sign <= "\u9fff" for sign in reasons(text="我想看喜剧"))
    assert not any("\u4e00" <= sign <= "\u9fff" for sign in reasons(text="我想看喜剧", language="en"))
