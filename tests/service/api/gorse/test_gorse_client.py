"""The published Python client of Gorse, unmodified: every public method of both classes."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from gorse import AsyncGorse, Gorse, GorseException

TIME = "2026-01-02T03:04:05Z"
Call = Callable[..., Any]


class Told:
    """Calls a method of either client by name, and notes which were called."""

    def __init__(self, client: Gorse | AsyncGorse) -> None:
        self.client, self.called = client, set[str]()

    def __getattr__(self, name: str) -> Call:
        method = getattr(self.client, name)

        def call(*args: Any, **options: Any) -> Any:
            self.called.add(name)
            answer = method(*args, **options)
            return asyncio.run(answer) if inspect.iscoroutine(answer) else answer

        return call


@pytest.fixture(params=["sync", "async"])
def recorded(request: pytest.FixtureRequest, anywhere: str) -> Told:
    return Told(Gorse(anywhere, "") if request.param == "sync" else AsyncGorse(anywhere, ""))


def test_every_method_of_the_published_client(recorded: Told) -> None:
    # users
    ann: dict[str, Any] = {"UserId": "ann", "Labels": {"job": "artist"}, "Comment": "first"}
    assert recorded.insert_user(ann) == {"RowAffected": 1}
    assert recorded.get_user("ann") == ann
    more = [{"UserId": f"user{n}", "Labels": None, "Comment": ""} for n in range(3)]
    assert recorded.insert_users(more) == {"RowAffected": 3}
    seen: list[dict[str, Any]] = []
    cursor = ""
    while True:
        some, cursor = recorded.get_users(7, cursor)
        assert len(some) <= 7
        seen += some
        if not cursor:
            break
    ids = [one["UserId"] for one in seen]
    assert ids == sorted(set(ids))
    assert {"ann", "user0", "u0"} <= set(ids)  # u0 came with the bundle
    assert recorded.delete_user("user2") == {"RowAffected": 1}
    with pytest.raises(GorseException) as missing:
        recorded.get_user("user2")
    assert (missing.value.status_code, missing.value.message) == (404, "user user2 not found")

    # items
    item = {
        "ItemId": "tea",
        "IsHidden": False,
        "Categories": ["hot"],
        "Timestamp": TIME,
        "Labels": {"brand": "b1"},
        "Comment": "Green tea",
    }
    assert recorded.insert_item(item) == {"RowAffected": 1}
    assert recorded.get_item("tea") == item
    assert recorded.update_item("tea", comment="Black tea") == {"RowAffected": 1}
    assert recorded.get_item("tea") == item | {"Comment": "Black tea"}
    assert recorded.update_item("tea", True, ["hot", "wet"], {"brand": "b2"}, "2026-01-03") == {
        "RowAffected": 1
    }
    assert recorded.get_item("tea") == item | {
        "IsHidden": True,
        "Categories": ["hot", "wet"],
        "Labels": {"brand": "b2"},
        "Timestamp": "2026-01-03T00:00:00Z",
        "Comment": "Black tea",
    }
    assert recorded.update_item("tea", is_hidden=False) == {"RowAffected": 1}
    items, cursor = recorded.get_items(3)
    assert len(items) == 3
    following, _ = recorded.get_items(3, cursor)
    assert items[-1]["ItemId"] < following[0]["ItemId"]
    assert [one["ItemId"] for one in recorded.search_items("black TEA")] == ["tea"]

    # feedback
    assert recorded.insert_feedback("click", "ann", "tea", TIME) == {"RowAffected": 1}
    (clicked,) = recorded.list_feedbacks("click", "ann")
    assert clicked["ItemId"] == "tea"
    assert clicked["Timestamp"] == TIME
    pair = [
        {"FeedbackType": "read", "UserId": "ann", "ItemId": id, "Value": 2, "Timestamp": TIME}
        for id in ("tea", "10")
    ]
    assert recorded.insert_feedbacks(pair) == {"RowAffected": 2}
    found, cursor = recorded.get_feedbacks(2)
    assert [(one["FeedbackType"], one["ItemId"]) for one in found] == [("click", "tea"), ("read", "10")]
    rest, cursor = recorded.get_feedbacks(2, cursor)
    assert [(one["ItemId"], one["Value"], cursor) for one in rest] == [("tea", 2.0, "")]
    assert recorded.delete_feedback("ann", "10") == {"RowAffected": 1}
    assert recorded.list_feedbacks("read", "ann")[0]["ItemId"] == "tea"

    # recommendations
    scores = recorded.get_recommend("u0", n=5)
    assert len(scores) == 5
    assert sorted((one.score for one in scores), reverse=True) == [one.score for one in scores]
    assert [one.id for one in recorded.get_recommend("u0", n=2, offset=3)] == [one.id for one in scores[3:]]
    written = recorded.get_recommend("u0", n=2, write_back_type="read", write_back_delay="10m")
    assert [one.id for one in written] == [one.id for one in scores[:2]]
    (hot,) = recorded.get_recommend("u0", "hot")
    assert hot.id == "tea"
    session = recorded.session_recommend(pair, n=4)
    assert len(session) == 4
    assert not {"tea", "10"} & {one["Id"] for one in session}
    assert len(recorded.get_neighbors("10", n=3)) == 3
    assert recorded.get_neighbors("10", n=2, offset=1) == recorded.get_neighbors("10", n=3)[1:]
    assert recorded.delete_item("tea") == {"RowAffected": 1}
    assert recorded.get_recommend("u0", "hot") == []

    public = {
        name for name, _ in inspect.getmembers(type(recorded.client), callable) if not name.startswith("_")
    }
    assert recorded.called == public
