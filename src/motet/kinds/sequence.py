"""What the user did before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from motet.errors import SchemaError
from motet.schema import (
    SEQUENCE_ENCODERS,
    AugmentSettings,
    Cells,
    ColumnSink,
    Entity,
    EventSettings,
    Feature,
    Parts,
    Schema,
    check_expression,
    nearest,
    require_known,
)

if TYPE_CHECKING:
    import polars as pl
    from torch import nn

__all__ = ["SequenceFeature"]


class SequenceFeature(Feature):
    """What the user did strictly before the time of prediction, oldest first.

    Attributes:
        of: The item feature (kind id or categorical) that stands for each event.
        last: How many events are kept, counted from the most recent.
        where: Which interactions count, as an SQL expression; all when left out.
        encoder: How the events become one vector; ``target`` attends from the scored item
            (DIN, Zhou et al. 2018), ``attention`` is causal self-attention (SASRec, Kang &
            McAuley 2018).
        content: What an event tells of its item beside its id: ``all`` its texts, vectors and tags, ``tags``
            alone, or ``none``. It matters for the history of items that ranking goes by: the one of the events
            that the retrieval task is to find, else the first.
        augment: How training changes histories, such as ``{crop: 0.9, mask: 0.1, reorder: 0.1}``; not at all when
            left out.
    """

    kind: Literal["sequence"] = "sequence"
    of: str
    last: int = Field(50, ge=1, le=1000)
    where: str | None = None
    encoder: str = "mean"
    content: Literal["all", "tags", "none"] = "all"
    augment: AugmentSettings | None = None

    cells: ClassVar[Cells] = "other"
    catalogue: ClassVar[Literal["hidden"]] = "hidden"

    @field_validator("where")
    @classmethod
    def _where_parses(cls, value: str | None) -> str | None:
        return check_expression(value, "where") if value is not None else None

    @field_validator("encoder")
    @classmethod
    def _encoder_is_known(cls, value: str) -> str:
        if value not in SEQUENCE_ENCODERS:
            raise ValueError(f"the encoder '{value}' is not known. Cure: {nearest(value, SEQUENCE_ENCODERS)}")
        return value

    def parts(self, name: str) -> Parts:
        """The events."""
        return Parts(events=(name,))

    def columns(self, name: str) -> list[str]:
        """None of the user's own table: events are interactions."""
        return []

    @property
    def history(self) -> EventSettings:
        """What the events are made of."""
        return EventSettings(self.of, self.last, self.where, self.content, self.augment)

    @property
    def sees_item(self) -> bool:
        """Whether the encoder attends from the item."""
        return bool(getattr(SEQUENCE_ENCODERS[self.encoder], "sees_item", False))

    def check(self, name: str, entity: Entity, schema: Schema) -> None:
        """A sequence belongs to the user, and needs the keys and the item feature that it is made of."""
        where = f"features.{entity}.{name}"
        if entity != "user":
            raise SchemaError(f"{where}: a sequence is a feature of the user", "move it to features.user")
        if not (schema.keys.time and schema.keys.item):
            raise SchemaError(f"{where}: a sequence needs keys.time and keys.item", "name both")
        require_known(self.of, schema.features.item, f"{where}: the item feature")
        of = schema.features.item[self.of]
        if not of.is_event:
            raise SchemaError(f"{where}: 'of: {self.of}' is {of.kind}", "choose an id or a category")

    def read(
        self,
        name: str,
        frame: pl.DataFrame,
        column: Callable[[pl.DataFrame, str], pl.Series],
        sink: ColumnSink,
    ) -> None:
        """Nothing is read from the user's own table."""

    def module(self, name: str, *, encoder: Any, width: int, vector_width: int) -> nn.Module:
        """The encoder of the events."""
        layer: nn.Module = SEQUENCE_ENCODERS[self.encoder](width=width, last=self.last)
        return layer
