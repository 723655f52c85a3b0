from ._gold import SCORED_SLOTS, GoldRequest, RequestScore, f1_interval, load_gold, read_gold
from ._lexicon import Lexicon
from ._model_reader import ModelReader
from ._parser import LONGEST_REQUEST, FastReader, Heard
from ._request import FactWanted, Language, Range, Reader, Request, Tag, TagQuota, Understanding

__all__ = [
    "LONGEST_REQUEST",
    "SCORED_SLOTS",
    "FactWanted",
    "FastReader",
    "GoldRequest",
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
    "load_gold",
    "read_gold",
]
