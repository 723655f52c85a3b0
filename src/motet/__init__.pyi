from . import datasets, errors
from ._api import Evaluation, MethodComparison, Model, compare, fit, load, serve
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
