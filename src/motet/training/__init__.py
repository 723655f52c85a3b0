"""The one loop; checkpoints; a trained model as a predictor; what tasks cost and how they relate."""

from motet.training._diagnostics import Diagnosis, diagnose
from motet.training._loop import Trained, TrainingHistory, Validation, task_losses, train_model
from motet.training._predictor import ModelPredictor
from motet.training._single_task import single_task_control

__all__ = [
    "Diagnosis",
    "ModelPredictor",
    "Trained",
    "TrainingHistory",
    "Validation",
    "diagnose",
    "single_task_control",
    "task_losses",
    "train_model",
]
