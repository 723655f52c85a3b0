"""One of several classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from motet.errors import SchemaError
from motet.kinds._labelled import LabelledTask
from motet.metrics import number, percent
from motet.schema import AnyResample, LabelSink, LabelStatistics, ResampleSettings, Schema, TaskText

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["MulticlassTask"]

_EDGE = 1e-6


class MulticlassTask(LabelledTask):
    """One of several classes, learnt from the training rows; predicted as a distribution.

    Attributes:
        class_weight: ``balanced`` weighs each of the K classes by 1 / (K·share) in the loss, with its share of the
            training labels. A weight multiplies the odds that the model learns; predictions divide them by it again.
        resample: How classes are made more alike in training rows, such as ``smote``; predictions are corrected alike.
    """

    kind: Literal["multiclass"] = "multiclass"
    class_weight: Literal["balanced"] | None = None
    resample: AnyResample = None

    called: ClassVar[str] = "one of several classes"
    display: ClassVar[Literal["names"]] = "names"
    metrics: ClassVar[tuple[str, ...]] = ("log_loss", "accuracy", "macro_f1", "weighted_f1", "auc_ovr")
    primary_metric: ClassVar[str] = "macro_f1"
    dimensions: ClassVar[tuple[int, int]] = (1, 2)
    has_classes: ClassVar[bool] = True
    is_probability: ClassVar[bool] = True
    baselines: ClassVar[frozenset[str]] = frozenset({"popularity", "linear", "tfidf", "lightgbm"})
    boosting_objective: ClassVar[str] = "multiclass"

    def read_labels(self, cells: pl.Series, sink: LabelSink) -> NDArray[np.float32]:
        """Words, numbered."""
        codes = sink.words(cells)
        return np.where(codes >= 0, codes, np.nan).astype(np.float32)

    def untrainable(self, labels: NDArray[np.float32], classes: tuple[str, ...]) -> tuple[str, str] | None:
        """If there is one class."""
        if len(classes) >= 2:
            return None
        return (
            f"has one class only in the training split: '{classes[0]}'",
            "check its label expression, or remove the task",
        )

    def loss_of(self, logits: Tensor, labels: Tensor, statistics: LabelStatistics) -> Tensor:
        """Cross entropy; nothing where one class was known."""
        from torch.nn import functional as F  # noqa: PLC0415 (torch is slow to import, and a schema needs none)

        if logits.dim() < 2:
            return logits.sum() * 0.0
        weights = self._weights(statistics)
        if weights is None or self.resample is not None:
            return F.cross_entropy(logits, labels.long())
        each = F.cross_entropy(logits, labels.long(), logits.new_tensor(weights), reduction="none")
        return each.mean()  # not divided by the weights of the batch: over all rows these are 1 on average

    def link(self, logits: Tensor, statistics: LabelStatistics) -> Tensor:
        """The distribution."""
        if logits.dim() < 2:
            return logits.new_ones(logits.shape)
        weights = self._weights(statistics)
        return (logits if weights is None else logits - logits.new_tensor(np.log(weights))).softmax(-1)

    def unlink(self, values: NDArray[np.float64], statistics: LabelStatistics) -> NDArray[np.float64]:
        """The logarithms, of chances of a millionth at least."""
        found: NDArray[np.float64] = np.log(np.maximum(values, _EDGE))
        weights = self._weights(statistics)
        return found if weights is None else found + np.log(weights)

    def _weights(self, statistics: LabelStatistics) -> NDArray[np.float64] | None:
        """What the odds of each class are multiplied by, by its weight or its rows, [K]; None where all are 1."""
        if len(statistics.shares) < 2 or (self.class_weight is None and self.resample is None):
            return None
        if self.resample is not None:
            return np.asarray(self.resample.factors(statistics.shares), np.float64)
        return 1 / (len(statistics.shares) * np.asarray(statistics.shares, np.float64))

    @property
    def needs_calibration(self) -> bool:
        """With weights or resampling."""
        return self.class_weight is not None or self.resample is not None

    @property
    def resampling(self) -> ResampleSettings | None:
        """As the settings say."""
        return self.resample

    def check(self, name: str, schema: Schema) -> None:
        """Rows are resampled or weighed, not both."""
        if self.resample is not None:
            if self.class_weight is not None:
                raise SchemaError(
                    f"tasks.{name}: 'resample' does what class_weight does",
                    "leave class_weight out, or remove 'resample'",
                )
            self.resample.check(name, self, schema)

    @classmethod
    def describe(
        cls, name: str, value: float, values: Mapping[str, Any], metrics: Mapping[str, Any]
    ) -> TaskText:
        """By the share of right answers."""
        right = values.get("accuracy")
        return TaskText(
            percent(right),
            "named right",
            f"The model names the right “{name}” in {percent(right)} of cases. Counting rare classes as much as "
            f"common ones, its mean F1 is {number(value, 2)} of 1.",
        )

    def answers(self, values: NDArray[np.float32], classes: tuple[str, ...]) -> list[Any]:
        """The likeliest class with its probability."""
        chances = values.reshape(len(values), -1)
        best = chances.argmax(1) if chances.shape[1] else np.zeros(len(chances), np.int64)
        names = [classes[at] if classes else None for at in best.tolist()]
        found = chances[np.arange(len(chances)), best].tolist()
        return [{"label": name, "probability": chance} for name, chance in zip(names, found, strict=True)]

    def answer_columns(
        self, values: NDArray[np.float32], classes: tuple[str, ...]
    ) -> list[tuple[str, pl.Series]]:
        """The likeliest class, and its probability."""
        import polars as pl  # noqa: PLC0415 (a schema alone needs no tables)

        found = self.answers(values, classes)
        names = pl.Series([one["label"] for one in found], dtype=pl.String)
        return [
            ("", names),
            ("_probability", pl.Series([one["probability"] for one in found], dtype=pl.Float32)),
        ]
