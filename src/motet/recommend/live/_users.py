"""Users as a request needs them: one at a time, known from training or since, or unknown."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import Dataset, EntityTable, History, Ragged, used_columns
from motet.errors import DataError
from motet.recommend import RawRows
from motet.recommend.live._events import key_of
from motet.recommend.live._history import NOTHING, UserHistory
from motet.recommend.live._item_table import EncodedItems, frame_of, without_entities
from motet.schema import table_of
from motet.training import Bundle

__all__ = ["EncodedUser", "UserEncoder"]

_KEPT: Final = 100_000
_ROWS: Final = 10_000
_ASKED: Final = 1000
_ALIKE: Final = {str, int, float, type(None)}  # cells that a column of many reads as it reads one


@dataclass(frozen=True, slots=True)
class EncodedUser:
    """Encoded inputs of one user.

    Attributes:
        table: One row.
        vectors: Per text or vector feature of users.
        side: Its texts for templates of the interaction.
        known: Whether anything is known of it.
    """

    table: EntityTable
    vectors: Mapping[str, NDArray[np.float32]]
    side: pl.DataFrame | None
    known: bool


class UserEncoder:
    """Finds and encodes users.

    Args:
        bundle: With users that are known.
        raw: Encodes rows as in training.
        kept: Users recorded while serving that are kept, the latest ones.
        asked: Encoded features of requests that are kept, the latest ones; they take no user's place.
    """

    def __init__(self, bundle: Bundle, raw: RawRows, kept: int = _KEPT, asked: int = _ASKED) -> None:
        self._data, self._raw, self._kept, self._most_asked = bundle.data, raw, kept, asked
        self._key = bundle.schema.keys.user
        columns = {*used_columns(bundle.schema, "user"), *bundle.schema.derive.get(table_of("user"), {})}
        self._used = {name for column in columns for name in (column, f"user.{column}")}
        self._none = without_entities(bundle.data, "user") if self._key is not None else bundle.data
        self._names = bundle.data.encoder.layout("user").vectors
        times = any(feature.cells == "time" for feature in bundle.schema.features.user.values())
        self._one_by_one = times or bool(self._names)  # how times are written is guessed from all of a column
        self._recorded: OrderedDict[str, EncodedUser] = OrderedDict()
        self._asked: OrderedDict[tuple[bytes, bytes], EncodedUser] = OrderedDict()  # by user and by features
        self._by_row: dict[int, EncodedUser] = {}  # of the bundle
        self._lock = threading.Lock()
        self._unknown_user = self._encoded({}) if self._key is not None else self._of_row(0)

    def upsert(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Add users or replace their features; returns how many.

        Args:
            rows: Raw rows with the user column, as they stand in the users table.

        Raises:
            DataError: If a row has no id, or a value is not of its column's kind.
        """
        given: dict[str, dict[str, Any]] = {}
        for row in rows:
            user = row.get(self._key or "")
            if isinstance(user, bool) or not isinstance(user, str | int) or user == "":
                raise DataError(
                    f"a user has no id in '{self._key}' (but {str(user)[:40]!r})",
                    f"name each user in '{self._key}'",
                )
            given.pop(str(user), None)
            given[str(user)] = {**row, str(self._key): str(user)}
        found = dict(zip(given, self._each(list(given.values())), strict=True))
        with self._lock:
            for name, encoded in found.items():
                self._recorded.pop(name, None)
                self._recorded[name] = encoded
            while len(self._recorded) > self._kept:
                self._recorded.popitem(last=False)
        return len(found)

    def users(self) -> list[str]:
        """Users recorded while serving that are kept."""
        with self._lock:
            return list(self._recorded)

    def forget(self, user: str) -> bool:
        """Drop what was recorded of a user, in requests too; returns whether there was anything."""
        user_key = key_of(user)
        with self._lock:
            asked = [key for key in self._asked if key[0] == user_key]
            for key in asked:
                del self._asked[key]
            return self._recorded.pop(user, None) is not None or bool(asked)

    def of(self, user: str | None, row: int, features: Mapping[str, Any]) -> EncodedUser:
        """A user.

        Args:
            user: Its id, if it has one.
            row: Its row in the bundle, −1 if it has none.
            features: Columns of the users table that the request gives; those that the schema does not use are
                ignored.

        Raises:
            DataError: If a value is not of its column's kind.
        """
        used = {name: cell for name, cell in features.items() if name in self._used}
        if used:
            return self._of_features(user, used)
        recorded = self._recorded.get(user) if user is not None else None
        if recorded is not None:
            return recorded
        return self._of_row(row) if row >= 0 else self._unknown_user

    def _of_features(self, user: str | None, features: Mapping[str, Any]) -> EncodedUser:
        key = (key_of(user), key_of(features))
        with self._lock:
            found = self._asked.get(key)
            if found is not None:
                self._asked.move_to_end(key)
                return found
        row = features if user is None else {**features, str(self._key): user}
        found = replace(self._encoded(row), known=True)
        with self._lock:
            self._asked[key] = found
            while len(self._asked) > self._most_asked:
                self._asked.popitem(last=False)
        return found

    def _of_row(self, row: int) -> EncodedUser:
        found = self._by_row.get(row)
        if found is None:
            if len(self._by_row) >= _ROWS:
                self._by_row = {}
            self._by_row[row] = found = self._read_row(row)
        return found

    def _read_row(self, row: int) -> EncodedUser:
        data, at = self._data, slice(row, row + 1)
        users = data.users
        tags = {name: lists.take(np.array([row])) for name, lists in users.tags.items()}
        table = EntityTable(users.codes[at], users.numbers[at], tags, users.vector_rows[at])
        side = data.sides["user"][at] if "user" in data.sides else None
        return EncodedUser(table, {name: data.vectors[name] for name in self._names}, side, True)

    def _each(self, rows: Sequence[Mapping[str, Any]]) -> list[EncodedUser]:
        """Several known users at once, in the time of a few, where that says the same as one after the other."""
        used = [{name: cell for name, cell in row.items() if name in self._used} for row in rows]
        kinds: dict[str, set[type]] = {}
        for row in used:
            for name, cell in row.items():
                kinds.setdefault(name, set()).add(type(cell))
        alike = all(len(of - {type(None)}) <= 1 and of <= _ALIKE for of in kinds.values())
        if len(rows) < 2 or self._one_by_one or not alike:
            return [replace(self._encoded(row), known=True) for row in rows]
        frame = frame_of([{str(self._key): None, **row} for row in used], "the users' columns")
        frame = frame.with_columns(pl.col(str(self._key)).cast(pl.String))
        data = self._raw.extended(self._none, "user", frame)[0]
        users, side = data.users, data.sides.get("user")
        found = []
        for at in range(len(rows)):
            own = slice(at, at + 1)
            tags = {name: lists.take(np.array([at])) for name, lists in users.tags.items()}
            table = EntityTable(users.codes[own], users.numbers[own], tags, users.vector_rows[own])
            found.append(EncodedUser(table, {}, None if side is None else side[own], True))
        return found

    def _encoded(self, row: Mapping[str, Any]) -> EncodedUser:
        used = {name: cell for name, cell in row.items() if name in self._used}
        frame = frame_of([{str(self._key): None, **used}], "the user's columns")
        frame = frame.with_columns(pl.col(str(self._key)).cast(pl.String))
        data = self._raw.extended(self._none, "user", frame)[0]
        return EncodedUser(
            data.users, {name: data.vectors[name] for name in self._names}, data.sides.get("user"), False
        )


def of_one_user(
    data: Dataset,
    user: EncodedUser,
    history: UserHistory,
    view: EncodedItems,
    latest: Mapping[str, NDArray[np.int32]],
) -> Dataset:
    """The data set of one request: one user with its history, and the live items.

    Args:
        data: The bundle's.
        user: The user.
        history: Its history.
        view: The items.
        latest: Per sequence, the rows of the events that count now.
    """
    histories = {}
    for name in data.histories:
        total = history.sequences.get(name, NOTHING).total
        rows = latest[name]
        # the first of the events that are not kept would stand before the list: only the last ones are read
        offsets = np.array([len(rows) - total, len(rows)], np.int64)
        known = np.array([total], np.int32)
        histories[name] = History(Ragged(rows, offsets), known[:0], known, known)
    sides = dict(data.sides)
    if user.side is not None:
        sides["user"] = user.side
    if view.sides is not None:
        sides["item"] = view.sides
    return replace(
        data,
        users=user.table,
        items=view.table,
        vectors={**data.vectors, **view.vectors, **user.vectors},
        histories=histories,
        sides=sides,
    )
