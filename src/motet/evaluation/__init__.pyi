from ._catalogue import CatalogueTask, catalogue_task, rank_catalogue, ranking_metrics
from ._evaluate import evaluate
from ._relations import label_correlation, negative_transfer, paired_intervals, task_relations
from ._score import primary_values, score_of, validation_score

__all__ = [
    "CatalogueTask",
    "catalogue_task",
    "evaluate",
    "label_correlation",
    "negative_transfer",
    "paired_intervals",
    "primary_values",
    "rank_catalogue",
    "ranking_metrics",
    "score_of",
    "task_relations",
    "validation_score",
]
