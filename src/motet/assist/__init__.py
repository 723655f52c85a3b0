"""Ask, follow up, lists: everything about words in its turn."""

from motet.assist._answer import Answer, AnsweredItem, Conversation
from motet.assist._ask import Assistant
from motet.assist._context import BundleContext, ModelScores, World, joint_scores
from motet.assist._likeness import spaces_of, tag_matrix
from motet.assist._list_answer import LimitReport, ListAnswer, ListConflict, ListedItem, WayOut
from motet.assist._list_limits import ListLimits, Quota
from motet.assist._make_list import make_list
from motet.assist._relations import ItemRelations, RelationSettings, grown_relations, mine_relations

__all__ = [
    "Answer",
    "AnsweredItem",
    "Assistant",
    "BundleContext",
    "Conversation",
    "ItemRelations",
    "LimitReport",
    "ListAnswer",
    "ListConflict",
    "ListLimits",
    "ListedItem",
    "ModelScores",
    "Quota",
    "RelationSettings",
    "WayOut",
    "World",
    "grown_relations",
    "joint_scores",
    "make_list",
    "mine_relations",
    "spaces_of",
    "tag_matrix",
]
