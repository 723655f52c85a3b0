"""Requests, the objectives that items are ranked by, and ranked answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from motet.data import Encoder
from motet.errors import RequestError
from motet.recommend._filter import TOO_LARGE, AnyFilter, RequestPart, at_most, check_filters
from motet.recommend.live import Cells, Features, SessionEvent
from motet.recommend.rerank import AnyRule, Boost, Bury, Diversity, Explore, ItemStep
from motet.schema import Schema, nearest, require_known

__all__ = [
    "Objective",
    "Query",
    "Ranked",
    "RankedItem",
    "SimilarToItem",
    "Spread",
    "TimeBudget",
    "read_query",
    "task_columns",
    "value_of",
]

# What is ranked by: a weighted sum of tasks, each on a scale of its own spread.
#
# Legend of shapes: n candidates.

Floats = NDArray[np.float32]


class Objective(RequestPart):
    """What a list is to be good at.

    Attributes:
        weights: Per task; a negative weight ranks what the task predicts last.
        scale: ``standard`` weighs each task in units of its own spread over users and items, before
            the link function, so that no task counts for more because its numbers are larger; ``label`` weighs
            predictions as they are: probabilities, stars, minutes, money.

    Example:
        >>> Objective(weights={"click": 1, "buy": 20}, scale="label").weights["buy"]
        20.0
    """

    weights: Annotated[dict[str, float], at_most(50)] = Field(min_length=1, max_length=50)
    scale: Literal["standard", "label"] = "standard"


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation of what the model says for one task, before the link function."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> Spread:
        """Those of some values; a task that says the same of all has deviation 1."""
        deviation = float(np.std(values, dtype=np.float64)) if len(values) else 1.0
        mean = float(np.mean(values, dtype=np.float64)) if len(values) else 0.0
        return cls(mean, deviation if deviation > 1e-9 else 1.0)


def check_objective(objective: Objective, schema: Schema) -> None:
    """Raise unless every task of an objective can be ranked by.

    Raises:
        RequestError: Naming the nearest right task.
    """
    known = schema.rankable_tasks
    for name in objective.weights:
        if name in schema.tasks and name not in known:
            raise RequestError(
                f"the task '{name}' of the objective gives no one number of an item",
                f"weigh {', '.join(known)}",
            )
        require_known(name, known, "the task of the objective", RequestError)
    if not any(objective.weights.values()):
        raise RequestError("all weights of the objective are 0", "weigh at least one task")


def value_of(
    objective: Objective,
    raw: Mapping[str, Floats],
    labels: Mapping[str, Floats],
    spreads: Mapping[str, Spread],
) -> NDArray[np.float64]:
    """Value of each candidate: Σ_t w_t·(s_t − μ_t)/σ_t of what the model says, or Σ_t w_t·ŷ_t, [n].

    Args:
        objective: The weights.
        raw: Per task, before the link function, [n].
        labels: Per task, on the label's scale, [n].
        spreads: μ and σ per task.
    """
    values = np.zeros(len(next(iter(raw.values()))))
    for task, weight in objective.weights.items():
        if objective.scale == "label":
            values += weight * labels[task].astype(np.float64)
        else:
            spread = spreads[task]
            values += weight * (raw[task].astype(np.float64) - spread.mean) / spread.deviation
    return values


# What is asked for in one request: plain values, JSON in and out.

_MOST_PARTS: Final = 300


class TimeBudget(RequestPart):
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
        user_features: Columns of the users table that come with the request.
        history: What was done in this session, oldest first: events, or ids of items that were liked.
        k: Items wanted, 1 to 1,000.
        scenario: Where they are shown; unknown when left out.
        context: Further columns of the interactions table: the context of the request.
        text: Words of the user.
        filter: Which items may come.
        exclude: Ids of items that may not.
        include_seen: Whether items come back that the user had something to do with; as the schema's retrieval
            task says (``repeats``) when left out.
        objective: What to rank by; the retrieval task, else the first one, when left out.
        diversity: How much the list is spread out.
        rules: Pins, caps and the like; their filters and ``filter`` have at most 300 parts together.
        explore: Chance in the order.
        seed: Of that chance; the answer says which was taken.
        duplicates: Whether items come that read exactly alike.
        sources: Sources of candidates to ask; all when left out.
        budget: Most time for each stage.
        trace: Whether the answer reports what each step did to each item.

    Example:
        >>> Query(user="7", k=5, filter={"field": "year", "op": "ge", "value": 1990}).k
        5
    """

    user: str | None = Field(None, min_length=1, max_length=512)
    user_features: Features = Field(default_factory=dict)
    history: tuple[SessionEvent, ...] = Field((), max_length=1000, fail_fast=True)
    k: int = Field(10, ge=1, le=1000)
    scenario: str | None = Field(None, max_length=512)
    context: Cells = Field(default_factory=dict)
    text: str | None = Field(None, max_length=2000)
    filter: AnyFilter | None = None
    exclude: tuple[str, ...] = Field((), max_length=10_000, fail_fast=True)
    include_seen: bool | None = None
    objective: Objective | None = None
    diversity: Diversity | None = None
    rules: tuple[AnyRule, ...] = Field((), max_length=100, fail_fast=True)
    explore: Explore | None = None
    seed: int | None = Field(None, ge=0, lt=2**63)
    duplicates: bool = False
    sources: Annotated[tuple[str, ...], Field(max_length=1000, fail_fast=True)] | None = None
    budget: TimeBudget = TimeBudget()
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
            f"the request is wrong at '{where[:200]}': {first['msg']}", "correct that part"
        ) from None


# An answer: items in order, with everything that led to it.


class RankedItem(NamedTuple):
    """One item of an answer.

    Attributes:
        item: Its id.
        row: Its first row, which is that of the bundle for an item that the bundle knows.
        rank: From 1.
        value: What it was ranked by.
        predictions: Per task on the label's own scale: a number, a class with its probability, or labels.
        sources: Which sources gave it.
        served_by: Which link of the chain gave it.
        propensity: Probability to stand at its rank, given those before it; 1 where nothing was drawn.
        steps: What each step of re-ranking did to it; empty unless asked for.
    """

    item: str
    row: int
    rank: int
    value: float
    predictions: Mapping[str, Any]
    sources: tuple[str, ...]
    served_by: str
    propensity: float
    steps: tuple[ItemStep, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranked:
    """An answer.

    Attributes:
        items: In order.
        served_by: What served it: ``personal``, ``session``, ``scenario_popular``, ``popular``, ``newest`` or
            ``again``; the first link of the chain that gave an item; ``unknown`` for ranked items of an unknown user,
            and ``nothing`` for an empty list.
        links: How many items each link gave.
        candidates: How many items were ranked.
        sources: How many candidates each source gave.
        left_out: What was left out of the answer, such as sources that failed or were late, with the reason.
        timings_ms: Per stage.
        version: Of the live catalogue.
        seed: Of what was drawn; None where nothing was.
        unknown: Ids that were asked for and are not known.
    """

    items: tuple[RankedItem, ...]
    served_by: str
    links: Mapping[str, int] = field(default_factory=dict)
    candidates: int = 0
    sources: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    version: int = 0
    seed: int | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SimilarToItem:
    """An item like another.

    Attributes:
        item: Its id.
        row: Its first row.
        score: Larger is more alike, by the sum of 1/(60 + rank) over what compares them.
        by: What compared them: ``model``, ``together``, ``text`` or ``graph``, with the rank each gave.
    """

    item: str
    row: int
    score: float
    by: Mapping[str, int]


# Predictions as columns of a table, on the labels' own scale.


def task_columns(
    schema: Schema, encoder: Encoder, values: Mapping[str, NDArray[np.float32]], taken: Collection[str]
) -> list[pl.Series]:
    """A column for each task, in schema order.

    Args:
        schema: The tasks.
        encoder: Knows their classes.
        values: Predictions per task, [n] or [n, K].
        taken: Names of other columns of the table; a task of such a name gives ``NAME_prediction``.

    Returns:
        A probability, a number, the likeliest class with its probability, or a list of labels.
    """
    columns: list[pl.Series] = []
    names = set(taken)
    for task, kind in schema.tasks.items():
        if task not in values:
            continue
        name = ""
        for ending, column in kind.answer_columns(values[task], encoder.classes.get(task, ())):
            name = _free(f"{name}{ending}" if name else f"{task}{ending}", names)
            columns.append(column.alias(name))
    return columns


def _free(name: str, names: set[str]) -> str:
    while name in names:
        name += "_prediction"
    names.add(name)
    return name
