from ._drift import Drift
from ._shadow import Outcomes, Shadow
from ._watch import ListFigures, Watch, log_as_json

__all__ = [
    "Drift",
    "ListFigures",
    "Outcomes",
    "Shadow",
    "Watch",
    "log_as_json",
]
