"""What kinds with a label on a row share: the label's expression, and a loss over known labels."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import field_validator

from motet.data import quoted_text
from motet.errors import DataError
from motet.schema import LabelSink, LabelStatistics, Task, check_expression

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["LabelledTask", "numbers_of", "yes_no_of"]

_NO_STATISTICS = LabelStatistics()


class LabelledTask(Task):
    """A task whose label is on a row of interactions, users or items.

    A kind derived from it says how labels are read, its loss on known labels, and its link.

    Attributes:
        label: SQL expression that gives the label; null means unknown.
    """

    label: str

    @field_validator("label")
    @classmethod
    def _label_parses(cls, value: str) -> str:
        return check_expression(value, "label")

    @abstractmethod
    def loss_of(self, logits: Tensor, labels: Tensor, statistics: LabelStatistics) -> Tensor:
        """Mean loss of rows whose label is known, a scalar.

        Args:
            logits: [B] or [B, K].
            labels: [B] or [B, K] on the label's own scale, none missing.
            statistics: Of the training labels.
        """

    def masked_loss(
        self, logits: Tensor, labels: Tensor, statistics: LabelStatistics = _NO_STATISTICS
    ) -> Tensor:
        """Mean loss over known labels; rows without any give 0 and no gradient.

        Args:
            logits: [B] or [B, K].
            labels: [B] or [B, K] on the label's own scale; NaN where missing.
            statistics: Of the training labels.

        Example:
            >>> import torch
            >>> from motet.kinds import BinaryTask
            >>> BinaryTask(label="x").masked_loss(torch.tensor([0.0, 9.0]), torch.tensor([1.0, torch.nan]))
            tensor(0.6931)
        """
        known = ~labels.isnan()
        if known.dim() > 1:
            known = known.all(1)
        if not bool(known.any()):
            return logits.sum() * 0.0
        if not bool(known.all()):
            logits, labels = logits[known], labels[known]
        return self.loss_of(logits, labels, statistics)

    def batch_loss(self, name: str, batch: Any, outputs: Any, statistics: LabelStatistics) -> Tensor:
        """Mean loss over the known labels of what carries them."""
        labels = {"interaction": batch.labels, "item": batch.item_labels, "user": batch.user_labels}[self.on]
        logits = outputs.logits if self.on == "interaction" else outputs.entity
        return self.masked_loss(logits[name], labels[name], statistics)


def numbers_of(cells: pl.Series, sink: LabelSink, label: str) -> NDArray[np.float32]:
    """Labels that are numbers, or true and false; what is not finite is missing.

    Raises:
        DataError: If they are neither.
    """
    import polars as pl  # noqa: PLC0415 (a schema alone needs no tables)

    if cells.dtype != pl.Boolean and not cells.dtype.is_numeric() and cells.null_count() < len(cells):
        example = cells.drop_nulls()[0]
        raise DataError(
            f"{sink.place} gives {str(example)[:60]!r}, not a number",
            f'compare it with a value, such as "{label} = {quoted_text(example)}"',
        )
    numbers: NDArray[np.float32] = cells.cast(pl.Float32, strict=False).fill_null(np.nan).to_numpy().copy()
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def yes_no_of(cells: pl.Series, sink: LabelSink, label: str) -> NDArray[np.float32]:
    """Labels that are 0 or 1.

    Raises:
        DataError: If one is not.
    """
    numbers = numbers_of(cells, sink, label)
    wrong = ~np.isnan(numbers) & (numbers != 0) & (numbers != 1)
    if wrong.any():
        # the lowest value, such as the -1 of a dislike, would make every label 1
        above = numbers > np.nanmin(numbers)
        offers = (numbers[above & wrong], numbers[above], numbers[wrong])
        from_value = next(values[0] for values in offers if len(values))
        raise DataError(
            f"{sink.place} gives {numbers[wrong][0]:g}, which is not 0 or 1",
            f'compare it with a value, such as "{label} >= {from_value:g}"',
        )
    return numbers
