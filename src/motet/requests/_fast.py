"""Requests read without a language model: by the words of the catalogue and the small words around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from motet.language import as_data, redact, suspicion, without_suspicious
from motet.requests._interpret import interpret
from motet.requests._lexicon import Lexicon
from motet.requests._merge import as_request
from motet.requests._request import Language, Request
from motet.requests._scan import scan

__all__ = ["LONGEST_REQUEST", "FastReader", "language_of"]

LONGEST_REQUEST: Final = 2000
"""Characters of a request that are read; the rest is cut off, and flagged."""

_HAN: Final = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_WORD: Final = re.compile(r"[^\W\d_\u3400-\u9fff\uf900-\ufaff]+")


def language_of(text: str) -> Language:
    """The language of a request: Chinese if it has as many Chinese characters as other words.

    Example:
        >>> language_of("像Toy Story一样的电影"), language_of("movies like Hero (英雄)")
        ('zh', 'en')
    """
    characters = len(_HAN.findall(text))
    return "zh" if characters and characters >= len(_WORD.findall(text)) else "en"


def _as_words(text: str) -> tuple[str, list[str]]:
    """A text without what gives orders, and the kinds of what was left out or is suspicious."""
    flags: list[str] = [flag.kind for flag in suspicion(text)]
    if flags:
        text = without_suspicious(text)
    if len(text) > LONGEST_REQUEST:
        flags.append("long")
        text = text[:LONGEST_REQUEST]
    return as_data(redact(text), LONGEST_REQUEST), list(dict.fromkeys(flags))


class FastReader:
    """Reads requests in a few milliseconds; the same words are always read the same.

    Args:
        lexicon: What can be asked for.

    Example:
        >>> import polars as pl
        >>> from motet.data import Catalogue
        >>> frame = pl.DataFrame({"id": ["1"], "title": ["Heat"], "kind": [["Crime", "War"]], "year": [1995.0]})
        >>> films = Catalogue(frame, "title", ("kind",), (), ("year",), (), {}, {})
        >>> request = FastReader(Lexicon(films)).read("two crime films from the 90s like Heat, no war")
        >>> request.count, request.like, request.must_not[0].value, request.ranges[0].high
        (2, ('1',), 'War', 1999.0)
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon

    def read(self, text: str, previous: Request | None = None, shown: Sequence[str] = ()) -> Request:
        """Understand a request.

        Args:
            text: What was said; any text. What gives orders to a machine is left out, and flagged.
            previous: What was understood before, to be changed by what is said now.
            shown: Ids of the items that were shown for it, in order.

        Returns:
            A request; an empty one if nothing was understood.
        """
        cleaned, flags = _as_words(text)
        rows = [row for item in shown if (row := self.lexicon.row(item)) is not None]
        taken = scan(cleaned, self.lexicon)
        reading = interpret(taken, self.lexicon, rows, follows=previous is not None)
        spoken = _WORD.search(cleaned) or _HAN.search(cleaned)
        language = language_of(cleaned) if spoken or previous is None else previous.language
        return as_request(
            reading, self.lexicon, text=cleaned, language=language, flags=flags, previous=previous, shown=rows
        )
