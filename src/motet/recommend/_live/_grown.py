"""Arrays that only grow: what an earlier reader holds is never written again."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motet.data import Ragged

__all__ = ["Grown", "GrownRagged", "GrownTensor"]

_Cells = TypeVar("_Cells", bound=np.generic)


class Grown(Generic[_Cells]):
    """Rows at the end of an array, in amortised constant time a row.

    Views handed out before stay valid: rows are written once, beyond every view.

    Example:
        >>> grown = Grown(np.array([1, 2]))
        >>> before = grown.view
        >>> grown.append(np.array([3])); before.tolist(), grown.view.tolist()
        ([1, 2], [1, 2, 3])
    """

    def __init__(self, start: NDArray[_Cells]) -> None:
        self._cells = start
        self.view = start

    def __len__(self) -> int:
        return len(self.view)

    def append(self, more: NDArray[_Cells]) -> None:
        """Add rows."""
        n, total = len(self.view), len(self.view) + len(more)
        if total > len(self._cells):
            room = np.empty((max(64, total + total // 2), *self.view.shape[1:]), self.view.dtype)
            room[:n] = self.view
            self._cells = room
        self._cells[n:total] = more
        self.view = self._cells[:total]


class GrownTensor:
    """The same for a tensor.

    Example:
        >>> grown = GrownTensor(torch.ones(1, 2)); grown.append(torch.zeros(2, 2)); grown.view.shape
        torch.Size([3, 2])
    """

    def __init__(self, start: Tensor) -> None:
        self._rows: Grown[Any] = Grown(start.detach().numpy())
        self.view = start.detach()

    def append(self, more: Tensor) -> None:
        """Add rows."""
        self._rows.append(more.detach().numpy())
        self.view = torch.from_numpy(self._rows.view)


class GrownRagged:
    """The same for lists of different lengths."""

    def __init__(self, start: Ragged) -> None:
        self._values: Grown[np.int32] = Grown(start.values)
        self._offsets: Grown[np.int64] = Grown(start.offsets)
        self.view = start

    def append(self, more: Ragged) -> None:
        """Add lists."""
        last = self._offsets.view[-1]
        self._values.append(more.values)
        self._offsets.append(more.offsets[1:] + last)
        self.view = Ragged(self._values.view, self._offsets.view)
