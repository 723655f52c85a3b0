"""Changes of the form ``a.b=c``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from motet.errors import SchemaError
from motet.schema._yaml import read_yaml

__all__ = ["override"]


def override(values: dict[str, Any], change: str) -> None:
    """Change plain values in place, with copies of the mappings on the way.

    Args:
        values: Of a schema.
        change: Such as ``training.epochs=5``; what stands behind the sign is YAML.

    Raises:
        SchemaError: If it has another form.
    """
    path, equals, text = change.partition("=")
    if not equals or not path.strip():
        raise SchemaError(f"the override {change!r} has no form a.b=c", "write --set training.epochs=5")
    try:
        value = read_yaml(text)
    except yaml.YAMLError:
        raise SchemaError(f"the override {change!r}: {text!r} is not YAML", "quote the value") from None
    *parents, last = path.strip().split(".")
    node = values
    for parent in parents:
        below = node.get(parent)
        node[parent] = dict(below) if isinstance(below, Mapping) else {} if below is None else {"kind": below}
        node = node[parent]
    node[last] = value
