"""Which items have which tags and categories."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from motet.data import Catalogue

__all__ = ["tag_matrix"]


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
