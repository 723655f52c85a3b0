"""Texts."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from motet.errors import SchemaError
from motet.schema import (
    ColumnSink,
    Entity,
    Feature,
    Parts,
    ReduceSettings,
    Schema,
    TextAugmentSettings,
    template_fields,
)

if TYPE_CHECKING:
    import polars as pl
    from torch import nn

__all__ = ["TextFeature"]

_SIDES = ("user.", "item.")


class TextFeature(Feature):
    """Text, seen through a frozen language model.

    Attributes:
        template: How columns make one text, ``"{title} [SEP] {about}"``; a feature of the
            interaction may also name ``{user.column}`` and ``{item.column}``. Empty fields
            drop out together with their separator.
        whiten: Width after PCA whitening fitted on training rows; 0 leaves vectors as they are.
        reduce: How vectors become narrower in its place, such as ``{method: pca, width: 64}``.
        augment: How training changes texts, such as ``{drop: 0.1}``; not at all when left out.
        adapter: ``linear`` projection, or ``mixture`` of adapters (UniSRec, Hou et al. 2022, eq. 2–3).
    """

    kind: Literal["text"] = "text"
    template: str | None = None
    whiten: int = Field(0, ge=0)
    reduce: ReduceSettings | None = None
    adapter: Literal["linear", "mixture"] = "linear"
    augment: TextAugmentSettings | None = None

    is_text: ClassVar[bool] = True

    @field_validator("template")
    @classmethod
    def _template_parses(cls, value: str | None) -> str | None:
        cure = 'Cure: write column names in braces and nothing else there, such as "{title} ({year})"'
        try:
            fields = [] if value is None else [f for f in string.Formatter().parse(value) if f[1] is not None]
        except ValueError as error:
            raise ValueError(f"the template {value!r} does not parse ({error}). {cure}") from None
        if value is not None and not fields:
            raise ValueError(f"the template {value!r} names no column. {cure}")
        for _, name, form, conversion in fields:
            if not name or form or conversion:
                raise ValueError(f"the template {value!r} holds {{{name}}} with a format, or no name. {cure}")
        return value

    def parts(self, name: str) -> Parts:
        """One text."""
        return Parts(texts=(name,))

    def columns(self, name: str) -> list[str]:
        """The columns of the template that are of the entity's own table."""
        if self.template is None:
            return super().columns(name)
        return [field for field in template_fields(self.template) if not field.startswith(_SIDES)]

    @property
    def side_fields(self) -> list[str]:
        """The fields of the template that are of users and items."""
        return [field for field in template_fields(self.template or "") if field.startswith(_SIDES)]

    def check(self, name: str, entity: Entity, schema: Schema) -> None:
        """Only what belongs to an interaction may join users and items."""
        if self.reduce is not None:
            self.reduce.check(f"features.{entity}.{name}", entity, schema, whiten=self.whiten)
        if entity != "interaction" and self.side_fields:
            raise SchemaError(
                f"features.{entity}.{name}: the template names {{{self.side_fields[0]}}}",
                "only a text feature of the interaction may join users and items",
            )

    def read(
        self,
        name: str,
        frame: pl.DataFrame,
        column: Callable[[pl.DataFrame, str], pl.Series],
        sink: ColumnSink,
    ) -> None:
        """Fill the template."""
        import polars as pl  # noqa: PLC0415 (a schema alone needs no tables)

        from motet.data import render  # noqa: PLC0415 (a schema alone needs no tables)

        if self.template is None:  # the column's own name may hold what means something in a template
            cells = column(frame, self.column or name)
            sink.texts(name, render(pl.DataFrame([cells.alias("text")]), "{text}"))
        else:
            sink.texts(name, render(frame, self.template, column))

    def module(self, name: str, *, encoder: Any, width: int, vector_width: int) -> nn.Module:
        """The adapter."""
        from motet.models import ADAPTERS  # noqa: PLC0415 (torch is slow to import, and a schema needs none)

        return ADAPTERS[self.adapter](inputs=encoder.vector_widths[name], width=vector_width)

    @property
    def whitened(self) -> int:
        """``whiten``."""
        return self.whiten

    @property
    def reduction(self) -> ReduceSettings | None:
        """``reduce``."""
        return self.reduce

    @property
    def text_augment(self) -> TextAugmentSettings | None:
        """``augment``."""
        return self.augment
