"""Requests and answers of the engine, which are also those of the API."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from motet.assistant.understand import Request
from motet.errors import AssetError, KnowledgeError, LanguageError, MotetError, StoreError
from motet.recommend import Objective, Query, RequestPart
from motet.recommend.live import SessionEvent
from motet.schema import Language

__all__ = [
    "NO_MODEL",
    "AskAnswer",
    "AskRequest",
    "ConflictError",
    "Described",
    "EventsAnswer",
    "Evidence",
    "Explained",
    "HistoryAnswer",
    "HistoryEvent",
    "IdentitiesView",
    "IdentityView",
    "ItemAnswer",
    "ItemView",
    "ItemsPage",
    "ListRequest",
    "NoModelError",
    "NotFoundError",
    "Profiled",
    "RankAnswer",
    "RankRequest",
    "RankedOne",
    "RecommendAnswer",
    "RecommendRequest",
    "SentenceAnswer",
    "SimilarAnswer",
    "SimilarOne",
    "TraceStep",
    "UserView",
    "UsersPage",
    "hide_places",
    "public_problem",
]


class NotFoundError(MotetError):
    """The resource of the address does not exist."""


class ConflictError(MotetError):
    """The request conflicts with the present state."""


class NoModelError(MotetError):
    """No model is active yet."""


NO_MODEL: Final = "no model yet, serving plain lists"
"""What a service says that began with nothing, until the first model is active."""

_log: Final = logging.getLogger("motet.service.engine")
_PLACES: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://[^\s'\"<>]*[^\s'\"<>.,:;)\]]"  # addresses
    r"|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.])"  # IPv4 addresses
    r"|(?<![\w./])(?!/(?:v1|api)/)~?(?:/[\w.@+-]+){2,}/?",  # absolute paths, but routes
    re.IGNORECASE,
)


def hide_places(text: str) -> str:
    """Replace addresses and absolute paths in a message, which are not for clients.

    Example:
        >>> hide_places("GET http://10.0.0.7:8080/v1 failed; the cache /var/motet/x.bin cannot be used")
        'GET … failed; the cache … cannot be used'
        >>> hide_places("/v1/models lists them")
        '/v1/models lists them'
    """
    return _PLACES.sub("…", text)


def public_problem(error: MotetError) -> str:
    """The message of an error for clients, without addresses and paths; the log has the whole of it."""
    if isinstance(error, StoreError):
        public = error.public
    elif isinstance(error, LanguageError | AssetError | KnowledgeError):
        public = hide_places(error.problem)
    else:
        return error.problem
    if public != error.problem:
        _log.warning("answered in part only: %s", error.problem)
    return public


# -- requests ----------------------------------------------------------------------------------

Tone = Literal["plain", "warm", "brief"]


class RecommendRequest(Query):
    """A request for recommendations, with or without reasons."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {"user": "42", "k": 5, "explain": True},
                {
                    "history": ["50", "181"],
                    "k": 5,
                    "filter": {"field": "year", "op": "ge", "value": 1990},
                    "objective": {"weights": {"like": 1.0, "next": 0.5}},
                    "diversity": {"strength": 0.3},
                },
            ]
        },
    )

    k: Annotated[int, Strict()] = Field(10, ge=1, le=200, description="Items wanted.")
    explain: Annotated[bool, Strict()] = Field(False, description="Whether each item comes with a reason.")
    language: Language = Field("en", description="Of the reasons.")
    tone: Tone = Field("plain", description="Of the reasons.")

    old_names: ClassVar[Mapping[str, str]] = {"keep_seen": "include_seen"}
    """Names of fields before 0.2, which are accepted until 0.3."""

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, content: Any) -> Any:
        if not isinstance(content, dict) or not cls.old_names.keys() & content.keys():
            return content
        renamed = {new: content[old] for old, new in cls.old_names.items() if old in content}
        return {**renamed, **{name: value for name, value in content.items() if name not in cls.old_names}}


class AskRequest(RequestPart):
    """A request in words, or the next turn of a conversation."""

    text: str = Field(min_length=1, max_length=2000, examples=["a funny space adventure, no horror"])
    user: str | None = Field(None, min_length=1, max_length=512, examples=["42"])
    conversation: str | None = Field(
        None, min_length=1, max_length=64, pattern=r"^[0-9A-Za-z_-]+$", description="From the answer before."
    )
    k: Annotated[int, Strict()] = Field(5, ge=1, le=100)
    scenario: str | None = Field(None, max_length=512)
    language: Language | None = Field(None, description="Of the answer; that of the request when left out.")


class ListRequest(RequestPart):
    """A request for a list that keeps every limit."""

    text: str = Field(min_length=1, max_length=2000, examples=["five comedies from the nineties, no horror"])
    user: str | None = Field(None, min_length=1, max_length=512)
    scenario: str | None = Field(None, max_length=512)
    seconds: Annotated[float, Strict()] = Field(3.0, gt=0, le=10, description="Time for the choice.")


class RankRequest(RequestPart):
    """Candidates to rank."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"user": "42", "candidates": ["50", "181", "1"]}]},
    )

    candidates: tuple[str, ...] = Field(
        min_length=1, max_length=10_000, fail_fast=True, description="Ids of items."
    )
    record: bool = Field(
        False, description="Whether this list is shown: then it has an id that events may name."
    )
    user: str | None = Field(None, min_length=1, max_length=512)
    history: tuple[SessionEvent, ...] = Field((), max_length=1000, fail_fast=True)
    scenario: str | None = Field(None, max_length=512)
    objective: Objective | None = None


# -- answers -----------------------------------------------------------------------------------

_FILM = {"id": "50", "title": "Star Wars (1977)"}


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class TraceStep(_Answer):
    """What one step of re-ranking did to an item."""

    step: str = Field(description="Name of the step.")
    before: int | None = Field(description="Rank before it; null if this step added the item.")
    after: int | None = Field(description="Rank after it; null if this step removed the item.")
    why: str = Field(description="Why, in a few words.")


class ItemAnswer(_Answer):
    """One item of a list."""

    id: str = Field(description="Its id.", examples=["50"])
    title: str = Field(description="What it is called.", examples=["Star Wars (1977)"])
    rank: int = Field(description="From 1.", examples=[1])
    value: float = Field(description="Value of the objective.", examples=[1.7])
    predictions: dict[str, Any] = Field(
        description="Every task's prediction on the label's own scale.",
        examples=[{"like": 0.81, "rating": 4.2, "next": 0.01}],
    )
    sources: tuple[str, ...] = Field(
        description="Candidate sources that proposed it.", examples=[["model", "together"]]
    )
    propensity: float = Field(description="Probability to stand at its rank; 1 if nothing was sampled.")
    reason: str | None = Field(None, description="Why it is shown, if requested and there is one.")
    misses: tuple[str, ...] = Field((), description="Parts of a request in words that it does not meet.")
    trace: tuple[TraceStep, ...] | None = Field(None, description="What each step did to it, if requested.")
    fields: dict[str, Any] = Field(
        description="Columns of the catalogue.", examples=[{"year": 1977.0, "genres": ["Action", "Sci-Fi"]}]
    )


class RecommendAnswer(_Answer):
    """A list of recommendations."""

    list_id: str = Field(description="Name it in the events that follow from this list.")
    served_by: str = Field(
        description="Its source: personal, session, together or trending (without a model), scenario_popular, popular, newest, again, or nothing.",
        examples=["personal"],
    )
    model: str = Field(
        description="Name of the model version; of two with ' + ' where an experiment mixes them."
    )
    scenario: str | None
    objective: dict[str, float] = Field(description="Weights of the objective.", examples=[{"next": 1.0}])
    items: tuple[ItemAnswer, ...]
    notes: tuple[str, ...] = Field(description="Parts that were left out or failed.")
    timings_ms: dict[str, float] = Field(description="Milliseconds per stage.")


class AskAnswer(_Answer):
    """An answer to a request in words."""

    conversation: str = Field(description="Name it in the next request to go on.")
    understood: Request = Field(description="The understood request.")
    items: tuple[ItemAnswer, ...]
    notes: tuple[str, ...]
    read_by: str = Field(description="Reader of the request: rules, or a language model.")
    written_by: str = Field(description="Writer of the reasons: templates, or a language model.")
    elapsed_ms: float
    list_id: str
    model: str


@dataclass(slots=True)
class RankedOne:
    """One of the given candidates."""  # there may be thousands in an answer: a plain class is made far faster

    id: str
    rank: int
    value: float
    predictions: Mapping[str, Any]


class RankAnswer(_Answer):
    """Ranked candidates."""

    list_id: str | None = Field(description="Of a recorded list; null unless the request set record.")
    model: str
    items: tuple[RankedOne, ...]
    unknown: tuple[str, ...] = Field(description="Unknown candidates.")
    timings_ms: dict[str, float]


class SimilarOne(_Answer):
    """An item similar to another."""

    id: str
    title: str
    score: float = Field(description="Larger is more similar.")
    by: dict[str, int] = Field(description="Similarity sources, with the rank of each.")


class SimilarAnswer(_Answer):
    """Items similar to another."""

    items: tuple[SimilarOne, ...]


class SentenceAnswer(_Answer):
    """A sentence and the kind of its claim."""

    text: str
    claim: str = Field(examples=["tags"])


class Evidence(_Answer):
    """One piece of evidence about a user and an item."""

    text: str
    kind: str
    strength: float


class Explained(_Answer):
    """Why an item fits a user or does not."""

    user: str
    item: str
    title: str
    reason: str
    sentences: tuple[SentenceAnswer, ...]
    evidence: tuple[Evidence, ...]
    attribution: dict[str, Any] | None = Field(
        description="Contributions to the score, if they can be computed."
    )
    predictions: dict[str, Any]
    written_by: str
    model: str


class Described(_Answer):
    """The description of an item."""

    id: str
    title: str
    text: str
    sentences: tuple[SentenceAnswer, ...]
    written_by: str


class Profiled(_Answer):
    """The profile of a user."""

    user: str
    known: bool
    sentences: tuple[str, ...]
    interests: tuple[dict[str, Any], ...]
    liked: tuple[dict[str, Any], ...]
    events: int
    likes: int
    live_events: int = Field(
        description="Events since the model was trained; the sentences use the earlier ones."
    )


class HistoryEvent(_Answer):
    """An event of a user."""

    type: str
    item: str
    title: str
    value: float | None
    time: datetime | None
    scenario: str | None = None
    id: str | None = None
    labels: dict[str, float] | None = Field(
        None, description="Labels per task, for events of the training data."
    )
    identity: str | None = Field(None, description="The identity that it was recorded under, if another id.")
    source: Literal["store", "bundle"]


class HistoryAnswer(_Answer):
    """Events of a user, newest first."""

    user: str
    events: tuple[HistoryEvent, ...]
    cursor: str = Field(description="Cursor of the next page, with older events; empty at the end.")


class EventsAnswer(_Answer):
    """The result of ingesting events."""

    accepted: int = Field(description="Events that were new; they are on disk.", examples=[2])
    repeated: int = Field(description="Events whose ids were known; they count once.", examples=[0])
    seq: int = Field(description="Place of the latest ingested event.", examples=[17])


class ItemView(_Answer):
    """An item of the live catalogue."""

    id: str
    title: str
    is_hidden: bool
    categories: tuple[str, ...]
    timestamp: datetime | None
    labels: Any
    comment: str
    fields: dict[str, Any]
    known: bool = Field(description="Whether it is in the training data.")


class ItemsPage(_Answer):
    """Some items, ordered by id."""

    items: tuple[ItemView, ...]
    cursor: str


class UserView(_Answer):
    """A user."""

    id: str
    labels: Any
    comment: str
    time: datetime | None
    known: bool = Field(description="Whether it is in the training data.")


class IdentityView(_Answer):
    """A further id of a user."""

    id: str = Field(examples=["app:123"])
    linked: datetime = Field(description="When it was linked.")


class IdentitiesView(_Answer):
    """The identities of a user."""

    user: str = Field(description="The user, also where an identity of it was asked for.", examples=["42"])
    identities: tuple[IdentityView, ...] = Field(description="In the order of their linking.")


class UsersPage(_Answer):
    """Some users, ordered by id."""

    users: tuple[UserView, ...]
    cursor: str
