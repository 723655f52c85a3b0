"""The ground of claims after items were told: what is new is added, and nothing else is read again.

Legend of shapes: I items after, J before, C changed or new ones, U users, V tags, D width of an item vector.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix

from motet.data import Catalogue, Dataset
from motet.explain._ground import Ground, TagTable
from motet.explain._probe import Probe
from motet.explain._titles import said_titles

__all__ = ["grown_ground", "with_rows"]


def grown_ground(
    ground: Ground,
    catalogue: Catalogue,
    changed: NDArray[np.int64],
    *,
    vectors: NDArray[np.float32],
    shown: NDArray[np.bool_],
    data: Callable[[], Dataset],
) -> Ground:
    """A ground with further items, and with some told anew.

    Work in Python is done for the items that changed alone; the rest is copied as it is.

    Args:
        ground: Before.
        catalogue: All items after, those of before in their places.
        changed: Places of items that are new or were told anew, in order, [C].
        vectors: Where the model puts these, [C, D].
        shown: Which items may be named to anybody, [I].
        data: Gives the data set with these items, when the model is asked.
    """
    new = copy.copy(ground)
    before, items = ground.items, len(catalogue)
    frame = catalogue.frame[changed]
    new.catalogue, new.items, new.shown = catalogue, items, shown
    new._numbers = {}
    new.titles = _titles(ground, catalogue, changed)
    new.tags = _tags(ground.tags, frame, (*catalogue.tags, *catalogue.categories), changed, items)
    new._words = {
        column: table.with_texts(
            changed.tolist(),
            frame[column].fill_null("").to_list(),
            ground.catalogue.frame[column][changed[changed < before]].fill_null("").to_list(),
        )
        for column, table in list(ground._words.items())
    }
    likers = ground.likers
    ends = np.full(items - before, likers.indptr[-1], likers.indptr.dtype)
    shape = (likers.shape[0], items)
    new.likers = csc_matrix((likers.data, likers.indices, np.concatenate([likers.indptr, ends])), shape)
    new.popularity = np.concatenate([ground.popularity, np.zeros(items - before, np.int64)])
    placed = np.concatenate([ground.vectors, np.zeros((items - before, ground.vectors.shape[1]), np.float32)])
    placed[changed] = Ground.placed(vectors, ground.centre)
    new.vectors = placed
    new.probe = Probe(ground.bundle, ground._moment, data)
    return new


def with_rows(
    matrix: sp.csr_array, changed: NDArray[np.int64], rows: sp.csr_array, items: int
) -> sp.csr_array:
    """A sparse matrix with some rows replaced and others added at its end.

    Args:
        matrix: Before, [J, V].
        changed: Places of the rows that are new or others, in order; all from J on are among them, [C].
        rows: What stands there, [C, W] with W ≥ V.
        items: Rows after.
    """
    width = rows.shape[1]
    old = sp.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], width))
    if len(changed) and changed[0] >= matrix.shape[0]:  # nothing was told anew
        return sp.csr_array(sp.vstack([old, rows], format="csr"))
    order = np.arange(items)
    order[changed] = matrix.shape[0] + np.arange(len(changed))
    return sp.csr_array(sp.vstack([old, rows], format="csr")[order])


def _titles(ground: Ground, catalogue: Catalogue, changed: NDArray[np.int64]) -> list[str]:
    """What items are called; a new one that would be called as another is keeps what tells them apart."""
    titles = [*ground.titles, *[""] * (len(catalogue) - ground.items)]
    for place in changed.tolist():
        titles[place] = ""
    taken = set(titles)
    years = next((column for column in catalogue.numbers if ground.is_year(column)), None)
    for place in changed.tolist():
        name = catalogue.name(place)
        year = None if years is None else catalogue.number(place, years)
        [said] = said_titles([name])
        if said in taken:
            said = (
                f"{said} ({int(year)})"
                if year is not None and np.isfinite(year)
                else said_titles([name, said])[0]
            )
        titles[place] = said
        taken.add(said)
    return titles


def _tags(
    table: TagTable, frame: pl.DataFrame, columns: tuple[str, ...], changed: NDArray[np.int64], items: int
) -> TagTable:
    keys = {key: place for place, key in enumerate(table.keys)}
    rows, found = [], []
    for column in columns:
        for row, cell in enumerate(frame[column].to_list()):
            for value in [cell] if isinstance(cell, str) else cell or []:
                rows.append(row)
                found.append(keys.setdefault((column, value), len(keys)))
    more = sp.csr_array((np.ones(len(rows), np.int32), (rows, found)), shape=(len(changed), len(keys)))
    more.data[:] = 1
    has = csr_matrix(with_rows(sp.csr_array(table.has), changed, more, items))
    has.sort_indices()
    by_tag = has.tocsc()
    by_tag.sort_indices()
    return TagTable(list(keys), has, by_tag, np.asarray(has.sum(0)).ravel().astype(np.int64))
