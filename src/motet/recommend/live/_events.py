"""Live events: plain values, and what they mean for a user."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from motet.data import EventMeanings, Ragged, used_columns
from motet.errors import DataError
from motet.recommend import NOT_OF_KIND, RawRows, at_most, naming_column
from motet.schema import expression_columns, parse_expression
from motet.training import Bundle

__all__ = [
    "FOUND",
    "Cell",
    "Cells",
    "EventReader",
    "Features",
    "LiveEvent",
    "ParsedEvent",
    "SessionEvent",
    "key_of",
]

# Plain values as they come in requests, short keys that stand for them, and events of users.

_KEY_BYTES: Final = 16
_ENCODE: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode
_MOST_CHARACTERS: Final = 100_000
_MOST_COLUMNS: Final = 200
_MOST_WORDS: Final = 1000

_Word = Annotated[str, Field(max_length=10_000)]
Cell = bool | int | float | _Word | None
_Columns = TypeVar("_Columns", bound=Mapping[str, Any])


def key_of(values: Any) -> bytes:
    """Sixteen bytes that stand for plain values: a cache with such keys holds no text of a user.

    Example:
        >>> len(key_of({"age": 44})), key_of({"age": 44}) == key_of({"age": 44.0})
        (16, False)
    """
    return hashlib.blake2b(_ENCODE(values).encode(), digest_size=_KEY_BYTES).digest()


def _checked(columns: _Columns) -> _Columns:
    """Refuse columns whose names and words are too long altogether."""
    characters = 0
    for name, cell in columns.items():
        characters += len(name)
        for word in cell if isinstance(cell, list | tuple) else (cell,):
            characters += len(word) if isinstance(word, str) else 0
    if characters > _MOST_CHARACTERS:
        raise PydanticCustomError(
            "columns_too_long",
            "the columns hold {characters} characters, give at most {most}",
            {"characters": characters, "most": _MOST_CHARACTERS},
        )
    return columns


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
        at_s: When, seconds since 1970; 0 stands for no known time, and comes after all others.
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


SessionEvent = Annotated[
    Annotated[LiveEvent, Tag("event")] | Annotated[str, Field(min_length=1, max_length=1000), Tag("id")],
    Discriminator(lambda one: "id" if isinstance(one, str) else "event"),
]
"""An event of a session, or the id of an item alone."""

FOUND: Final = " found"
"""Stands among the sequences for the events that the retrieval task is about; no feature can have such a name."""

# What live events mean: which sequences of the user hold them, and whether they were likes.

_ENOUGH: Final = 0.5
_LATEST: Final = 10_000
_LONGEST_SCENARIO: Final = 1000
_MINUTE_US: Final = 60_000_000
_HOUR_US: Final = 60 * _MINUTE_US
_PARTS_OF_TIME: Final = (
    r"\bextract\s*\(\s*(year|quarter|month|week|day|dow|isodow|doy|hour|minute)\s+from\s+(?:{0}|\"{0}\")\s*\)"
)

_Meaning: TypeAlias = tuple[frozenset[str], bool | None, str | None, bool]


@dataclass(frozen=True, slots=True)
class ParsedEvent:
    """What one event means.

    Attributes:
        event: As recorded.
        held: Sequence features that hold it.
        liked: Whether it is positive for the task that says what a user likes; None where it does not say.
        scenario: Where it was, given or derived.
        refused: Whether the user turned the item down instead of having it.
    """

    event: LiveEvent
    held: frozenset[str]
    liked: bool | None
    scenario: str | None
    refused: bool = False


class EventReader:
    """Reads live events by the expressions of the schema.

    A sequence holds an event if its ``where`` is true of the event's columns. Where these are missing
    and the event names a task instead, it is held if the bundle's users show that the sequence holds at
    least half of the events with such a label.

    Args:
        bundle: With a schema and behaviour.
        raw: Prepares rows as in training.
    """

    def __init__(self, bundle: Bundle, raw: RawRows) -> None:
        schema = bundle.schema
        self._schema, self._raw = schema, raw
        self._sequences = {
            name: f.history.where for name, f in schema.features.user.items() if f.history is not None
        }
        if schema.retrieval_task is not None:
            label = schema.tasks[schema.retrieval_task].label
            self._sequences[FOUND] = label if expression_columns(label) else None  # every row counts
        self.meanings = EventMeanings(schema)
        self.liking = self.meanings.liking
        self._label = None if self.liking is None else schema.tasks[self.liking].label
        self._columns = set(used_columns(schema, "interaction")) | set(schema.derive.get("interactions", {}))
        for task in schema.tasks.values():
            if task.on == "interaction":
                self._columns |= set(expression_columns(task.label))
        # the coarser the times that expressions tell apart, the more often a meaning is known from an event before
        texts = [*schema.derive.get("interactions", {}).values(), *self._sequences.values(), self._label]
        self._time_us = _time_grain_us(schema.keys.time, [text for text in texts if text is not None])
        self._shares = _held_shares(bundle)
        # what was just read to be checked is read again to be taken in; not whose it was
        self._latest: OrderedDict[bytes, _Meaning] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, events: Sequence[LiveEvent]) -> list[ParsedEvent]:
        """What events mean, in their order.

        Raises:
            DataError: If a cell is not of its column's kind.
        """
        keys = [self._key(event) for event in events]
        with self._lock:
            found = {key: self._latest[key] for key in keys if key in self._latest}
        new = {key: event for key, event in zip(keys, events, strict=True) if key not in found}
        if new:
            read = self._read(list(new.values()))
            found |= {
                key: (one.held, one.liked, one.scenario, one.refused)
                for key, one in zip(new, read, strict=True)
            }
            with self._lock:
                self._latest |= {
                    key: found[key] for key in new if len(found[key][2] or "") <= _LONGEST_SCENARIO
                }
                while len(self._latest) > _LATEST:
                    self._latest.popitem(last=False)
        return [ParsedEvent(event, *found[key]) for key, event in zip(keys, events, strict=True)]

    def _read(self, events: Sequence[LiveEvent]) -> list[ParsedEvent]:
        rows = [self._cells(event) for event in events]
        filled = [at for at, row in enumerate(rows) if row]
        by_columns = self._by_columns([events[at] for at in filled], [rows[at] for at in filled])
        found = dict(zip(filled, by_columns, strict=True))
        return [found[at] if at in found else self._by_task(event, {}) for at, event in enumerate(events)]

    def _key(self, event: LiveEvent) -> bytes:
        """All that the meaning of an event rests on: not whose it is, nor of which item."""
        columns = {name: cell for name, cell in event.columns.items() if name in self._columns}
        at = 0 if self._time_us is None else int(event.at_s * 1e6) // self._time_us
        return key_of([event.type, event.value, at, event.scenario, columns])

    def _cells(self, event: LiveEvent) -> dict[str, Any]:
        cells = {name: value for name, value in event.columns.items() if name in self._columns}
        if event.type in self._columns:
            cells[event.type] = event.value
        return {name: value for name, value in cells.items() if value is not None}

    def _by_task(self, event: LiveEvent, decided: dict[str, bool], liked: bool | None = None) -> ParsedEvent:
        """By the task that an event names, for all that its columns leave open.

        Args:
            event: The event.
            decided: Per sequence, whether it holds the event, as far as columns decide it.
            liked: The same of whether the user liked the item.
        """
        meaning = self.meanings.of(event.type, event.value)
        task = meaning.task
        held = {name for name, yes in decided.items() if yes}
        for name, where in self._sequences.items():
            if name in decided or (name == FOUND and meaning.is_negative):
                continue
            if where is None or (
                task is not None
                and self._shares.get((name, task), (0.0, 0.0))[not meaning.is_positive] >= _ENOUGH
            ):
                held.add(name)
        if liked is None:
            liked = meaning.liked
        return ParsedEvent(
            event, frozenset(held), liked, event.scenario, meaning.is_negative and liked is False
        )

    def _by_columns(self, events: Sequence[LiveEvent], rows: Sequence[dict[str, Any]]) -> list[ParsedEvent]:
        if not events:
            return []
        keys = self._schema.keys
        columns = sorted({column for row in rows for column in row})
        cells = {}
        for column in columns:
            try:
                cells[column] = pl.Series(column, [row.get(column) for row in rows], strict=False)
            except NOT_OF_KIND as error:
                raise DataError(
                    f"the events hold values of several kinds in the column '{column}' "
                    f"({(str(error).splitlines() or [''])[0][:200]})",
                    "give each column one kind of value",
                ) from None
        frame = pl.DataFrame(cells)
        if keys.time is not None:
            at_us = np.array([event.at_s * 1e6 for event in events]).astype("datetime64[us]")
            frame = frame.with_columns(pl.Series(keys.time, at_us))
        if keys.scenario is not None and keys.scenario not in columns:
            where = pl.Series(keys.scenario, [event.scenario for event in events], dtype=pl.String)
            frame = frame.with_columns(where)
        prepared = naming_column(partial(self._raw.prepared, "interaction"), frame, "the events")
        conditions = {where for where in (*self._sequences.values(), self._label) if where is not None}
        truths = _truths(prepared, sorted(conditions))
        held = {name: truths[where] for name, where in self._sequences.items() if where is not None}
        likes = truths[self._label] if self._label is not None else [None] * len(events)
        scenarios: list[str | None] = [None] * len(events)
        if keys.scenario is not None and keys.scenario in prepared.columns:
            scenarios = prepared[keys.scenario].cast(pl.String).to_list()
        parsed = []
        for at, event in enumerate(events):
            decided = {name: truth for name, column in held.items() if (truth := column[at]) is not None}
            one = self._by_task(event, decided, likes[at])
            parsed.append(
                ParsedEvent(event, one.held, one.liked, event.scenario or scenarios[at], one.refused)
            )
        return parsed


def _time_grain_us(time: str | None, texts: Sequence[str]) -> int | None:
    """Microseconds from a whole multiple of which to the next all times are alike to some SQL expressions.

    Args:
        time: Name of the time's column, if there is one.
        texts: The expressions.

    Returns:
        1 if any two times may differ; None if no expression reads the time.

    Example:
        >>> _time_grain_us("at", ["EXTRACT(hour FROM at)", "stars >= 4"])
        3600000000
        >>> _time_grain_us("at", ["at > '2020-01-01'"]), _time_grain_us("at", ["stars >= 4"])
        (1, None)
    """
    found = None
    for text in texts if time is not None else ():
        name = re.escape(str(time))
        parts = re.compile(_PARTS_OF_TIME.format(name), re.IGNORECASE)
        units = {str(one[1]).lower() for one in parts.finditer(text)}
        if re.search(rf"(?<!\w){name}(?!\w)", parts.sub("", text), re.IGNORECASE):
            return 1
        if units:
            found = min(found or _HOUR_US, _MINUTE_US if "minute" in units else _HOUR_US)
    return found


def _truths(frame: pl.DataFrame, texts: Sequence[str]) -> dict[str, list[bool | None]]:
    """SQL conditions of each row; None where a cell of a column that one names is missing."""
    found: dict[str, list[bool | None]] = {text: [None] * len(frame) for text in texts}
    whole = []
    for text in texts:
        columns = expression_columns(text)
        if any(column not in frame.columns for column in columns):
            continue
        there = [frame[column].is_not_null().to_numpy() for column in columns]
        given = np.logical_and.reduce([np.ones(len(frame), bool), *there])
        if given.all():
            whole.append(text)
        elif given.any():  # only of rows that have all cells
            truths = _asked(frame.filter(pl.Series(given)), [text])[0]
            for at, truth in zip(np.flatnonzero(given).tolist(), truths, strict=True):
                found[text][at] = truth
    return {**found, **dict(zip(whole, _asked(frame, whole), strict=True))}


def _asked(frame: pl.DataFrame, texts: Sequence[str]) -> list[list[bool | None]]:
    """SQL conditions of rows, in one go."""
    if not texts:
        return []
    parsed = [parse_expression(text, "the schema").cast(pl.Float64) for text in texts]
    try:
        truths = frame.select(one.alias(str(at)) for at, one in enumerate(parsed))
    except NOT_OF_KIND as error:
        if len(texts) > 1:  # which one is it?
            return [_asked(frame, [text])[0] for text in texts]
        raise DataError(
            f"the events do not fit the expression {texts[0]!r} of the schema ({(str(error).splitlines() or [''])[0][:200]})",
            "give each column the kind of value that it had in training",
        ) from None
    cells = [truths[str(at)].to_list() for at in range(len(texts))]
    # a condition without a column has one value
    return [
        [
            None if cell is None else bool(cell)
            for cell in (one if len(one) == len(frame) else one * len(frame))
        ]
        for one in cells
    ]


def _held_shares(bundle: Bundle) -> dict[tuple[str, str], tuple[float, float]]:
    """Per sequence and task, the share of its users' positive and of their negative events that it holds.

    Where the schema has no task that says what users like, the task is "" and every event positive.
    """
    behaviour, items = bundle.behaviour, len(bundle.data.items)
    pairs = _pairs(behaviour.items, items)
    shares = {}
    lists = {name: history.items for name, history in bundle.data.histories.items()}
    if bundle.schema.retrieval_task is not None:
        lists[FOUND] = bundle.found
    for name, events in lists.items():
        held = np.isin(pairs, _pairs(events, items))
        for task in behaviour.tasks:
            label = behaviour.label(task)
            shares[name, task] = (_share(held[label > 0]), _share(held[label == 0]))
        if bundle.schema.liking_task is None:
            shares[name, ""] = (_share(held), 0.0)
    return shares


def _pairs(lists: Ragged, items: int) -> NDArray[np.int64]:
    users = np.repeat(np.arange(len(lists), dtype=np.int64), lists.lengths())
    return users * items + lists.values


def _share(held: NDArray[np.bool_]) -> float:
    return float(held.mean()) if len(held) else 0.0
