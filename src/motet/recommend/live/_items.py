"""The catalogue while it is served: items are added, changed and removed, and recommended seconds later."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.data import Catalogue, used_columns
from motet.errors import DataError
from motet.recommend import AnyFilter, ContextRows, Fields, RawRows
from motet.recommend.live._events import key_of
from motet.recommend.live._item_table import AppendOnlyArray, ItemRows, ItemSides, ItemTable
from motet.recommend.live._snapshot import CatalogueSnapshot, Eligible
from motet.training import Bundle

__all__ = ["LiveItems", "Upserted"]

_MASK_BYTES: Final = 2**26
_BYTES_A_ROW: Final = 10  # of a mask, of the rows that it lets through, and of its bits
_EVERYTHING: Final = b""


@dataclass(frozen=True, slots=True)
class Upserted:
    """What became of some items.

    Attributes:
        new: How many were not known.
        replaced: How many were known and are replaced.
        ignored: Columns that the schema does not use.
    """

    new: int
    replaced: int
    ignored: tuple[str, ...]


class LiveItems:
    """The items of a bundle and those added since.

    Many may read while one writes: a reader works on :attr:`now`, which never changes. An item that
    is upserted again gets a new row, unless nothing changes; only new rows are encoded and go through the model.

    Args:
        bundle: With items.
        raw: Encodes rows as in training.
        context_rows: Any context row.

    Raises:
        DataError: If the schema has no items.
    """

    def __init__(self, bundle: Bundle, raw: RawRows, context_rows: ContextRows) -> None:
        data = bundle.data
        if data.catalogue is None or data.schema.keys.item is None:
            raise DataError(f"the schema '{data.schema.name}' has no items", "name keys.item")
        self.key = data.schema.keys.item
        self.catalogue: Catalogue = data.catalogue
        self.fields = Fields.of(data.catalogue)
        self._used = {*used_columns(data.schema, "item"), *data.catalogue.frame.columns} - {"id"} | {self.key}
        self._derived = set(data.schema.derive.get("items", {}))
        self._missing = dict.fromkeys(self._used - self._derived)
        self._rows, self._table = ItemRows(data, raw), ItemTable(data)
        members = () if bundle.task_blend is None else bundle.task_blend.members.values()
        self._sides = ItemSides(bundle.model, data, context_rows, self._table.view, members=members)
        self._ids: list[str] = data.item_ids.to_list()
        self._first: dict[str, int] = {item: row for row, item in enumerate(self._ids)}
        self._recorded: dict[str, dict[str, Any]] = {}
        n = len(self._ids)
        self._origin = AppendOnlyArray(np.arange(n, dtype=np.int32))
        self._appeared = AppendOnlyArray(_first_seen(bundle))
        self._hidden: set[int] = set()
        self._write, self._reads = threading.Lock(), threading.Lock()
        self._masks: OrderedDict[bytes, AppendOnlyArray[np.bool_]] = OrderedDict()
        self.now = CatalogueSnapshot(
            version=0,
            view=self._table.view,
            side=self._sides.view,
            ids=self._ids,
            first_rows=self._first,
            origin=self._origin.view,
            latest=self._origin.view,
            gone=np.zeros(n, bool),
            shown=np.ones(n, bool),
            appeared_s=self._appeared.view,
        )

    def upsert(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        at_s: float | None = None,
        hidden: Collection[str] | None = None,
    ) -> Upserted:
        """Add items or replace them; columns that are left out are missing.

        Args:
            rows: Raw rows with the item column of the schema, as they stand in the items table.
            at_s: When new ones appeared, seconds since 1970; now when left out.
            hidden: Ids of those that are hidden as soon as they are added; the others of ``rows`` are hidden no
                longer. When left out, items that were hidden stay so.

        Raises:
            DataError: If a row has no id, or a value is not of its column's kind. Nothing is changed then.
        """
        return self._ingest(rows, at_s, patch=False, hidden=hidden)

    def check(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Read raw rows as :meth:`upsert` does, and change nothing.

        Raises:
            DataError: As :meth:`upsert`.
        """
        known = {*self._used, *self._derived}
        for row in rows:
            _id_of(row, self.key)
        self._rows.encode([{c: v for c, v in row.items() if c in known} for row in rows])

    def patch(self, rows: Sequence[Mapping[str, Any]], *, hidden: Collection[str] | None = None) -> Upserted:
        """Change some columns of items; what is left out stays as it was.

        Args:
            rows: Raw rows with the item column and the columns that change; None makes one missing.
            hidden: As :meth:`upsert`.

        Raises:
            DataError: As :meth:`upsert`, or if an item is not known.
        """
        for row in rows:
            item = _id_of(row, self.key)
            if self.now.row(item) < 0:
                raise DataError(f"the item '{item[:80]}' is not known", "upsert it first")
        return self._ingest(rows, None, patch=True, hidden=hidden)

    def delete(self, items: Sequence[str]) -> int:
        """Take items out of the catalogue; returns how many there were."""
        with self._write:
            now = self.now
            firsts = sorted({now.first_rows[i] for i in items if now.row(i) >= 0})
            if firsts:
                gone = now.gone.copy()
                gone[firsts] = True
                for first in firsts:
                    self._recorded.pop(self._ids[first], None)
                    self._hidden.discard(first)
                self._publish(gone=gone)
            return len(firsts)

    def hide(self, items: Sequence[str], hidden: bool = True) -> int:
        """Keep items from being recommended, or no longer; returns how many of them are known."""
        with self._write:
            firsts = {self.now.first_rows[i] for i in items if self.now.row(i) >= 0}
            self._hidden = self._hidden | firsts if hidden else self._hidden - firsts
            if firsts:
                self._publish()
            return len(firsts)

    def hidden(self, item: str) -> bool:
        """Whether an item is known and hidden."""
        return self.now.row(item) >= 0 and self.now.first_rows[item] in self._hidden

    def recorded(self, item: str) -> dict[str, Any] | None:
        """An item as a raw row, as far as it is known; None for one not known."""
        now = self.now
        row = now.row(item)
        if row < 0:
            return None
        return {**self._rows.readable(now.view.frame, row), **self._recorded.get(item, {})}

    def eligible(self, now: CatalogueSnapshot, wanted: AnyFilter | None) -> Eligible:
        """Items that may be recommended and that a filter lets through.

        The mask of a filter is kept, and grows with the catalogue: only new rows are looked at.

        Raises:
            RequestError: If the filter names a column that is not there, or compares it wrongly.
        """
        key = _EVERYTHING if wanted is None else key_of(wanted.model_dump(by_alias=True))
        found = now.masks.get(key)
        if found is None:
            mask = now.shown if wanted is None else now.shown & self._mask(key, wanted, now)
            found = Eligible(mask)
            with now.lock:
                while len(now.masks) >= self._most_masks(len(now)):
                    now.masks.pop(next(iter(now.masks)), None)
                now.masks[key] = found
        return found

    # -- writing -------------------------------------------------------------------------------

    def _ingest(
        self,
        rows: Sequence[Mapping[str, Any]],
        at_s: float | None,
        *,
        patch: bool,
        hidden: Collection[str] | None,
    ) -> Upserted:
        given: dict[str, dict[str, Any]] = {}
        for row in rows:
            item = _id_of(row, self.key)
            given[item] = {**(given.get(item, {}) if patch else {}), **row, self.key: item}
        if not given:
            return Upserted(0, 0, ())
        ignored = tuple(sorted({c for row in given.values() for c in row} - self._used - self._derived))
        given = {i: {c: v for c, v in row.items() if c not in ignored} for i, row in given.items()}
        to_hide = frozenset(hidden or ())
        are_hidden = {} if hidden is None else {item: item in to_hide for item in given}
        with self._write:
            now = self.now
            asked, replaced = len(given), sum(now.row(item) >= 0 for item in given)
            given = {
                i: row for i, row in given.items() if now.row(i) < 0 or not self._is_known(i, row, patch)
            }
            if not given:
                if self._hide(are_hidden, self._first):
                    self._publish()
                return Upserted(0, replaced, ignored)
            old_rows = {item: now.row(item) for item in given}
            whole = dict(given)
            if patch:
                for item, row in given.items():
                    readable = self._rows.readable(now.view.frame, old_rows[item])
                    whole[item] = {**readable, **self._recorded.get(item, {}), **row}
            new = self._rows.encode(list(whole.values()))
            known = [(at, i) for at, i in enumerate(given) if old_rows[i] >= 0]
            if known:
                columns = frozenset({*self._used, *self._derived})
                changed = [frozenset(given[i]) if patch else columns for _, i in known]
                before = [old_rows[i] for _, i in known]
                new = self._rows.keep(new, [at for at, _ in known], now.view, before, changed)
            view = self._table.append(new)
            self._sides.extend(view)
            self._number(list(given), now, time.time() if at_s is None else at_s, are_hidden)
            for item, row in given.items():
                self._recorded[item] = {**(self._recorded.get(item, {}) if patch else self._missing), **row}
        return Upserted(asked - replaced, replaced, ignored)

    def _is_known(self, item: str, row: Mapping[str, Any], patch: bool) -> bool:
        """Whether exactly this row is recorded of an item."""
        before = self._recorded.get(item)
        return before is not None and {**(before if patch else self._missing), **row} == before

    def _hide(self, are_hidden: Mapping[str, bool], firsts: Mapping[str, int]) -> bool:
        """Note which items are hidden from the next snapshot on; returns whether that changes anything."""
        before = self._hidden
        hidden = {firsts[item] for item, yes in are_hidden.items() if yes}
        self._hidden = before - {firsts[item] for item in are_hidden} | hidden
        return self._hidden != before

    def _number(
        self, items: Sequence[str], now: CatalogueSnapshot, at_s: float, are_hidden: Mapping[str, bool]
    ) -> None:
        """Give new rows their numbers, and publish them."""
        n, total = len(now), len(now) + len(items)
        rows = np.arange(n, total, dtype=np.int32)
        firsts = np.array([self._first.get(item, -1) for item in items], np.int64)
        again = firsts >= 0
        self._ids.extend(items)
        origin = np.where(again, firsts, rows).astype(np.int32)
        returning, times = np.zeros(len(items), bool), np.full(len(items), at_s)
        if again.any():  # there may be no row yet to look at
            returning = again & now.gone[np.maximum(firsts, 0)]
            times = np.where(again & ~returning, now.appeared_s[np.maximum(firsts, 0)], at_s)
        self._origin.append(origin)
        self._appeared.append(times)
        latest, gone = (
            np.concatenate([now.latest, rows]),
            np.concatenate([now.gone, np.zeros(len(rows), bool)]),
        )
        latest[origin], gone[origin] = rows, False
        new = dict(zip(items, origin.tolist(), strict=True))
        self._hide(are_hidden, {item: new.get(item, self._first.get(item, -1)) for item in are_hidden})
        self._publish(latest=latest, gone=gone)
        # last, so that a reader of this snapshot that sees an id finds its row
        self._first.update(
            (item, int(row)) for item, row, known in zip(items, rows, again, strict=True) if not known
        )

    def _publish(
        self, *, latest: NDArray[np.int32] | None = None, gone: NDArray[np.bool_] | None = None
    ) -> None:
        now = self.now
        latest = now.latest if latest is None else latest
        gone = now.gone if gone is None else gone
        origin = self._origin.view
        shown = (latest[origin] == np.arange(len(origin))) & ~gone[origin]
        if self._hidden:
            shown[latest[np.fromiter(self._hidden, np.int64, len(self._hidden))]] = False
        self.now = replace(
            now,
            version=now.version + 1,
            view=self._table.view,
            side=self._sides.view,
            origin=origin,
            latest=latest,
            gone=gone,
            shown=shown,
            appeared_s=self._appeared.view,
            masks={},
            lock=threading.Lock(),
        )

    def _mask(self, key: bytes, wanted: AnyFilter, now: CatalogueSnapshot) -> NDArray[np.bool_]:
        with self._reads:
            mask = self._masks.get(key)
            if mask is None:
                mask = AppendOnlyArray(self.fields.mask(wanted, now.view.frame[: len(now)]))
                self._masks[key] = mask
                while len(self._masks) > self._most_masks(len(now)):
                    self._masks.popitem(last=False)
            self._masks.move_to_end(key)
            if len(mask) < len(now):
                mask.append(self.fields.mask(wanted, now.view.frame[len(mask) : len(now)]))
            return mask.view[: len(now)]

    def _most_masks(self, rows: int) -> int:
        return max(8, min(256, _MASK_BYTES // (_BYTES_A_ROW * max(rows, 1))))


def _id_of(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise DataError(
            f"an item has no id in '{key}' (but {str(value)[:40]!r})", f"name each item in '{key}'"
        )
    return str(value)


def _first_seen(bundle: Bundle) -> NDArray[np.float64]:
    """When each item of a bundle had its first event that is known, in seconds; −∞ where none is."""
    first = np.full(len(bundle.data.items), np.inf)
    if bundle.schema.keys.time is not None:
        np.minimum.at(first, bundle.behaviour.items.values, bundle.behaviour.time / 1e6)
    return np.where(np.isfinite(first), first, -np.inf)
