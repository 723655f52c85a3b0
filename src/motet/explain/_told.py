"""What one user did since the model was trained, and what one did with one item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Deed", "DeedKind", "Told"]

DeedKind = Literal["gave", "liked", "not_liked", "refused", "had"]


@dataclass(frozen=True, slots=True)
class Told:
    """What one user did since the model was trained, oldest first.

    Attributes:
        items: Rows of the items, int64 [n].
        time_us: When, microseconds since 1970, int64 [n]; 0 where nobody said.
        likes: 1 for a like, 0 for none, NaN where it was not said, float64 [n].
        values: What the user gave the item on the scale of :attr:`Ground.rating`, NaN where it was not said, float64 [n].
        refused: Whether the user turned the item down unseen, such as by hiding it, bool [n].
        pasts: What the model sees of the user's past by now, per sequence feature, rows of items; empty where the
            model's own is as good.
    """

    items: NDArray[np.int64]
    time_us: NDArray[np.int64]
    likes: NDArray[np.float64]
    values: NDArray[np.float64]
    refused: NDArray[np.bool_]
    pasts: Mapping[str, NDArray[np.int32]]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class Deed:
    """The last thing that a user did with an item.

    Attributes:
        kind: ``gave`` a number of stars, ``liked``, ``not_liked``, ``refused`` it unseen, or only ``had`` it.
        value: What the user gave; 0 for other kinds.
        time_us: When, microseconds since 1970; 0 where nobody said.
    """

    kind: DeedKind
    value: float = 0.0
    time_us: int = 0
