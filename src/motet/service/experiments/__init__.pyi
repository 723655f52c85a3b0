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
from ._results import ExperimentResults, experiment_results, running_clash
from ._sequential import SampleRatio, planned_users, sample_ratio, sequential_p, sequential_radius
from ._settings import (
    ExperimentSettings,
    GuardrailSettings,
    MetricSettings,
    NamespaceSettings,
    VariantSettings,
    read_experiment,
)

__all__ = [
    "Assignment",
    "Decision",
    "Effect",
    "ExperimentResults",
    "ExperimentSettings",
    "GuardrailSettings",
    "GuardrailState",
    "MetricSettings",
    "Namespace",
    "NamespaceSettings",
    "Preference",
    "SampleRatio",
    "TrafficSplit",
    "UserTotals",
    "VariantSettings",
    "assign",
    "bucket_hash",
    "bucket_ranges",
    "choose_variation",
    "decide",
    "effect_of",
    "equal_weights",
    "experiment_results",
    "guardrail_state",
    "in_namespace",
    "interleaving_preference",
    "planned_users",
    "read_experiment",
    "running_clash",
    "sample_ratio",
    "sequential_p",
    "sequential_radius",
    "team_draft",
]
