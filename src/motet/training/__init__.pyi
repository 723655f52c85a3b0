from ._balance import BALANCERS, Balancer, build_balancer, gramian, register_balancer
from ._bundle import Bundle, check_place, load_bundle, save_bundle, write_metrics
from ._checkpoint import (
    held_interrupts,
    load_checkpoint,
    load_optimiser,
    only_run,
    optimiser_tensors,
    save_checkpoint,
)
from ._loop import Trained, train_model
from ._manifest import FORMAT, PARTS, read_manifest, write_manifest
from ._measure import follows_from, measure_trained, single_task_baseline
from ._predictor import ModelPredictor
from ._run import Prepared, evaluate_bundle, load_data, train, write_report
from ._step import RowOptimiser, StandardStep, TrainingStep, learning_rate_at, task_losses

__all__ = [
    "BALANCERS",
    "FORMAT",
    "PARTS",
    "Balancer",
    "Bundle",
    "ModelPredictor",
    "Prepared",
    "RowOptimiser",
    "StandardStep",
    "Trained",
    "TrainingStep",
    "build_balancer",
    "check_place",
    "evaluate_bundle",
    "follows_from",
    "gramian",
    "held_interrupts",
    "learning_rate_at",
    "load_bundle",
    "load_checkpoint",
    "load_data",
    "load_optimiser",
    "measure_trained",
    "only_run",
    "optimiser_tensors",
    "read_manifest",
    "register_balancer",
    "save_bundle",
    "save_checkpoint",
    "single_task_baseline",
    "task_losses",
    "train",
    "train_model",
    "write_manifest",
    "write_metrics",
    "write_report",
]
