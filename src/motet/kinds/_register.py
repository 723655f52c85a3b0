"""Adding kinds from elsewhere."""

from __future__ import annotations

from typing import TypeVar

from motet.schema import FEATURE_KINDS, TASK_KINDS, Feature, Task, register_kind

__all__ = ["register_feature_kind", "register_task_kind"]

F = TypeVar("F", bound=type[Feature])
K = TypeVar("K", bound=type[Task])


def register_feature_kind(kind: F) -> F:
    """Add a feature kind; a decorator of its class.

    Raises:
        SchemaError: If it is no whole feature kind, or another one has its name.
    """
    register_kind(FEATURE_KINDS, Feature, kind)  # type: ignore[type-abstract]
    return kind


def register_task_kind(kind: K) -> K:
    """Add a task kind; a decorator of its class.

    Raises:
        SchemaError: If it is no whole task kind, or another one has its name.
    """
    register_kind(TASK_KINDS, Task, kind)  # type: ignore[type-abstract]
    return kind
