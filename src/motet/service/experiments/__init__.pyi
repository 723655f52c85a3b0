from ._assignment import (
    Assignment,
    Namespace,
    TrafficSplit,
    assign,
    bucket_hash,
    bucket_ranges,
    choose_variation,
    equal_weights,
    in_namespace,
)
from ._effects import Decision, Effect, GuardrailState, UserTotals, decide, effect_of, guardrail_state
from ._interleaving import Preference, interleaving_preference, team_draft
from ._sequential import SampleRatio, planned_users, sample_ratio, sequential_p, sequential_radius

__all__ = [
    "Assignment",
    "Decision",
    "Effect",
    "GuardrailState",
    "Namespace",
    "Preference",
    "SampleRatio",
    "TrafficSplit",
    "UserTotals",
    "assign",
    "bucket_hash",
    "bucket_ranges",
    "choose_variation",
    "decide",
    "effect_of",
    "equal_weights",
    "guardrail_state",
    "in_namespace",
    "interleaving_preference",
    "planned_users",
    "sample_ratio",
    "sequential_p",
    "sequential_radius",
    "team_draft",
]
