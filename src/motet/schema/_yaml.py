"""YAML as people mean it: ``on``, ``off``, ``yes`` and ``no`` are words, as in YAML 1.2."""

from __future__ import annotations

import re
from typing import Any

import yaml

__all__ = ["read_yaml", "write_yaml"]


class _Loader(yaml.SafeLoader):
    """The safe loader, with only true and false as truth values, and each key once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping; a key that stands twice would silently lose its first value."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{key}' stands twice", key_node.start_mark
                )
            seen |= {key} if isinstance(key, str) else set()
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


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
