"""Identifiers."""

from __future__ import annotations

from typing import ClassVar, Literal

from motet.kinds._coded import CodedFeature

__all__ = ["IdFeature"]


class IdFeature(CodedFeature):
    """An identifier with one embedding each; dropped at random in training (``model.id_dropout``).

    Attributes:
        min_count: Training rows an id needs before it gets its own embedding; rarer is "unknown".
    """

    kind: Literal["id"] = "id"

    is_id: ClassVar[bool] = True
    catalogue: ClassVar[Literal["hidden"]] = "hidden"
