"""Controls: the plain predictors that a model has to beat."""

from motet.evaluation._controls._control import Control
from motet.evaluation._controls._run import CONTROLS, register_baseline, run_controls

__all__ = ["CONTROLS", "Control", "register_baseline", "run_controls"]
