"""What the model makes of every item for a user: what it ranks by, and how probably each is liked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motet.data import liking
from motet.recommend import Recommender

__all__ = ["ModelScores", "joint_scores", "model_scores"]


@dataclass(frozen=True, slots=True)
class ModelScores:
    """Two views of the items.

    Attributes:
        scores: What they are ranked by, float32 [I].
        liked: Probability of being liked, float32 [I]; None where no task tells it.
    """

    scores: NDArray[np.float32]
    liked: NDArray[np.float32] | None


def model_scores(recommender: Recommender, user: str, scenario: str | None) -> ModelScores:
    """Score every item for a user by what the schema ranks by, and say how probably each is liked.

    A sum with what is liked ranked worse: of films that people liked later, ten answers to a request
    hold fewer (``python -m benchmarks.ask_ranking``). Being liked only keeps poor replacements back.

    Args:
        recommender: Scores.
        user: Id of the user.
        scenario: Where the items are shown.

    Raises:
        DataError: If the scenario is not known.
    """
    scores = recommender.scores(user, scenario=scenario)
    task = liking(recommender.schema)
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
