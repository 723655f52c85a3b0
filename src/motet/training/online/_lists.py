"""Lists that a bundle would have made of new events, before it learns from them.

Legend of shapes: Q events, I items of the new tables, O items that the bundle knew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.data import SPLIT_CODES, Dataset, IdIndex, Ragged
from motet.models.baselines import MEMBERS, ranking_queries
from motet.training._bundle import Bundle
from motet.training._predictor import ModelPredictor
from motet.training.blending import NETWORK, EarlierLists, RankingBlend, standardised, weigh_by_lists

__all__ = ["ListsBefore", "choose_again", "counted"]

Rows = NDArray[np.int64]

_CELLS: Final = 10_000_000  # scores of all items for all events


def counted(blend: RankingBlend, data: Dataset, splits: tuple[str, ...]) -> RankingBlend:
    """Plain members that rank, over the rows of some splits, with the settings and weights that they have."""
    settings = {name: _settings(of["settings"]) for name, of in blend.report["members"].items()}
    members = {name: MEMBERS[name].fit_scores(data, settings[name], splits) for name in blend.members}
    rows = np.concatenate([data.rows(split) for split in splits])
    occurs = np.bincount(data.item_row[rows], minlength=len(data.items)) > 0
    return RankingBlend(members, blend.weights, occurs, blend.report, blend.lists)


def choose_again(blend: RankingBlend, data: Dataset, latest: Rows) -> RankingBlend | None:
    """The blend with settings near those of before that rank the latest rows better; None where none are.

    Args:
        blend: Of the bundle.
        data: All rows.
        latest: Rows to rank, by members that are fitted on the others.
    """
    seen, changed = held_out(data, latest), {}
    for name in blend.members:
        before = blend.report["members"][name]["settings"]
        found = MEMBERS[name].choose(seen, near=before)
        after = {key: getattr(found, key) for key in before} if isinstance(before, Mapping) else found
        if after != before:
            changed[name] = {**blend.report["members"][name], "settings": after}
    if not changed:
        return None
    report = {**blend.report, "members": {**blend.report["members"], **changed}}
    return RankingBlend(blend.members, blend.weights, blend.occurs, report, blend.lists)


def held_out(data: Dataset, rows: Rows) -> Dataset:
    """The data with some rows to be ranked by what is known of the others."""
    split = np.full(len(data), SPLIT_CODES["train"], data.split.dtype)
    split[rows] = SPLIT_CODES["validation"]
    return replace(data, split=split)


def _settings(plain: Any) -> Any:
    """Settings of a member as it reads them: a number, or several by name."""
    return SimpleNamespace(**plain) if isinstance(plain, Mapping) else plain


class ListsBefore:
    """What network and members score for the positives among new rows, as they stood before each.

    Args:
        old: The bundle as it was loaded.
        blend: Its members, or others with new settings.
        data: Rows, old and new.
        new: Those that it has not learnt from.
        predictor: Its network, which learns meanwhile.
    """

    def __init__(
        self, old: Bundle, blend: RankingBlend, data: Dataset, new: Rows, predictor: ModelPredictor
    ) -> None:
        self._predictor, self._data = predictor, data
        before = held_out(data, new)
        if blend is old.blend:
            at = IdIndex(old.data.item_ids).rows(data.item_ids)
            self._row = np.where(at < 0, len(blend.occurs), at).astype(
                np.int32
            )  # of each item in the members
        else:
            blend = counted(blend, before, ("train",))
            self._row = np.arange(len(data.items), dtype=np.int32)
        self._blend, self._found = blend, list[EarlierLists]()
        self._occurs = np.append(blend.occurs, False)[self._row]
        self._events = np.zeros(0, np.int64)
        queries = ranking_queries(before, _CELLS)
        if queries is not None:
            queries = queries.of_events()
            self._events, self._had, self._seen = queries.events, queries.had, queries.task.seen

    def add(self, rows: Rows) -> None:
        """Score the events among some rows, before the network learns from them."""
        some = np.flatnonzero(np.isin(self._events, rows))
        network = self._predictor.score_events(self._events[some]) if len(some) else None
        if network is None:
            return
        had = self._had.take(some)
        had = Ragged(self._row[had.values], had.offsets)
        parts = {NETWORK: standardised(network, self._occurs)}
        for name, member in self._blend.members.items():
            scores = np.pad(member.scores(had), ((0, 0), (0, 1)))[:, self._row]
            parts[self._named(name)] = standardised(scores, self._occurs)
        items = self._data.item_row[self._events[some]].astype(np.int64)
        self._found.append(EarlierLists.of(parts, items, self._seen[some].toarray() > 0))

    def weighed(self) -> RankingBlend:
        """The members with weights that would have made better lists, where there are some."""
        blend = self._blend
        names = {self._named(name): name for name in (NETWORK, *blend.members)}
        lists = EarlierLists.together([blend.lists, *self._found], list(names))
        found = None
        if lists is not None:
            found = weigh_by_lists(lists, {named: blend.weights[name] for named, name in names.items()})
        weights = blend.weights if found is None else {names[named]: w for named, w in found.items()}
        return RankingBlend(blend.members, weights, blend.occurs, blend.report, lists)

    def _named(self, name: str) -> str:
        """A member with its settings: what it scored with others says nothing of it."""
        return (
            name
            if name == NETWORK
            else f"{name} {json.dumps(self._blend.report['members'][name]['settings'])}"
        )
