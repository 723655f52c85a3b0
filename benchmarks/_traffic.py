"""What a day's clients send to a service: requests drawn from its own users and items."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any
from urllib.parse import quote, urlencode

from benchmarks._load import Ask
from benchmarks._service import Service
from benchmarks._wire import http_request

__all__ = ["DAY", "Traffic"]

_WORDS = (
    "a funny space adventure, no horror",
    "something romantic from the nineties",
    "three thrillers like Alien",
    "a short comedy for children",
    "drama, but not war",
)

_AT_ONCE = 500

# How often a kind comes among 1,000 requests of a day.
DAY: Mapping[str, int] = {
    "recommend": 340,
    "recommend, explained": 40,
    "recommend, session": 60,
    "recommend, filtered": 40,
    "events": 200,
    "similar": 80,
    "rank": 40,
    "item": 40,
    "items page": 20,
    "history": 20,
    "profile": 10,
    "explain": 10,
    "ask": 4,
    "item upsert": 10,
    "user upsert": 6,
    "stats": 2,
    "page": 8,
    "gorse recommend": 30,
    "gorse session": 10,
    "gorse feedback": 20,
    "gorse neighbors": 10,
}


class Traffic:
    """Requests for the users and items of a service.

    Args:
        service: Which runs.
        seed: Of what is drawn.
        pages: Whether it shows pages.
        events: Real events, sent in this order before any is drawn.
    """

    def __init__(
        self,
        service: Service,
        seed: int = 0,
        *,
        pages: bool = False,
        events: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.users = _ids(service, "users")
        self.items = _ids(service, "items")
        self._service, self._seed, self._numbers = service, seed, count()
        schema = service.ask("GET", "/v1/schema")
        self.scenarios: list[str | None] = [None, *schema.get("scenarios", [])]
        self._pages, self._real = pages, iter(events)
        self._makers: dict[str, Callable[[random.Random, str], Ask]] = {
            "recommend": self.recommend,
            "recommend, explained": self._explained,
            "recommend, session": self._session,
            "recommend, filtered": self._filtered,
            "events": self.events,
            "similar": self._similar,
            "rank": self._rank,
            "item": self._item,
            "items page": self._items_page,
            "history": self._history,
            "profile": self._profile,
            "explain": self._explain,
            "ask": self._ask,
            "item upsert": self._item_upsert,
            "user upsert": self._user_upsert,
            "stats": self._stats,
            "page": self._page,
            "gorse recommend": self._gorse_recommend,
            "gorse session": self._gorse_session,
            "gorse feedback": self._gorse_feedback,
            "gorse neighbors": self._gorse_neighbors,
        }

    def tell_of_everybody(self) -> None:
        """One event of each user, so that what a service keeps of each is there before memory is looked at."""
        source = self.source("everybody")
        for start in range(0, len(self.users), _AT_ONCE):
            events = [
                {
                    "id": f"everybody-{start + k}",
                    "type": "rating",
                    "user": user,
                    "item": source.choice(self.items),
                    "value": source.randint(1, 5),
                }
                for k, user in enumerate(self.users[start : start + _AT_ONCE])
            ]
            self._service.ask("POST", "/v1/events", {"events": events})

    def source(self, name: str) -> random.Random:
        """What a stream draws from."""
        return random.Random(f"{self._seed} {name}")  # noqa: S311 (no secret)

    def stream(self, name: str, weights: Mapping[str, int]) -> Iterator[Ask]:
        """Requests of some kinds for ever, each as often as its weight says."""
        source = self.source(name)
        kinds, often = list(weights), list(weights.values())
        while True:
            (kind,) = source.choices(kinds, often)
            yield self._makers[kind](source, kind)

    def recommend(self, source: random.Random, kind: str = "recommend") -> Ask:
        """A list for a user."""
        return self._list(
            kind, {"user": source.choice(self.users), "scenario": source.choice(self.scenarios)}
        )

    def events(self, source: random.Random, kind: str = "events") -> Ask:
        """One to five events with ids of their own."""
        return Ask(kind, http_request("POST", "/v1/events", {"events": self.some_events(source)}))

    def some_events(self, source: random.Random) -> list[dict[str, Any]]:
        """One to five events with ids of their own: the next real ones, or drawn where there are no more."""
        number, n = next(self._numbers), source.randint(1, 5)
        return list(islice(self._real, n)) or [
            {
                "id": f"{self._seed}-{number}-{k}",
                "type": "rating",
                "user": source.choice(self.users),
                "item": source.choice(self.items),
                "value": source.randint(1, 5),
            }
            for k in range(n)
        ]

    def _list(self, kind: str, content: dict[str, Any]) -> Ask:
        return Ask(kind, http_request("POST", "/v1/recommend", content))

    def _explained(self, source: random.Random, kind: str) -> Ask:
        return self._list(kind, {"user": source.choice(self.users), "k": 5, "explain": True})

    def _session(self, source: random.Random, kind: str) -> Ask:
        return self._list(kind, {"history": source.sample(self.items, 4), "diversity": {"strength": 0.3}})

    def _filtered(self, source: random.Random, kind: str) -> Ask:
        wanted = {"field": "year", "op": "ge", "value": source.choice([1960, 1980, 1990])}
        return self._list(kind, {"user": source.choice(self.users), "filter": wanted, "include_seen": True})

    def _similar(self, source: random.Random, kind: str) -> Ask:
        return _get(kind, f"/v1/items/{quote(source.choice(self.items), safe='')}/similar")

    def _rank(self, source: random.Random, kind: str) -> Ask:
        content = {"user": source.choice(self.users), "candidates": source.sample(self.items, 100)}
        return Ask(kind, http_request("POST", "/v1/rank", content))

    def _item(self, source: random.Random, kind: str) -> Ask:
        return _get(kind, f"/v1/items/{quote(source.choice(self.items), safe='')}")

    def _items_page(self, source: random.Random, kind: str) -> Ask:
        return _get(kind, "/v1/items?" + urlencode({"n": 50, "cursor": source.choice(self.items)}))

    def _history(self, source: random.Random, kind: str) -> Ask:
        return _get(kind, f"/v1/users/{quote(source.choice(self.users), safe='')}/history")

    def _profile(self, source: random.Random, kind: str) -> Ask:
        return _get(kind, f"/v1/users/{quote(source.choice(self.users), safe='')}/profile")

    def _explain(self, source: random.Random, kind: str) -> Ask:
        query = {"user": source.choice(self.users), "item": source.choice(self.items)}
        return _get(kind, "/v1/explain?" + urlencode(query))

    def _ask(self, source: random.Random, kind: str) -> Ask:
        content = {"user": source.choice(self.users), "text": source.choice(_WORDS)}
        return Ask(kind, http_request("POST", "/v1/ask", content))

    def _item_upsert(self, source: random.Random, kind: str) -> Ask:
        # a shop changes the items it has far more often than it gets new ones
        number = source.randrange(200)
        fields = {"title": f"Simulated Film {number} (1999)", "year": 1999, "genres": ["Drama", "Comedy"]}
        items = [{"id": f"new-{number}", "fields": fields, "comment": f"draw {source.random():.6f}"}]
        return Ask(kind, http_request("POST", "/v1/items", {"items": items}))

    def _user_upsert(self, source: random.Random, kind: str) -> Ask:
        user = {"id": f"new-{source.randrange(200)}", "labels": {"age": source.randint(18, 80)}}
        return Ask(kind, http_request("POST", "/v1/users", {"users": [user]}))

    def _stats(self, source: random.Random, kind: str) -> Ask:
        return _get(kind, source.choice(["/v1/stats", "/metrics", "/v1/models", "/v1/schema"]))

    def _page(self, source: random.Random, kind: str) -> Ask:
        return _get(kind, "/" if self._pages else "/openapi.json")

    def _gorse_recommend(self, source: random.Random, kind: str) -> Ask:
        return _get(kind, f"/api/recommend/{quote(source.choice(self.users), safe='')}?n=10")

    def _gorse_session(self, source: random.Random, kind: str) -> Ask:
        return Ask(kind, http_request("POST", "/api/session/recommend?n=10", self._feedback(source)))

    def _gorse_feedback(self, source: random.Random, kind: str) -> Ask:
        return Ask(kind, http_request("PUT", "/api/feedback", self._feedback(source)))

    def _gorse_neighbors(self, source: random.Random, kind: str) -> Ask:
        return _get(kind, f"/api/item/{quote(source.choice(self.items), safe='')}/neighbors?n=10")

    def _feedback(self, source: random.Random) -> list[dict[str, Any]]:
        user = source.choice(self.users)
        return [
            {
                "FeedbackType": "like",
                "UserId": user,
                "ItemId": source.choice(self.items),
                "Timestamp": "2026-01-01T00:00:00Z",
            }
            for _ in range(2)
        ]


def _get(kind: str, path: str) -> Ask:
    return Ask(kind, http_request("GET", path))


def _ids(service: Service, what: str) -> list[str]:
    """Every id that a service lists; those this benchmark added itself are left out."""
    ids: list[str] = []
    cursor = ""
    while True:
        page = service.ask("GET", f"/v1/{what}?" + urlencode({"n": 1000, "cursor": cursor}))
        ids += [one["id"] for one in page[what]]
        cursor = page["cursor"]
        if not cursor:
            return [one for one in ids if not one.startswith("new-")]
