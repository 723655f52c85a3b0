"""Categories."""

from __future__ import annotations

from typing import ClassVar, Literal

from motet.kinds._coded import CodedFeature

__all__ = ["CategoricalFeature"]


class CategoricalFeature(CodedFeature):
    """One of a set of values; ``min_count`` as for an id."""

    kind: Literal["categorical"] = "categorical"

    catalogue: ClassVar[Literal["category"]] = "category"
