"""A request for a list, answered: the best list that keeps every limit, or why there is none.

Legend of shapes: I items.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.assistant._likeness import tag_matrix
from motet.assistant._list_answer import LimitReport, ListAnswer, ListedItem
from motet.assistant._list_conflict import ConflictExplainer
from motet.assistant._list_limits import ListLimit, ListLimits, ListPool, limits_of, part_limits
from motet.assistant._list_problem import Solution, exact_sum
from motet.assistant._list_solve import solve_list
from motet.assistant._list_words import joined, said
from motet.assistant._relations import ItemRelations, mine_relations
from motet.assistant.explain import said_title
from motet.assistant.understand import Request
from motet.data import Catalogue
from motet.errors import RequestError
from motet.graph import KnowledgeGraph
from motet.recommend import Recommender

__all__ = ["make_list"]


def make_list(
    recommender: Recommender,
    user: str | pl.DataFrame,
    request: Request,
    relations: ItemRelations | None = None,
    *,
    limits: ListLimits | None = None,
    scores: NDArray[np.floating] | None = None,
    graph: KnowledgeGraph | None = None,
    contradicted: bool = False,
    time_limit_s: float = 3.0,
    catalogue: Catalogue | None = None,
    seen: NDArray[np.integer] | None = None,
) -> ListAnswer:
    """Put a list together for a user: the most valuable items that keep every limit together.

    With v ∈ (0, 1] the values that scores become among the items that may come (1 for the best, ½ for
    the 100th), w the strength of going together, k the greatest count, and the weights γ, δ of :class:`ListLimits`, the list x maximises

        Σ_i v_i x_i + γ / (k − 1) · Σ_{i≠j} w_ij x_i x_j + δ · (tag values that some item has)

    Limits are hard. Where no list keeps them, the answer says which of them are in each other's way,
    what loosening one of them would need, and what the list would then be; nothing is loosened
    without a word.

    Args:
        recommender: Scores the catalogue.
        user: Id of the user, or one row with the user column and what else is known.
        request: Its hard parts, ``count``, ``quotas`` and ``total`` are limits; ``scenario`` is where it is for.
        relations: What goes together and what is the same twice; mined from the bundle when left
            out, which takes about a second for 100,000 events.
        limits: What the request does not hold.
        scores: What to rank by instead, [I]; items at −∞ never come.
        graph: Facts that the request asks for.
        contradicted: Whether a wish was given up because what was excluded contradicts it; then the
            words do not claim that every limit is kept.
        time_limit_s: Seconds for the choice, and as much again for an explanation, > 0.
        catalogue: Other items than the bundle's, for which scores and relations are then given too.
        seen: Rows of items that the user has had; those that the bundle knows when left out.

    Returns:
        The answer, in the language of the request.

    Raises:
        RequestError: If there is no catalogue, or an id in ``beside`` is not in it.
        DataError: If the scenario is not known.
    """
    began = time.monotonic()
    limits = limits or ListLimits()
    data = recommender.bundle.data
    catalogue = data.catalogue if catalogue is None else catalogue
    if catalogue is None or not len(catalogue):
        raise RequestError("the bundle has no items to make a list of", "train with a key for items")
    relations = relations or mine_relations(data, recommender.bundle.behaviour)
    if scores is None:
        scores = recommender.scores(user, scenario=request.scenario)
    if limits.seen:
        seen = np.zeros(0, np.int32)
    elif seen is None:
        seen = recommender.seen(user) if isinstance(user, str) else np.zeros(0, np.int32)
    beside = _rows(catalogue, limits.beside)
    pool = ListPool(np.asarray(scores, np.float64), relations, limits, tag_matrix(catalogue), beside)
    found, unmet = limits_of(request, limits, catalogue, seen, graph)
    parts, without = part_limits(request.quotas, catalogue, request.language)
    found[-1:-1], unmet = parts, [*unmet, *without]  # the count stays last
    maker = _Maker(pool, catalogue, request, tuple(unmet), contradicted)
    answer = maker.answer(found, began, time_limit_s)
    if answer.status != "infeasible":
        return answer
    explainer = ConflictExplainer(pool, catalogue, request.language, time.monotonic() + time_limit_s)
    explained = explainer.explain(found)
    nearest = None
    if explained.nearest is not None:
        made = maker.answer(explained.nearest, time.monotonic(), time_limit_s)
        if made.status == "complete":
            nearest = made.model_copy(update={"loosened": explained.loosened})
    explanation = {"conflict": explained.conflict, "nearest": nearest}
    answer = answer.model_copy(update={**explanation, "elapsed_s": time.monotonic() - began})
    return answer.model_copy(update={"words": _conflict_words(answer)})


def _rows(catalogue: Catalogue, ids: Sequence[str]) -> tuple[int, ...]:
    known = {name: row for row, name in enumerate(catalogue.frame["id"])} if ids else {}
    for name in ids:
        if name not in known:
            raise RequestError(f"the item '{name}' is not in the catalogue", "name an id of the items table")
    return tuple(known[name] for name in ids)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Solves limits and writes the answer."""

    pool: ListPool
    catalogue: Catalogue
    request: Request
    unmet: tuple[str, ...]
    contradicted: bool

    def answer(self, limits: Sequence[ListLimit], began: float, time_limit_s: float) -> ListAnswer:
        """The list under some limits, or that there is none."""
        all_rows = self.pool.candidates(limits)
        rows = self.pool.compared(all_rows, limits)
        found = solve_list(self.pool.problem(limits, rows), time_limit_s=time_limit_s)
        language = self.request.language
        common: dict[str, object] = {"language": language, "unmet": self.unmet, "candidates": len(all_rows)}
        common |= {"method": found.method, "elapsed_s": time.monotonic() - began}
        if found.chosen is None:
            sure = found.proven and len(rows) == len(all_rows)
            words = said("none", language, limits=joined([limit.words for limit in limits], language))
            words = words if sure else said("undecided", language)
            status = "infeasible" if sure else "undecided"
            return ListAnswer.model_validate({**common, "status": status, "words": words, "proven": sure})
        values = self.pool.values(rows)
        order = sorted(found.chosen, key=lambda place: (-values[place], place))
        chosen = [int(rows[place]) for place in order]
        worth = dict(zip(chosen, (float(values[place]) for place in order), strict=True))
        counted = said("items" if len(chosen) != 1 else "one_item", language, n=len(chosen))
        kept = "kept_known" if self.unmet else "kept_but" if self.contradicted else "kept"
        if self.request.wants:  # words that no limit took: whether the list keeps them is not known
            kept = "kept_read"
        done = said(kept, language, items=counted, words=self.request.wants)
        return ListAnswer.model_validate(
            {
                **common,
                **_bounds(found, complete=len(rows) == len(all_rows)),
                "status": "complete",
                "words": ("" if language == "zh" else " ").join([done, *_unmet_words(self.unmet, language)]),
                "items": tuple(self._item(row, worth[row], chosen, limits) for row in chosen),
                "limits": tuple(self._report(limit, chosen) for limit in limits),
            }
        )

    def _item(self, row: int, value: float, chosen: Sequence[int], limits: Sequence[ListLimit]) -> ListedItem:
        columns = dict.fromkeys(limit.column for limit in limits if limit.kind == "total" and limit.column)
        found = {column: self.catalogue.number(row, column) for column in columns}
        partners = dict(self.pool.relations.strongest(row, k=len(self.catalogue)))
        ids = self.catalogue.frame["id"]
        return ListedItem(
            id=ids[row],
            name=said_title(self.catalogue.name(row)),
            score=float(self.pool.scores[row]),
            value=value,
            numbers={column: number for column, number in found.items() if number is not None},
            goes_with=tuple(ids[other] for other in (*self.pool.beside, *chosen) if other in partners),
        )

    def _report(self, limit: ListLimit, chosen: Sequence[int]) -> LimitReport:
        rows = np.asarray(chosen, np.intp)
        relations = self.pool.relations
        outside = 0 if limit.keeps is None else int((~limit.keeps[rows]).sum())
        holds, found = outside == 0, float(outside)
        if limit.sums:
            sums = [float(exact_sum([row.weights[item] for item in chosen])) for row in limit.sums]
            holds, found = holds and all(row.holds(chosen) for row in limit.sums), max(sums)
        if limit.kind == "duplicates":
            found = relations.duplicates[rows][:, rows].nnz / 2
            holds = found == 0
        elif limit.kind == "alike" and limit.high is not None:
            between = relations.likeness.between(rows, rows)
            found = float(np.triu(between, 1).max(initial=0))
            holds = found <= np.nextafter(limit.high, 2)
        return LimitReport(kind=limit.kind, words=limit.words, holds=holds, found=found, low=limit.low, high=limit.high)  # fmt: skip


def _bounds(found: Solution, *, complete: bool) -> dict[str, object]:
    """What is known of how good a list is; JSON knows no infinity."""
    known = math.isfinite(found.bound) and complete
    return {
        "objective": found.objective,
        "bound": found.bound if known else None,
        "gap": found.gap if known else None,
        "proven": found.proven and complete,
    }


def _unmet_words(unmet: Sequence[str], language: str) -> list[str]:
    return [said("unmet", language, limits=joined(unmet, language))] if unmet else []


def _conflict_words(answer: ListAnswer) -> str:
    """Which limits are in each other's way, and what would help."""
    language, conflict = answer.language, answer.conflict
    if conflict is None:
        return answer.words
    parts = [said("none", language, limits=joined(conflict.limits, language))]
    if not conflict.minimal:
        parts.append(said("not_minimal", language))
    if conflict.ways:
        ways = said("or", language).join(way.words for way in conflict.ways)
        parts.append(said("ways", language, ways=ways))
    elif answer.nearest is not None:
        parts.append(said("no_way", language))
        ways = joined(answer.nearest.loosened, language)
        parts.append(said("nearest", language, ways=ways))
    else:
        parts.append(said("no_items", language))
    parts += _unmet_words(answer.unmet, language)
    return ("" if language == "zh" else " ").join(parts)
