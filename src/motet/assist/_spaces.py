"""The spaces in which items lie near each other: their texts, their tags, and what the model learnt.

Legend of shapes: I items, D width of a vector, V distinct tags.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import Catalogue
from motet.recommend import Recommender

__all__ = ["item_spaces", "tag_matrix", "text_vectors"]

_MOST_TAGS = 512  # the commonest; rarer ones make few items alike


def item_spaces(recommender: Recommender) -> list[NDArray[np.float32]]:
    """Matrices [I, D] of vectors of the items, one a space; those that the bundle does not have are left out."""
    catalogue = recommender.bundle.data.catalogue
    spaces = list(text_vectors(recommender).values())
    if catalogue is not None and (catalogue.tags or catalogue.categories):
        spaces.append(tag_matrix(catalogue))
    learnt = recommender.items_ahead().vectors
    if learnt is not None:
        spaces.append(learnt)
    return [space for space in spaces if space.any()]


def text_vectors(recommender: Recommender) -> dict[str, NDArray[np.float32]]:
    """The vectors of each text feature of the items, [I, D]; zeros where an item has no text."""
    data = recommender.bundle.data
    texts = {}
    for column, name in enumerate(data.encoder.layout("item").vectors):
        if data.schema.features.item[name].kind == "text":
            texts[name] = data.vectors[name][data.items.vector_rows[:, column]]
    return texts


def tag_matrix(catalogue: Catalogue) -> NDArray[np.float32]:
    """Tags and categories of the items, weighted by rarity (log I / count), [I, V]."""
    columns = []
    for name in (*catalogue.tags, *catalogue.categories):
        cells = catalogue.frame[name]
        lists = cells if cells.dtype == pl.List else cells.to_frame().select(pl.concat_list(name)).to_series()
        long = pl.DataFrame({"row": np.arange(len(cells)), "tag": lists}).explode("tag").drop_nulls()
        columns.append(long.with_columns(("\x1f".join([name, ""]) + pl.col("tag")).alias("tag")))
    long = pl.concat(columns)
    counts = (
        long["tag"].value_counts(sort=True).sort(["count", "tag"], descending=[True, False]).head(_MOST_TAGS)
    )
    place = {tag: at for at, tag in enumerate(counts["tag"])}
    long = long.filter(pl.col("tag").is_in(list(place)))
    matrix = np.zeros((len(catalogue), len(place)), np.float32)
    at = np.array([place[tag] for tag in long["tag"]], np.int64)
    rarity = np.log(len(catalogue) / counts["count"].to_numpy()).astype(np.float32)
    matrix[long["row"].to_numpy(), at] = rarity[at]
    return matrix
