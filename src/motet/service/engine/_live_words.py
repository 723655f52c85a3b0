"""The catalogue of one moment in words, and what each user did up to it.

Legend of shapes: D distinct items.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.assistant import Assistant, ItemRelations, grown_relations, spaces_of, tag_matrix
from motet.assistant.explain import EvidenceIndex, Explainer, Profiler, RecentInteractions
from motet.assistant.understand import Lexicon
from motet.errors import MotetError
from motet.recommend import MeaningIndex
from motet.recommend.live import CatalogueSnapshot, DistinctItems, LiveEvent, ParsedEvent
from motet.service.engine._settings import ModelParts

__all__ = ["MOST_EVENTS", "LiveWords", "WordsNow", "recent_interactions"]

MOST_EVENTS: Final = 500


def recent_interactions(
    parts: ModelParts,
    items: DistinctItems,
    evidence: EvidenceIndex,
    user: str,
    events: Sequence[LiveEvent],
) -> RecentInteractions | None:
    """Events as an evidence index takes them; None for none.

    Args:
        parts: The model.
        items: The catalogue.
        evidence: Says what a rating is.
        user: As whom the model knows the user.
        events: In any order.
    """
    live = parts.live
    there = [one for one in events if items.place(one.item) >= 0]
    if not there:
        return None
    kept = [one for one in _read(parts, there) if one is not None]
    time_us = np.array([round(one.event.at_s * 1e6) for one in kept], np.int64)
    # an event of a session that names no time is after all others
    order = np.argsort(np.where(time_us == 0, np.iinfo(np.int64).max, time_us), kind="stable")
    column = None
    if evidence.rating is not None:
        column = live.schema.tasks[evidence.rating].label
    history = live.history.of(user, items.now)
    return RecentInteractions(
        items=np.array([items.place(one.event.item) for one in kept], np.int64)[order],
        time_us=time_us[order],
        likes=np.array([np.nan if one.liked is None else float(one.liked) for one in kept])[order],
        values=np.array([_value(one.event, column, evidence.rating) for one in kept])[order],
        refused=np.array([one.refused for one in kept], bool)[order],
        histories={
            name: items.places(found.rows).astype(np.int32) for name, found in history.sequences.items()
        },
    )


def _read(parts: ModelParts, events: Sequence[LiveEvent]) -> list[ParsedEvent | None]:
    reader = parts.live.history.reader
    try:
        return list(reader.read(events))
    except MotetError:
        found: list[ParsedEvent | None] = []
        for one in events:
            try:
                found += reader.read([one])
            except MotetError:
                found.append(None)
        return found


def _value(event: LiveEvent, column: str | None, task: str | None) -> float:
    if column is None:
        return np.nan
    value = event.value if event.type in (column, task) else event.columns.get(column)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan


@dataclass(frozen=True)
class WordsNow:
    """One moment of the catalogue, in words.

    Attributes:
        items: The items.
        evidence: What claims are found in.
        profiler: Says what users like.
        base: The assistant, for what the bundle's own items give already.
    """

    items: DistinctItems
    evidence: EvidenceIndex
    profiler: Profiler
    base: Assistant

    @property
    def changed(self) -> NDArray[np.int64]:
        """Places of items that are new or were replaced since the model was trained."""
        own = len(self.items.bundle.data.items)
        found: NDArray[np.int64] = np.unique(self.items.place_of[own:]).astype(np.int64)
        return found

    @cached_property
    def spaces(self) -> Sequence[NDArray[np.float32]]:
        """The spaces in which items lie near each other."""
        if not len(self.changed):
            return self.base.context.spaces()
        items = self.items
        learnt = items.vectors(np.arange(len(items))) if items.now.side.retrieval is not None else None
        return spaces_of(items.data(), learnt)

    @cached_property
    def tags(self) -> sp.csr_array:
        """Which items have which tags and categories."""
        return tag_matrix(self.items.catalogue) if len(self.changed) else self.base.context.tags()

    @cached_property
    def relations(self) -> ItemRelations:
        """How items stand to each other."""
        mined = self.base.context.relations()
        return grown_relations(mined, self.items.data(), self.changed) if len(self.changed) else mined

    def explainer(self, explainer: Explainer, evidence: EvidenceIndex | None = None) -> Explainer:
        """An explainer on this evidence, or on what is known of one user beside it."""
        return explainer.on(evidence or self.evidence, self.items.place)


class LiveWords:
    """Keeps up with a live catalogue: a change costs work for the items that changed, and nothing a request.

    Args:
        parts: Of one bundle, before any item was added.
    """

    def __init__(self, parts: ModelParts) -> None:
        self._parts, self._lock = parts, threading.Lock()
        evidence = parts.explainer.evidence
        evidence.prime()
        items = DistinctItems.of(parts.live.bundle, self._live)
        self._now = WordsNow(items, evidence, parts.profiler, parts.assistant)
        if len(items) > evidence.items or not items.shown.all():
            raise AssertionError("the words of a bundle are prepared before any item is added")
        self._meaning: tuple[DistinctItems, MeaningIndex] | None = None

    @property
    def _live(self) -> CatalogueSnapshot:
        return self._parts.live.items.now

    def now(self) -> WordsNow:
        """The words of this moment."""
        found = self._now
        if found.items.now.version == self._live.version:
            return found
        with self._lock:
            if self._now.items.now.version != self._live.version:
                self._now = self._append_only(self._now)
            return self._now

    def meaning(self, items: DistinctItems, index: MeaningIndex) -> MeaningIndex:
        """An index of what items mean.

        Args:
            items: Of a moment.
            index: Of the bundle's items.
        """
        with self._lock:
            since = 0 if self._meaning is None else len(self._meaning[0].now)
            before = index if self._meaning is None else self._meaning[1]
            if since > len(items.now):  # this request began before another that went further
                since, before = 0, index
            own = max(since, len(items.bundle.data.items))
            changed = np.unique(items.place_of[own:]).astype(np.int64)
            append_only = before.with_items(items.catalogue, changed) if len(changed) else before
            if self._meaning is None or since:
                self._meaning = (items, append_only)
            return append_only

    def _append_only(self, before: WordsNow) -> WordsNow:
        items = DistinctItems.of(before.items.bundle, self._live)
        changed = items.changed_since(before.items)
        evidence, profiler = before.evidence, before.profiler
        if len(changed):
            evidence = evidence.with_items(
                items.catalogue,
                changed,
                vectors=items.vectors(changed),
                shown=items.shown,
                data=items.data,
            )
            profiler = profiler.with_items(items.catalogue, changed)
        else:
            evidence = copy.copy(evidence)
            evidence.shown = items.shown
        was = before.items.there
        gone = np.flatnonzero(~items.there)
        gone = gone[(gone >= len(was)) | was[np.minimum(gone, len(was) - 1)]]
        back = np.flatnonzero(items.there[: len(was)] & ~was)
        lexicon = self._lexicon
        if lexicon is not None and (len(changed) or len(gone) or len(back)):
            named = np.union1d(changed, back).tolist()
            lexicon.take(items.catalogue, named, gone.tolist())
        return WordsNow(items, evidence, profiler, before.base)

    @property
    def _lexicon(self) -> Lexicon | None:
        found = getattr(self._parts.assistant.reader, "lexicon", None)
        return found if isinstance(found, Lexicon) else None
