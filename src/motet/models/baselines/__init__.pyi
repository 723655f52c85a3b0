from ._baseline import Baseline, Known
from ._ease import Ease
from ._item_scores import (
    LAST,
    FoldedFactors,
    ItemPrior,
    ItemScores,
    ItemToItem,
    ItemVectors,
    read_scores,
)
from ._pairs import ContextTexts, PairMember, Pairs
from ._ranking import RankingBaseline, RankingQueries, had_items, ranking_queries
from ._run import BASELINES, MEMBERS, PAIR_MEMBERS, register_baseline, run_baselines
from ._statistics import KeyStatistics

__all__ = [
    "BASELINES",
    "LAST",
    "MEMBERS",
    "PAIR_MEMBERS",
    "Baseline",
    "ContextTexts",
    "Ease",
    "FoldedFactors",
    "ItemPrior",
    "ItemScores",
    "ItemToItem",
    "ItemVectors",
    "KeyStatistics",
    "Known",
    "PairMember",
    "Pairs",
    "RankingBaseline",
    "RankingQueries",
    "had_items",
    "ranking_queries",
    "read_scores",
    "register_baseline",
    "run_baselines",
]
