from . import datasets, errors
from .errors import MotetError
from .schema import Schema

__version__: str

__all__ = ["MotetError", "Schema", "__version__", "datasets", "errors"]
