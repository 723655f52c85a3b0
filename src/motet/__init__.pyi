from . import datasets, errors
from ._api import Evaluation, Model, fit, load, serve
from ._comparison import MethodComparison, compare
from .errors import MotetError
from .schema import Schema

__version__: str

__all__ = [
    "Evaluation",
    "MethodComparison",
    "Model",
    "MotetError",
    "Schema",
    "__version__",
    "compare",
    "datasets",
    "errors",
    "fit",
    "load",
    "serve",
]
