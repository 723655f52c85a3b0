"""Old names that keep working, with a warning, until motet 0.3; and old keys of files that are still read."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["RENAMED", "current_metrics", "current_settings"]

RENAMED: Final[Mapping[str, str]] = {
    "--controls": "--baselines",
    "--keep-seen": "--include-seen",
    "language.backend: onnx": "language.backend: ctranslate2",
}
"""Options of the command line, and values of a schema as ``section.key: value``: old name to current name."""

_METRICS: Final[Mapping[str, str]] = {"controls": "baselines"}
_VALIDATION: Final[Mapping[str, str]] = {"headlines": "primary_values"}


def current_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values of a schema under their current names.

    Args:
        values: Of a schema; they are not changed.

    Warns:
        FutureWarning: For each old name.
    """
    found = dict(values)
    for old, new in RENAMED.items():
        path, is_value, old_value = old.partition(": ")
        section, _, key = path.partition(".")
        part = found.get(section)
        if is_value and isinstance(part, Mapping) and part.get(key) == old_value:
            warnings.warn(
                f"{old} is an old name, which works until 0.3; write {new}", FutureWarning, stacklevel=3
            )
            found[section] = {**part, key: new.removeprefix(f"{path}: ")}
    return found


def current_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a ``metrics.json``, or a training history in it, under its current keys."""
    found = _renamed_keys(metrics, _METRICS)
    if isinstance(history := found.get("history"), Mapping):
        found["history"] = current_metrics(history)
    if isinstance(validations := found.get("validations"), list):
        found["validations"] = [_renamed_keys(validation, _VALIDATION) for validation in validations]
    return found


def _renamed_keys(content: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    return {table.get(key, key): value for key, value in content.items()}
