"""What is ranked by where a request says nothing."""

from __future__ import annotations

from motet.schema import Schema

__all__ = ["default_weights"]


def default_weights(schema: Schema) -> dict[str, float]:
    """What is ranked by where a request says nothing: the retrieval task, else the first that gives one number."""
    kinds = {name: task.kind for name, task in schema.tasks.items() if task.on != "user"}
    ordered = [n for n, kind in kinds.items() if kind == "retrieval"]
    ordered += [n for n, kind in kinds.items() if kind in ("binary", "regression")]
    return dict.fromkeys(ordered[:1], 1.0)
