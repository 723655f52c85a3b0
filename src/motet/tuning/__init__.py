"""Language models fitted to one's own data: encoders aligned or trained jointly, generators instructed."""

from motet.tuning._align import align
from motet.tuning._before import check_before
from motet.tuning._chat_model import ChatModel
from motet.tuning._compare import Interval, Measured, difference, mean_of, measure_predictor
from motet.tuning._compare_answers import control_answers, measure_answers
from motet.tuning._contrast import info_nce
from motet.tuning._instruct import answer_probabilities, instruct, sample_questions
from motet.tuning._joint import tune_jointly
from motet.tuning._joint_step import JointStep
from motet.tuning._likes import ItemTexts, item_texts
from motet.tuning._pairs import CoLiked, co_liked
from motet.tuning._questions import Question, Questions
from motet.tuning._result import JointlyTuned, Tuned
from motet.tuning._settings import (
    AlignSettings,
    InstructSettings,
    JointSettings,
    LoopSettings,
    TuneSettings,
    read_settings,
)
from motet.tuning._steps import Check, TuningHistory
from motet.tuning._text_model import TextModel
from motet.tuning._tune import tune
from motet.tuning._unseen import text_auc

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
    "mean_of",
    "measure_answers",
    "measure_predictor",
    "read_settings",
    "sample_questions",
    "text_auc",
    "tune",
    "tune_jointly",
]
