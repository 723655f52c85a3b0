"""Items of a live catalogue as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from motet.explain import said_title
from motet.recommend import ItemsNow
from motet.serving._served import ServedModel

__all__ = ["CatalogueView"]


class CatalogueView:
    """Titles and columns of items, as of one moment.

    Args:
        served: The model whose live catalogue it is.
    """

    def __init__(self, served: ServedModel) -> None:
        self.now: ItemsNow = served.parts.live.items.now
        self._titles = served.parts.explainer.ground.titles
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
        there = [row for row in rows if row >= 0]
        frame = self.now.view.frame
        cells = iter(frame[there].to_dicts() if there else [])
        found: list[tuple[str, dict[str, Any]]] = []
        for item, row in zip(items, rows, strict=True):
            if row < 0:
                found.append((item, {}))
                continue
            fields = next(cells)
            fields.pop("id", None)
            title = fields.pop(self._title, None) if self._title is not None else None
            said = self._titles[row] if row < len(self._titles) else said_title(str(title or item))
            found.append((said, {name: cell for name, cell in fields.items() if cell is not None}))
        return found
