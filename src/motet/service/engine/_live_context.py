"""What an assistant answers about while it is served: items and users as they are now.

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
from motet.service.engine._live_words import WordsNow, recent_interactions
from motet.service.engine._served import ServedModel

__all__ = ["LiveAnswerContext"]


class LiveAnswerContext:
    """The context of one request; see :class:`motet.assistant.AnswerContext`.

    Args:
        served: The model.
        user: Whom it is answered; None for somebody unknown.
        session: What the request itself says that its user did.
    """

    no_user = "\0nobody"

    def __init__(
        self, served: ServedModel, user: str | None = None, session: Sequence[LiveEvent] = ()
    ) -> None:
        self._served, self._user, self._session = served, user, session
        self.words: WordsNow = served.words.now()
        self._read: tuple[RecentInteractions | None] | None = None
        self._raw: tuple[str, str | None, Mapping[str, NDArray[np.float32]]] | None = None

    @property
    def catalogue(self) -> Catalogue:
        """The items."""
        return self.words.items.catalogue

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Which of them may be shown, [D]."""
        return self.words.items.shown

    def __contains__(self, item: object) -> bool:
        return (
            item in self.words.items.now.first_rows
        )  # one that was deleted since may have been shown before

    def rows(self, items: Sequence[str]) -> NDArray[np.int64]:
        """Rows of items, −1 where there is none."""
        return np.array([self.words.items.place(item) for item in items], np.int64)

    def knows(self, user: str) -> bool:
        """Whether anything is known of a user."""
        return self._served.parts.live.knows(user)

    def seen(self, user: str) -> NDArray[np.int64]:
        """Rows of the items that a user had to do with, or turned down."""
        history = self._served.parts.live.history.of(user, self.words.items.now)
        return np.unique(self.words.items.places(history.seen))

    def scores(self, user: str, scenario: str | None) -> ModelScores:
        """What the model makes of every item for a user."""
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
        """What gives reasons to a user."""
        explainer, evidence = self._served.parts.explainer, self.words.evidence
        recent = self.recent(user)
        if recent is not None:
            evidence = evidence.with_recent(self._served.parts.live.history.row(user), recent)
        return self.words.explainer(explainer, evidence)

    def recent(self, user: str) -> RecentInteractions | None:
        """What the user of the request did since the model was trained, the session included."""
        if self._read is None:
            events = [] if self._user is None else self._served.events_of(self._user)
            events += self._session
            words = self.words
            self._read = (recent_interactions(self._served.parts, words.items, words.evidence, user, events),)
        return self._read[0]

    def meaning(self, index: MeaningIndex) -> MeaningIndex:
        """An index of the bundle's items, with those of this moment."""
        return self._served.words.meaning(self.words.items, index)

    def spaces(self) -> Sequence[NDArray[np.float32]]:
        """The spaces in which items lie near each other."""
        return self.words.spaces

    def tags(self) -> sp.csr_array:
        """Which items have which tags and categories."""
        return self.words.tags

    def relations(self) -> ItemRelations:
        """How items stand to each other."""
        return self.words.relations

    def _scored(self, user: str, scenario: str | None) -> Mapping[str, NDArray[np.float32]]:
        """What the model says of every item, asked once."""
        if self._raw is None or self._raw[:2] != (user, scenario):
            query = Query(user=None if user == self.no_user else user, scenario=scenario)
            raw = self._served.parts.live.score_rows(query, self.words.items.rows)
            self._raw = (user, scenario, raw)
        return self._raw[2]
