"""Something that a user did, as the service is told."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Cell", "LiveEvent"]

_Word = Annotated[str, Field(max_length=10_000)]
Cell = bool | int | float | _Word | None


class LiveEvent(BaseModel):
    """Something that a user did.

    What it says is a row of the interactions table: ``type`` names one of its columns, ``value`` is the cell;
    further cells are in ``columns``. A type that is no column but a task is taken as that task's label, and
    any other type as an interaction of which nothing more is known.

    Attributes:
        user: Its id; empty in the history of a session.
        item: Its id.
        type: Name of a column or task; left out, that the user liked the item.
        value: The cell, or 1 and 0 for a task.
        at_s: When, seconds since 1970; 0, which is no time that is told, is after all others.
        scenario: Where.
        columns: Further cells of the row.

    Example:
        >>> LiveEvent(user="u", item="i", type="rating", value=5, at_s=1.7e9).value
        5
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    user: str = Field("", max_length=1000)
    item: str = Field(min_length=1, max_length=1000)
    type: str = Field("", max_length=200)
    value: Cell = 1
    at_s: float = Field(0.0, ge=-1e11, le=1e11)
    scenario: str | None = Field(None, max_length=1000)
    columns: dict[str, Cell] = Field(default_factory=dict, max_length=200)
