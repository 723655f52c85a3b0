"""Language models fitted to one's own data: encoders aligned or trained jointly, generators instructed."""

from motet.tuning._align import align, info_nce, tune
from motet.tuning._compare import (
    Interval,
    Measured,
    control_answers,
    difference,
    mean_of,
    measure_answers,
    measure_predictor,
)
from motet.tuning._instruct import Question, Questions, answer_probabilities, instruct, sample_questions
from motet.tuning._joint import JointStep, tune_jointly
from motet.tuning._likes import (
    CoLiked,
    ItemTexts,
    co_liked,
    item_texts,
    liked_in_training,
    liking_task,
    split_items,
    text_auc,
)
from motet.tuning._models import ChatModel, TextModel, TunedWeights
from motet.tuning._place import JointlyTuned, Tuned, check_before
from motet.tuning._settings import (
    AlignSettings,
    InstructSettings,
    JointSettings,
    LoopSettings,
    TuneSettings,
    read_settings,
)
from motet.tuning._steps import Check, TuningHistory, run_steps

__all__ = [
    "AlignSettings",
    "ChatModel",
    "Check",
    "CoLiked",
    "InstructSettings",
    "Interval",
    "ItemTexts",
    "JointSettings",
    "JointStep",
    "JointlyTuned",
    "LoopSettings",
    "Measured",
    "Question",
    "Questions",
    "TextModel",
    "TuneSettings",
    "Tuned",
    "TunedWeights",
    "TuningHistory",
    "align",
    "answer_probabilities",
    "check_before",
    "co_liked",
    "control_answers",
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
