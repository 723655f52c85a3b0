"""What is ranked by where a request says nothing."""

from __future__ import annotations

from motet.schema import Schema

__all__ = ["default_weights"]


def default_weights(schema: Schema) -> dict[str, float]:
    """What is ranked by where a request says nothing: the retrieval task, else the first that gives one number."""
    able = {name: task for name, task in schema.tasks.items() if task.on != "user" and task.ranks}
    ordered = [*(name for name, task in able.items() if task.ranks_catalogue), *able]
    return dict.fromkeys(ordered[:1], 1.0)
