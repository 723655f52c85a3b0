"""Synthetic clicks: 20 categorical and 8 numeric features, 3 binary tasks, as many ids as wanted.

Ids are drawn from a bounded Zipf law, as in logs: few ids carry most rows and most ids are rare. Labels come from a
planted logistic model with an effect per id, numbers, and one interaction of two small categories, so that contenders
can be compared in accuracy as well as in speed and the best reachable accuracy is known.

Shapes: N rows, C = 20 categorical features, M = 8 numeric ones, T = 3 tasks, U users, I items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CATEGORIES",
    "NUMBERS",
    "TASKS",
    "Candidates",
    "ClickData",
    "Layout",
    "make_candidates",
    "make_clicks",
]

Layout = Literal["flat", "entities"]

USER_CATEGORIES: Final = ("user_id", *(f"user_c{k}" for k in range(1, 8)))
ITEM_CATEGORIES: Final = ("item_id", *(f"item_c{k}" for k in range(1, 8)))
CONTEXT_CATEGORIES: Final = tuple(f"context_c{k}" for k in range(4))
CATEGORIES: Final = (*USER_CATEGORIES, *ITEM_CATEGORIES, *CONTEXT_CATEGORIES)

USER_NUMBERS: Final = ("user_n0", "user_n1", "user_n2")
ITEM_NUMBERS: Final = ("item_n0", "item_n1", "item_n2")
CONTEXT_NUMBERS: Final = ("context_n0", "context_n1")
NUMBERS: Final = (*USER_NUMBERS, *ITEM_NUMBERS, *CONTEXT_NUMBERS)

TASKS: Final = ("click", "like", "buy")
BASE_RATES: Final = (0.30, 0.15, 0.08)

_USER_SHARE, _ITEM_SHARE = 0.45, 0.30  # of all ids; the other 18 tables share the rest geometrically
_ZIPF_EXPONENT, _ZIPF_SHIFT = 1.1, 10.0
_SMALLEST_TABLE = 10


@dataclass(frozen=True, slots=True)
class ClickData:
    """Clicks with known truth. Training rows come first; rows are independent, so a cut is a random split.

    Attributes:
        layout: ``flat``: every feature is drawn a row at a time. ``entities``: the first 8 categorical features and
            the first 3 numbers belong to users, the next 8 and 3 to items, the rest to the row; the same user has the
            same features in every row.
        table_sizes: Ids in each categorical feature's table, C numbers, in the order of :data:`CATEGORIES`. Tables
            have this size whether or not an id occurs in the rows: a live system's table holds all its ids.
        codes: Ids from 0 within their feature, int32, shape [N, C].
        numbers: Standard normal, float32, shape [N, M].
        labels: 0 or 1, float32, shape [N, T].
        truth: The probabilities that the labels were drawn with, float32, shape [N, T].
        train_rows: Number of training rows.
        user_row: Each row's user, int32, shape [N]; in the flat layout it is just the first categorical feature.
        item_row: Each row's item, int32, shape [N]; likewise.
        user_codes: Shape [U, 8], or [0, 8] in the flat layout. The first column is the user's own number.
        user_numbers: Shape [U, 3], or [0, 3].
        item_codes: Shape [I, 8], or [0, 8].
        item_numbers: Shape [I, 3], or [0, 3].
    """

    layout: Layout
    table_sizes: tuple[int, ...]
    codes: NDArray[np.int32]
    numbers: NDArray[np.float32]
    labels: NDArray[np.float32]
    truth: NDArray[np.float32]
    train_rows: int
    user_row: NDArray[np.int32]
    item_row: NDArray[np.int32]
    user_codes: NDArray[np.int32]
    user_numbers: NDArray[np.float32]
    item_codes: NDArray[np.int32]
    item_numbers: NDArray[np.float32]

    @property
    def train(self) -> slice:
        """The training rows."""
        return slice(0, self.train_rows)

    @property
    def test(self) -> slice:
        """The held-out rows."""
        return slice(self.train_rows, len(self.labels))


@dataclass(frozen=True, slots=True)
class Candidates:
    """One user in one context, and items to score.

    Attributes:
        user_row: The user.
        item_rows: The items, int32, shape [n].
        codes: The same as plain rows, int32, shape [n, C].
        numbers: float32, shape [n, M].
    """

    user_row: int
    item_rows: NDArray[np.int32]
    codes: NDArray[np.int32]
    numbers: NDArray[np.float32]


def make_clicks(
    rows: int, ids: int, seed: int, layout: Layout = "entities", test_fraction: float = 0.2
) -> ClickData:
    """Draw clicks.

    Args:
        rows: Rows in all, training and held-out.
        ids: Ids in all 20 tables together, at least 1,000.
        seed: Same seed, same clicks.
        layout: See :class:`ClickData`.
        test_fraction: Share of rows held out, between 0 and 1.

    Raises:
        ValueError: Too few ids or rows, or a fraction outside (0, 1).

    >>> data = make_clicks(rows=1000, ids=2000, seed=0)
    >>> data.codes.shape, data.numbers.shape, data.labels.shape, sum(data.table_sizes)
    ((1000, 20), (1000, 8), (1000, 3), 2000)
    >>> bool((data.user_codes[data.user_row] == data.codes[:, :8]).all())
    True
    """
    if ids < 1000 or rows < 10 or not 0.0 < test_fraction < 1.0:
        raise ValueError(
            f"need ids >= 1000, rows >= 10, 0 < test_fraction < 1; got {ids}, {rows}, {test_fraction}"
        )
    rng = np.random.default_rng(seed)
    sizes = _table_sizes(ids)
    user_row, item_row = _zipf(rng, sizes[0], rows), _zipf(rng, sizes[8], rows)
    owners = (sizes[0], sizes[8]) if layout == "entities" else (rows, rows)
    user_codes, user_numbers = _entity(rng, sizes[:8], owners[0])
    item_codes, item_numbers = _entity(rng, sizes[8:16], owners[1])
    context_codes, context_numbers = _draw(rng, sizes[16:], rows), _normal(rng, rows, 2)
    if layout == "entities":
        codes = np.hstack([user_codes[user_row], item_codes[item_row], context_codes])
        numbers = np.hstack([user_numbers[user_row], item_numbers[item_row], context_numbers])
    else:
        user_codes[:, 0], item_codes[:, 0] = user_row, item_row
        codes = np.hstack([user_codes, item_codes, context_codes])
        numbers = np.hstack([user_numbers, item_numbers, context_numbers])
        user_codes, item_codes = user_codes[:0], item_codes[:0]
        user_numbers, item_numbers = user_numbers[:0], item_numbers[:0]
    truth = _truth(rng, sizes, codes, numbers)
    return ClickData(
        layout=layout,
        table_sizes=sizes,
        codes=codes,
        numbers=numbers,
        labels=(rng.random(truth.shape) < truth).astype(np.float32),
        truth=truth,
        train_rows=rows - int(rows * test_fraction),
        user_row=user_row,
        item_row=item_row,
        user_codes=user_codes,
        user_numbers=user_numbers,
        item_codes=item_codes,
        item_numbers=item_numbers,
    )


def make_candidates(data: ClickData, count: int, seed: int) -> Candidates:
    """Draw a user in a context from the rows, and different items to score for it.

    Args:
        data: Clicks in the layout ``entities``.
        count: Number of items, at most the number of items there are.
        seed: Same seed, same candidates.

    Raises:
        ValueError: The layout is flat: there a row has no user to share.
    """
    if data.layout != "entities":
        raise ValueError("candidates of one user need the layout 'entities'")
    rng = np.random.default_rng(seed)
    row = int(rng.integers(len(data.codes)))
    items = rng.choice(len(data.item_codes), count, replace=False).astype(np.int32)
    codes, numbers = np.repeat(data.codes[[row]], count, 0), np.repeat(data.numbers[[row]], count, 0)
    codes[:, 8:16], numbers[:, 3:6] = data.item_codes[items], data.item_numbers[items]
    return Candidates(int(data.user_row[row]), items, codes, numbers)


def _table_sizes(ids: int) -> tuple[int, ...]:
    """Sizes of the 20 tables, which sum to ``ids``."""
    user, item = int(ids * _USER_SHARE), int(ids * _ITEM_SHARE)
    weights = 0.6 ** np.arange(18)
    rest = np.maximum((ids - user - item) * weights / weights.sum(), _SMALLEST_TABLE).astype(int)
    # Large and small tables in turn for users, items and context, so that every part has both.
    users, items, context = rest[0::3], rest[1::3], rest[2::3]
    sizes = [user, *users, context[4], item, *items, context[5], *context[:4]]
    sizes[0] += ids - sum(sizes)
    return tuple(int(size) for size in sizes)


def _zipf(rng: np.random.Generator, size: int, n: int) -> NDArray[np.int32]:
    """Draw n ids from 0 to size-1, the r-th most frequent with weight (r + shift)^-exponent."""
    cumulative = np.cumsum((np.arange(size) + _ZIPF_SHIFT) ** -_ZIPF_EXPONENT)
    ranks = np.searchsorted(cumulative, rng.random(n) * cumulative[-1])
    ids: NDArray[np.int32] = rng.permutation(size)[np.minimum(ranks, size - 1)].astype(np.int32)
    return ids


def _draw(rng: np.random.Generator, sizes: tuple[int, ...], n: int) -> NDArray[np.int32]:
    return np.stack([_zipf(rng, size, n) for size in sizes], axis=1)


def _normal(rng: np.random.Generator, n: int, width: int) -> NDArray[np.float32]:
    return rng.standard_normal((n, width), dtype=np.float32)


def _entity(
    rng: np.random.Generator, sizes: tuple[int, ...], n: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Codes and numbers of n users or items; the first column is their own number."""
    own = np.arange(n, dtype=np.int32)[:, None]
    return np.hstack([own, _draw(rng, sizes[1:], n)]), _normal(rng, n, 3)


def _truth(
    rng: np.random.Generator, sizes: tuple[int, ...], codes: NDArray[np.int32], numbers: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Probabilities of the planted logistic model, shape [N, T]."""
    tasks = len(TASKS)
    logits = numbers @ _normal(rng, numbers.shape[1], tasks) * 0.25
    for feature, size in enumerate(sizes):
        # A common part and a part of its own for each task: what makes several tasks worth one model.
        effect = 0.3 * (_normal(rng, size, 1) + 0.7 * _normal(rng, size, tasks))
        logits += effect[codes[:, feature]]
    smallest_user, smallest_item = int(np.argmin(sizes[:8])), 8 + int(np.argmin(sizes[8:16]))
    pairs = _normal(rng, sizes[smallest_user] * sizes[smallest_item], tasks) * 0.6
    logits += pairs[codes[:, smallest_user] * sizes[smallest_item] + codes[:, smallest_item]]
    return np.stack([_at_rate(logits[:, t], rate) for t, rate in enumerate(BASE_RATES)], axis=1)


def _at_rate(logits: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    """Sigmoid of the logits, shifted so that the mean is the rate; the shift is found by bisection."""
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        if float(np.mean(1.0 / (1.0 + np.exp(-(logits + middle))))) < rate:
            low = middle
        else:
            high = middle
    probabilities: NDArray[np.float32] = (1.0 / (1.0 + np.exp(-(logits + low)))).astype(np.float32)
    return probabilities
