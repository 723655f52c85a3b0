"""A text encoder without a language model, so that tests need no weights."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["HashedWordsForTests", "hashed_words_for_tests"]


def hashed_words_for_tests(texts: Sequence[str], width: int = 12) -> NDArray[np.float32]:
    """Turn texts into the mean of one random direction a word: for tests only, it understands nothing.

    Args:
        texts: n texts.
        width: D, length of a vector, > 0.

    Returns:
        Shape [n, D]; an empty text is zeros. The same text gives the same vector everywhere.

    Example:
        >>> one, two = hashed_words_for_tests(["red wine", "wine red"])
        >>> bool(np.allclose(one, two))
        True
    """
    vectors = np.zeros((len(texts), width), np.float32)
    for row, text in enumerate(texts):
        words = text.lower().split()
        for word in words:
            direction = np.random.default_rng(zlib.crc32(word.encode())).standard_normal(width)
            vectors[row] += direction.astype(np.float32) / len(words)
    return vectors


class HashedWordsForTests:
    """:func:`hashed_words_for_tests` as a text encoder, for tests of whatever takes one.

    Args:
        width: Length of a vector.
    """

    def __init__(self, *, width: int = 12) -> None:
        self._width = width

    @property
    def name(self) -> str:
        """What a person calls it."""
        return "hashed words, for tests"

    @property
    def settings_key(self) -> str:
        """Hash of everything that changes the output."""
        return f"{zlib.crc32(self.name.encode()):08x}-{self._width}"

    @property
    def width(self) -> int:
        """Length of a vector."""
        return self._width

    def encode(self, texts: Sequence[str], progress: object = None) -> NDArray[np.float32]:
        """Encode n texts, shape [n, D]."""
        return hashed_words_for_tests(texts, self._width)
