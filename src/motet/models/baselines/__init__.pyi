from ._baseline import Baseline, positives
from ._ease import Ease
from ._run import BASELINES, register_baseline, run_baselines
from ._target_statistics import TargetStatistics

__all__ = [
    "BASELINES",
    "Baseline",
    "Ease",
    "TargetStatistics",
    "positives",
    "register_baseline",
    "run_baselines",
]
