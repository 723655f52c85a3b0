"""Which texts go through the model together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["equal_length_batches", "sorted_batches"]


def sorted_batches(lengths: Sequence[int], token_budget: int, most: int) -> Iterator[NDArray[np.int64]]:
    """Batches of similar length, longest first, so that hardly any padding is computed.

    A batch is full when its texts times its longest text would exceed the token budget: short
    texts go many at a time, long ones few, and every batch costs about the same.

    Args:
        lengths: Tokens of each text, shape [n].
        token_budget: Tokens a batch, padding included; a longer text goes alone.
        most: Most texts a batch.

    Yields:
        Positions of texts; over all batches each position comes once.

    Example:
        >>> [batch.tolist() for batch in sorted_batches([2, 9, 3, 2], token_budget=6, most=64)]
        [[1], [2, 0], [3]]
    """
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
    start = 0
    while start < len(order):
        count = min(max(1, token_budget // max(1, lengths[order[start]])), most)
        yield order[start : start + count]
        start += count


def equal_length_batches(lengths: Sequence[int], token_budget: int, most: int) -> Iterator[NDArray[np.int64]]:
    """Batches of exactly one length each, longest first: no padding, so no mask either.

    Args:
        lengths: Tokens of each text, shape [n].
        token_budget: Tokens a batch; a longer text goes alone.
        most: Most texts a batch.

    Yields:
        Positions of texts; over all batches each position comes once.

    Example:
        >>> [batch.tolist() for batch in equal_length_batches([2, 9, 3, 2], token_budget=6, most=64)]
        [[1], [2], [0, 3]]
    """
    counts = np.asarray(lengths, np.int64)
    order = np.argsort(-counts, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(counts[order])) + 1):
        if len(group):
            size = min(max(1, token_budget // max(1, lengths[group[0]])), most)
            yield from np.split(group, range(size, len(group), size))
