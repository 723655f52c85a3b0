"""What an assistant answers about: items and users at one point in time, with their scores.

Legend of shapes: I items, T tags, D width of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.assistant._likeness import item_spaces, tag_matrix
from motet.assistant._relations import ItemRelations, mine_relations
from motet.assistant.explain import Explainer
from motet.data import Catalogue, IdIndex
from motet.errors import RequestError
from motet.recommend import MeaningIndex, Recommender

__all__ = ["AnswerContext", "BundleContext", "ModelScores", "joint_scores", "model_scores"]


@dataclass(frozen=True, slots=True)
class ModelScores:
    """Two views of the items.

    Attributes:
        scores: What they are ranked by, float32 [I].
        liked: Probability of being liked, float32 [I]; None where no task predicts it.
    """

    scores: NDArray[np.float32]
    liked: NDArray[np.float32] | None


def model_scores(recommender: Recommender, user: str, scenario: str | None) -> ModelScores:
    """Score every item for a user by what the schema ranks by, and say how probably each is liked.

    A sum with what is liked ranked worse: of films that users liked later, ten answers to a request
    hold fewer (``python -m benchmarks.ask_ranking``). Being liked only keeps poor replacements back.

    Args:
        recommender: Scores.
        user: Id of the user.
        scenario: Where the items are shown.

    Raises:
        DataError: If the scenario is not known.
    """
    scores = recommender.scores(user, scenario=scenario)
    task = recommender.schema.liking_task
    if task is None or not recommender.schema.tasks[task].is_chance:
        return ModelScores(scores, None)
    return joint_scores(scores, recommender.scores(user, scenario=scenario, by=task))


def joint_scores(scores: NDArray[np.float32], logits: NDArray[np.float32]) -> ModelScores:
    """What the schema ranks by, with how probably each item is liked.

    Args:
        scores: What the schema ranks by, [I].
        logits: Of being liked, [I].
    """
    liked = (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)
    return ModelScores(scores, liked)


class AnswerContext(Protocol):
    """Items and users; places of items are rows of the catalogue, [I]."""

    @property
    def catalogue(self) -> Catalogue:
        """The items."""
        ...

    @property
    def shown(self) -> NDArray[np.bool_] | None:
        """Which of them may be shown, [I]; None for all."""
        ...

    @property
    def no_user(self) -> str:
        """An id that no user has."""
        ...

    def __contains__(self, item: object) -> bool:
        """Whether there is an item of an id."""
        ...

    def rows(self, items: Sequence[str]) -> NDArray[np.int64]:
        """Rows of items, −1 where there is none, [n]."""
        ...

    def knows(self, user: str) -> bool:
        """Whether anything is known of a user."""
        ...

    def seen(self, user: str) -> NDArray[np.int64]:
        """Rows of the items that a user had to do with, or turned down."""
        ...

    def scores(self, user: str, scenario: str | None) -> ModelScores:
        """What the model makes of every item for a user.

        Raises:
            DataError: If the scenario is not known.
        """
        ...

    def predictions(self, user: str, items: Sequence[str], scenario: str | None) -> list[dict[str, Any]]:
        """Every task's prediction for each item, on the labels' own scale."""
        ...

    def explainer(self, user: str) -> Explainer:
        """What gives reasons to a user."""
        ...

    def meaning(self, index: MeaningIndex) -> MeaningIndex:
        """An index of the bundle's items, with those of this context."""
        ...

    def spaces(self) -> Sequence[NDArray[np.float32]]:
        """The spaces in which items lie near each other, [I, D] each."""
        ...

    def tags(self) -> sp.csr_array:
        """Which items have which tags and categories, [I, T]."""
        ...

    def relations(self) -> ItemRelations:
        """How items stand to each other."""
        ...


class BundleContext:
    """What a bundle knows, as it was trained.

    Args:
        recommender: Ranks.
        explainer: Gives reasons.

    Raises:
        RequestError: If the bundle has no users or no catalogue.
    """

    shown: NDArray[np.bool_] | None = None

    def __init__(self, recommender: Recommender, explainer: Explainer) -> None:
        data, schema = recommender.bundle.data, recommender.schema
        if data.catalogue is None or schema.keys.user is None:
            raise RequestError(
                f"the schema '{schema.name}' has no users or no items", "asking needs both keys"
            )
        self.recommender, self._explainer = recommender, explainer
        self.catalogue = data.catalogue
        self._items, self._users = IdIndex(data.item_ids), IdIndex(data.user_ids)
        self._ids = frozenset(data.catalogue.frame["id"])
        self._spaces: Sequence[NDArray[np.float32]] | None = None
        self._tags: sp.csr_array | None = None
        self._relations: ItemRelations | None = None
        self.no_user = "unknown"
        while self._users.rows(pl.Series([self.no_user]))[0] >= 0:
            self.no_user += "?"

    def __contains__(self, item: object) -> bool:
        return item in self._ids

    def rows(self, items: Sequence[str]) -> NDArray[np.int64]:
        """See :class:`AnswerContext`."""
        return self._items.rows(pl.Series(items, dtype=pl.String)).astype(np.int64)

    def knows(self, user: str) -> bool:
        """See :class:`AnswerContext`."""
        return bool(self._users.rows(pl.Series([user]))[0] >= 0) or len(self.recommender.seen(user)) > 0

    def seen(self, user: str) -> NDArray[np.int64]:
        """See :class:`AnswerContext`."""
        return self.recommender.seen(user).astype(np.int64)

    def scores(self, user: str, scenario: str | None) -> ModelScores:
        """See :class:`AnswerContext`."""
        return model_scores(self.recommender, user, scenario)

    def predictions(self, user: str, items: Sequence[str], scenario: str | None) -> list[dict[str, Any]]:
        """See :class:`AnswerContext`."""
        if not items:
            return []
        keys = self.recommender.schema.keys
        pairs = pl.DataFrame({keys.user: [user] * len(items), keys.item: list(items)})
        if scenario is not None:
            pairs = pairs.with_columns(pl.lit(scenario).alias(str(keys.scenario)))
        found: list[dict[str, Any]] = (
            self.recommender.predict(pairs).drop(str(keys.user), str(keys.item)).to_dicts()
        )
        return found

    def explainer(self, user: str) -> Explainer:
        """See :class:`AnswerContext`."""
        return self._explainer

    def meaning(self, index: MeaningIndex) -> MeaningIndex:
        """See :class:`AnswerContext`."""
        return index

    def spaces(self) -> Sequence[NDArray[np.float32]]:
        """See :class:`AnswerContext`."""
        if self._spaces is None:
            self._spaces = item_spaces(self.recommender)
        return self._spaces

    def tags(self) -> sp.csr_array:
        """See :class:`AnswerContext`."""
        if self._tags is None:
            self._tags = tag_matrix(self.catalogue)
        return self._tags

    def relations(self) -> ItemRelations:
        """See :class:`AnswerContext`."""
        if self._relations is None:
            bundle = self.recommender.bundle
            self._relations = mine_relations(bundle.data, bundle.behaviour)
        return self._relations
