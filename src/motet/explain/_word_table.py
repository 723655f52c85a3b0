"""Which items have which words in their title or text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

__all__ = ["WordTable", "words_of"]

_WORD = re.compile(r"[^\W\d_][\w'’-]*[^\W_]")
_SHORTEST = 4  # shorter words of a Latin text are mostly grammar


@dataclass(frozen=True, slots=True)
class WordTable:
    """Words of one column.

    Attributes:
        rows: Items that have a word, in order of rows.
    """

    rows: dict[str, tuple[int, ...]]

    @classmethod
    def build(cls, texts: Sequence[str]) -> WordTable:
        """The words of some texts, one a row."""
        rows: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            for word in words_of(text):
                rows.setdefault(word, []).append(row)
        return cls({word: tuple(having) for word, having in rows.items()})

    def with_texts(self, rows: Sequence[int], texts: Sequence[str], before: Sequence[str]) -> WordTable:
        """The words after some texts were added or replaced.

        Args:
            rows: Rows of the texts, in order; those that had a text before come first.
            texts: What stands there now, one a row.
            before: What stood in the first of them.

        Example:
            >>> WordTable.build(["space opera"]).with_texts([0, 1], ["soap opera", "opera"], ["space opera"]).rows
            {'opera': (0, 1), 'soap': (0,)}
        """
        table = dict(self.rows)
        for row, text in zip(rows, before, strict=False):
            for word in words_of(text):
                table[word] = tuple(one for one in table.get(word, ()) if one != row)
        for row, text in zip(rows, texts, strict=True):
            for word in words_of(text):
                table[word] = tuple(sorted({*table.get(word, ()), row}))
        return WordTable({word: having for word, having in table.items() if having})

    def weight(self, word: str, items: int) -> float:
        """Inverse document frequency, log((1 + I) / (1 + I of the word)): each text counts a word once.

        Example:
            >>> round(WordTable.build(["space opera", "soap opera", "ship"]).weight("space", 3), 2)
            0.69
        """
        return math.log((1 + items) / (1 + len(self.rows.get(word, ()))))


def words_of(text: str) -> tuple[str, ...]:
    """Distinct words of a text, in lower case, long enough to mean something.

    Example:
        >>> words_of("Star Trek: The Wrath of Khan")
        ('star', 'trek', 'wrath', 'khan')
    """
    found = (word.lower().replace("’", "'").removesuffix("'s") for word in _WORD.findall(text))
    return tuple(
        dict.fromkeys(
            word
            for word in found
            if (len(word) >= _SHORTEST and word not in ENGLISH_STOP_WORDS) or not word.isascii()
        )
    )
