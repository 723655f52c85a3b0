"""The one loop; checkpoints; a trained model as a predictor."""

from motet.training._loop import Trained, TrainingHistory, Validation, task_losses, train_model
from motet.training._predictor import ModelPredictor

__all__ = ["ModelPredictor", "Trained", "TrainingHistory", "Validation", "task_losses", "train_model"]
