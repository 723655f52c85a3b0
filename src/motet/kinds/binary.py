"""Yes or no."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from motet.errors import SchemaError
from motet.kinds._labelled import LabelledTask, yes_no_of
from motet.metrics import interval_of, is_number, percent
from motet.schema import AnyResample, LabelSink, LabelStatistics, ResampleSettings, Schema, TaskText

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["BinaryTask", "positive_weight"]

_EDGE = 1e-6


class BinaryTask(LabelledTask):
    """Yes or no; predicted as a probability.

    Attributes:
        loss: ``cross_entropy``, or ``focal`` (Lin et al. 2017, eq. 4).
        focal_gamma: γ of the focal loss.
        positive_weight: Weight of the positive class; ``balanced`` is negatives / positives of
            the training rows. A weight multiplies the odds that the model learns; predictions
            divide them by it again. The focal loss distorts probabilities; a bundle calibrates it on validation rows.
        negative_share: Share w of the negative labels that training keeps. That divides the odds that the model
            learns by w; predictions multiply them by it again: q = p / (p + (1 − p)/w) (He et al. 2014, §6.3).
        resample: How both labels are made more alike in training rows, such as ``smote``; predictions divide the odds
            by what that multiplied them by.
    """

    kind: Literal["binary"] = "binary"
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    focal_gamma: float = Field(2.0, ge=0)
    positive_weight: Annotated[float, Field(gt=0)] | Literal["balanced"] = 1.0
    negative_share: float = Field(1.0, gt=0, le=1)
    resample: AnyResample = None

    called: ClassVar[str] = "yes or no"
    display: ClassVar[Literal["chance"]] = "chance"
    metrics: ClassVar[tuple[str, ...]] = (
        "auc",
        "average_precision",
        "gauc",
        "log_loss",
        "brier",
        "ece",
        "accuracy",
        "precision",
        "recall",
        "f1",
        "label_rate",
        "predicted_rate",
    )
    primary_metric: ClassVar[str] = "auc"
    is_yes_no: ClassVar[bool] = True
    is_chance: ClassVar[bool] = True
    is_probability: ClassVar[bool] = True
    ranks: ClassVar[bool] = True
    baselines: ClassVar[frozenset[str]] = frozenset(
        {"popularity", "like_ratio", "linear", "tfidf", "lightgbm", "hybrid_mf"}
    )
    boosting_objective: ClassVar[str] = "binary"

    @property
    def bounds(self) -> tuple[float, float]:
        """0 and 1."""
        return 0.0, 1.0

    def read_labels(self, cells: pl.Series, sink: LabelSink) -> NDArray[np.float32]:
        """0 or 1."""
        return yes_no_of(cells, sink, self.label)

    def untrainable(self, labels: NDArray[np.float32], classes: tuple[str, ...]) -> tuple[str, str] | None:
        """If all labels are the same."""
        cure = "check its label expression, or remove the task"
        if not (labels == 1).any():
            return "has no positive label in the training split", cure
        if (labels == 1).all():
            return "has one class only in the training split: every label is 1", cure
        return None

    def loss_of(self, logits: Tensor, labels: Tensor, statistics: LabelStatistics) -> Tensor:
        """Cross entropy, weighted, or the focal loss."""
        from torch.nn import functional as F  # noqa: PLC0415 (torch is slow to import, and a schema needs none)

        weight = positive_weight(self, statistics.mean)
        of_positives = logits.new_tensor(weight) if weight != 1.0 else None
        loss = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=of_positives, reduction="none")
        if self.loss == "focal":
            # (1 − p_t)^γ by its logarithm: a power of 0 has no finite gradient where γ < 1
            loss = (self.focal_gamma * F.logsigmoid((1 - 2 * labels) * logits)).exp() * loss
        return loss.mean()

    def link(self, logits: Tensor, statistics: LabelStatistics) -> Tensor:
        """The probability; weights, left-out negatives and resampling multiply the odds that the model learns."""
        return (logits - self._shift(statistics)).sigmoid()

    def unlink(self, values: NDArray[np.float64], statistics: LabelStatistics) -> NDArray[np.float64]:
        """The log-odds, of which a millionth is the least."""
        p = np.clip(values, _EDGE, 1 - _EDGE)
        found: NDArray[np.float64] = np.log(p / (1 - p)) + self._shift(statistics)
        return found

    def _shift(self, statistics: LabelStatistics) -> float:
        """What weights, left-out negatives and resampling add to the log-odds that the model learns."""
        shift = math.log(positive_weight(self, statistics.mean)) - math.log(self.negative_share)
        if self.resample is not None:
            negative, positive = self.resample.factors(self.shares_of(statistics))
            shift += math.log(positive) - math.log(negative)
        return shift

    @property
    def resampling(self) -> ResampleSettings | None:
        """As the settings say."""
        return self.resample

    def shares_of(self, statistics: LabelStatistics) -> tuple[float, ...]:
        """Of 0 and of 1."""
        return (1 - statistics.mean, statistics.mean)

    @property
    def needs_calibration(self) -> bool:
        """With weights, left-out negatives, resampling or focal loss."""
        weighed = self.positive_weight != 1 or self.negative_share < 1 or self.resample is not None
        return weighed or self.loss == "focal"

    @property
    def kept_negatives(self) -> float:
        """As the settings say."""
        return self.negative_share

    def check(self, name: str, schema: Schema) -> None:
        """Labels of users and items are few, and none is left out; rows are resampled or weighed, not both."""
        if self.resample is not None:
            if self.positive_weight != 1 or self.negative_share < 1:
                raise SchemaError(
                    f"tasks.{name}: 'resample' does what positive_weight and negative_share do",
                    "leave both at 1, or remove 'resample'",
                )
            self.resample.check(name, self, schema)
        if self.negative_share < 1 and self.on != "interaction":
            raise SchemaError(
                f"tasks.{name}: negative_share is for tasks on interactions, and this one is on the {self.on}",
                "use positive_weight: balanced",
            )

    @classmethod
    def why_undefined(cls, labels: NDArray[Any]) -> str:
        """One class only, or nothing is predicted to be positive."""
        found = super().why_undefined(labels)
        return found if (labels == labels[0]).all() else "no prediction reaches 0.5"

    @classmethod
    def describe(
        cls, name: str, value: float, values: Mapping[str, Any], metrics: Mapping[str, Any]
    ) -> TaskText:
        """By pairs of cases, and the rates that were predicted and happened."""
        worth = " A coin would manage 50\u00a0%."
        if cls.is_blind(values):
            low, high = interval_of(values, "auc") or (value, value)
            worth = (
                f" A coin would manage 50\u00a0%, and the 95\u00a0% interval, {percent(low)} to {percent(high)}, "
                f"does not rule out that the model does no better."
            )
        rates = ""
        predicted, real = values.get("predicted_rate"), values.get("label_rate")
        if is_number(predicted) and is_number(real):
            rates = (
                f" On average it predicts a chance of {percent(predicted)}; {percent(real)} is what happened."
            )
        return TaskText(
            percent(value),
            "of pairs ranked right",
            f"Of two cases, one with “{name}” and one without, the model ranks the right one higher in "
            f"{percent(value)} of pairs.{worth}{rates}",
        )

    @classmethod
    def in_words(cls, value: float | None, values: Mapping[str, Any]) -> str:
        """A share of pairs."""
        return f"{percent(value, 1)} of pairs"

    @classmethod
    def in_short(cls, values: Mapping[str, Any]) -> tuple[str, str]:
        """A share of pairs."""
        return percent(values.get("auc")), "of pairs ranked right"

    @classmethod
    def is_blind(cls, values: Mapping[str, Any]) -> bool:
        """Whether the AUC does not differ from that of a coin."""
        low, _ = interval_of(values, "auc") or (values.get("auc"), None)
        return low is not None and is_number(low) and low <= 0.5


def positive_weight(task: BinaryTask, rate: float) -> float:
    """Weight of the positive class of a task.

    Args:
        task: The task.
        rate: Share of positives among the training labels.

    Example:
        >>> positive_weight(BinaryTask(label="x", positive_weight="balanced"), 0.2)
        4.0
    """
    if task.positive_weight != "balanced":
        return task.positive_weight
    return task.negative_share * min(max((1 - rate) / max(rate, 1e-6), 1e-6), 1e6)
