"""How alike items are: the spaces in which they are placed, likeness in tags and texts, duplicates.

Legend of shapes: I items, D width of a vector, K and T tag values, V distinct tags.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Catalogue, Dataset
from motet.recommend import Recommender
from motet.schema import are_years

__all__ = [
    "Likeness",
    "duplicate_pairs",
    "item_spaces",
    "likeness_of",
    "spaces_of",
    "tag_matrix",
]


def tag_matrix(catalogue: Catalogue) -> sp.csr_array:
    """Tags and categories of items, zeros and ones, [I, T]."""
    found, columns = [sp.csr_array((len(catalogue), 0))], (*catalogue.tags, *catalogue.categories)
    for column in columns:
        cells = catalogue.frame[column]
        frame = catalogue.frame.select("id", value=cells).with_row_index("row")
        long = (frame.explode("value") if cells.dtype.is_nested() else frame).drop_nulls("value")
        codes = long["value"].rank("dense").to_numpy().astype(np.int64) - 1
        place = (long["row"].to_numpy().astype(np.int64), codes)
        width = int(codes.max(initial=-1)) + 1
        found.append(sp.csr_array((np.ones(len(codes)), place), shape=(len(catalogue), width)))
    matrix = sp.csr_array(sp.hstack(found))
    matrix.data[:] = 1.0
    return matrix


_BLOCK_CELLS = 1 << 23


@dataclass(frozen=True, slots=True)
class Likeness:
    """Unit vectors of items, by text and by tags; an item without one has zeros.

    Attributes:
        text: float32 [I, D]; D is 0 without texts.
        tags: [I, K], weighted by how rare a tag is.
    """

    text: NDArray[np.float32]
    tags: sp.csr_array

    def between(self, a: NDArray[np.intp], b: NDArray[np.intp]) -> NDArray[np.float64]:
        """Likeness of every item of ``a`` to every one of ``b``, in [0, 1], [len(a), len(b)].

        The mean of the cosines of texts and of tags; where one of the two is missing for either item,
        the other alone.
        """
        text = np.maximum(self.text[a] @ self.text[b].T, 0).astype(np.float64)
        tags = (self.tags[a] @ self.tags[b].T).toarray()
        return self._mean(text, tags, a[:, None], b[None, :])

    def of_pairs(self, a: NDArray[np.intp], b: NDArray[np.intp]) -> NDArray[np.float64]:
        """Likeness of pairs, [P]."""
        text = np.maximum(np.einsum("pd,pd->p", self.text[a], self.text[b]), 0).astype(np.float64)
        tags = np.asarray(self.tags[a].multiply(self.tags[b]).sum(axis=1)).ravel()
        return self._mean(text, tags, a, b)

    def _mean(
        self,
        text: NDArray[np.float64],
        tags: NDArray[np.float64],
        a: NDArray[np.intp],
        b: NDArray[np.intp],
    ) -> NDArray[np.float64]:
        has_text, has_tags = np.asarray(self.text.any(axis=1)), np.diff(self.tags.indptr) > 0
        both_text, both_tags = has_text[a] & has_text[b], has_tags[a] & has_tags[b]
        mean: NDArray[np.float64] = (text * both_text + tags * both_tags) / np.maximum(
            both_text.astype(np.int8) + both_tags, 1
        )
        return np.minimum(mean, 1.0)

    def pairs_above(
        self, threshold: float, rows: NDArray[np.intp]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]]:
        """Places a < b in ``rows`` of pairs that are at least so alike, some rows at a time."""
        step = max(1, _BLOCK_CELLS // max(len(rows), 1))
        for start in range(0, len(rows), step):
            found = self.between(rows[start : start + step], rows)
            a, b = np.nonzero(found >= threshold)
            upper = b > a + start
            yield a[upper] + start, b[upper], found[a[upper], b[upper]]


def likeness_of(data: Dataset) -> Likeness:
    """The vectors of a data set's texts of items, and its tags and categories.

    Several text features are put side by side. A tag weighs ln(I / its items), so that what
    everything has says nothing.
    """
    layout = data.encoder.layout("item")
    parts = []
    for place, name in enumerate(layout.vectors):
        if data.schema.features.item[name].is_text:
            found = data.vectors[name][data.items.vector_rows[:, place]].astype(np.float32)
            parts.append(_unit(found))
    text = _unit(np.concatenate(parts, axis=1)) if parts else np.zeros((len(data.items), 0), np.float32)
    return Likeness(text, _tags(data.catalogue, len(data.items)))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


def _tags(catalogue: Catalogue | None, items: int) -> sp.csr_array:
    """Tags and categories as unit rows, [I, K]."""
    rows, columns, width = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for column in (*catalogue.tags, *catalogue.categories) if catalogue is not None else ():
        cells = catalogue.frame[column] if catalogue is not None else pl.Series()
        long = pl.DataFrame({"row": np.arange(len(cells)), "value": cells})
        long = (long.explode("value") if cells.dtype == pl.List else long).drop_nulls()
        codes = long["value"].rank("dense").to_numpy().astype(np.int64) - 1
        rows.append(long["row"].to_numpy())
        columns.append(codes + width)
        width += int(codes.max(initial=-1)) + 1
    place = (np.concatenate(rows), np.concatenate(columns))
    found = sp.csr_array((np.ones(len(place[0])), place), shape=(items, max(width, 1)))
    often = np.asarray(found.sum(axis=0)).ravel()
    found = sp.csr_array(found @ sp.diags_array(np.log((items + 1) / np.maximum(often, 1))))
    length = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)).ravel())
    unit = sp.csr_array(sp.diags_array(1 / np.where(length > 0, length, 1)) @ found)
    unit.eliminate_zeros()
    return unit


def duplicate_pairs(
    catalogue: Catalogue | None,
    likeness: Likeness,
    *,
    text_at_least: float,
    rows: NDArray[np.intp] | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs a < b of items that are the same thing: one title, or texts that are nearly equal.

    Titles are compared without case, punctuation and articles. Two items whose years differ are
    two things (a film and its remake), whatever they are called.

    Args:
        catalogue: Titles and years.
        likeness: Text vectors.
        text_at_least: Cosine of texts from which two items are the same, in (0, 1].
        rows: Only pairs with one of these items; all when left out.
    """
    a, b = _same_title(catalogue)
    if rows is not None:
        ours = np.isin(a, rows) | np.isin(b, rows)
        a, b = a[ours], b[ours]
    if likeness.text.shape[1] and rows is not None:
        found, other = np.nonzero(likeness.text[rows] @ likeness.text.T >= text_at_least)
        found, apart = rows[found], rows[found] != other
        a = np.concatenate([a, np.minimum(found, other)[apart]])
        b = np.concatenate([b, np.maximum(found, other)[apart]])
    elif likeness.text.shape[1]:
        words = Likeness(likeness.text, sp.csr_array((len(likeness.text), 1)))
        for x, y, _ in words.pairs_above(text_at_least, np.arange(len(likeness.text))):
            a, b = np.concatenate([a, x]), np.concatenate([b, y])
    for column in catalogue.numbers if catalogue is not None else ():
        numbers = catalogue.frame[column].to_numpy() if catalogue is not None else np.zeros(0)
        known = numbers[np.isfinite(numbers)]
        if are_years(known):
            agree = ~(np.abs(numbers[a] - numbers[b]) > 0)  # a year that is missing contradicts nothing
            a, b = a[agree], b[agree]
    pairs = np.unique(np.stack([a, b]), axis=1)
    return pairs[0], pairs[1]


def _same_title(catalogue: Catalogue | None) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    nothing = np.zeros(0, np.intp)
    if catalogue is None or catalogue.title is None:
        return nothing, nothing
    name = (
        catalogue.frame[catalogue.title]
        .cast(pl.String)
        .str.to_lowercase()
        .str.replace_all(r"[^\p{L}\p{N}]+", " ")
        .str.replace_all(r"\b(the|a|an)\b", " ")
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
    )
    rows = pl.DataFrame({"name": name, "row": np.arange(len(name))}).filter(
        pl.col("name").str.len_chars() > 0
    )
    pairs = rows.join(rows, on="name").filter(pl.col("row") < pl.col("row_right"))
    return pairs["row"].to_numpy().astype(np.intp), pairs["row_right"].to_numpy().astype(np.intp)


_MOST_TAGS = 512  # the commonest; rarer ones make few items alike


def item_spaces(recommender: Recommender) -> list[NDArray[np.float32]]:
    """Matrices [I, D] of vectors of the items, one a space; those that the bundle does not have are left out."""
    return spaces_of(recommender.bundle.data, recommender.precomputed_items().vectors)


def spaces_of(data: Dataset, learnt: NDArray[np.float32] | None) -> list[NDArray[np.float32]]:
    """The same of the items of a data set.

    Args:
        data: With items.
        learnt: Where the model puts them, [I, D], if it does.
    """
    catalogue = data.catalogue
    spaces = list(_text_vectors(data).values())
    if catalogue is not None and (catalogue.tags or catalogue.categories):
        spaces.append(_rare_tags(catalogue))
    if learnt is not None:
        spaces.append(learnt)
    return [space for space in spaces if space.any()]


def _text_vectors(data: Dataset) -> dict[str, NDArray[np.float32]]:
    """The vectors of each text feature of the items, [I, D]; zeros where an item has no text."""
    texts = {}
    for column, name in enumerate(data.encoder.layout("item").vectors):
        if data.schema.features.item[name].is_text:
            texts[name] = data.vectors[name][data.items.vector_rows[:, column]]
    return texts


def _rare_tags(catalogue: Catalogue) -> NDArray[np.float32]:
    """Tags and categories of the items, weighted by rarity (log I / count), [I, V]."""
    tags = tag_matrix(catalogue)
    counts = np.asarray(tags.sum(axis=0))
    commonest = np.sort(np.argsort(-counts, kind="stable")[:_MOST_TAGS])
    rarity = np.log(len(catalogue) / counts[commonest])
    return np.asarray(tags[:, commonest].toarray() * rarity, np.float32)
