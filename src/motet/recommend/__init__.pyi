from ._blended import BlendedRanking
from ._filter import (
    AllOf,
    AnyFilter,
    AnyOf,
    Compare,
    Fields,
    Not,
    RequestPart,
    at_most,
    known_keys,
    read_filter,
)
from ._live_recommender import LiveRecommender
from ._meaning import MeaningIndex
from ._precomputed import ItemSide, PrecomputedItems, item_side
from ._query import (
    Objective,
    Query,
    Ranked,
    RankedItem,
    SimilarToItem,
    Spread,
    TimeBudget,
    check_objective,
    read_query,
    value_of,
)
from ._raw_rows import NOT_OF_KIND, ContextRows, RawRows, naming_column
from ._recommender import Recommender

__all__ = [
    "NOT_OF_KIND",
    "AllOf",
    "AnyFilter",
    "AnyOf",
    "BlendedRanking",
    "Compare",
    "ContextRows",
    "Fields",
    "ItemSide",
    "LiveRecommender",
    "MeaningIndex",
    "Not",
    "Objective",
    "PrecomputedItems",
    "Query",
    "Ranked",
    "RankedItem",
    "RawRows",
    "Recommender",
    "RequestPart",
    "SimilarToItem",
    "Spread",
    "TimeBudget",
    "at_most",
    "check_objective",
    "item_side",
    "known_keys",
    "naming_column",
    "read_filter",
    "read_query",
    "value_of",
]
