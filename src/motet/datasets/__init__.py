"""Real data sets one call away, and synthetic worlds whose truth is known."""

from motet.datasets._generate import generate
from motet.datasets._source import DatasetSource
from motet.datasets._table import DATASETS, LoadedDataset, fetch, load
from motet.datasets._truth import Truth
from motet.datasets._world import World

__all__ = ["DATASETS", "DatasetSource", "LoadedDataset", "Truth", "World", "fetch", "generate", "load"]
