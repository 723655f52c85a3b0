from ._drift import Drift
from ._shadow import Outcomes, Shadow
from ._watch import Watch, log_as_json

__all__ = [
    "Drift",
    "Outcomes",
    "Shadow",
    "Watch",
    "log_as_json",
]
