from ._empty import write_empty_bundle
from ._judge import Judgement, judge
from ._learner import (
    EMPTY,
    Learner,
    LearnerSettings,
    ask_for_training,
    learner_status,
    models_home,
    out_of_model,
)
from ._process import LearnerProcess, end_with_parent
from ._tables import TrainingTables, infer_schema, keep_schema, write_tables
from ._train import RunSettings, run_training
from ._watch import Success, fell, success_of, users_fell

__all__ = [
    "EMPTY",
    "Judgement",
    "Learner",
    "LearnerProcess",
    "LearnerSettings",
    "RunSettings",
    "Success",
    "TrainingTables",
    "ask_for_training",
    "end_with_parent",
    "fell",
    "infer_schema",
    "judge",
    "keep_schema",
    "learner_status",
    "models_home",
    "out_of_model",
    "run_training",
    "success_of",
    "users_fell",
    "write_empty_bundle",
    "write_tables",
]
