"""Language models fitted to one's own data: encoders aligned or trained jointly, generators instructed."""

from motet.tuning._align import align
from motet.tuning._contrast import info_nce
from motet.tuning._joint import tune_jointly
from motet.tuning._joint_step import JointStep
from motet.tuning._pairs import CoLiked, co_liked
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
from motet.tuning._unseen import text_auc

__all__ = [
    "AlignSettings",
    "Check",
    "CoLiked",
    "InstructSettings",
    "JointSettings",
    "JointStep",
    "JointlyTuned",
    "LoopSettings",
    "TextModel",
    "TuneSettings",
    "Tuned",
    "TuningHistory",
    "align",
    "co_liked",
    "info_nce",
    "read_settings",
    "text_auc",
    "tune_jointly",
]
