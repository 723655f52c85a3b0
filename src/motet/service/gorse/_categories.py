"""Categories of stored items, kept up to date from the log of changes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Sequence
from typing import Final

from motet.errors import StoreUnavailableError
from motet.recommend import AllOf, AnyFilter, AnyOf, Compare, Fields
from motet.service.store import Store

__all__ = ["Categories"]

_AT_ONCE: Final = 1_000
_KEPT: Final = 100


class Categories:
    """Turns names of categories into a filter of the catalogue.

    An item is in a category if it was stored with it, or if the category is among its words in the catalogue, as
    for items that came with the bundle.

    Args:
        store: Holds the categories of items.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._of_item: dict[str, tuple[str, ...]] = {}
        self._items: dict[str, set[str]] = {}
        self._made: dict[tuple[str, tuple[str, ...]], AnyFilter] = {}
        self._seq, self._read = 0, False
        self._lock = threading.Lock()

    def filter(self, categories: Iterable[str], fields: Fields) -> AnyFilter | None:
        """A filter for items in all given categories; None without categories.

        Args:
            categories: Their names.
            fields: Columns of the catalogue.
        """
        named = [one for one in dict.fromkeys(categories) if one]
        if not named:
            return None
        columns = tuple(name for name, kind in fields.kinds.items() if kind in ("tags", "category"))
        with self._lock:
            with contextlib.suppress(StoreUnavailableError):  # use what was read before
                self._follow()
            parts = tuple(self._one(name, columns) for name in named)
        return parts[0] if len(parts) == 1 else AllOf(all=parts)

    def _one(self, category: str, columns: tuple[str, ...]) -> AnyFilter:
        made = self._made.get((category, columns))
        if made is None:
            words = category[:500]
            parts: list[AnyFilter] = [
                Compare(field=name, op="eq", value=words) for name in columns if words == category
            ]
            parts += _among(sorted(self._items.get(category, ())))
            made = _any(parts)
            if len(self._made) >= _KEPT:
                self._made.clear()
            self._made[category, columns] = made
        return made

    def _follow(self) -> None:
        """Read the changes since the last call; all items the first time."""
        if not self._read:
            self._seq = self._store.changes.last()
            cursor = ""
            while True:
                page = self._store.items.page(_AT_ONCE, cursor)
                for item in page.rows:
                    self._put(item.id, item.categories)
                if not (cursor := page.cursor):
                    break
            self._read = True
        while changes := self._store.changes.after(self._seq, _AT_ONCE):
            keys = [one.key for one in changes if one.what == "item"]
            found = self._store.items.get_many(keys)
            for key in keys:
                self._put(key, found[key].categories if key in found else ())
            self._seq = changes[-1].seq

    def _put(self, item: str, categories: tuple[str, ...]) -> None:
        before = self._of_item.pop(item, ())
        if categories:
            self._of_item[item] = categories
        for name in {*before} - {*categories}:
            self._items[name].discard(item)
        for name in {*categories} - {*before}:
            self._items.setdefault(name, set()).add(item)
        changed = {*before} ^ {*categories}
        self._made = {key: made for key, made in self._made.items() if key[0] not in changed}


def _among(ids: Sequence[str]) -> list[AnyFilter]:
    """Comparisons with ids, each of at most a thousand; ids too long for one are left out."""
    short = [id for id in ids if len(id) <= 500]
    parts: list[AnyFilter] = []
    for start in range(0, len(short), _AT_ONCE):
        parts.append(Compare(field="id", op="in", value=tuple(short[start : start + _AT_ONCE])))
    return parts


def _any(parts: list[AnyFilter]) -> AnyFilter:
    while len(parts) > 100:
        parts = [AnyOf(any=tuple(parts[start : start + 100])) for start in range(0, len(parts), 100)]
    return parts[0] if len(parts) == 1 else AnyOf(any=tuple(parts))
