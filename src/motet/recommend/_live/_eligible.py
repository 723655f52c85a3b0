"""Which items may come: a mask over the live catalogue, in the forms that searches need."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Eligible"]


class Eligible:
    """Items that may come; shared between requests and never changed.

    Args:
        mask: Over the rows of the catalogue, [I].

    Example:
        >>> some = Eligible(np.array([True, False, True]))
        >>> some.count, some.rows.tolist(), some.bits.tolist()
        (2, [0, 2], [5])
    """

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        mask.setflags(write=False)
        self.mask = mask
        self.count = int(np.count_nonzero(mask))

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Rows of the items, rising."""
        return np.flatnonzero(self.mask)

    @cached_property
    def bits(self) -> NDArray[np.uint8]:
        """The mask as bits, lowest first, as FAISS takes it."""
        return np.packbits(self.mask, bitorder="little")
