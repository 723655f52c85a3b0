from ._catalogue import CatalogueTask, catalogue_task, rank_catalogue, ranking_metrics
from ._evaluate import evaluate, training_deviation
from ._off_policy import (
    CrossFittedRewards,
    PolicyValue,
    cross_fitted_rewards,
    off_policy_values,
    ridge_rewards,
)
from ._paired import DrawnMetric, PairedDifference, holm, mean_draws, metric_draws, paired_differences
from ._relations import label_correlation, negative_transfer, paired_intervals, task_relations
from ._score import primary_values, score_of, validation_score

__all__ = [
    "CatalogueTask",
    "CrossFittedRewards",
    "DrawnMetric",
    "PairedDifference",
    "PolicyValue",
    "catalogue_task",
    "cross_fitted_rewards",
    "evaluate",
    "holm",
    "label_correlation",
    "mean_draws",
    "metric_draws",
    "negative_transfer",
    "off_policy_values",
    "paired_differences",
    "paired_intervals",
    "primary_values",
    "rank_catalogue",
    "ranking_metrics",
    "ridge_rewards",
    "score_of",
    "task_relations",
    "training_deviation",
    "validation_score",
]
