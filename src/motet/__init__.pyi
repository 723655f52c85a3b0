from . import datasets, errors
from ._api import Evaluation, Model, fit, load, serve
from .errors import MotetError
from .schema import Schema

__version__: str

__all__ = [
    "Evaluation",
    "Model",
    "MotetError",
    "Schema",
    "__version__",
    "datasets",
    "errors",
    "fit",
    "load",
    "serve",
]
