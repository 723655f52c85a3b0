"""The model's side of items that only grows: computed for new rows alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from motet.data import Dataset
from motet.models import Model
from motet.recommend._ahead import ItemSide, item_side
from motet.recommend._live._grown import GrownTensor
from motet.recommend._live._item_table import ItemView
from motet.recommend._raw_rows import Moments

__all__ = ["ItemSides"]

_BLOCK_ROWS: Final = 8192
_PART_BYTES: Final = (
    2**30
)  # products of first layers are kept up to this; beyond, they are computed for each request


class ItemSides:
    """The item side of a growing table of items.

    Args:
        model: In evaluation mode.
        data: The bundle's data set.
        moment: Any context row.
        view: The items there are.
        part_bytes: Most memory for the products of first layers.
    """

    def __init__(
        self, model: Model, data: Dataset, moment: Moments, view: ItemView, part_bytes: int = _PART_BYTES
    ) -> None:
        self._model, self._data, self._moment = model, data, moment
        some = self._computed(view, 0, min(1, len(view)), parts=True)
        bytes_a_row = sum(4 * part.shape[1] for part in some.parts.values())
        self._with_parts = bytes_a_row * len(view) <= part_bytes
        first = self._computed(view, 0, min(_BLOCK_ROWS, len(view)), parts=self._with_parts)
        self._item = GrownTensor(first.item)
        self._parts = {layer: GrownTensor(part) for layer, part in first.parts.items()}
        self._logits = {task: GrownTensor(y) for task, y in first.logits.items()}
        self._vectors = None if first.retrieval is None else GrownTensor(first.retrieval[0])
        self._bias = None if first.retrieval is None else GrownTensor(first.retrieval[1])
        self.extend(view)

    @property
    def view(self) -> ItemSide:
        """What has been computed."""
        retrieval = None
        if self._vectors is not None and self._bias is not None:
            retrieval = (self._vectors.view, self._bias.view)
        return ItemSide(
            self._item.view,
            {layer: part.view for layer, part in self._parts.items()},
            {task: y.view for task, y in self._logits.items()},
            retrieval,
        )

    def extend(self, view: ItemView) -> ItemSide:
        """Compute the rows of a table that are new."""
        for start in range(len(self._item.view), len(view), _BLOCK_ROWS):
            new = self._computed(view, start, min(start + _BLOCK_ROWS, len(view)), parts=self._with_parts)
            self._item.append(new.item)
            for layer, part in new.parts.items():
                self._parts[layer].append(part)
            for task, y in new.logits.items():
                self._logits[task].append(y)
            if new.retrieval is not None and self._vectors is not None and self._bias is not None:
                self._vectors.append(new.retrieval[0])
                self._bias.append(new.retrieval[1])
        return self.view

    def _computed(self, view: ItemView, start: int, stop: int, *, parts: bool) -> ItemSide:
        vectors = {**self._data.vectors, **view.vectors}
        data = replace(self._data, items=view.table, vectors=vectors)
        rows = np.arange(start, stop, dtype=np.int32)
        return item_side(self._model, data, self._moment, rows, parts=parts)
