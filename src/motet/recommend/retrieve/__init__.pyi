from ._personal import LiveItemItem, together
from ._popular import DecayedLikes, Ordered
from ._retrieve import CandidateQuery, CandidateSource, Retrieved, Retriever, best_of
from ._standard import (
    CANDIDATE_SOURCES,
    CHAIN,
    PLAIN_CHAIN,
    QUOTAS,
    StandardSources,
    register_candidate_source,
)
from ._vector_index import LiveIndex, VectorIndex

__all__ = [
    "CANDIDATE_SOURCES",
    "CHAIN",
    "PLAIN_CHAIN",
    "QUOTAS",
    "CandidateQuery",
    "CandidateSource",
    "DecayedLikes",
    "LiveIndex",
    "LiveItemItem",
    "Ordered",
    "Retrieved",
    "Retriever",
    "StandardSources",
    "VectorIndex",
    "best_of",
    "register_candidate_source",
    "together",
]
