"""Words → a validated request."""

from motet.requests._gold import (
    SCORED_SLOTS,
    GoldRequest,
    GoldTurn,
    RequestScore,
    f1_interval,
    load_gold,
    read_gold,
)
from motet.requests._lexicon import Lexicon
from motet.requests._model_reader import ModelReader
from motet.requests._parser import LONGEST_REQUEST, EncodeText, FastReader, Heard, language_of
from motet.requests._request import FactWanted, Language, Range, Reader, Request, Tag, TagQuota, Understanding

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
