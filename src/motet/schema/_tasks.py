"""Task kinds: what is predicted, from which label, on what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from motet.schema._base import Part, in_order
from motet.schema._expressions import check_expression

__all__ = [
    "AnyTask",
    "BinaryTask",
    "MulticlassTask",
    "MultilabelTask",
    "RegressionTask",
    "RetrievalTask",
    "Task",
    "positive_weight",
]


class Task(Part):
    """What all tasks share.

    Attributes:
        label: SQL expression that gives the label; null means unknown and is masked everywhere.
        on: What carries the label: an interaction, an item or a user.
        after: A binary task that must be 1 for this label to be defined; masked otherwise.
        weight: Share of this task in the training loss, before balancing.
        score_weight: Share of this task in the validation score that stops training.
        hide: For tasks on items or users: features of that entity which this task must not see,
            because they give its label away.
    """

    on: Literal["interaction", "item", "user"] = "interaction"
    after: str | None = None
    weight: float = Field(1.0, gt=0)
    score_weight: float = Field(1.0, ge=0)
    hide: tuple[str, ...] = ()


class _Labelled(Task):
    label: str

    @field_validator("label")
    @classmethod
    def _label_parses(cls, value: str) -> str:
        return check_expression(value, "label")


class BinaryTask(_Labelled):
    """Yes or no; predicted as a probability.

    Attributes:
        loss: ``cross_entropy``, or ``focal`` (Lin et al. 2017, eq. 4).
        focal_gamma: γ of the focal loss.
        positive_weight: Weight of the positive class; ``balanced`` is negatives / positives of
            the training rows. A weight multiplies the odds that the model learns; predictions
            divide them by it again. The focal loss distorts probabilities, and nothing corrects that.
    """

    kind: Literal["binary"] = "binary"
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    focal_gamma: float = Field(2.0, ge=0)
    positive_weight: Annotated[float, Field(gt=0)] | Literal["balanced"] = 1.0


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
    return min(max((1 - rate) / max(rate, 1e-6), 1e-6), 1e6)


class RegressionTask(_Labelled):
    """A number; predicted on the label's own scale.

    Attributes:
        range: Lowest and highest valid label; labels outside count as missing, and are counted;
            predictions are clipped to it.
        loss: ``l2``, ``l1`` or ``huber`` (δ = 1), on labels scaled by the training mean and deviation.
    """

    kind: Literal["regression"] = "regression"
    range: Annotated[tuple[float, float], AfterValidator(in_order)] | None = None
    loss: Literal["l2", "l1", "huber"] = "l2"


class MulticlassTask(_Labelled):
    """One of several classes, learnt from the training rows; predicted as a distribution."""

    kind: Literal["multiclass"] = "multiclass"


class MultilabelTask(_Labelled):
    """Any number of labels at once; predicted as one probability each.

    Attributes:
        separator: What divides the labels of a text cell.
    """

    kind: Literal["multilabel"] = "multilabel"
    separator: str = Field("|", min_length=1)


class RetrievalTask(Task):
    """Which items of the whole catalogue come next.

    Trained by softmax over sampled items with log-q correction (Yi et al. 2019, eq. 3–5), exact
    when the catalogue is not larger than ``negatives``.

    Attributes:
        positive: SQL expression over an interaction that says which ones to find.
        negatives: Items drawn uniformly from the catalogue for each batch.
        repeats: Whether users come back to items they have had. If not, such items are no
            negatives in training, and none of them is offered again.
    """

    kind: Literal["retrieval"] = "retrieval"
    on: Literal["interaction"] = "interaction"
    positive: str
    negatives: int = Field(2048, ge=1)
    repeats: bool = False

    @field_validator("positive")
    @classmethod
    def _positive_parses(cls, value: str) -> str:
        return check_expression(value, "positive")

    @property
    def label(self) -> str:
        """The expression of the label, under the name that the other tasks use."""
        return self.positive


AnyTask = Annotated[
    BinaryTask | RegressionTask | MulticlassTask | MultilabelTask | RetrievalTask,
    Field(discriminator="kind"),
]
