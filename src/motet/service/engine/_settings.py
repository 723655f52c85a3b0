"""Settings of the service, and the parts of an opened bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from motet.assistant import Assistant
from motet.assistant.explain import Explainer, Profiler
from motet.recommend import LiveRecommender, TimeBudget
from motet.recommend.live import LiveEvent

__all__ = ["EngineSettings", "HttpSettings", "LoadPast", "ModelParts", "OpenModel"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Time limits, queue sizes and retention of the engine.

    Attributes:
        budget: Time limit of each stage of a recommendation; a request may set its own.
        reasons_s: Longest wait for the reasons of a list, in seconds; a list goes out without them after that.
        follow_s: Interval at which the store is read for the writes of other processes, in seconds.
        shown_waiting: Recommended lists that may wait to be logged; further ones are dropped and counted.
        shadow_s: Interval at which logged predictions are compared with their outcomes, in seconds.
        kept_days: Retention of logged lists, sessions and conversations in days; 0 keeps them for ever.
        outdated_rows: Outdated rows (items replaced or deleted) that the live catalogue may always hold; beyond that
            the model is opened again as soon as most rows are outdated.
        insert_missing: Whether an event puts its user and its item into the store where these are not known, as a
            service does that begins with nothing.
    """

    budget: TimeBudget = field(
        default_factory=lambda: TimeBudget(retrieve_ms=500, rank_ms=500, rerank_ms=500)
    )
    reasons_s: float = 2.0
    follow_s: float = 1.0
    shown_waiting: int = 5_000
    shadow_s: float = 300.0
    kept_days: float = 180.0
    outdated_rows: int = 10_000
    insert_missing: bool = False


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Limits of the HTTP service.

    Attributes:
        most_body_bytes: Largest body of a request; imports are streams and have no limit but that of a line.
        most_depth: Deepest nesting of JSON.
        most_containers: Lists and objects in one body, at any depth.
        most_strings: Texts in one body, names of members included.
        most_members: Members of one object.
        most_values: Values in one body. With the three limits above, a parsed body needs less than 100 MiB.
        body_s: Longest time for a body to arrive, in seconds.
        request_s: Longest time for an answer, in seconds.
        workers: Threads for each kind of work; the model has one thread.
        waiting: Requests that may wait for a worker, for each kind; further ones get 503 with Retry-After.
        requests_per_s: Sustained rate in requests per second, per key or address.
        burst: Requests at once, per key or address.
        origins: Sites whose pages may call the service from a browser.
        connections: Open connections; beyond that, the one idle for the longest time is closed.
        connections_per_address: The same for one address; those of a trusted proxy do not count.
        trusted_proxies: Addresses and networks of proxies whose ``X-Forwarded-For`` is trusted.
        drain_s: Time after SIGTERM during which requests are still answered, each with ``Connection: close``, while
            ``/v1/health/ready`` answers 503; in seconds.
        hosts: Host names that are accepted while there are no keys; any if empty.
        pages: Whether the web pages are served.
        relay: Secret with which the pages of this process authenticate their API calls for a visitor, so that the
            rate limit uses the address of the visitor; disabled if empty.
    """

    most_body_bytes: int = 8 * 2**20
    most_depth: int = 32
    most_containers: int = 250_000
    most_strings: int = 800_000
    most_members: int = 10_000
    most_values: int = 2_000_000
    body_s: float = 15.0
    request_s: float = 20.0
    workers: int = 4
    waiting: int = 64
    requests_per_s: float = 200.0
    burst: int = 400
    origins: tuple[str, ...] = ()
    connections: int = 1_000
    connections_per_address: int = 200
    trusted_proxies: tuple[str, ...] = ()
    drain_s: float = 3.0
    hosts: tuple[str, ...] = ()
    pages: bool = True
    relay: str = field(default="", repr=False)


LoadPast: TypeAlias = Callable[[str], Sequence[LiveEvent]]
"""Returns the live events of a user whose history is not in memory."""


@dataclass(frozen=True, slots=True)
class ModelParts:
    """An opened bundle.

    Attributes:
        live: The recommender.
        assistant: Answers requests in words; has the explainer.
        profiler: Computes user profiles.
        forget: Clears cached texts of users and requests.
    """

    live: LiveRecommender
    assistant: Assistant
    profiler: Profiler
    forget: Callable[[], None] = lambda: None

    @property
    def explainer(self) -> Explainer:
        """The explainer of the assistant."""
        return self.assistant.explainer


OpenModel: TypeAlias = Callable[[Path, LoadPast], ModelParts]
"""Opens the bundle in a directory."""
