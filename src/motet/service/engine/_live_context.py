"""Answer context of a served assistant: the live catalogue and the live user histories.

Legend of shapes: D distinct items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.assistant import ItemRelations, ModelScores, joint_scores
from motet.assistant.explain import Explainer, RecentInteractions
from motet.data import Catalogue
from motet.recommend import MeaningIndex, Query
from motet.recommend.live import LiveEvent
from motet.service.engine._served import ServedModel
from motet.service.engine._text_index import TextSnapshot, recent_interactions

__all__ = ["LiveAnswerContext"]


class LiveAnswerContext:
    """The context of one request; see :class:`motet.assistant.AnswerContext`.

    Args:
        served: The model.
        user: The user of the request; None for an unknown user.
        session: Events of the user that the request itself holds.
    """

    no_user = "\0unknown"

    def __init__(
        self, served: ServedModel, user: str | None = None, session: Sequence[LiveEvent] = ()
    ) -> None:
        self._served, self._user, self._session = served, user, session
        self.text: TextSnapshot = served.text_index.now()
        self._read: tuple[RecentInteractions | None] | None = None
        self._raw: tuple[str, str | None, Mapping[str, NDArray[np.float32]]] | None = None

    @property
    def catalogue(self) -> Catalogue:
        """The items."""
        return self.text.items.catalogue

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Which of them may be recommended, [D]."""
        return self.text.items.shown

    def __contains__(self, item: object) -> bool:
        # also items deleted since: they may have been recommended before
        return item in self.text.items.now.first_rows

    def rows(self, items: Sequence[str]) -> NDArray[np.int64]:
        """Rows of items, −1 where there is none."""
        return np.array([self.text.items.place(item) for item in items], np.int64)

    def knows(self, user: str) -> bool:
        """Whether anything is known of a user."""
        return self._served.parts.live.knows(user)

    def seen(self, user: str) -> NDArray[np.int64]:
        """Rows of the items that a user interacted with or rejected."""
        history = self._served.parts.live.history.of(user, self.text.items.now)
        return np.unique(self.text.items.places(history.seen))

    def scores(self, user: str, scenario: str | None) -> ModelScores:
        """Scores of every item for a user."""
        schema, raw = self._served.schema, self._scored(user, scenario)
        ranked, task = raw[str(schema.ranking_task)], schema.liking_task
        if task is None or not schema.tasks[task].is_chance:
            return ModelScores(ranked, None)
        return joint_scores(ranked, raw[task])

    def predictions(self, user: str, items: Sequence[str], scenario: str | None) -> list[dict[str, Any]]:
        """Every task's prediction for each item, on the labels' own scale."""
        if not items:
            return []
        raw, at = self._scored(user, scenario), self.rows(items)
        return self._served.parts.live.predictions({task: values[at] for task, values in raw.items()})

    def explainer(self, user: str) -> Explainer:
        """The explainer with the recent events of a user."""
        explainer, evidence = self._served.parts.explainer, self.text.evidence
        recent = self.recent(user)
        if recent is not None:
            evidence = evidence.with_recent(self._served.parts.live.history.row(user), recent)
        return self.text.explainer(explainer, evidence)

    def recent(self, user: str) -> RecentInteractions | None:
        """Events of the user since the model was trained, including the session."""
        if self._read is None:
            events = [] if self._user is None else self._served.events_of(self._user)
            text, parts = self.text, self._served.parts
            found = recent_interactions(parts, text.items, text.evidence, user, events, self._session)
            self._read = (found,)
        return self._read[0]

    def meaning(self, index: MeaningIndex) -> MeaningIndex:
        """A semantic index of the bundle's items extended by the live ones."""
        return self._served.text_index.meaning(self.text.items, index)

    def spaces(self) -> Sequence[NDArray[np.float32]]:
        """Embedding spaces in which similar items are close."""
        return self.text.spaces

    def tags(self) -> sp.csr_array:
        """Which items have which tags and categories."""
        return self.text.tags

    def relations(self) -> ItemRelations:
        """Mined relations between items."""
        return self.text.relations

    def _scored(self, user: str, scenario: str | None) -> Mapping[str, NDArray[np.float32]]:
        """Raw outputs of every item, computed once per user and scenario."""
        if self._raw is None or self._raw[:2] != (user, scenario):
            query = Query(user=None if user == self.no_user else user, scenario=scenario)
            raw = self._served.parts.live.score_rows(query, self.text.items.rows)
            self._raw = (user, scenario, raw)
        return self._raw[2]
