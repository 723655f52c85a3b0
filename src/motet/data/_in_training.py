"""What training batches change and no others do: histories in part, and negative labels that are left out.

Legend of shapes: n histories of a batch, L longest of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from motet.data._dataset import Dataset
from motet.schema import AugmentSettings, Schema

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NegativeSubsample", "augmented"]

# Histories in training that are cut, masked or shuffled in part (CL4SRec, Xie et al. 2022).
#
# A history s = [v₁, …, v_m] becomes, with one of the operations drawn for it,
#
# - crop (eq. 3): [v_c, …, v_{c+k−1}] with k = ⌊η·m⌋, at least one event, and c drawn;
# - mask (eq. 4): ⌊γ·m⌋ drawn events are unknown;
# - reorder (eq. 5): [v_r, …, v_{r+k−1}] with k = ⌊β·m⌋ and r drawn stand in a drawn order.
#
# The paper makes two views of a history so and compares them; here the history that a task learns from is changed.


def augmented(
    codes: NDArray[np.int32],
    lengths: NDArray[np.int64],
    settings: AugmentSettings,
    unknown: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Change some histories by one operation each.

    Args:
        codes: Events, oldest first, padded at the end, int [n, L].
        lengths: int [n].
        settings: Which operations there are.
        unknown: Code of an unknown event.
        rng: Source of the draws, of which there are as many whatever is drawn.

    Returns:
        Codes and lengths of the same shapes.
    """
    operations = settings.operations
    n, longest = codes.shape
    drawn = rng.random((3, n))
    keys = rng.random((n, longest))
    if not operations or not n:
        return codes, lengths
    which = np.where(
        drawn[0] < settings.share, (drawn[1] * len(operations)).astype(np.int64), len(operations)
    )
    at = np.broadcast_to(np.arange(longest), (n, longest)).copy()
    codes, after = codes.copy(), lengths.copy()
    for number, (name, ratio) in enumerate(operations.items()):
        rows = np.flatnonzero((which == number) & (lengths > 0))
        m = lengths[rows]
        k = np.floor(ratio * m).astype(np.int64)
        if name == "crop":
            k = np.maximum(k, 1)
        first = (drawn[2, rows] * (m - k + 1)).astype(np.int64)
        place = np.arange(longest)[None]
        if name == "crop":
            at[rows] = np.minimum(first[:, None] + place, longest - 1)
            after[rows] = k
        elif name == "mask":
            order = np.where(place < m[:, None], keys[rows], 2.0).argsort(1)
            hidden = np.zeros(order.shape, bool)
            np.put_along_axis(hidden, order, place < k[:, None], 1)
            codes[rows] = np.where(hidden, unknown, codes[rows])
        else:
            within = (place >= first[:, None]) & (place < (first + k)[:, None])
            # a key below first + k for each of them, so that they stay behind what is before and before the rest
            key = np.where(within, first[:, None] + k[:, None] * keys[rows], place)
            at[rows] = key.argsort(1, kind="stable")
    return np.take_along_axis(codes, at, 1), after


# Negative labels left out of training, as their tasks say (King & Zeng 2001, §4.1).
#
# With a share w of the negatives the odds of a label are 1/w times what they are in all rows; the task's link function takes
# that back: q = p / (p + (1 − p)/w) (He et al. 2014, §6.3).

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
