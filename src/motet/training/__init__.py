"""The one loop; checkpoints; a trained model as a predictor; what tasks cost and how they relate."""

from motet.training._checkpoint import (
    load_checkpoint,
    load_optimiser,
    only_run,
    optimiser_tensors,
    save_checkpoint,
)
from motet.training._diagnostics import Diagnosis, diagnose
from motet.training._interrupt import held_interrupts
from motet.training._loop import Trained, TrainingHistory, Validation, train_model
from motet.training._measure import follows_from, measure_trained
from motet.training._predictor import ModelPredictor
from motet.training._single_task import single_task_control
from motet.training._step import Step, TrainingStep, task_losses

__all__ = [
    "Diagnosis",
    "ModelPredictor",
    "Step",
    "Trained",
    "TrainingHistory",
    "TrainingStep",
    "Validation",
    "diagnose",
    "follows_from",
    "held_interrupts",
    "load_checkpoint",
    "load_optimiser",
    "measure_trained",
    "only_run",
    "optimiser_tensors",
    "save_checkpoint",
    "single_task_control",
    "task_losses",
    "train_model",
]
