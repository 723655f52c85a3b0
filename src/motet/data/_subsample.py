"""Negative labels left out of training, as their tasks say (King & Zeng 2001, §4.1).

With a share w of the negatives the odds of a label are 1/w times what they are in all rows; the task's link function takes
that back: q = p / (p + (1 − p)/w) (He et al. 2014, §6.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from motet.data._dataset import Dataset
from motet.schema import Schema

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NegativeSubsample"]

_SEED = 20_010_109  # apart from all other draws


class NegativeSubsample:
    """Which labels of a data set training leaves out: a draw that is made once.

    Args:
        data: The data set.
        schema: With the tasks that are trained.
        seed: Of the draw.

    Example:
        >>> from motet.testing import toy_dataset
        >>> data = toy_dataset(overrides=["tasks.click.negative_share=0.5"])
        >>> list(NegativeSubsample(data, data.schema).left_out)
        ['click']
    """

    def __init__(self, data: Dataset, schema: Schema, seed: int = 0) -> None:
        self.data, self.schema = data, schema
        self.left_out: dict[str, NDArray[np.bool_]] = {}
        for place, (name, task) in enumerate(schema.tasks.items()):
            if task.kept_negatives < 1 and task.on == "interaction":
                rng = np.random.default_rng([_SEED, seed, place])
                drawn = rng.random(len(data), np.float32) >= task.kept_negatives
                self.left_out[name] = drawn & (data.label(name, np.arange(len(data))) == 0)

    def rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of some rows from which a task still learns, in their order.

        All of them where a task is about users or items, or ranks the catalogue: such tasks learn from every row.
        """
        tasks = self.schema.tasks
        if not self.left_out or any(t.on != "interaction" or t.ranks_catalogue for t in tasks.values()):
            return rows
        useful = np.zeros(len(rows), bool)
        for name in tasks:
            known = ~np.isnan(self.data.labels[rows, self.data.encoder.interaction_tasks.index(name)])
            useful |= known & ~self.left_out[name][rows] if name in self.left_out else known
        return rows[useful]

    def hide(self, labels: Mapping[str, Tensor], rows: NDArray[np.int64]) -> None:
        """Make the labels that are left out of some rows NaN, in place."""
        import torch  # noqa: PLC0415 (commands that need no model load no torch)

        for name, left_out in self.left_out.items():
            labels[name][torch.from_numpy(left_out[rows])] = torch.nan
