"""Which of the traits that are known further items bear.

Legend of shapes: I items, V traits, C items that changed.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Catalogue
from motet.explain._grow import with_rows
from motet.explain._ranges import NamedRange, named_ranges
from motet.explain._trait_words import words_of
from motet.explain._traits import Traits

__all__ = ["TraitCoder"]


class TraitCoder:
    """Reads traits of items by what the traits of a catalogue are.

    Args:
        catalogue: Where the traits come from.
        traits: They.
    """

    def __init__(self, catalogue: Catalogue, traits: Traits) -> None:
        self._values: dict[tuple[str, str], dict[str, int]] = {}
        for place, trait in enumerate(traits.traits):
            self._values.setdefault((trait.kind, trait.column), {})[trait.value] = place
        self._ranges: dict[str, list[NamedRange]] = {
            column: named_ranges(_numbers(catalogue.frame, column))
            for kind, column in self._values
            if kind == "range"
        }

    def with_items(self, traits: Traits, catalogue: Catalogue, changed: NDArray[np.int64]) -> Traits:
        """The same traits with further items, and with some told anew.

        Args:
            traits: Of the items before.
            catalogue: All items, those of before in their places.
            changed: Places of items that are new or were told anew, in order, [C].
        """
        frame, width = catalogue.frame[changed], len(traits.traits)
        parts = [self._coded(frame, kind, column) for kind, column in self._values]
        rows = np.concatenate([np.zeros(0, np.int64), *(part[0] for part in parts)])
        codes = np.concatenate([np.zeros(0, np.int64), *(part[1] for part in parts)])
        # each column's traits of an item share one
        share = [1.0 / np.bincount(part[0], minlength=len(frame))[part[0]] for part in parts]
        shape = (len(frame), width)
        has = sp.csr_array((np.ones(len(rows)), (rows, codes)), shape=shape)
        shared = sp.csr_array((np.concatenate([np.zeros(0), *share]), (rows, codes)), shape=shape)
        return Traits(
            traits.traits,
            with_rows(traits.of_item, changed, has, len(catalogue)),
            with_rows(traits.share_of_item, changed, shared, len(catalogue)),
            traits.withheld,
        )

    def _coded(
        self, frame: pl.DataFrame, kind: str, column: str
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and trait of each pair."""
        known, pairs = self._values[kind, column], []
        if kind == "range":
            numbers = _numbers(frame, column)
            for one in self._ranges[column]:
                place = known[one.words["en"]]
                pairs += [
                    (row, place)
                    for row in np.flatnonzero((numbers >= one.low) & (numbers < one.high)).tolist()
                ]
        elif kind == "word":
            found = words_of(frame[column], fewest=1, largest_share=1.0)
            pairs = [(row, known[word]) for row, word in found.iter_rows() if word in known]
        else:
            for row, cell in enumerate(frame[column].to_list()):
                values = dict.fromkeys([cell] if isinstance(cell, str) else cell or [])
                pairs += [(row, known[value]) for value in values if value in known]
        table = np.array(pairs, np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]


def _numbers(frame: pl.DataFrame, column: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = frame[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return found
