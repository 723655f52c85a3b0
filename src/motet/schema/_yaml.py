"""YAML as people mean it: ``on``, ``off``, ``yes`` and ``no`` are words, as in YAML 1.2."""

from __future__ import annotations

import re
from typing import Any

import yaml

__all__ = ["read_yaml", "write_yaml"]


class _Loader(yaml.SafeLoader):
    """The safe loader, with only true and false as truth values."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def read_yaml(text: str) -> Any:
    """Parse YAML text.

    Raises:
        yaml.YAMLError: If the text is not YAML.

    Example:
        >>> read_yaml("{on: item, keep: true}")
        {'on': 'item', 'keep': True}
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 (the safe loader with fewer words)


def write_yaml(content: Any) -> str:
    """Write plain values as YAML, keys in their order."""
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return text
