"""Former names that keep working, with a warning, until motet 0.3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["RENAMED_OPTIONS"]

RENAMED_OPTIONS: Final[Mapping[str, str]] = {"--controls": "--baselines", "--keep-seen": "--include-seen"}
"""Options of the command line: former name to present name."""
