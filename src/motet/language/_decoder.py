"""What writes tokens: a model that has read some, and can read one more a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Decoder", "Logits", "Rows"]

Logits = NDArray[np.float32]


class Rows(Protocol):
    """Some texts in the making.

    Attributes:
        logits: For the next token of each row, shape [B, vocabulary].
    """

    logits: Logits

    def step(self, tokens: Sequence[int]) -> None:
        """Read one more token a row.

        Args:
            tokens: B tokens.
        """
        ...

    def take(self, rows: Sequence[int]) -> None:
        """Go on with these rows, in this order; one may come more than once."""
        ...


class Decoder(Protocol):
    """A language model with its weights loaded.

    Attributes:
        vocabulary: Number of tokens that it knows.
        longest: Most tokens of a row.
        together: Most rows at a time for which a row's logits do not depend on its neighbours.
    """

    vocabulary: int
    longest: int
    together: int

    def read(self, prompts: Sequence[Sequence[int]]) -> Rows:
        """Read prompts.

        Args:
            prompts: Tokens of each, ≥ 1; at most ``together`` of them.
        """
        ...

    def join(self, first: Rows, second: Rows) -> Rows:
        """Rows of the first, then of the second; neither is used any more."""
        ...
