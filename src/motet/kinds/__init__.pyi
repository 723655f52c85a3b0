from ._labelled import LabelledTask, numbers_of
from ._register import register_feature_kind, register_task_kind
from .binary import BinaryTask
from .categorical import CategoricalFeature
from .id import IdFeature
from .multiclass import MulticlassTask
from .multilabel import MultilabelTask
from .numeric import NumericFeature
from .regression import RegressionTask
from .retrieval import RetrievalTask, sampled_softmax_loss
from .sequence import SequenceFeature
from .tags import TagsFeature
from .text import TextFeature
from .vector import VectorFeature

__all__ = [
    "BinaryTask",
    "CategoricalFeature",
    "IdFeature",
    "LabelledTask",
    "MulticlassTask",
    "MultilabelTask",
    "NumericFeature",
    "RegressionTask",
    "RetrievalTask",
    "SequenceFeature",
    "TagsFeature",
    "TextFeature",
    "VectorFeature",
    "numbers_of",
    "register_feature_kind",
    "register_task_kind",
    "sampled_softmax_loss",
]
