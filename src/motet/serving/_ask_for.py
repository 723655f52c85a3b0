"""What is asked of the engine: the requests of the API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, Strict

from motet.recommend import LiveEvent, Objective, Query, RequestPart
from motet.schema import Language

__all__ = ["AskRequest", "ListRequest", "RankRequest", "RecommendRequest"]

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


class AskRequest(RequestPart):
    """A request in words, or what follows on the one before."""

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
    """Given candidates, to be put in order."""

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
    history: tuple[LiveEvent | str, ...] = Field((), max_length=1000, fail_fast=True)
    scenario: str | None = Field(None, max_length=512)
    objective: Objective | None = None
