"""What the service is told: plain values, short keys that stand for them, and what a user did."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from motet.recommend._filter import at_most

__all__ = ["Cell", "Cells", "Features", "LiveEvent", "key_of"]

_KEY_BYTES: Final = 16
_ENCODE: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode
_MOST_CHARACTERS: Final = 100_000
_MOST_COLUMNS: Final = 200
_MOST_WORDS: Final = 1000

_Word = Annotated[str, Field(max_length=10_000)]
Cell = bool | int | float | _Word | None
_Told = TypeVar("_Told", bound=Mapping[str, Any])


def key_of(said: Any) -> bytes:
    """Sixteen bytes that stand for plain values: a cache with such keys holds nothing of what was said.

    Example:
        >>> len(key_of({"age": 44})), key_of({"age": 44}) == key_of({"age": 44.0})
        (16, False)
    """
    return hashlib.blake2b(_ENCODE(said).encode(), digest_size=_KEY_BYTES).digest()


def _checked(told: _Told) -> _Told:
    """Refuse columns whose names and words are too long altogether."""
    characters = 0
    for name, cell in told.items():
        characters += len(name)
        for word in cell if isinstance(cell, list | tuple) else (cell,):
            characters += len(word) if isinstance(word, str) else 0
    if characters > _MOST_CHARACTERS:
        raise PydanticCustomError(
            "columns_too_long",
            "the columns hold {characters} characters, give at most {most}",
            {"characters": characters, "most": _MOST_CHARACTERS},
        )
    return told


Cells = Annotated[
    dict[str, Cell], Field(max_length=_MOST_COLUMNS), at_most(_MOST_COLUMNS), AfterValidator(_checked)
]
Features = Annotated[
    dict[str, Cell | Annotated[list[_Word], Field(max_length=_MOST_WORDS, fail_fast=True)]],
    Field(max_length=_MOST_COLUMNS),
    at_most(_MOST_COLUMNS),
    AfterValidator(_checked),
]


class LiveEvent(BaseModel):
    """Something that a user did.

    What it says is a row of the interactions table: ``type`` names one of its columns, ``value`` is the cell;
    further cells are in ``columns``. A type that is no column but a task is taken as that task's label; ``hide``,
    ``dislike`` and ``not_interested``, where the schema knows nothing of that name, say that the user turned the item
    down; any other type is taken as an interaction of which nothing more is known.

    Attributes:
        user: Its id; empty in the history of a session.
        item: Its id.
        type: Name of a column or task, or one of :data:`motet.data.NEGATIVE_EVENTS`; left out, that the user liked
            the item.
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
    columns: Cells = Field(default_factory=dict)
