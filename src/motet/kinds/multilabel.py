"""Any number of labels at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from motet.kinds._labelled import LabelledTask
from motet.metrics import number, percent
from motet.schema import LabelSink, LabelStatistics, TaskText

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["MultilabelTask"]


class MultilabelTask(LabelledTask):
    """Any number of labels at once; predicted as one probability each.

    Attributes:
        separator: What divides the labels of a text cell.
    """

    kind: Literal["multilabel"] = "multilabel"
    separator: str = Field("|", min_length=1)

    called: ClassVar[str] = "any number of labels"
    display: ClassVar[Literal["names"]] = "names"
    metrics: ClassVar[tuple[str, ...]] = ("macro_f1", "micro_f1", "macro_ap", "lrap")
    primary_metric: ClassVar[str] = "macro_ap"
    dimensions: ClassVar[tuple[int, int]] = (2, 2)
    has_classes: ClassVar[bool] = True
    has_sets: ClassVar[bool] = True
    is_probability: ClassVar[bool] = True
    baselines: ClassVar[frozenset[str]] = frozenset({"popularity"})

    def read_labels(self, cells: pl.Series, sink: LabelSink) -> NDArray[np.float32]:
        """Sets of words; 1 where there is one, though it may be empty."""
        from motet.data import split_words  # noqa: PLC0415 (a schema alone needs no tables)

        lists = split_words(cells, self.separator)
        sink.sets(lists)
        return np.where(lists.is_null().to_numpy(), np.nan, 1.0).astype(np.float32)

    def loss_of(self, logits: Tensor, labels: Tensor, statistics: LabelStatistics) -> Tensor:
        """Cross entropy of each label, averaged."""
        from torch.nn import functional as F  # noqa: PLC0415 (torch is slow to import, and a schema needs none)

        return F.binary_cross_entropy_with_logits(logits, labels)

    def link(self, logits: Tensor, statistics: LabelStatistics) -> Tensor:
        """A probability a label."""
        return logits.sigmoid()

    @classmethod
    def why_undefined(cls, labels: NDArray[Any]) -> str:
        """Also where no row has a label."""
        if labels.ndim == 1 and (labels == labels[0]).all():
            return super().why_undefined(labels)
        return super().why_undefined(labels) if labels.any() else "no row has a label"

    @classmethod
    def describe(
        cls, name: str, value: float, values: Mapping[str, Any], metrics: Mapping[str, Any]
    ) -> TaskText:
        """By the average precision."""
        return TaskText(
            number(value, 2),
            "average precision",
            f"Going down the model's list for each label of “{name}”, surest first, {percent(value)} of what "
            f"stands at or above a true one is right (mean average precision, rare labels counting as much as "
            f"common ones).",
        )

    def answers(self, values: NDArray[np.float32], classes: tuple[str, ...]) -> list[Any]:
        """The labels that are likelier than not."""
        if not classes:  # where no training row had a label
            return [[] for _ in values]
        rows, at = np.nonzero(values.reshape(len(values), -1) > 0.5)
        names = [classes[label] for label in at.tolist()]
        ends = np.cumsum(np.bincount(rows, minlength=len(values))).tolist()
        return [names[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def answer_columns(
        self, values: NDArray[np.float32], classes: tuple[str, ...]
    ) -> list[tuple[str, pl.Series]]:
        """The labels that are likelier than not, as a list."""
        import polars as pl  # noqa: PLC0415 (a schema alone needs no tables)

        return [("", pl.Series(self.answers(values, classes), dtype=pl.List(pl.String)))]
