"""PyTorch Geometric, imported where it is used."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

from motet.errors import MissingExtraError

__all__ = ["pyg_nn"]


def pyg_nn(part: str = "") -> ModuleType:
    """The module ``torch_geometric.nn``, or a part of it.

    Raises:
        MissingExtraError: If it is not installed.
    """
    name = f"torch_geometric.nn.{part}" if part else "torch_geometric.nn"
    try:
        with warnings.catch_warnings():  # it scripts some of its own classes when it is imported
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        raise MissingExtraError("torch_geometric", "graph") from None
