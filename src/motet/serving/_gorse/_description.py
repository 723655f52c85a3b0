"""The description of Gorse's routes alone, where its clients look for it."""

from __future__ import annotations

from typing import Any

__all__ = ["described"]


def described(whole: dict[str, Any]) -> dict[str, Any]:
    """What an OpenAPI description says of the routes under ``/api``.

    Args:
        whole: Of the whole service.

    Example:
        >>> described({"paths": {"/api/user": {}, "/v1/items": {}}, "info": {}})["paths"]
        {'/api/user': {}}
    """
    paths = {path: said for path, said in whole.get("paths", {}).items() if path.startswith("/api/")}
    schemas = whole.get("components", {}).get("schemas", {})
    needed: dict[str, Any] = {}
    waiting = _named(paths)
    while waiting:
        name = waiting.pop()
        if name in schemas and name not in needed:
            needed[name] = schemas[name]
            waiting += _named(schemas[name])
    rest = {name: part for name, part in whole.get("components", {}).items() if name != "schemas"}
    return {**whole, "paths": paths, "components": {**rest, "schemas": needed}}


def _named(part: Any) -> list[str]:
    """Names of the schemas that a part of a description points to."""
    found: list[str] = []
    waiting = [part]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if isinstance(reference := one.get("$ref"), str):
                found.append(reference.rsplit("/", 1)[-1])
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found
