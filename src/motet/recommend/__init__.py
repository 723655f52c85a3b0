"""From a bundle to answers."""

from motet.recommend._ahead import ItemsAhead
from motet.recommend._filter import AllOf, AnyFilter, AnyOf, Compare, Not, RequestPart, read_filter
from motet.recommend._filter_mask import Fields
from motet.recommend._live._distinct import DistinctItems
from motet.recommend._live._eligible import Eligible
from motet.recommend._live._event import LiveEvent
from motet.recommend._live._event_reader import Meant
from motet.recommend._live._history import Added
from motet.recommend._live._items import LiveItems, Upserted
from motet.recommend._live._items_now import ItemsNow
from motet.recommend._live_recommender import LiveRecommender
from motet.recommend._meaning import MeaningIndex
from motet.recommend._objective import Objective
from motet.recommend._query import Budget, Query, read_query
from motet.recommend._ranked import Ranked, RankedItem, Similar
from motet.recommend._raw_rows import Moments
from motet.recommend._recommender import Recommender
from motet.recommend._rerank._diversity import Diversity
from motet.recommend._rerank._explore import Explore
from motet.recommend._rerank._rules import AnyRule, Boost, Bury, Cap, Fresh, Pin
from motet.recommend._rerank._trace import Step
from motet.recommend._retrieve import Retrieved, Retriever
from motet.recommend._sources._source import Ask, CandidateSource
from motet.recommend._sources._standard import CANDIDATE_SOURCES, register_candidate_source
from motet.recommend._sources._vector_index import VectorIndex

__all__ = [
    "CANDIDATE_SOURCES",
    "Added",
    "AllOf",
    "AnyFilter",
    "AnyOf",
    "AnyRule",
    "Ask",
    "Boost",
    "Budget",
    "Bury",
    "CandidateSource",
    "Cap",
    "Compare",
    "DistinctItems",
    "Diversity",
    "Eligible",
    "Explore",
    "Fields",
    "Fresh",
    "ItemsAhead",
    "ItemsNow",
    "LiveEvent",
    "LiveItems",
    "LiveRecommender",
    "MeaningIndex",
    "Meant",
    "Moments",
    "Not",
    "Objective",
    "Pin",
    "Query",
    "Ranked",
    "RankedItem",
    "Recommender",
    "RequestPart",
    "Retrieved",
    "Retriever",
    "Similar",
    "Step",
    "Upserted",
    "VectorIndex",
    "read_filter",
    "read_query",
    "register_candidate_source",
]
