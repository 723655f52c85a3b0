"""Words → a validated request."""

from motet.requests._fast import LONGEST_REQUEST, FastReader, Heard, language_of
from motet.requests._gold import GoldRequest, GoldTurn, load_gold
from motet.requests._lexicon import Lexicon
from motet.requests._model import ModelReader
from motet.requests._nearest import EncodeText
from motet.requests._request import FactWanted, Language, Range, Request, Tag, TagQuota
from motet.requests._score import SCORED_SLOTS, RequestScore, f1_interval, read_gold
from motet.requests._understanding import Reader, Understanding

__all__ = [
    "LONGEST_REQUEST",
    "SCORED_SLOTS",
    "EncodeText",
    "FactWanted",
    "FastReader",
    "GoldRequest",
    "GoldTurn",
    "Heard",
    "Language",
    "Lexicon",
    "ModelReader",
    "Range",
    "Reader",
    "Request",
    "RequestScore",
    "Tag",
    "TagQuota",
    "Understanding",
    "f1_interval",
    "language_of",
    "load_gold",
    "read_gold",
]
