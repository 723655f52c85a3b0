"""Feature kinds: what a column means and how it enters the model."""

from __future__ import annotations

import string
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from motet.schema._base import Part, in_order
from motet.schema._expressions import check_expression

__all__ = [
    "AnyFeature",
    "CategoricalFeature",
    "Feature",
    "IdFeature",
    "NumericFeature",
    "SequenceFeature",
    "TagsFeature",
    "TextFeature",
    "TimeFeature",
    "VectorFeature",
    "template_fields",
]


class Feature(Part):
    """What all feature kinds share.

    Attributes:
        column: The column it is read from; the feature's own name when left out.
    """

    column: str | None = None


class IdFeature(Feature):
    """An identifier with one embedding each; dropped at random in training (``model.id_dropout``).

    Attributes:
        min_count: Training rows an id needs before it gets its own embedding; rarer is "unknown".
    """

    kind: Literal["id"] = "id"
    min_count: int = Field(1, ge=1)


class CategoricalFeature(Feature):
    """One of a set of values; ``min_count`` as for an id."""

    kind: Literal["categorical"] = "categorical"
    min_count: int = Field(1, ge=1)


class NumericFeature(Feature):
    """A number; missing values become the mean, with an indicator beside them.

    Attributes:
        scale: ``standard`` (x−μ)/σ, ``log`` the same of sign(x)·log(1+|x|), ``quantile`` the
            normal score of the empirical rank, ``none`` as it is. Fitted on training rows.
        range: Lowest and highest valid value; values outside count as missing, and are counted.
    """

    kind: Literal["numeric"] = "numeric"
    scale: Literal["standard", "log", "quantile", "none"] = "standard"
    range: Annotated[tuple[float, float], AfterValidator(in_order)] | None = None


class TagsFeature(Feature):
    """A set of values in one cell: a list column, or text with a separator.

    Attributes:
        separator: What divides the values of a text cell.
        words: Take the words of a text as tags, in lower case and without punctuation, instead:
            1 for single words, 2 for pairs of neighbours as well; 0 turns it off.
        min_count: Training rows a tag needs before it gets its own embedding.
    """

    kind: Literal["tags"] = "tags"
    separator: str = Field("|", min_length=1)
    words: int = Field(0, ge=0, le=2)
    min_count: int = Field(1, ge=1)


class TimeFeature(Feature):
    """A point in time, seen as hour, weekday and season on circles, and as a trend."""

    kind: Literal["time"] = "time"


class TextFeature(Feature):
    """Text, seen through a frozen language model.

    Attributes:
        template: How columns make one text, ``"{title} [SEP] {about}"``; a feature of the
            interaction may also name ``{user.column}`` and ``{item.column}``. Empty fields
            drop out together with their separator.
        whiten: Width after PCA whitening fitted on training rows; 0 leaves vectors as they are.
        adapter: ``linear`` projection, or ``mixture`` of adapters (UniSRec, Hou et al. 2022, eq. 2–3).
    """

    kind: Literal["text"] = "text"
    template: str | None = None
    whiten: int = Field(0, ge=0)
    adapter: Literal["linear", "mixture"] = "linear"

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


class VectorFeature(Feature):
    """A dense vector of fixed width; ``whiten`` and ``adapter`` as for text.

    Attributes:
        source: A list ``column`` of the table, or the ``knowledge`` graph, whose vectors of the items
            are made as ``knowledge.vectors`` says.
    """

    kind: Literal["vector"] = "vector"
    source: Literal["column", "knowledge"] = "column"
    whiten: int = Field(0, ge=0)
    adapter: Literal["linear", "mixture"] = "linear"


class SequenceFeature(Feature):
    """What the user did strictly before the moment of prediction, oldest first.

    Attributes:
        of: The item feature (kind id or categorical) that stands for each event.
        last: How many events are kept, counted from the most recent.
        where: Which interactions count, as an SQL expression; all when left out.
        encoder: How the events become one vector; ``target`` attends from the scored item
            (DIN, Zhou et al. 2018), ``attention`` is causal self-attention (SASRec, Kang &
            McAuley 2018).
    """

    kind: Literal["sequence"] = "sequence"
    of: str
    last: int = Field(50, ge=1, le=1000)
    where: str | None = None
    encoder: Literal["mean", "gru", "lstm", "cnn", "attention", "target"] = "mean"

    @field_validator("where")
    @classmethod
    def _where_parses(cls, value: str | None) -> str | None:
        return check_expression(value, "where") if value is not None else None


AnyFeature = Annotated[
    IdFeature
    | CategoricalFeature
    | NumericFeature
    | TagsFeature
    | TimeFeature
    | TextFeature
    | VectorFeature
    | SequenceFeature,
    Field(discriminator="kind"),
]


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
