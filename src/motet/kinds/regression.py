"""Numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator

from motet.kinds._labelled import LabelledTask, numbers_of
from motet.metrics import figure, is_number, number, percent
from motet.schema import LabelSink, LabelStatistics, TaskText, in_order

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["RegressionTask"]


class RegressionTask(LabelledTask):
    """A number; predicted on the label's own scale.

    Attributes:
        range: Lowest and highest valid label; labels outside count as missing, and are counted;
            predictions are clipped to it.
        loss: ``l2``, ``l1`` or ``huber`` (δ = 1), on labels scaled by the training mean and deviation.
    """

    kind: Literal["regression"] = "regression"
    range: Annotated[tuple[float, float], AfterValidator(in_order)] | None = None
    loss: Literal["l2", "l1", "huber"] = "l2"

    called: ClassVar[str] = "a number"
    metrics: ClassVar[tuple[str, ...]] = ("rmse", "mae", "r2", "skill")
    primary_metric: ClassVar[str] = "skill"
    is_number: ClassVar[bool] = True
    ranks: ClassVar[bool] = True
    baselines: ClassVar[frozenset[str]] = frozenset(
        {"popularity", "like_ratio", "linear", "tfidf", "lightgbm", "hybrid_mf"}
    )
    boosting_objective: ClassVar[str] = "regression"

    @property
    def bounds(self) -> tuple[float, float] | None:
        """``range``."""
        return self.range

    def read_labels(self, cells: pl.Series, sink: LabelSink) -> NDArray[np.float32]:
        """Numbers; those outside the range are missing."""
        numbers = numbers_of(cells, sink, self.label)
        if self.range is not None:
            low, high = self.range
            outside = (numbers < low) | (numbers > high)
            sink.note(f"label outside {low:g} to {high:g}", "label masked", int(outside.sum()))
            numbers[outside] = np.nan
        return numbers

    def loss_of(self, logits: Tensor, labels: Tensor, statistics: LabelStatistics) -> Tensor:
        """On scaled labels."""
        from torch.nn import functional as F  # noqa: PLC0415 (torch is slow to import, and a schema needs none)

        scaled = (labels - statistics.mean) / statistics.std
        if self.loss == "l2":
            return F.mse_loss(logits, scaled)
        if self.loss == "l1":
            return F.l1_loss(logits, scaled)
        return F.huber_loss(logits, scaled)

    def link(self, logits: Tensor, statistics: LabelStatistics) -> Tensor:
        """μ + σ·logit, clipped to the range."""
        value = statistics.mean + statistics.std * logits
        return value if self.range is None else value.clamp(*self.range)

    def unlink(self, values: NDArray[np.float64], statistics: LabelStatistics) -> NDArray[np.float64]:
        """(y − μ) / σ."""
        found: NDArray[np.float64] = (values - statistics.mean) / statistics.std
        return found

    @classmethod
    def describe(
        cls, name: str, value: float, values: Mapping[str, Any], metrics: Mapping[str, Any]
    ) -> TaskText:
        """By the typical error beside that of the average."""
        rmse, mae = values.get("rmse"), values.get("mae")
        if not is_number(rmse) or rmse is None or value >= 1:
            return TaskText(number(value), "skill", f"“{name}” has a skill of {number(value)}.")
        plain = rmse / (1 - value)
        gain = (
            f"{percent(value)} less than guessing the same average for everybody ({figure(plain)})"
            if value > 0
            else f"no better than guessing the same average for everybody ({figure(plain)})"
        )
        off = f" On average a prediction is {figure(mae)} off." if is_number(mae) else ""
        return TaskText(
            figure(rmse),
            "typical error",
            f"Predictions of “{name}” have a typical error (RMSE) of {figure(rmse)}, {gain}.{off}",
        )

    @classmethod
    def in_words(cls, value: float | None, values: Mapping[str, Any]) -> str | None:
        """A typical error."""
        rmse = values.get("rmse")
        return f"a typical error of {figure(rmse, more=1)}" if is_number(rmse) else None

    @classmethod
    def in_short(cls, values: Mapping[str, Any]) -> tuple[str, str]:
        """A typical error."""
        return figure(values.get("rmse")), "typical error"
