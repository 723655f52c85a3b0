"""Words → a validated request."""

from motet.requests._fast import LONGEST_REQUEST, FastReader, language_of
from motet.requests._gold import GoldRequest, GoldTurn, load_gold
from motet.requests._lexicon import Lexicon
from motet.requests._model import ModelReader, ModelReading
from motet.requests._nearest import EncodeText
from motet.requests._request import FactWanted, Language, Range, Request, Tag
from motet.requests._score import SCORED_SLOTS, Reader, RequestScore, f1_interval, read_gold

__all__ = [
    "LONGEST_REQUEST",
    "SCORED_SLOTS",
    "EncodeText",
    "FactWanted",
    "FastReader",
    "GoldRequest",
    "GoldTurn",
    "Language",
    "Lexicon",
    "ModelReader",
    "ModelReading",
    "Range",
    "Reader",
    "Request",
    "RequestScore",
    "Tag",
    "f1_interval",
    "language_of",
    "load_gold",
    "read_gold",
]
