"""The live catalogue: items upserted, changed, listed, found."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from motet.assistant.explain import said_title
from motet.recommend.live import CatalogueSnapshot
from motet.service.engine._active import ActiveModel
from motet.service.engine._served import ServedModel
from motet.service.engine._types import ItemsPage, ItemView
from motet.service.store import Item, Store

__all__ = ["CatalogueView", "LiveCatalogue"]

_MOST_READ: Final = 50_000


class CatalogueView:
    """Titles and columns of items, as of one moment.

    Args:
        served: The model whose live catalogue it is.
    """

    def __init__(self, served: ServedModel) -> None:
        self.now: CatalogueSnapshot = served.parts.live.items.now
        self._read = served.read_rows
        self._titles = served.parts.explainer.evidence.titles
        catalogue = served.bundle.data.catalogue
        self._title = catalogue.title if catalogue is not None else None

    def title(self, item: str) -> str:
        """Title of an item; its id if it has none."""
        return self.titles([item])[0]

    def titles(self, items: Sequence[str]) -> list[str]:
        """Titles of items."""
        return [title for title, _ in self.read(items)]

    def read(self, items: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
        """Title and columns of each item; the id and nothing for one not known."""
        rows = [self.now.row(item) for item in items]
        new = [row for row in dict.fromkeys(rows) if row >= 0 and row not in self._read]
        if new:
            if len(self._read) > _MOST_READ:
                self._read.clear()
            for row, cells in zip(new, self.now.view.frame[new].to_dicts(), strict=True):
                self._read[row] = self._title_and_fields(row, cells)
        return [self._one(item, row) for item, row in zip(items, rows, strict=True)]

    def _one(self, item: str, row: int) -> tuple[str, dict[str, Any]]:
        found = self._read.get(row)
        if found is not None:
            return found
        # not known, or another thread has just emptied what was read
        return (
            (item, {}) if row < 0 else self._title_and_fields(row, self.now.view.frame.row(row, named=True))
        )

    def _title_and_fields(self, row: int, cells: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        fields = {
            name: cell for name, cell in cells.items() if cell is not None and name not in ("id", self._title)
        }
        if row < len(self._titles):
            return self._titles[row], fields
        title = cells.get(self._title) if self._title is not None else None
        return said_title(str(title or self.now.ids[row])), fields


class LiveCatalogue:
    """Items: those of the bundle, with the changes and the new items of the store.

    Args:
        store: Items that were ingested.
        model: The active model, with the items of its bundle.
    """

    def __init__(self, store: Store, model: ActiveModel) -> None:
        self._store, self._model = store, model
        self._sorted: tuple[object, int, list[str]] = (None, -1, [])
        self._lock = threading.Lock()

    def put(self, items: Sequence[Item]) -> list[bool]:
        """Insert or replace items; they can be recommended from the next request on.

        Returns:
            Of each whether it was new to the store.
        """
        known = self._store.items.get_many([one.id for one in items])
        dated = [self._dated(one, known.get(one.id)) for one in items]
        new = self._store.items.put(dated)
        self._model.follow_now()
        return new

    def check(self, items: Sequence[Item]) -> None:
        """Refuse items that the model cannot use, before anything is stored.

        Raises:
            DataError: If a field is not of its column's kind.
        """
        if items:
            self._model.served.check_items(items)

    def patch(self, id: str, **changes: Any) -> bool:
        """Change what is given of an item; see :meth:`motet.service.store.Items.patch`.

        Returns:
            Whether there is such an item.
        """
        if not self._store.items.patch(id, **changes):
            if not self.exists(id):
                return False
            # only in the bundle so far
            self._store.items.put([Item(id)])
            self._store.items.patch(id, **changes)
        self._model.follow_now()
        return True

    def delete(self, id: str) -> bool:
        """Take an item out of the catalogue for good; whether there was one."""
        there = self.exists(id)
        if not self._store.items.delete(id):
            if not there:
                return False
            # only in the bundle: an item must be stored before its deletion can be recorded
            self._store.items.put([Item(id, is_hidden=True)])
            self._store.items.delete(id)
        self._model.follow_now()
        return True

    def exists(self, id: str) -> bool:
        """Whether an item is in the live catalogue."""
        return self._model.served.parts.live.items.now.row(id) >= 0

    def get(self, id: str) -> ItemView | None:
        """An item; None for one not known."""
        found = self.views([id])
        return found[0] if found else None

    def views(self, ids: Sequence[str]) -> list[ItemView]:
        """Items in the order of their ids given; those not known are left out."""
        served = self._model.served
        view = CatalogueView(served)
        there = [id for id in ids if view.now.row(id) >= 0]
        stored = self._store.items.get_many(there)
        views = []
        for id, (title, fields) in zip(there, view.read(there), strict=True):
            one = stored.get(id)
            views.append(
                ItemView(
                    id=id,
                    title=title,
                    is_hidden=served.parts.live.items.hidden(id),
                    categories=one.categories if one is not None else (),
                    timestamp=one.timestamp if one is not None else None,
                    labels=one.labels if one is not None else None,
                    comment=one.comment if one is not None else "",
                    fields={**_extra(one, fields), **fields},
                    known=served.is_item_of_bundle(id),
                )
            )
        return views

    def page(self, n: int = 20, after: str = "", text: str = "") -> ItemsPage:
        """Some items, ordered by id.

        Args:
            n: Most items.
            after: The last id of the page before; empty for the first page.
            text: Only items with it in their id or title, whatever its case.
        """
        ids = self._ids() if not text.strip() else self._found(text)
        start = bisect_right(ids, after) if after else 0
        some = ids[start : start + n]
        more = start + n < len(ids)
        return ItemsPage(items=tuple(self.views(some)), cursor=some[-1] if more else "")

    def count(self) -> int:
        """Items of the live catalogue."""
        return len(self._ids())

    def _dated(self, item: Item, known: Item | None) -> Item:
        """Give a new item a time, so that a restarted service knows when it appeared; items of the bundle have their own."""
        if item.timestamp is not None or self._model.served.is_item_of_bundle(item.id):
            return item
        time = known.timestamp if known is not None else None
        return replace(item, timestamp=time or datetime.now(UTC))

    def _ids(self) -> list[str]:
        now = self._model.served.parts.live.items.now
        with self._lock:
            of, version, ids = self._sorted
            if of is not now.first_rows or version != now.version:
                n = len(now)
                ids = sorted(now.ids[row] for row in range(n) if now.origin[row] == row and not now.gone[row])
                self._sorted = (now.first_rows, now.version, ids)
            return ids

    def _found(self, text: str) -> list[str]:
        served = self._model.served
        now = served.parts.live.items.now
        catalogue = served.bundle.data.catalogue
        wanted = text.strip().lower()
        columns = ["id"] + ([catalogue.title] if catalogue is not None and catalogue.title else [])
        frame = now.view.frame.select(columns)
        found = frame.select(
            pl.any_horizontal(
                pl.col(c).str.to_lowercase().str.contains(wanted, literal=True) for c in columns
            )
        ).to_series()
        rows = found.fill_null(False).arg_true().to_list()
        return sorted({now.ids[row] for row in rows if now.row(now.ids[row]) == row})


def _extra(item: Item | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of an item and is no column of the catalogue."""
    return {} if item is None else {name: cell for name, cell in item.fields.items() if name not in fields}
