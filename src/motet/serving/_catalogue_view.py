"""Items of a live catalogue as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from motet.explain import said_title
from motet.recommend import ItemsNow
from motet.serving._served import ServedModel

__all__ = ["CatalogueView"]

_MOST_READ: Final = 50_000


class CatalogueView:
    """Titles and columns of items, as of one moment.

    Args:
        served: The model whose live catalogue it is.
    """

    def __init__(self, served: ServedModel) -> None:
        self.now: ItemsNow = served.parts.live.items.now
        self._read = served.read_rows
        self._titles = served.parts.explainer.evidence.titles
        catalogue = served.bundle.data.catalogue
        self._title = catalogue.title if catalogue is not None else None

    def title(self, item: str) -> str:
        """What an item is called; its id where nobody said."""
        return self.titles([item])[0]

    def titles(self, items: Sequence[str]) -> list[str]:
        """What items are called."""
        return [title for title, _ in self.read(items)]

    def read(self, items: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
        """Title and columns of each item; the id and nothing for one not known."""
        rows = [self.now.row(item) for item in items]
        new = [row for row in dict.fromkeys(rows) if row >= 0 and row not in self._read]
        if new:
            if len(self._read) > _MOST_READ:
                self._read.clear()
            for row, cells in zip(new, self.now.view.frame[new].to_dicts(), strict=True):
                self._read[row] = self._said(row, cells)
        return [self._one(item, row) for item, row in zip(items, rows, strict=True)]

    def _one(self, item: str, row: int) -> tuple[str, dict[str, Any]]:
        found = self._read.get(row)
        if found is not None:
            return found
        # not known, or another thread has just emptied what was read
        return (item, {}) if row < 0 else self._said(row, self.now.view.frame.row(row, named=True))

    def _said(self, row: int, cells: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        fields = {
            name: cell for name, cell in cells.items() if cell is not None and name not in ("id", self._title)
        }
        if row < len(self._titles):
            return self._titles[row], fields
        title = cells.get(self._title) if self._title is not None else None
        return said_title(str(title or self.now.ids[row])), fields
