"""Protocols that several packages share: what evaluation asks of a predictor, and a progress callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["EntityPredictor", "Predictor", "Progress", "silent"]

# What evaluation asks of anything that predicts: a model, a baseline, a user's own code.


class Predictor(Protocol):
    """Predicts every task for interactions of a data set, and scores its whole catalogue.

    A predictor is bound to one data set: rows, users and items are row numbers in it.
    """

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Predict interactions.

        Args:
            rows: Row numbers of interactions, shape [N].

        Returns:
            For each task it can predict, values on the label's own scale: shape [N]
            (probability or number) or [N, K] (one probability per class or label).
        """
        ...

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Score every item for users, higher is better, as of the end of validation.

        Args:
            users: Row numbers of users, shape [U].

        Returns:
            Shape [U, I], or None if this predictor cannot rank.
        """
        ...


@runtime_checkable
class EntityPredictor(Protocol):
    """A predictor that also predicts the tasks on items or users."""

    def predict_entities(self, entity: Literal["user", "item"]) -> dict[str, NDArray[np.float32]]:
        """Predict every row of an entity's table.

        Args:
            entity: Whose tasks.

        Returns:
            For each task on that entity, values on the label's own scale for all rows of its
            table: shape [n], or [n, K].
        """
        ...


Progress = Callable[[str, int, int], None]
"""A progress callback: called with the stage, the work done and the work in all."""


def silent(what: str, done: int, total: int) -> None:
    """Report no progress."""
