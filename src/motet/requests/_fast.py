"""Requests read without a language model: by the words of the catalogue and the small words around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from motet.language import as_data, redact, suspicion, without_suspicious
from motet.requests._interpret import interpret
from motet.requests._item import Scan
from motet.requests._lexicon import Lexicon
from motet.requests._markup import without_markup
from motet.requests._merge import as_request
from motet.requests._nearest import EncodeText, NearestTags
from motet.requests._reading import Reading
from motet.requests._request import Language, Request
from motet.requests._scan import scan
from motet.requests._tokens import tokenize
from motet.requests._understanding import Understanding

__all__ = ["LONGEST_REQUEST", "FastReader", "Heard", "language_of"]

LONGEST_REQUEST: Final = 2000
"""Characters of a request that are read; the rest is cut off, and flagged."""

MOST_TOKENS: Final = 400
"""Words, numbers, Chinese characters and marks that are read; the rest is cut off, and flagged."""

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
        text = without_suspicious(without_markup(text))
    if len(text) > LONGEST_REQUEST:
        flags.append("long")
        text = text[:LONGEST_REQUEST]
    text = as_data(redact(text), LONGEST_REQUEST)
    tokens = tokenize(text) if len(text) > MOST_TOKENS else []
    if len(tokens) > MOST_TOKENS:
        flags.append("long")
        text = text[: tokens[MOST_TOKENS].start].rstrip()
    return text, list(dict.fromkeys(flags))


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said now, understood, beside what was said before.

    Attributes:
        text: It, cleaned.
        flags: Kinds of suspicious text in it.
        scan: It, taken apart.
        reading: Its slots.
        previous: What was understood before.
        shown: Rows that were shown for that.
        lexicon: What could be asked for.
    """

    text: str
    flags: tuple[str, ...]
    scan: Scan
    reading: Reading
    previous: Request | None
    shown: tuple[int, ...]
    lexicon: Lexicon

    def request(self) -> Request:
        """All of it as one request."""
        spoken = _WORD.search(self.text) or _HAN.search(self.text)
        language = language_of(self.text) if spoken or self.previous is None else self.previous.language
        return as_request(
            self.reading,
            self.lexicon,
            text=self.text,
            language=language,
            flags=self.flags,
            previous=self.previous,
            shown=self.shown,
        )


class FastReader:
    """Reads requests in a few milliseconds; the same words are always read the same.

    Args:
        lexicon: What can be asked for.
        encode_text: Texts to vectors [n, D]; with it, words that are no tag but mean nearly the same
            as one make it preferred. Costs one call of the encoder where such words are left.

    Example:
        >>> import polars as pl
        >>> from motet.data import Catalogue
        >>> frame = pl.DataFrame({"id": ["1"], "title": ["Heat"], "kind": [["Crime", "War"]], "year": [1995.0]})
        >>> films = Catalogue(frame, "title", ("kind",), (), ("year",), (), {}, {})
        >>> request = FastReader(Lexicon(films)).read("two crime films from the 90s like Heat, no war")
        >>> request.count, request.like, request.must_not[0].value, request.ranges[0].high
        (2, ('1',), 'War', 1999.0)
    """

    def __init__(self, lexicon: Lexicon, encode_text: EncodeText | None = None) -> None:
        self.lexicon = lexicon
        self._nearest = NearestTags(lexicon, encode_text) if encode_text is not None else None

    def read(self, text: str, previous: Request | None = None, shown: Sequence[str] = ()) -> Request:
        """Understand a request.

        Args:
            text: What was said; any text. What gives orders to a machine is left out, and flagged.
            previous: What was understood before, to be changed by what is said now.
            shown: Ids of the items that were shown for it, in order.

        Returns:
            A request; an empty one if nothing was understood.
        """
        return self.hear(text, previous, shown).request()

    def understand(
        self, text: str, previous: Request | None = None, shown: Sequence[str] = ()
    ) -> Understanding:
        """Understand a request; as :meth:`read`."""
        return Understanding(self.read(text, previous, shown))

    def hear(self, text: str, previous: Request | None = None, shown: Sequence[str] = ()) -> Heard:
        """Understand what is said now, not yet put together with what was said before; as :meth:`read`."""
        cleaned, flags = _as_words(text)
        rows = tuple(row for item in shown if (row := self.lexicon.row(item)) is not None)
        taken = scan(cleaned, self.lexicon)
        reading = interpret(taken, self.lexicon, rows, follows=previous is not None)
        if self._nearest is not None:
            self._nearest.add(reading)
        return Heard(cleaned, tuple(flags), taken, reading, previous, rows, self.lexicon)
