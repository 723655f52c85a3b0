"""An answer: items in order, with everything that led to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from motet.recommend._rerank._trace import Step

__all__ = ["Ranked", "RankedItem", "Similar"]


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
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranked:
    """An answer.

    Attributes:
        items: In order.
        served_by: What served it: ``personal``, ``session``, ``scenario_popular``, ``popular``, ``newest`` or
            ``again``; the first link of the chain that gave an item.
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
class Similar:
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
