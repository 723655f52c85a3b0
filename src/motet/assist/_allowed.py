"""The hard parts of a request as masks over the catalogue.

Legend of shapes: I items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.assist._list_words import column_limit
from motet.data import Catalogue
from motet.errors import RequestError
from motet.knowledge import KnowledgeGraph
from motet.requests import FactWanted, Range, Request, Tag
from motet.schema import require_known

__all__ = ["Condition", "allowed", "conditions", "has_tag", "in_range", "tag_share"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One hard part of a request.

    Attributes:
        words: What it says, for a person.
        keeps: Which items it leaves, bool [I].
        excludes: Whether it is an exclusion, which is never given up.
    """

    words: str
    keeps: NDArray[np.bool_]
    excludes: bool


def has_tag(catalogue: Catalogue, tag: Tag) -> NDArray[np.bool_]:
    """Which items have a tag or category, bool [I].

    Raises:
        RequestError: If the catalogue has no such column of tags or categories.
    """
    require_known(tag.column, (*catalogue.tags, *catalogue.categories), "the column of tags", RequestError)
    cells = catalogue.frame[tag.column]
    found = cells.list.contains(tag.value) if cells.dtype == pl.List else cells == tag.value
    return found.fill_null(False).to_numpy()


def tag_share(catalogue: Catalogue, tags: Sequence[Tag]) -> NDArray[np.float32]:
    """Share of some tags that each item has, float32 [I]; zeros for no tags."""
    count = np.zeros(len(catalogue), np.float32)
    for tag in tags:
        count += has_tag(catalogue, tag)
    share: NDArray[np.float32] = count / np.float32(max(len(tags), 1))
    return share


def in_range(catalogue: Catalogue, limits: Range) -> NDArray[np.bool_]:
    """Which items keep the limits of a number, bool [I]; an item without the number does not.

    Raises:
        RequestError: If the catalogue has no such column of numbers.
    """
    require_known(limits.column, catalogue.numbers, "the column of numbers", RequestError)
    numbers = catalogue.frame[limits.column].to_numpy()
    kept = ~np.isnan(numbers)
    if limits.low is not None:
        kept &= numbers >= limits.low
    if limits.high is not None:
        kept &= numbers <= limits.high
    return np.asarray(kept)


def conditions(
    request: Request, catalogue: Catalogue, graph: KnowledgeGraph | None = None
) -> list[Condition]:
    """The hard parts of a request, exclusions first.

    Args:
        request: The request.
        catalogue: Its words.
        graph: Its facts; without it no item has one.

    Raises:
        RequestError: If the request names a column that the catalogue does not have.
    """
    language = request.language
    no = {"en": "no ", "zh": "不要"}[language]
    found = []
    ids = catalogue.frame["id"]
    away = [*request.without, *request.like]
    if away:
        named = {"en": "the items named", "zh": "提到的那些"}[language]
        found.append(Condition(f"{no}{named}", ~ids.is_in(away).to_numpy(), True))
    for tag in request.must_not:
        found.append(Condition(f"{no}{catalogue.word(tag.value, language)}", ~has_tag(catalogue, tag), True))
    for fact in request.facts_not:
        found.append(Condition(f"{no}{fact.words}", ~_has_fact(catalogue, graph, fact), True))
    for tag in request.must:
        found.append(Condition(catalogue.word(tag.value, language), has_tag(catalogue, tag), False))
    for limits in request.ranges:
        found.append(Condition(_range_words(catalogue, limits, language), in_range(catalogue, limits), False))
    for fact in request.facts:
        found.append(Condition(fact.words or fact.entity, _has_fact(catalogue, graph, fact), False))
    return found


def allowed(request: Request, catalogue: Catalogue, graph: KnowledgeGraph | None = None) -> NDArray[np.bool_]:
    """Which items break no hard part of a request, bool [I]."""
    kept = np.ones(len(catalogue), bool)
    for condition in conditions(request, catalogue, graph):
        kept &= condition.keeps
    return kept


def _has_fact(catalogue: Catalogue, graph: KnowledgeGraph | None, fact: FactWanted) -> NDArray[np.bool_]:
    found = np.zeros(len(catalogue), bool)
    if graph is not None:
        found[graph.items_with(fact.entity, fact.relation)] = True
    return found


def _range_words(catalogue: Catalogue, limits: Range, language: str) -> str:
    return column_limit(
        "range", catalogue.column_name(limits.column, language), limits.low, limits.high, language
    )
