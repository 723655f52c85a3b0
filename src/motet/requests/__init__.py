"""Words → a validated request."""

from motet.requests._fast import LONGEST_REQUEST, FastReader, language_of
from motet.requests._lexicon import Lexicon
from motet.requests._request import FactWanted, Language, Range, Request, Tag

__all__ = [
    "LONGEST_REQUEST",
    "FactWanted",
    "FastReader",
    "Language",
    "Lexicon",
    "Range",
    "Request",
    "Tag",
    "language_of",
]
