"""A history is of items, not of ids: what is known of an item beside its id, wherever it stands in a history.

Legend of shapes: I items, R rows of the embedding table, C width of the content, d width of an embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motet.data import Dataset, Encoder, Layout
from motet.schema import Entity, Schema

__all__ = ["Content", "ItemContent", "content_of_items", "content_width", "history_of_items", "text_vectors"]

Floats = NDArray[np.float32]

Content = Literal["all", "tags", "none"]
"""What an event tells of its item, as the setting ``content`` of a sequence says."""

_TEXT_WIDTH: Final = 64
_TAGS: Final = 32  # of each feature, the most frequent
_MOST_CELLS: Final = 64_000_000
_MOST_KEPT: Final = 16_000_000


class ItemContent(nn.Module):
    """r_j = W·c_j for the items of histories, which is added to the embedding of the item's id.

    c_j is frozen: texts as a language model sees them, and tags. An item that comes once in training, whose id says
    nothing yet, so has neighbours in the histories of others.

    Args:
        rows: Rows of the id feature in the embedding table, the unknown one first.
        first: The first of them.
        inputs: C.
        width: d.
        content: Whether c_j holds texts beside tags.

    Shapes:
        Rows of the table, int64 [R] → [R, d]; zeros for rows of other features and for unknown ids.
    """

    def __init__(self, *, rows: int, first: int, inputs: int, width: int, content: Content = "all") -> None:
        super().__init__()
        self.first, self.content = first, content
        self.values: Tensor
        self.register_buffer("values", torch.zeros(rows, inputs, dtype=torch.float16))
        self.project = nn.Linear(inputs, width, bias=False)
        self._of_all: Tensor | None = None

    def forward(self, ids: Tensor) -> Tensor:
        at = ids - self.first
        if self._of_all is not None:
            inside = (at > 0) & (at < len(self._of_all))
            return self._of_all.index_select(0, at.where(inside, 0))
        some = torch.nonzero((at > 0) & (at < len(self.values))).squeeze(1)
        known: Tensor = self.project(self.values.index_select(0, at[some]).float())
        return known.new_zeros(len(ids), known.shape[1]).index_copy(0, some, known)

    def keep(self) -> None:
        """Compute what is added to every row once, for a model that is served; training drops it."""
        if len(self.values) * self.project.out_features <= _MOST_KEPT:
            with torch.inference_mode(False), torch.no_grad():
                of_all = self.project(self.values.float())
                of_all[0] = 0
            self._of_all = of_all

    def train(self, mode: bool = True) -> Self:
        """Drop what was kept: weights change."""
        self._of_all = None if mode else self._of_all
        return super().train(mode)

    def fill(self, data: Dataset, feature: str) -> None:
        """Take the content of a data set's items, by their code of an id feature."""
        column = data.encoder.layout("item").codes.index(feature)
        code = data.items.codes[:, column] - self.first
        values = np.zeros(self.values.shape, np.float16)
        values[code] = content_of_items(data, self.content)
        values[0] = 0  # items whose ids are not known share a row
        self.values.copy_(torch.from_numpy(values))


def history_of_items(schema: Schema, layouts: Mapping[Entity, Layout]) -> tuple[str, str] | None:
    """The sequence of item ids that tells most of what a user will have, and the id feature; None without one.

    That of the events that the retrieval task is to find, else the first.
    """
    of_items: dict[str, tuple[str, str]] = {}
    codes, is_id = layouts["item"].codes, layouts["item"].is_id
    for name in layouts["user"].sequences:
        feature = schema.features.user[name]
        made = feature.history
        if made is None or feature.sees_item or made.of not in codes or not is_id[codes.index(made.of)]:
            continue
        of_items[made.where or ""] = of_items.get(made.where or "", (name, made.of))
    ranks = schema.retrieval_task
    wanted = "" if ranks is None else schema.tasks[ranks].label
    return of_items.get(wanted) or next(iter(of_items.values()), None)


def content_width(encoder: Encoder, rows: int, content: Content = "all") -> int:
    """C of a schema; 0 without texts, vectors and tags of items, or where that would be more than 64 million numbers.

    Args:
        encoder: Knows the features.
        rows: Items that there may be.
        content: What events tell of their items.
    """
    if content == "none":
        return 0
    layout, features = encoder.layout("item"), encoder.schema.features.item
    texts = content == "all" and any(
        not features[name].from_graph for name in layout.vectors if name in features
    )
    width = _TEXT_WIDTH * texts + _TAGS * len(layout.tags)
    return width if rows * width <= _MOST_CELLS else 0


def content_of_items(data: Dataset, content: Content = "all") -> Floats:
    """Texts on their 64 first principal components, and tags; zeros where an item has none, [I, C].

    Components and the 32 most frequent tags are those of items that occur in training. Items with a text, or with a
    tag, have vectors of length 1 on average.
    """
    parts, texts = [], text_vectors(data) if content == "all" else None
    occur = np.unique(data.item_row[data.rows("train")]).astype(np.int64)
    if texts is not None:
        known: NDArray[np.bool_] = np.abs(texts).max(axis=1, initial=0) > 0
        of_training = texts[occur[known[occur]]].astype(np.float64)
        centre = of_training.mean(axis=0) if len(of_training) else np.zeros(texts.shape[1])
        _, directions = np.linalg.eigh((of_training - centre).T @ (of_training - centre))
        turned = ((texts - centre.astype(np.float32)) @ directions[:, ::-1][:, :_TEXT_WIDTH]) * known[:, None]
        parts.append(_scaled(np.pad(turned, ((0, 0), (0, _TEXT_WIDTH - turned.shape[1])))))
    for lists in data.items.tags.values():
        counts = np.bincount(lists.take(occur).values, minlength=data.encoder.table_rows)
        frequent = np.argsort(-counts, kind="stable")[:_TAGS]
        place = np.full(len(counts), -1)
        place[frequent] = np.arange(len(frequent))
        columns = place[lists.values]
        hot = np.zeros((len(lists), _TAGS))
        hot[np.repeat(np.arange(len(lists)), lists.lengths())[columns >= 0], columns[columns >= 0]] = 1
        parts.append(_scaled(hot))
    return np.concatenate(parts, axis=1)


def _scaled(values: NDArray[np.floating[Any]]) -> Floats:
    """Rows over the mean length of those that are not zero."""
    lengths = np.linalg.norm(values, axis=1)
    mean = float(lengths[lengths > 0].mean()) if lengths.any() else 1.0
    return (values / mean).astype(np.float32)


def text_vectors(data: Dataset) -> Floats | None:
    """Text and vector features of the items side by side, of length 1 in all, or zeros; None where there are none, [I, D]."""
    features, parts = data.schema.features.item, []
    for at, name in enumerate(data.encoder.layout("item").vectors):
        if features[name].from_graph:
            continue
        vectors = data.vectors[name][data.items.vector_rows[:, at]]
        parts.append(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
    if not parts:
        return None
    together = np.concatenate(parts, axis=1).astype(np.float32)
    found: Floats = together / np.maximum(np.linalg.norm(together, axis=1, keepdims=True), 1e-12)
    return found
