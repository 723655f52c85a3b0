"""What every feature kind is: what a column means and how it enters the model.

The kinds themselves are in :mod:`motet.kinds`, one file each; they are reached by name through
:data:`FEATURE_KINDS`, so that a kind from elsewhere is used like those of motet.
"""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from motet.errors import SchemaError
from motet.schema._base import FEATURE_KINDS, Part, part_of_kind, require_known

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray
    from torch import nn

    from motet.schema._schema import Entity, Schema

__all__ = [
    "AnyFeature",
    "AugmentSettings",
    "Cells",
    "ColumnSink",
    "EventSettings",
    "Feature",
    "GateSettings",
    "Parts",
    "ReduceSettings",
    "TextAugmentSettings",
    "template_fields",
]

Cells = Literal["words", "number", "time", "other"]
"""What the cells of a column are read as: words, in which 007 is not 7; numbers; times; or as they are."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The encoded columns that a feature gives, by name.

    A feature with one column of a form calls it by its own name; texts, vectors and events always.

    Attributes:
        codes: Words with a row each in the one embedding table.
        numbers: Scaled numbers; where training rows lack some, an indicator comes beside each.
        tags: Sets of words.
        texts: Texts, of which a language model makes vectors.
        vectors: Dense vectors of fixed width.
        events: What the user did before.
    """

    codes: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


class AugmentSettings(Part):
    """How training changes histories: each by one of the operations that are set, drawn for it.

    Attributes:
        crop: Share of the events that is kept, in one piece; 1 for none of it.
        mask: Share of the events that is taken as unknown.
        reorder: Length of the piece that is shuffled, as a share of the events.
        share: Share of the histories of a batch that is changed.
    """

    crop: float = Field(1.0, gt=0, le=1)
    mask: float = Field(0.0, ge=0, lt=1)
    reorder: float = Field(0.0, ge=0, le=1)
    share: float = Field(0.5, gt=0, le=1)

    @property
    def operations(self) -> dict[str, float]:
        """The operations that are set, with their ratios."""
        every = {"crop": self.crop if self.crop < 1 else 0.0, "mask": self.mask, "reorder": self.reorder}
        return {name: ratio for name, ratio in every.items() if ratio}

    @model_validator(mode="after")
    def _does_something(self) -> AugmentSettings:
        if not self.operations:
            raise ValueError("no operation is set. Cure: write crop, mask or reorder, or leave augment out")
        return self


class TextAugmentSettings(Part):
    """How training changes texts: some versions of each are encoded beside it, by the operations that are set together.

    Attributes:
        drop: Chance of each word to be left out.
        swap: Pairs of words that change places, as a share of the words.
        mask: Chance of each word to be replaced by ``[MASK]``, for encoders that were trained with it.
        copies: Changed versions of a text.
        share: Share of the rows of a batch that see a changed version, drawn for each.
    """

    drop: float = Field(0.0, ge=0, lt=1)
    swap: float = Field(0.0, ge=0, le=1)
    mask: float = Field(0.0, ge=0, lt=1)
    copies: int = Field(2, ge=1, le=20)
    share: float = Field(0.5, gt=0, le=1)

    @model_validator(mode="after")
    def _does_something(self) -> TextAugmentSettings:
        if not (self.drop or self.swap or self.mask):
            raise ValueError("no operation is set. Cure: write drop, swap or mask, or leave augment out")
        return self


class ReduceSettings(Part):
    """How the vectors of a feature become narrower, fitted on training rows; see :func:`motet.data.fit_reduction`.

    Attributes:
        method: ``pca``, ``svd`` (without centring), ``lda`` (directions that part the classes of ``task``) or
            ``sparse`` (codes of a learnt dictionary).
        width: Width that remains, or number of atoms; at most one less than there are classes with ``lda``.
        task: The binary or multiclass task of ``lda``.
        active: Codes of a vector that are not 0, on average, with ``sparse``.
    """

    method: Literal["pca", "svd", "lda", "sparse"]
    width: int = Field(32, ge=1, le=4096)
    task: str | None = None
    active: int = Field(8, ge=1, le=4096)

    @model_validator(mode="after")
    def _fits_together(self) -> ReduceSettings:
        if self.task is not None and self.method != "lda":
            raise ValueError(f"'task' is for lda, and the method is {self.method}. Cure: remove it")
        if self.method == "lda" and self.task is None:
            raise ValueError("lda parts the classes of a task. Cure: name one, such as 'task: click'")
        if self.method == "sparse" and self.active >= self.width:
            raise ValueError(
                f"{self.active} of {self.width} codes are all of them. Cure: give an 'active' below 'width'"
            )
        if self.active != type(self).model_fields["active"].default and self.method != "sparse":
            raise ValueError(f"'active' is for sparse, and the method is {self.method}. Cure: remove it")
        return self

    def check(self, where: str, entity: Entity, schema: Schema, *, whiten: int) -> None:
        """Raise :class:`~motet.errors.SchemaError` if it does not fit the rest of the schema."""
        if whiten:
            raise SchemaError(f"{where} has both 'whiten' and 'reduce'", "keep one of them")
        if self.task is None:
            return
        require_known(self.task, schema.tasks, f"{where}.reduce.task: the task")
        task = schema.tasks[self.task]
        classes = task.is_yes_no or (task.has_classes and not task.has_sets)
        if not classes or task.ranks_catalogue:
            raise SchemaError(
                f"{where}.reduce.task: '{self.task}' does not say of each row which class it is of",
                "name a binary or multiclass task, or write 'method: pca'",
            )
        if task.on not in ("interaction", entity):
            raise SchemaError(
                f"{where}.reduce.task: '{self.task}' is about the {task.on}, and the feature about the {entity}",
                f"name a task on interactions or on the {entity}",
            )


class GateSettings(Part):
    """How a gate of each feature is learnt; see :class:`motet.models.FeatureGates`.

    Attributes:
        penalty: What an open gate costs, in units of the balanced loss.
    """

    penalty: float = Field(0.01, gt=0, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class EventSettings:
    """What a feature of the user's events is made of.

    Attributes:
        of: The item feature that stands for each event.
        last: Events that are kept, counted from the most recent.
        where: Which interactions count, as an SQL expression; all when left out.
        content: What an event tells of its item beside the feature it is made of: texts, vectors and tags
            (``all``), tags alone, or ``none``.
        augment: How training changes histories; not at all when left out.
    """

    of: str
    last: int
    where: str | None
    content: Literal["all", "tags", "none"] = "all"
    augment: AugmentSettings | None = None


class ColumnSink(Protocol):
    """Takes in what a feature reads from a chunk of its table; each part once a chunk, n rows each."""

    def words(self, part: str, cells: pl.Series) -> None:
        """One word a row, for ``codes``."""
        ...

    def numbers(self, part: str, values: NDArray[Any]) -> None:
        """One number a row, NaN where missing, for ``numbers``."""
        ...

    def tags(self, part: str, lists: pl.Series) -> None:
        """A list of words a row, for ``tags``."""
        ...

    def texts(self, part: str, texts: pl.Series) -> None:
        """One text a row, for ``texts``."""
        ...

    def vectors(self, part: str, cells: pl.Series | None) -> None:
        """A list of numbers a row, for ``vectors``; None where vectors come from elsewhere."""
        ...


class Feature(Part, ABC):
    """What all feature kinds share: their settings, and what motet asks of a kind.

    A kind is a class with a field ``kind`` that has its name as default, further settings, and the
    methods below; what has a default here need not be defined.

    Attributes:
        column: The column it is read from; the feature's own name when left out.
    """

    column: str | None = None
    kind: str

    cells: ClassVar[Cells] = "words"
    """What its columns are read as."""
    is_id: ClassVar[bool] = False
    """Whether its words are identities, which training drops at random and new rows do not have."""
    is_event: ClassVar[bool] = False
    """Whether its words may stand for the events of a history."""
    is_text: ClassVar[bool] = False
    """Whether a language model makes its vectors."""
    catalogue: ClassVar[Literal["tags", "category", "number", "text", "guess", "hidden"]] = "guess"
    """How its columns are shown in the catalogue; ``guess`` looks at the values, ``hidden`` does not show them."""

    @abstractmethod
    def parts(self, name: str) -> Parts:
        """The encoded columns that the feature of this name gives."""

    @abstractmethod
    def read(
        self,
        name: str,
        frame: pl.DataFrame,
        column: Callable[[pl.DataFrame, str], pl.Series],
        sink: ColumnSink,
    ) -> None:
        """Read a chunk of prepared rows into the feature's parts.

        Args:
            name: Of the feature.
            frame: The rows.
            column: Gets a column by name; one that may be missing is then full of nulls.
            sink: Takes the parts.

        Raises:
            DataError: If a column is missing, or is not of this kind.
        """

    def columns(self, name: str) -> list[str]:
        """Columns of the entity's own table that the feature of this name reads."""
        return [self.column or name]

    def check(self, name: str, entity: Entity, schema: Schema) -> None:
        """Raise :class:`~motet.errors.SchemaError` if the feature does not fit the rest of the schema."""

    def shown_as(self) -> str:
        """How its columns are shown in the catalogue: :attr:`catalogue`, unless its settings say otherwise."""
        return self.catalogue

    def module(self, name: str, *, encoder: Any, width: int, vector_width: int) -> nn.Module | None:
        """The layer that takes its parts in; None to take codes, numbers and tags as all features do.

        A kind of texts or vectors gives a layer [n, D] → [n, vector_width]; a kind of events one of
        the shapes of :mod:`motet.models` sequences. A layer over codes and numbers is called with
        the embedded codes [n, C, d] and the numbers [n, M], and gives [n, ``out_width``], an
        attribute it has.

        Args:
            name: Of the feature.
            encoder: The fitted :class:`~motet.data.Encoder`, with the widths of vectors.
            width: Width d of an embedding.
            vector_width: Width that vectors are projected to.
        """
        return None

    @property
    def history(self) -> EventSettings | None:
        """What the feature's events are made of, for a kind of events."""
        return None

    @property
    def sees_item(self) -> bool:
        """Whether its layer looks at the item in question, so that little can be computed ahead."""
        return False

    @property
    def from_graph(self) -> bool:
        """Whether its vectors are those of the knowledge graph, so that no column holds them."""
        return False

    @property
    def side_fields(self) -> list[str]:
        """Fields of users and items, such as ``item.title``, that a feature of the interaction joins."""
        return []

    @property
    def fewest_rows(self) -> int:
        """Training rows that a word needs before it gets an embedding of its own."""
        return 1

    @property
    def scaling(self) -> Literal["standard", "log", "quantile", "none"]:
        """How its numbers are scaled; see :class:`motet.kinds.numeric.NumericFeature`."""
        return "standard"

    @property
    def whitened(self) -> int:
        """Width of its vectors after whitening; 0 leaves them as they are."""
        return 0

    @property
    def reduction(self) -> ReduceSettings | None:
        """How its vectors become narrower otherwise; None leaves them as they are."""
        return None

    @property
    def text_augment(self) -> TextAugmentSettings | None:
        """How training changes its texts; None where it does not."""
        return None

    @property
    def cell_separator(self) -> str | None:
        """What divides several values in one cell of text."""
        return None

    def valid_range(self, column: str) -> tuple[float, float] | None:
        """Lowest and highest valid number of one of its columns; others are taken as missing."""
        return None

    @classmethod
    def guess(cls, column: str, values: pl.Series) -> dict[str, Any] | None:
        """The settings of a feature of this kind if a column looks like one; asked of kinds from elsewhere.

        Args:
            column: Its name.
            values: A sample of its values.
        """
        return None


def _feature(value: Any) -> Any:
    return part_of_kind(value, FEATURE_KINDS)


AnyFeature = Annotated[SerializeAsAny[Feature], BeforeValidator(_feature)]


def expand_short_form(value: Any) -> Any:
    """Turn ``age: numeric`` into ``age: {kind: numeric}``."""
    return {"kind": value} if isinstance(value, str) else value


def template_fields(template: str) -> list[str]:
    """List the fields of a template, in order.

    Example:
        >>> template_fields("{title} ({year})")
        ['title', 'year']
    """
    return [name for _, name, _, _ in string.Formatter().parse(template) if name]
