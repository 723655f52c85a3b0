"""Text index of the live catalogue: evidence, profiles, similarity and recent interactions, kept up to date.

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
from motet.recommend.live import FOUND, CatalogueSnapshot, DistinctItems, LiveEvent, ParsedEvent
from motet.service.engine._settings import ModelParts

__all__ = ["MOST_EVENTS", "LiveTextIndex", "TextSnapshot", "recent_interactions"]

MOST_EVENTS: Final = 500


def recent_interactions(
    parts: ModelParts,
    items: DistinctItems,
    evidence: EvidenceIndex,
    user: str,
    events: Sequence[LiveEvent],
    session: Sequence[LiveEvent] = (),
) -> RecentInteractions | None:
    """Convert events for the evidence index; None if no event has a known item.

    Args:
        parts: The model.
        items: The catalogue.
        evidence: The evidence index, which names the rating task.
        user: The user id inside the model.
        events: In any order.
        session: Those of a request, which are kept nowhere.
    """
    live, events = parts.live, [*events, *session]
    there = [one for one in events if items.place(one.item) >= 0]
    if not there:
        return None
    kept = [one for one in _read(parts, there) if one is not None]
    time_us = np.array([round(one.event.at_s * 1e6) for one in kept], np.int64)
    # an event of a session without a time is the latest
    order = np.argsort(np.where(time_us == 0, np.iinfo(np.int64).max, time_us), kind="stable")
    column = None
    if evidence.rating is not None:
        column = live.schema.tasks[evidence.rating].label
    history = live.history.after(live.history.of(user, items.now), session, items.now)
    return RecentInteractions(
        items=np.array([items.place(one.event.item) for one in kept], np.int64)[order],
        time_us=time_us[order],
        likes=np.array([np.nan if one.liked is None else float(one.liked) for one in kept])[order],
        values=np.array([_value(one.event, column, evidence.rating) for one in kept])[order],
        refused=np.array([one.refused for one in kept], bool)[order],
        histories={
            name: items.places(found.rows).astype(np.int32)
            for name, found in history.sequences.items()
            if name in items.bundle.data.histories or (name == FOUND and items.bundle.blend is not None)
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
class TextSnapshot:
    """One version of the catalogue with its text index.

    Attributes:
        items: The items.
        evidence: Index of the evidence for explanations.
        profiler: Computes user profiles.
        base: The assistant, with what was computed for the items of the bundle.
    """

    items: DistinctItems
    evidence: EvidenceIndex
    profiler: Profiler
    base: Assistant

    @property
    def changed(self) -> NDArray[np.int64]:
        """Indices of items that are new or were replaced since the model was trained."""
        own = len(self.items.bundle.data.items)
        found: NDArray[np.int64] = np.unique(self.items.place_of[own:]).astype(np.int64)
        return found

    @cached_property
    def spaces(self) -> Sequence[NDArray[np.float32]]:
        """Embedding spaces in which similar items are close."""
        if not len(self.changed):
            return self.base.context.spaces()
        items = self.items
        trained = items.vectors(np.arange(len(items))) if items.now.side.retrieval is not None else None
        return spaces_of(items.data(), trained)

    @cached_property
    def tags(self) -> sp.csr_array:
        """Which items have which tags and categories."""
        return tag_matrix(self.items.catalogue) if len(self.changed) else self.base.context.tags()

    @cached_property
    def relations(self) -> ItemRelations:
        """Mined relations between items."""
        mined = self.base.context.relations()
        return grown_relations(mined, self.items.data(), self.changed) if len(self.changed) else mined

    def explainer(self, explainer: Explainer, evidence: EvidenceIndex | None = None) -> Explainer:
        """An explainer that uses this evidence, or that of one user."""
        return explainer.on(evidence or self.evidence, self.items.place)


class LiveTextIndex:
    """Follows a live catalogue: a change costs work only for the changed items, and a request costs none.

    Args:
        parts: The parts of one bundle, before any item was added.
    """

    def __init__(self, parts: ModelParts) -> None:
        self._parts, self._lock = parts, threading.Lock()
        evidence = parts.explainer.evidence
        evidence.prime()
        items = DistinctItems.of(parts.live.bundle, self._live)
        self._now = TextSnapshot(items, evidence, parts.profiler, parts.assistant)
        if len(items) > evidence.items or not items.shown.all():
            raise AssertionError("the text index of a bundle is built before any item is added")
        self._meaning: tuple[DistinctItems, MeaningIndex] | None = None

    @property
    def _live(self) -> CatalogueSnapshot:
        return self._parts.live.items.now

    def now(self) -> TextSnapshot:
        """The text index of the present catalogue."""
        found = self._now
        if found.items.now.version == self._live.version:
            return found
        with self._lock:
            if self._now.items.now.version != self._live.version:
                self._now = self._updated(self._now)
            return self._now

    def meaning(self, items: DistinctItems, index: MeaningIndex) -> MeaningIndex:
        """A semantic index that includes the live items.

        Args:
            items: One version of the catalogue.
            index: The semantic index of the items of the bundle.
        """
        with self._lock:
            since = 0 if self._meaning is None else len(self._meaning[0].now)
            before = index if self._meaning is None else self._meaning[1]
            if since > len(items.now):  # another request has already indexed a later version
                since, before = 0, index
            own = max(since, len(items.bundle.data.items))
            changed = np.unique(items.place_of[own:]).astype(np.int64)
            updated = before.with_items(items.catalogue, changed) if len(changed) else before
            if self._meaning is None or since:
                self._meaning = (items, updated)
            return updated

    def _updated(self, before: TextSnapshot) -> TextSnapshot:
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
        return TextSnapshot(items, evidence, profiler, before.base)

    @property
    def _lexicon(self) -> Lexicon | None:
        found = getattr(self._parts.assistant.reader, "lexicon", None)
        return found if isinstance(found, Lexicon) else None
