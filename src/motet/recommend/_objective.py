"""What is ranked by: a weighted sum of tasks, each on a scale of its own spread.

Legend of shapes: n candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from motet.errors import RequestError
from motet.recommend._filter import RequestPart, at_most
from motet.schema import Schema, require_known

__all__ = ["Objective", "Spread", "value_of"]

Floats = NDArray[np.float32]


class Objective(RequestPart):
    """What a list is to be good at.

    Attributes:
        weights: Per task; a negative weight ranks what the task predicts last.
        scale: ``standard`` weighs each task in units of its own spread over users and items, before
            the link function, so that no task counts for more because its numbers are larger; ``label`` weighs
            predictions as they are: probabilities, stars, minutes, money.

    Example:
        >>> Objective(weights={"click": 1, "buy": 20}, scale="label").weights["buy"]
        20.0
    """

    weights: Annotated[dict[str, float], at_most(50)] = Field(min_length=1, max_length=50)
    scale: Literal["standard", "label"] = "standard"


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation of what the model says for one task, before the link function."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> Spread:
        """Those of some values; a task that says the same of all has deviation 1."""
        deviation = float(np.std(values, dtype=np.float64)) if len(values) else 1.0
        mean = float(np.mean(values, dtype=np.float64)) if len(values) else 0.0
        return cls(mean, deviation if deviation > 1e-9 else 1.0)


def check_objective(objective: Objective, schema: Schema) -> None:
    """Raise unless every task of an objective can be ranked by.

    Raises:
        RequestError: Naming the nearest right task.
    """
    known = schema.rankable_tasks
    for name in objective.weights:
        if name in schema.tasks and name not in known:
            raise RequestError(
                f"the task '{name}' of the objective gives no one number of an item",
                f"weigh {', '.join(known)}",
            )
        require_known(name, known, "the task of the objective", RequestError)
    if not any(objective.weights.values()):
        raise RequestError("all weights of the objective are 0", "weigh at least one task")


def value_of(
    objective: Objective,
    raw: Mapping[str, Floats],
    labels: Mapping[str, Floats],
    spreads: Mapping[str, Spread],
) -> NDArray[np.float64]:
    """Value of each candidate: Σ_t w_t·(s_t − μ_t)/σ_t of what the model says, or Σ_t w_t·ŷ_t, [n].

    Args:
        objective: The weights.
        raw: Per task, before the link function, [n].
        labels: Per task, on the label's scale, [n].
        spreads: μ and σ per task.
    """
    values = np.zeros(len(next(iter(raw.values()))))
    for task, weight in objective.weights.items():
        if objective.scale == "label":
            values += weight * labels[task].astype(np.float64)
        else:
            spread = spreads[task]
            values += weight * (raw[task].astype(np.float64) - spread.mean) / spread.deviation
    return values
