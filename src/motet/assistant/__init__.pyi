from ._answer import Answer, Conversation
from ._ask import Assistant
from ._choose import choice_notes, choose
from ._conditions import akin, allowed, likeness, match, nearest_alike, standardised
from ._context import AnswerContext, ModelScores, joint_scores, model_scores
from ._likeness import (
    Likeness,
    duplicate_pairs,
    likeness_of,
    spaces_of,
    tag_matrix,
)
from ._list_answer import ListAnswer
from ._list_conflict import ConflictExplainer
from ._list_limits import (
    ListLimit,
    ListLimits,
    ListPool,
    Quota,
    fill_parts,
    limits_of,
    part_limits,
)
from ._list_problem import ListProblem, Solution, SumLimit
from ._list_solve import relax_list, search_list, solve_list, solve_list_exactly
from ._make_list import make_list
from ._relations import (
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
    "Assistant",
    "Chance",
    "ConflictExplainer",
    "Conversation",
    "ItemRelations",
    "Likeness",
    "ListAnswer",
    "ListLimit",
    "ListLimits",
    "ListPool",
    "ListProblem",
    "ModelScores",
    "Quota",
    "RelationSettings",
    "Solution",
    "SumLimit",
    "akin",
    "allowed",
    "choice_notes",
    "choose",
    "duplicate_pairs",
    "fill_parts",
    "grown_relations",
    "joint_scores",
    "likeness",
    "likeness_of",
    "limits_of",
    "make_list",
    "match",
    "mine_relations",
    "model_scores",
    "nearest_alike",
    "pair_counts",
    "part_limits",
    "relax_list",
    "search_list",
    "sessions",
    "solve_list",
    "solve_list_exactly",
    "spaces_of",
    "standardised",
    "tag_matrix",
]
