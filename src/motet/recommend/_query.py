"""What is asked for in one request: plain values, JSON in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import Field, ValidationError, model_validator

from motet.errors import RequestError
from motet.recommend._filter import TOO_LARGE, AnyFilter, RequestPart, check_filters
from motet.recommend._live._event import Cells, Features, LiveEvent
from motet.recommend._objective import Objective
from motet.recommend._rerank._diversity import Diversity
from motet.recommend._rerank._explore import Explore
from motet.recommend._rerank._rules import AnyRule, Boost, Bury
from motet.schema import nearest

__all__ = ["Budget", "Query", "read_query"]

_MOST_PARTS: Final = 300


class Budget(RequestPart):
    """Most time for each stage, in milliseconds; no limit where left out.

    Attributes:
        retrieve_ms: Sources that are not done are left out.
        rank_ms: Fewer candidates are ranked, by what ranking took before.
        rerank_ms: Diversity is left out if the time is over before it.
    """

    retrieve_ms: float | None = Field(None, gt=0)
    rank_ms: float | None = Field(None, gt=0)
    rerank_ms: float | None = Field(None, gt=0)


class Query(RequestPart):
    """A request for recommendations.

    Attributes:
        user: Its id; None for an anonymous session.
        user_features: Columns of the users table that are told with the request.
        history: What was done in this session, oldest first: events, or ids of items that were liked.
        k: Items wanted, 1 to 1,000.
        scenario: Where they are shown; unknown when left out.
        context: Further columns of the interactions table that hold for the moment of the request.
        text: Words of the user.
        filter: Which items may come.
        exclude: Ids of items that may not.
        keep_seen: Whether items come back that the user had something to do with; as the schema's retrieval
            task says (``repeats``) when left out.
        objective: What to rank by; the retrieval task, else the first one, when left out.
        diversity: How much the list is spread out.
        rules: Pins, caps and the like; their filters and ``filter`` have at most 300 parts together.
        explore: Chance in the order.
        seed: Of that chance; the answer says which was taken.
        duplicates: Whether items come that read exactly alike.
        sources: Sources of candidates to ask; all when left out.
        budget: Most time for each stage.
        trace: Whether the answer tells what each step did to each item.

    Example:
        >>> Query(user="7", k=5, filter={"field": "year", "op": "ge", "value": 1990}).k
        5
    """

    user: str | None = Field(None, min_length=1, max_length=1000)
    user_features: Features = Field(default_factory=dict)
    history: tuple[LiveEvent | str, ...] = Field((), max_length=1000, fail_fast=True)
    k: int = Field(10, ge=1, le=1000)
    scenario: str | None = Field(None, max_length=1000)
    context: Cells = Field(default_factory=dict)
    text: str | None = Field(None, max_length=2000)
    filter: AnyFilter | None = None
    exclude: tuple[str, ...] = Field((), max_length=10_000, fail_fast=True)
    keep_seen: bool | None = None
    objective: Objective | None = None
    diversity: Diversity | None = None
    rules: tuple[AnyRule, ...] = Field((), max_length=100, fail_fast=True)
    explore: Explore | None = None
    seed: int | None = Field(None, ge=0, lt=2**63)
    duplicates: bool = False
    sources: Annotated[tuple[str, ...], Field(max_length=1000, fail_fast=True)] | None = None
    budget: Budget = Budget()
    trace: bool = False

    @model_validator(mode="after")
    def _limited(self) -> Self:
        wanted = [rule.where for rule in self.rules if isinstance(rule, Boost | Bury)]
        if wanted:
            check_filters([self.filter, *wanted], "the filter with those of the rules", _MOST_PARTS)
        return self


def read_query(content: Mapping[str, Any]) -> Query:
    """Read a request from plain values, as they come in JSON.

    Raises:
        RequestError: Naming the part that is wrong and, for one that is not known, the nearest right one.

    Example:
        >>> read_query({"usr": "7"})
        Traceback (most recent call last):
        motet.errors.RequestError: the request has no part 'usr'. Cure: did you mean 'user'?
    """
    try:
        return Query.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == TOO_LARGE:
            raise RequestError(first["msg"], "ask for less at once") from None
        if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
            raise RequestError(
                f"the request has no part '{where[:80]}'", nearest(where[:80], Query.model_fields)
            ) from None
        raise RequestError(
            f"the request is wrong at '{where[:200]}': {first['msg']}", "mend that part"
        ) from None
