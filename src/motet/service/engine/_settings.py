"""Settings of the service, and what one bundle brings to it."""

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

# How the service limits, waits and keeps.


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the engine waits and what it keeps.

    Attributes:
        budget: Most time for each stage of a recommendation, where the request says nothing.
        reasons_s: Longest wait for the reasons of a list, in seconds; a list goes out without them after that.
        follow_s: How often what other processes stored is looked for, in seconds.
        shown_waiting: Shown lists that wait to be stored; what comes on top is not recorded, and counted.
        shadow_s: How often logged predictions are compared with their outcomes, in seconds.
        kept_days: How long shown lists, sessions and conversations are kept, in days; 0 for ever.
        outdated_rows: Rows of items told anew or deleted since that the live catalogue may hold in any case; beyond,
            the model is opened anew once they are most of its rows.
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


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What the service lets through.

    Attributes:
        most_body_bytes: Largest body of a request; imports are streams and have no limit but that of a line.
        most_depth: Deepest nesting of JSON.
        most_containers: Lists and objects in one body, at any depth.
        most_strings: Texts in one body, names of members included.
        most_members: Members of one object.
        most_values: Values in one body. With the three above, what is made of a body stays below 100 MiB.
        body_s: Longest time for a body to arrive, in seconds.
        request_s: Longest time for an answer, in seconds.
        workers: Requests other than the model's own that are worked on at once, for each kind of work.
        waiting: Requests that wait for a worker, for each kind; what comes on top is told to come later.
        requests_per_s: Requests a second, per key or address, on the long run.
        burst: Requests at once, per key or address.
        origins: Sites whose pages may call the service from a browser.
        connections: Open connections; beyond, the one that waits longest without a request is closed.
        connections_per_address: The same for one address; those of a trusted proxy do not count.
        trusted_proxies: Addresses and networks of proxies, whose ``X-Forwarded-For`` says where a request comes from.
        drain_s: How long requests are still answered after SIGTERM, each with ``Connection: close``, while
            ``/v1/health/ready`` says 503; in seconds.
        hosts: Names of this host that a request may bear while there are no keys; any when empty.
        pages: Whether pages are shown.
        relay: What the pages of this process prove themselves with when they call the API for a visitor, whose address
            then counts for the rate; nobody can where it is empty.
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


# What one bundle brings to the service, opened by functions that are handed in.

LoadPast: TypeAlias = Callable[[str], Sequence[LiveEvent]]
"""Gives the live events of a user whom memory does not hold."""


@dataclass(frozen=True, slots=True)
class ModelParts:
    """One bundle, opened.

    Attributes:
        live: Recommends.
        assistant: Answers requests in words; its explainer gives reasons.
        profiler: Says what users like.
        forget: Lets go of what is kept of the words of users and requests.
    """

    live: LiveRecommender
    assistant: Assistant
    profiler: Profiler
    forget: Callable[[], None] = lambda: None

    @property
    def explainer(self) -> Explainer:
        """Gives reasons."""
        return self.assistant.explainer


OpenModel: TypeAlias = Callable[[Path, LoadPast], ModelParts]
"""Opens the bundle in a directory."""
