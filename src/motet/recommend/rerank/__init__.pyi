from ._diversity import Diversity, Explore, determinantal, marginal_relevance, place_probabilities
from ._rerank import Listed, rerank
from ._rules import AnyRule, Boost, Bury, Cap, Fresh, ItemStep, Pin, Trace, ValueCap, fill

__all__ = [
    "AnyRule",
    "Boost",
    "Bury",
    "Cap",
    "Diversity",
    "Explore",
    "Fresh",
    "ItemStep",
    "Listed",
    "Pin",
    "Trace",
    "ValueCap",
    "determinantal",
    "fill",
    "marginal_relevance",
    "place_probabilities",
    "rerank",
]
