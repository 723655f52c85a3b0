"""What people liked in the training rows: pairs of items liked together, texts of the items, and how near a text is to who likes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.stats import rankdata

from motet.data import Dataset
from motet.errors import SchemaError, TrainingError
from motet.schema import require_known

__all__ = [
    "CoLiked",
    "ItemTexts",
    "co_liked",
    "item_texts",
    "liked_in_training",
    "liking_task",
    "split_items",
    "text_auc",
]


@dataclass(frozen=True, slots=True)
class ItemTexts:
    """A text feature of the items.

    Attributes:
        feature: Its name.
        texts: Distinct texts; the first is empty and stands for a missing one.
        of_item: Which of them each item has, int32 [I].
    """

    feature: str
    texts: list[str]
    of_item: NDArray[np.int32]


def item_texts(data: Dataset, feature: str | None = None) -> ItemTexts:
    """The texts of a text feature of the items.

    Args:
        data: The data set.
        feature: Its name; the first when left out.

    Raises:
        SchemaError: If the items have no text feature, or none of that name.
    """
    names = [name for name, f in data.schema.features.item.items() if f.is_text]
    if not names:
        raise SchemaError(
            f"the schema '{data.schema.name}' has no text feature of items, so there is no text to tune on",
            'add one to features.item: about: {kind: text, template: "{title}"}',
        )
    if feature is not None:
        require_known(feature, names, "the text feature of items")
    name = feature or names[0]
    column = data.encoder.layout("item").vectors.index(name)
    return ItemTexts(name, ["", *data.texts[name][1:]], data.items.vector_rows[:, column])


def liking_task(data: Dataset, task: str | None = None) -> str:
    """The task whose positive label means "liked": the one named, or the schema's own.

    Raises:
        SchemaError: If the schema has no users or no items, or no task says what is liked.
    """
    schema = data.schema
    for key in ("user", "item"):
        if getattr(schema.keys, key) is None:
            raise SchemaError(
                f"the schema '{schema.name}' has no {key}s, so likes of users are not known",
                f"name the column in keys.{key}",
            )
    if task is not None:
        able = [n for n, t in schema.tasks.items() if t.on == "interaction" and t.is_yes_no]
        require_known(task, able, "the task that says what is liked")
        return task
    if schema.liking_task is None:
        raise SchemaError(
            f"the schema '{schema.name}' has no task that says what is liked",
            'add one: next: {kind: retrieval, positive: "rating >= 4"}',
        )
    return schema.liking_task


def liked_in_training(data: Dataset, task: str, most: int | None = None) -> sp.csr_array:
    """Who liked what in the training rows, zeros and ones [U, I]; of each person the latest ``most``."""
    rows = data.rows("train")
    rows = rows[data.label(task, rows) > 0]
    order = rows[np.lexsort((data.time[rows], data.user_row[rows]))][::-1]  # a user's latest first
    if most is not None and len(order):
        users = data.user_row[order]
        starts = np.flatnonzero(np.concatenate([[True], users[1:] != users[:-1]]))
        place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
        order = order[place < most]
    shape = (len(data.users), len(data.items))
    pairs = (data.user_row[order], data.item_row[order])
    liked = sp.csr_array((np.ones(len(order), np.float32), pairs), shape=shape)
    liked.sum_duplicates()
    liked.data[:] = 1.0
    return liked


_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class CoLiked:
    """Items with the items that are liked together with them.

    Attributes:
        anchors: Items that have neighbours, ascending, [A].
        neighbours: Weight of each kept neighbour, CSR [I, I].
    """

    anchors: NDArray[np.int64]
    neighbours: sp.csr_array

    def draw(self, size: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Different anchors, as many as there are up to ``size``, with one neighbour each, drawn by weight."""
        anchors = rng.choice(self.anchors, min(size, len(self.anchors)), replace=False)
        start, stop = self.neighbours.indptr[anchors], self.neighbours.indptr[anchors + 1]
        running = np.concatenate([[0.0], np.cumsum(self.neighbours.data, dtype=np.float64)])
        aim = running[start] + rng.random(len(anchors)) * (running[stop] - running[start])
        at = np.clip(np.searchsorted(running, aim, side="right") - 1, start, stop - 1)
        return anchors, self.neighbours.indices[at].astype(np.int64)

    def related(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of two lists of items are neighbours or the same, [n, m]."""
        near = self.neighbours[first][:, second].toarray() > 0
        back = self.neighbours[second][:, first].toarray().T > 0
        return np.asarray(near | back | (first[:, None] == second[None, :]))


def co_liked(liked: sp.csr_array, *, neighbours: int, shrinkage: float) -> CoLiked:
    """The items most liked together with each item.

    Weight of i and j: n_ij / √(n_i·n_j) · n_ij / (n_ij + λ), where n counts the people who like
    both, or one (item-item cosine with shrinkage, Sarwar et al. 2001; Koren 2008).

    Args:
        liked: Zeros and ones [U, I].
        neighbours: Kept for each item, ≥ 1.
        shrinkage: λ, ≥ 0.

    Raises:
        TrainingError: If no user likes two items.
    """
    count = np.asarray(liked.sum(axis=0)).ravel()
    by_item = liked.T.tocsr()
    parts = []
    for start in range(0, liked.shape[1], _BLOCK):
        both = (by_item[start : start + _BLOCK] @ liked).tocsr()
        rows = np.repeat(np.arange(both.shape[0]), np.diff(both.indptr))
        other = rows + start != both.indices
        rows, columns, n = rows[other], both.indices[other], both.data[other].astype(np.float64)
        weight = n / np.sqrt(count[rows + start] * count[columns]) * n / (n + shrinkage)
        order = np.lexsort((columns, -weight, rows))
        rows, columns, weight = rows[order], columns[order], weight[order]
        first = np.searchsorted(rows, rows)  # where the row of each entry begins
        kept = np.arange(len(rows)) - first < neighbours
        shape = (both.shape[0], liked.shape[1])
        parts.append(sp.csr_array((weight[kept], (rows[kept], columns[kept])), shape=shape))
    matrix = sp.csr_array(sp.vstack(parts))
    anchors = np.flatnonzero(np.diff(matrix.indptr)).astype(np.int64)
    if len(anchors) < 2:
        raise TrainingError(
            "no user likes two items in the training rows, so no pair can be mined",
            "give more rows, or another task that says what is liked",
        )
    return CoLiked(anchors, matrix)


_MOST_USERS = 5000


def split_items(
    liked: sp.csr_array, share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the items kept apart, at least one; both parts ascending: (for pairs, kept apart)."""
    items = np.flatnonzero(np.asarray(liked.sum(axis=0)).ravel())
    apart = rng.choice(items, min(max(1, round(share * len(items))), len(items) - 1), replace=False)
    return np.setdiff1d(items, apart), np.sort(apart)


def text_auc(
    vectors: NDArray[np.float32],
    liked: sp.csr_array,
    known: NDArray[np.int64],
    apart: NDArray[np.int64],
    seed: int = 0,
) -> float:
    """The chance that someone who likes an item kept apart is nearer to its text than someone who does not.

    A person is the mean vector of the known items they like, at length 1; near is the inner product
    with a vector less the mean of all. AUC of each item over people (ties count half), averaged over
    items: how popular an item is plays no part in it, and who likes it does.

    Args:
        vectors: Of all items, [I, D].
        liked: Zeros and ones [U, I].
        known: Items that make up people.
        apart: Items that are asked about.
        seed: Of the draw of people, beyond 5,000 of them.

    Returns:
        In [0, 1]; 0.5 is chance, also where nothing can be asked about.
    """
    base = np.asarray(liked[:, known].sum(axis=1)).ravel()
    user_encoder = np.flatnonzero(base)
    if len(user_encoder) > _MOST_USERS:
        user_encoder = np.sort(np.random.default_rng(seed).choice(user_encoder, _MOST_USERS, replace=False))
    likes = liked[user_encoder][:, apart].toarray() > 0  # [U, items]
    positives = likes.sum(axis=0)
    asked = (positives > 0) & (positives < len(user_encoder))
    if not asked.any():
        return 0.5
    centred = vectors - vectors.mean(axis=0)
    of_people = (liked[user_encoder][:, known] @ centred[known]) / base[user_encoder][:, None]
    of_people /= np.maximum(np.linalg.norm(of_people, axis=1, keepdims=True), 1e-12)
    likes, positives = likes[:, asked], positives[asked]
    ranks = rankdata(of_people @ centred[apart[asked]].T, axis=0)
    won = (ranks * likes).sum(axis=0) - positives * (positives + 1) / 2
    return float((won / (positives * (len(user_encoder) - positives))).mean())
