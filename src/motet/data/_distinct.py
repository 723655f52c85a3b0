"""Distinct rows and where each of many mentions stands among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from motet.data._ragged import Ragged

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EmbeddingRows", "distinct_rows", "distinct_users"]


class EmbeddingRows:
    """Embedding rows from all over the batch, made distinct together: one gather a batch."""

    def __init__(self) -> None:
        self._codes: dict[str, NDArray[np.int32]] = {}
        self._starts: dict[str, NDArray[np.int64]] = {}

    def add(self, name: str, codes: NDArray[np.int32] | Ragged) -> None:
        if isinstance(codes, Ragged):
            self._starts[name] = codes.offsets[:-1]
            codes = codes.values
        self._codes[name] = codes

    def starts(self, name: str) -> Tensor:
        import torch  # noqa: PLC0415 (commands that need no model load no torch)

        return torch.from_numpy(self._starts[name])

    def positions(self, place: NDArray[np.int32]) -> tuple[Tensor, dict[str, Tensor]]:
        """Distinct rows in order of last mention, and the positions of all parts in them.

        ``place`` is scratch as long as the table: writing to it and reading it back finds distinct
        rows in time proportional to the batch, without a sort.
        """
        import torch  # noqa: PLC0415

        flat = np.concatenate([codes.ravel() for codes in self._codes.values()])
        place[flat] = np.arange(len(flat), dtype=np.int32)
        distinct = flat[place[flat] == np.arange(len(flat), dtype=np.int32)]
        place[distinct] = np.arange(len(distinct), dtype=np.int32)
        found = place[flat].astype(np.int64)
        positions, start = {}, 0
        for name, codes in self._codes.items():
            positions[name] = torch.from_numpy(found[start : start + codes.size].reshape(codes.shape))
            start += codes.size
        return torch.from_numpy(distinct.astype(np.int64)), positions


def distinct_rows(rows: NDArray[np.int32], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if n == 1:
        return np.zeros(1, np.int64), np.zeros(len(rows), np.int64)
    distinct, inverse = np.unique(rows, return_inverse=True)
    return distinct.astype(np.int64), inverse.astype(np.int64)


def distinct_users(
    user_row: NDArray[np.int32], before: Mapping[str, NDArray[np.int32]], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, NDArray[np.int32]]]:
    if not before:
        users, inverse = distinct_rows(user_row, n)
        return users, inverse, {}
    columns = np.stack([user_row, *before.values()])
    order = np.lexsort(columns[::-1])
    ordered = columns[:, order]
    new = np.ones(len(order), bool)
    new[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(0)
    inverse = np.empty(len(order), np.int64)
    inverse[order] = np.cumsum(new) - 1
    distinct = ordered[:, new]
    return distinct[0].astype(np.int64), inverse, dict(zip(before, distinct[1:], strict=True))
