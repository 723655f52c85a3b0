"""Words that are no tag, but mean nearly the same as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.requests._lexicon import Lexicon
from motet.requests._reading import Reading, TagSaid
from motet.requests._request import Tag

__all__ = ["EncodeText", "NearestTags"]

EncodeText = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to vectors, [n, D]."""

_NEAR: Final = 0.8
_MOST_WORDS: Final = 16
_MOST_KEPT: Final = 10_000  # words whose tag is remembered
_SHORTEST: Final = 3  # characters; a lone Chinese character means too many things


class NearestTags:
    """Finds the tags that left words mean, by the cosine of their vectors.

    Such a tag is only preferred, and its words stay in what is searched for: meaning is a guess.

    Args:
        lexicon: Its tags, in all their words.
        encode_text: Texts to vectors.
    """

    def __init__(self, lexicon: Lexicon, encode_text: EncodeText) -> None:
        self._lexicon = lexicon
        self._encode = encode_text
        self._kept: dict[str, Tag | None] = {}

    def add(self, reading: Reading) -> None:
        """Prefer the tags that the left words of a reading mean."""
        said = {tag for one in reading.said for tag in one.tags}
        left = [word for word in reading.wants[:_MOST_WORDS] if len(word) >= _SHORTEST]
        new = [word for word in left if word not in self._kept]
        if new:
            if len(self._kept) > _MOST_KEPT:
                self._kept = {word: tag for word, tag in self._kept.items() if word in left}
            self._kept |= dict(zip(new, self._found(new), strict=True))
        for word in left:
            tag = self._kept[word]
            if tag is not None and tag not in said:
                said.add(tag)
                reading.said.append(TagSaid((tag,), False, False, True, -1, word))

    def _found(self, words: Sequence[str]) -> list[Tag | None]:
        tags, vectors = self._ways
        if not tags:
            return [None] * len(words)
        cosine = _unit(self._encode(list(words))) @ vectors.T  # [words, ways]
        best = cosine.argmax(1)
        return [
            tags[way] if row[way] >= _NEAR else None for row, way in zip(cosine, best.tolist(), strict=True)
        ]

    @cached_property
    def _ways(self) -> tuple[list[Tag], NDArray[np.float32]]:
        pairs = [(" ".join(words), said[0].tag) for words, said in self._lexicon.values.items()]
        if not pairs:
            return [], np.zeros((0, 1), np.float32)
        return [tag for _, tag in pairs], _unit(self._encode([words for words, _ in pairs]))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit
