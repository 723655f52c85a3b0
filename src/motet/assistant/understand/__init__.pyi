from ._gold import SCORED_SLOTS, GoldRequest, RequestScore, f1_interval, load_gold, read_gold
from ._lexicon import Lexicon
from ._model_reader import ModelReader
from ._parser import LONGEST_REQUEST, FastReader, ParsedTurn
from ._request import TONES, FactWanted, Language, Range, Reader, Request, Tag, TagQuota, Tone, Understanding

__all__ = [
    "LONGEST_REQUEST",
    "SCORED_SLOTS",
    "TONES",
    "FactWanted",
    "FastReader",
    "GoldRequest",
    "Language",
    "Lexicon",
    "ModelReader",
    "ParsedTurn",
    "Range",
    "Reader",
    "Request",
    "RequestScore",
    "Tag",
    "TagQuota",
    "Tone",
    "Understanding",
    "f1_interval",
    "load_gold",
    "read_gold",
]
