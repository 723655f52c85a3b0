from ._align import align, info_nce, tune
from ._compare import (
    Interval,
    Measured,
    baseline_answers,
    difference,
    mean_of,
    measure_answers,
    measure_predictor,
)
from ._instruct import Question, Questions, answer_probabilities, instruct, sample_questions
from ._joint import JointStep, tune_jointly
from ._likes import co_liked, item_texts, liked_in_training, liking_task, split_items, text_auc
from ._models import ChatModel, TextModel, TunedWeights
from ._place import Tuned, check_before
from ._settings import AlignSettings, InstructSettings, JointSettings, read_settings
from ._steps import run_steps

__all__ = [
    "AlignSettings",
    "ChatModel",
    "InstructSettings",
    "Interval",
    "JointSettings",
    "JointStep",
    "Measured",
    "Question",
    "Questions",
    "TextModel",
    "Tuned",
    "TunedWeights",
    "align",
    "answer_probabilities",
    "baseline_answers",
    "check_before",
    "co_liked",
    "difference",
    "info_nce",
    "instruct",
    "item_texts",
    "liked_in_training",
    "liking_task",
    "mean_of",
    "measure_answers",
    "measure_predictor",
    "read_settings",
    "run_steps",
    "sample_questions",
    "split_items",
    "text_auc",
    "tune",
    "tune_jointly",
]
