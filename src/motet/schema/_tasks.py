"""What every task kind is: what is predicted, from which label, on what.

The kinds themselves are in :mod:`motet.kinds`, one file each; they are reached by name through
:data:`TASK_KINDS`, so that a kind from elsewhere is used like those of motet.

Legend of shapes: B rows of a batch, N rows, K classes or labels of a task.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import BeforeValidator, Field, SerializeAsAny

from motet.errors import SchemaError
from motet.schema._base import TASK_KINDS, Part, part_of_kind

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray
    from torch import Tensor

    from motet.schema._schema import Schema

__all__ = [
    "AnyResample",
    "AnyTask",
    "LabelSink",
    "LabelStatistics",
    "ResampleSettings",
    "Task",
    "TaskText",
]


@dataclass(frozen=True, slots=True)
class LabelStatistics:
    """What is known of the training labels of a task.

    Attributes:
        mean: Their mean; the rate of a label of 0 and 1.
        std: Their standard deviation, > 0.
        classes: Names of the classes, for a kind that has classes.
        shares: Share of each class, for a task of one of several.
    """

    mean: float = 0.0
    std: float = 1.0
    classes: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskText:
    """A task's primary metric in words.

    Attributes:
        figure: The number to remember.
        unit: What it is: "of pairs ranked right".
        sentence: How good the model is and what that means.
    """

    figure: str
    unit: str
    sentence: str


class ResampleSettings(Part):
    """How the classes of a task are made more alike in training rows, by imbalanced-learn.

    Attributes:
        method: ``random_over`` repeats rows of rare classes, ``random_under`` leaves out labels of common ones, ``smote``
            (Chawla et al. 2002) and ``adasyn`` (He et al. 2008) make up rows between neighbours of a rare class.
        ratio: Rows of the rarer classes that there are afterwards, as a share of those of the most common one, at
            least; with ``random_under`` of the rarest as a share of the others.
        neighbours: Of a row, with ``smote`` and ``adasyn``.
    """

    method: Literal["random_over", "random_under", "smote", "adasyn"]
    ratio: float = Field(1.0, gt=0, le=1)
    neighbours: int = Field(5, ge=1, le=100)

    @property
    def makes_up_rows(self) -> bool:
        """Whether there are rows afterwards that nobody has seen."""
        return self.method in ("smote", "adasyn")

    def factors(self, shares: Sequence[float]) -> tuple[float, ...]:
        """How many times as many labels of each class training has afterwards.

        Args:
            shares: Share of each class in the training labels, [K]; a class without any stays so.

        Example:
            >>> ResampleSettings(method="smote", ratio=0.5).factors([0.8, 0.2])
            (1.0, 2.0)
            >>> ResampleSettings(method="random_under").factors([0.8, 0.2])
            (0.25, 1.0)
        """
        there = [share for share in shares if share > 0]
        if self.method == "random_under":
            most = min(there, default=0.0) / self.ratio
            return tuple(min(1.0, most / share) if share > 0 else 1.0 for share in shares)
        fewest = max(there, default=0.0) * self.ratio
        return tuple(max(1.0, fewest / share) if share > 0 else 1.0 for share in shares)

    def check(self, name: str, task: Task, schema: Schema) -> None:
        """Raise :class:`~motet.errors.SchemaError` if it does not fit the rest of the schema."""
        where = f"tasks.{name}.resample"
        if task.on != "interaction":
            raise SchemaError(
                f"{where} is for tasks on interactions, and this one is on the {task.on}",
                f"remove 'resample' from {name}",
            )
        if not self.makes_up_rows:
            return
        cure = "write 'resample: random_over'"
        for entity, other, feature in schema.features.all():
            parts = feature.parts(other)
            if entity != "interaction" or feature.is_id or not (parts.codes or parts.numbers):
                what = "an id" if feature.is_id else f"of kind {feature.kind}, on the {entity}"
                raise SchemaError(
                    f"{where}: {self.method} makes up rows of numbers and categories of the interaction, and the feature "
                    f"'{other}' is {what}",
                    cure,
                )
            if parts.codes and self.method == "adasyn":
                raise SchemaError(
                    f"{where}: adasyn makes up numbers alone, and the feature '{other}' is of kind {feature.kind}",
                    "write 'resample: smote'",
                )
        if schema.keys.scenario and self.method == "adasyn":
            raise SchemaError(
                f"{where}: adasyn makes up numbers alone, and keys.scenario is a category",
                "write 'resample: smote'",
            )


def _short_form(value: Any) -> Any:
    """Turn ``resample: smote`` into ``resample: {method: smote}``."""
    return {"method": value} if isinstance(value, str) else value


AnyResample = Annotated[ResampleSettings | None, BeforeValidator(_short_form)]


class LabelSink(Protocol):
    """Where labels are read from, and what takes in those that are words."""

    @property
    def place(self) -> str:
        """The file and the setting, for errors: ``"ratings.csv: tasks.like.label 'stars > 3'"``."""
        ...

    def note(self, found: str, done: str, rows: int) -> None:
        """Write into the cleaning report what was found in some rows and what was done about it."""
        ...

    def words(self, cells: pl.Series) -> NDArray[np.int32]:
        """Number the classes of some rows, −1 where missing, [N]."""
        ...

    def sets(self, lists: pl.Series) -> None:
        """Take in the labels of some rows, lists of words."""
        ...


class Task(Part, ABC):
    """What all task kinds share: their settings, and what motet asks of a kind.

    A kind is a class with a field ``kind`` that has its name as default, further settings, and the
    attributes and methods below; what has a default here need not be defined. Most kinds derive
    from :class:`motet.kinds.LabelledTask`, which reads labels of one number a row and masks those
    that are missing.

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
    kind: str

    if TYPE_CHECKING:

        @property
        def label(self) -> str:
            """SQL expression that gives the label."""
            ...

    called: ClassVar[str] = ""
    """What it is in a report: "a number"."""
    display: ClassVar[Literal["chance", "number", "order", "names"]] = "number"
    """How pages show a prediction: as a share, as a number, by the order of items alone, or as names."""
    metrics: ClassVar[tuple[str, ...]]
    """Names of its metrics in :data:`motet.metrics.METRICS`, in the order of a report."""
    primary_metric: ClassVar[str]
    """The one of them that the overall score takes; higher is better."""
    dimensions: ClassVar[tuple[int, int]] = (1, 1)
    """Dimensions of the arrays of labels and of predictions that metrics take."""
    has_classes: ClassVar[bool] = False
    """Whether labels are names, which are learnt from training rows."""
    has_sets: ClassVar[bool] = False
    """Whether a row has any number of them."""
    is_yes_no: ClassVar[bool] = False
    """Whether the label is 0 or 1, and 1 says that something happened."""
    is_chance: ClassVar[bool] = False
    """Whether a prediction is the probability that the label is 1."""
    is_probability: ClassVar[bool] = False
    """Whether a prediction is a probability, or several."""
    is_number: ClassVar[bool] = False
    """Whether a prediction is a number on the label's own scale."""
    ranks: ClassVar[bool] = False
    """Whether items can be ranked by a prediction: it is one number of an item for a user."""
    ranks_catalogue: ClassVar[bool] = False
    """Whether it is a score of every item of the catalogue, and no prediction of rows."""
    baselines: ClassVar[frozenset[str]] = frozenset()
    """Names of the baselines that can do such a task."""
    boosting_objective: ClassVar[str] = ""
    """The objective of LightGBM that fits it."""

    @abstractmethod
    def read_labels(self, cells: pl.Series, sink: LabelSink) -> NDArray[np.float32]:
        """Check the values of the label's expression and turn them into numbers.

        Args:
            cells: The values.
            sink: Says where they are from; numbers words.

        Returns:
            One number a row, NaN where missing, [N]; of a kind with classes the number of the class,
            of one with sets 1 where the set is known.

        Raises:
            DataError: If a value is no label of this kind.
        """

    @abstractmethod
    def batch_loss(self, name: str, batch: Any, outputs: Any, statistics: LabelStatistics) -> Tensor:
        """Mean loss over the known labels of a batch; 0 without a gradient where there are none.

        Args:
            name: Of the task.
            batch: A :class:`~motet.data.Batch`.
            outputs: What a :class:`~motet.models.MultiTaskModel` computes for it.
            statistics: Of the training labels.
        """

    @abstractmethod
    def link(self, logits: Tensor, statistics: LabelStatistics) -> Tensor:
        """From what the model computes to the label's own scale: probability, number or distribution."""

    def unlink(self, values: NDArray[np.float64], statistics: LabelStatistics) -> NDArray[np.float64] | None:
        """What :meth:`link` makes these predictions of, [N] or [N, K]; None for a kind whose predictions are not blended."""
        return None

    @classmethod
    @abstractmethod
    def describe(
        cls, name: str, value: float, values: Mapping[str, Any], metrics: Mapping[str, Any]
    ) -> TaskText:
        """Put its metrics into words, for people who decide and do not train.

        Args:
            name: Of the task.
            value: The primary metric.
            values: All its metrics.
            metrics: The whole evaluation.
        """

    @classmethod
    def in_words(cls, value: float | None, values: Mapping[str, Any]) -> str | None:
        """The primary metric as a noun, such as "a typical error of 0.9"; None for its name and value."""
        return None

    @classmethod
    def in_short(cls, values: Mapping[str, Any]) -> tuple[str, str] | None:
        """A figure and its unit, to compare groups of rows by; None for the primary metric and its name."""
        return None

    @classmethod
    def is_blind(cls, values: Mapping[str, Any]) -> bool:
        """Whether metrics do not show that a predictor knows more than chance."""
        return False

    @classmethod
    def why_undefined(cls, labels: NDArray[Any]) -> str:
        """Why some metric is undefined on these known labels, of which there are some, [N] or [N, K]."""
        if labels.ndim == 1 and (labels == labels[0]).all():
            what = "labels do not vary" if cls.is_number else "one class only"
            return f"{what}: all {len(labels)} known labels are {labels[0]:g}"
        return "too few rows"

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Lowest and highest prediction there is, for a task of one number a row."""
        return None

    @property
    def offers_again(self) -> bool:
        """Whether users come back to items they have had, so that a ranking by it offers them again."""
        return False

    @property
    def drawn_items(self) -> int:
        """Items that training draws from the catalogue for each batch."""
        return 0

    @property
    def kept_negatives(self) -> float:
        """Share of the negative labels of interactions that training keeps."""
        return 1.0

    @property
    def needs_calibration(self) -> bool:
        """Whether training sees other shares of the labels than there are, or a loss that bends chances.

        What the link function takes back then holds of a network that has learnt to its end, and the best weights may
        come before: what it says is calibrated on validation rows.
        """
        return False

    @property
    def resampling(self) -> ResampleSettings | None:
        """How its classes are made more alike in training rows; None where they are not."""
        return None

    def shares_of(self, statistics: LabelStatistics) -> tuple[float, ...]:
        """Share of each label 0, 1, … in the training labels, [K], for a task that can be resampled."""
        return statistics.shares

    def check(self, name: str, schema: Schema) -> None:
        """Raise :class:`~motet.errors.SchemaError` if the task does not fit the rest of the schema."""

    def untrainable(self, labels: NDArray[np.float32], classes: tuple[str, ...]) -> tuple[str, str] | None:
        """Problem and cure if these known training labels teach nothing, [N]; None if they do.

        Args:
            labels: Known labels, of which there are some.
            classes: Their names, for a kind that has classes.
        """
        return None

    def answers(self, values: NDArray[np.float32], classes: tuple[str, ...]) -> list[Any]:
        """Predictions as plain values for a client: a number, a class, a list of labels.

        Args:
            values: On the label's own scale, [N] or [N, K].
            classes: Names of the classes, for a kind that has classes.
        """
        numbers: list[Any] = values.tolist()
        return numbers

    def answer_columns(
        self, values: NDArray[np.float32], classes: tuple[str, ...]
    ) -> list[tuple[str, pl.Series]]:
        """Predictions as columns of a table, each with what its name has after that of the task."""
        import polars as pl  # noqa: PLC0415 (slow to import, only needed here)

        return [("", pl.Series(values))]


def _task(value: Any) -> Any:
    return part_of_kind(value, TASK_KINDS)


AnyTask = Annotated[SerializeAsAny[Task], BeforeValidator(_task)]
