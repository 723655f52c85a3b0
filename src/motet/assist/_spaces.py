"""The spaces in which items lie near each other: their texts, their tags, and what the model learnt.

Legend of shapes: I items, D width of a vector, V distinct tags.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motet.assist._tags import tag_matrix
from motet.data import Catalogue, Dataset
from motet.recommend import Recommender

__all__ = ["item_spaces", "rare_tags", "spaces_of", "text_vectors"]

_MOST_TAGS = 512  # the commonest; rarer ones make few items alike


def item_spaces(recommender: Recommender) -> list[NDArray[np.float32]]:
    """Matrices [I, D] of vectors of the items, one a space; those that the bundle does not have are left out."""
    return spaces_of(recommender.bundle.data, recommender.items_ahead().vectors)


def spaces_of(data: Dataset, learnt: NDArray[np.float32] | None) -> list[NDArray[np.float32]]:
    """The same of the items of a data set.

    Args:
        data: With items.
        learnt: Where the model puts them, [I, D], if it does.
    """
    catalogue = data.catalogue
    spaces = list(text_vectors(data).values())
    if catalogue is not None and (catalogue.tags or catalogue.categories):
        spaces.append(rare_tags(catalogue))
    if learnt is not None:
        spaces.append(learnt)
    return [space for space in spaces if space.any()]


def text_vectors(data: Dataset) -> dict[str, NDArray[np.float32]]:
    """The vectors of each text feature of the items, [I, D]; zeros where an item has no text."""
    texts = {}
    for column, name in enumerate(data.encoder.layout("item").vectors):
        if data.schema.features.item[name].is_text:
            texts[name] = data.vectors[name][data.items.vector_rows[:, column]]
    return texts


def rare_tags(catalogue: Catalogue) -> NDArray[np.float32]:
    """Tags and categories of the items, weighted by rarity (log I / count), [I, V]."""
    tags = tag_matrix(catalogue)
    counts = np.asarray(tags.sum(axis=0))
    commonest = np.sort(np.argsort(-counts, kind="stable")[:_MOST_TAGS])
    rarity = np.log(len(catalogue) / counts[commonest])
    return np.asarray(tags[:, commonest].toarray() * rarity, np.float32)
