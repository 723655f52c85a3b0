"""Answers to requests in natural language: items with reasons, follow-ups, lists under limits."""

from motet.assist._answer import Answer, AnsweredItem, Conversation, note
from motet.assist._ask import Assistant
from motet.assist._choose import choice_notes, choose
from motet.assist._conditions import (
    akin,
    allowed,
    conditions,
    likeness,
    match,
    nearest_alike,
    standardised,
    tag_share,
)
from motet.assist._context import AnswerContext, BundleContext, ModelScores, joint_scores, model_scores
from motet.assist._likeness import (
    Likeness,
    duplicate_pairs,
    item_spaces,
    likeness_of,
    rare_tags,
    spaces_of,
    tag_matrix,
    text_vectors,
)
from motet.assist._list_answer import LimitReport, ListAnswer, ListConflict, ListedItem, WayOut
from motet.assist._list_conflict import ConflictExplainer
from motet.assist._list_limits import (
    ListLimit,
    ListLimits,
    ListPool,
    Quota,
    fill_parts,
    limits_of,
    part_limits,
    part_mask,
)
from motet.assist._list_problem import ListProblem, Solution, SumLimit, exact_sum
from motet.assist._list_solve import relax_list, search_list, solve_list, solve_list_exactly
from motet.assist._make_list import make_list
from motet.assist._relations import (
    Chance,
    ItemRelations,
    RelationSettings,
    grown_relations,
    mine_relations,
    pair_counts,
    sessions,
)

__all__ = [
    "Answer",
    "AnswerContext",
    "AnsweredItem",
    "Assistant",
    "BundleContext",
    "Chance",
    "ConflictExplainer",
    "Conversation",
    "ItemRelations",
    "Likeness",
    "LimitReport",
    "ListAnswer",
    "ListConflict",
    "ListLimit",
    "ListLimits",
    "ListPool",
    "ListProblem",
    "ListedItem",
    "ModelScores",
    "Quota",
    "RelationSettings",
    "Solution",
    "SumLimit",
    "WayOut",
    "akin",
    "allowed",
    "choice_notes",
    "choose",
    "conditions",
    "duplicate_pairs",
    "exact_sum",
    "fill_parts",
    "grown_relations",
    "item_spaces",
    "joint_scores",
    "likeness",
    "likeness_of",
    "limits_of",
    "make_list",
    "match",
    "mine_relations",
    "model_scores",
    "nearest_alike",
    "note",
    "pair_counts",
    "part_limits",
    "part_mask",
    "rare_tags",
    "relax_list",
    "search_list",
    "sessions",
    "solve_list",
    "solve_list_exactly",
    "spaces_of",
    "standardised",
    "tag_matrix",
    "tag_share",
    "text_vectors",
]
