from ._add_task import add_task
from ._bundle import Bundle, check_place, load_bundle, save_bundle, write_metrics
from ._checkpoint import (
    held_interrupts,
    load_checkpoint,
    load_optimiser,
    only_run,
    optimiser_tensors,
    save_checkpoint,
)
from ._export import export_measured
from ._folds import cross_validate
from ._importance import bundle_importance, exchanged, feature_importance
from ._loop import Trained, train_model, untrainable_tasks
from ._manifest import FORMAT, PARTS, read_manifest, write_manifest
from ._measure import single_task_baseline
from ._methods import Method, MethodOption, list_methods
from ._predictor import ModelPredictor
from ._refit import Refit, refit_network
from ._run import Prepared, evaluate_bundle, load_data, train, write_report
from ._search import SearchResult, chosen_line, search_settings
from ._search_space import SearchSettings
from ._step import RowOptimiser, StandardStep, TrainingStep, learning_rate_at, task_losses
from ._warm_start import WarmStart, WarmStep, start_line
from .balancing import (
    BALANCERS,
    Balancer,
    TaskAffinity,
    build_balancer,
    gramian,
    register_balancer,
    task_affinity,
)
from .blending import (
    NETWORK,
    NetworkMoments,
    RankingBlend,
    TaskBlend,
    fit_blend,
    fit_members,
    fit_pair_members,
)

__all__ = [
    "BALANCERS",
    "FORMAT",
    "NETWORK",
    "PARTS",
    "Balancer",
    "Bundle",
    "Method",
    "MethodOption",
    "ModelPredictor",
    "NetworkMoments",
    "Prepared",
    "RankingBlend",
    "Refit",
    "RowOptimiser",
    "SearchResult",
    "SearchSettings",
    "StandardStep",
    "TaskAffinity",
    "TaskBlend",
    "Trained",
    "TrainingStep",
    "WarmStart",
    "WarmStep",
    "add_task",
    "build_balancer",
    "bundle_importance",
    "check_place",
    "chosen_line",
    "cross_validate",
    "evaluate_bundle",
    "exchanged",
    "export_measured",
    "feature_importance",
    "fit_blend",
    "fit_members",
    "fit_pair_members",
    "gramian",
    "held_interrupts",
    "learning_rate_at",
    "list_methods",
    "load_bundle",
    "load_checkpoint",
    "load_data",
    "load_optimiser",
    "only_run",
    "optimiser_tensors",
    "read_manifest",
    "refit_network",
    "register_balancer",
    "save_bundle",
    "save_checkpoint",
    "search_settings",
    "single_task_baseline",
    "start_line",
    "task_affinity",
    "task_losses",
    "train",
    "train_model",
    "untrainable_tasks",
    "write_manifest",
    "write_metrics",
    "write_report",
]
