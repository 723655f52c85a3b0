"""What features and tasks can be: one kind a file, with all that motet does with it.

``register_feature_kind`` and ``register_task_kind`` add kinds from elsewhere; see docs/guide/extending.md.
"""

from motet.kinds._labelled import LabelledTask, numbers_of, yes_no_of
from motet.kinds._register import register_feature_kind, register_task_kind
from motet.kinds._words import (
    DASH,
    MINUS,
    SPACE,
    count,
    figure,
    interval_of,
    is_number,
    metric_name,
    number,
    percent,
)
from motet.kinds.binary import BinaryTask, positive_weight
from motet.kinds.categorical import CategoricalFeature
from motet.kinds.id import IdFeature
from motet.kinds.multiclass import MulticlassTask
from motet.kinds.multilabel import MultilabelTask
from motet.kinds.numeric import NumericFeature
from motet.kinds.regression import RegressionTask
from motet.kinds.retrieval import RetrievalTask, sampled_softmax_loss
from motet.kinds.sequence import SequenceFeature
from motet.kinds.tags import TagsFeature
from motet.kinds.text import TextFeature
from motet.kinds.time import TimeFeature
from motet.kinds.vector import VectorFeature
from motet.schema import (
    FEATURE_KINDS,
    SEQUENCE_ENCODERS,
    TASK_KINDS,
    Feature,
    Registry,
    Task,
)

__all__ = [
    "DASH",
    "FEATURE_KINDS",
    "MINUS",
    "SEQUENCE_ENCODERS",
    "SPACE",
    "TASK_KINDS",
    "BinaryTask",
    "CategoricalFeature",
    "Feature",
    "IdFeature",
    "LabelledTask",
    "MulticlassTask",
    "MultilabelTask",
    "NumericFeature",
    "Registry",
    "RegressionTask",
    "RetrievalTask",
    "SequenceFeature",
    "TagsFeature",
    "Task",
    "TextFeature",
    "TimeFeature",
    "VectorFeature",
    "count",
    "figure",
    "interval_of",
    "is_number",
    "metric_name",
    "number",
    "numbers_of",
    "percent",
    "positive_weight",
    "register_feature_kind",
    "register_task_kind",
    "sampled_softmax_loss",
    "yes_no_of",
]
