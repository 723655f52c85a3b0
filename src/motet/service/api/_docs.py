"""The OpenAPI description of the service and the page that shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import FileResponse, HTMLResponse, Response

from motet.service.api._authenticator import needed_scope

__all__ = ["describe_whole", "docs_routes", "example_of", "operations_of"]

_PROBLEM: Final = "application/problem+json"
_KEYS: Final = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key of the service."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
}
_HEADERS: Final = {
    "X-Request-Id": {
        "description": "Id of this request in the log; that of the client if it sent a valid one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9A-Za-z._-]{1,64}$"},
    },
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}


def describe_whole(app: FastAPI) -> None:
    """Add keys, scopes, response headers and problem responses to the OpenAPI description.

    ``x-motet-scope`` of an operation is the least scope of a key that it needs once there are keys.

    Args:
        app: The application with all its routes.
    """
    plain = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        described = plain()
        parts = described.setdefault("components", {})
        parts["securitySchemes"], parts["headers"] = _KEYS, _HEADERS
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                scope = needed_scope(method.upper(), path)
                if scope is not None:  # without keys in the store none is needed
                    operation["security"] = [{"key": []}, {"bearer": []}, {}]
                    operation["x-motet-scope"] = scope
                for status, answer in operation["responses"].items():
                    _mend(status, answer)
        return described

    app.openapi = whole  # type: ignore[method-assign]


def _mend(status: str, answer: dict[str, Any]) -> None:
    content = answer.get("content", {})
    if _PROBLEM in content and "application/json" in content:
        content[_PROBLEM] = content.pop("application/json")
    headers = answer.setdefault("headers", {})
    for name in ("X-Request-Id", "Retry-After") if status in ("429", "503") else ("X-Request-Id",):
        headers[name] = {"$ref": f"#/components/headers/{name}"}


# -- the page: every operation with a form to try it; all files come from this process ----------

_HERE: Final = Path(__file__).parent / "docs"
_METHODS: Final = ("get", "post", "put", "patch", "delete")
_DEEPEST: Final = 6
_PLAIN: Final[dict[str, Any]] = {"string": "", "integer": 0, "number": 0, "boolean": False, "null": None}


def docs_routes(app: FastAPI) -> APIRouter:
    """Routes of the page and its files.

    Args:
        app: The application.
    """
    routes = APIRouter(include_in_schema=False)
    words = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    @routes.get("/docs")
    def page() -> Response:
        described = app.openapi()
        content = words.get_template("docs.html").render(
            info=described["info"],
            groups=operations_of(described),
            schemas={name: _shown(one) for name, one in described["components"]["schemas"].items()},
        )
        return HTMLResponse(content)

    @routes.get("/docs/docs.css")
    def style() -> Response:
        return FileResponse(_HERE / "docs.css", media_type="text/css")

    @routes.get("/docs/docs.js")
    def script() -> Response:
        return FileResponse(_HERE / "docs.js", media_type="text/javascript")

    return routes


def operations_of(described: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Operations of a description by their tag, each as the page shows it.

    Args:
        described: The OpenAPI description.
    """
    schemas = described.get("components", {}).get("schemas", {})
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in described["paths"].items():
        for method in _METHODS:
            if method not in methods:
                continue
            operation = methods[method]
            body = None
            for kind, one in operation.get("requestBody", {}).get("content", {}).items():
                example = example_of(one.get("schema", {}), schemas)
                text = _shown(example) if kind.endswith("json") else ""
                body = body or {"kind": kind, "schema": _named(one.get("schema", {})), "example": text}
            found = {
                "id": operation["operationId"],
                "method": method.upper(),
                "path": path,
                "summary": operation.get("summary", ""),
                "about": operation.get("description", ""),
                "scope": operation.get("x-motet-scope"),
                "parameters": [_parameter(one, schemas) for one in operation.get("parameters", ())],
                "body": body,
                "answers": [_answer(status, one) for status, one in operation["responses"].items()],
            }
            groups.setdefault((operation.get("tags") or ["others"])[0], []).append(found)
    return groups


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int = 0) -> Any:
    """An example value of a schema: its own example, else its required parts.

    Args:
        schema: JSON Schema.
        schemas: Those that it may point to, by name.
        depth: Its nesting depth.

    Example:
        >>> example_of({"type": "object", "required": ["k"], "properties": {"k": {"examples": [3]}, "x": {}}}, {})
        {'k': 3}
    """
    if "$ref" in schema:
        return example_of(schemas.get(_name(schema["$ref"]), {}), schemas, depth + 1)
    for given in ("examples", "enum"):
        if schema.get(given):
            return schema[given][0]
    for given in ("default", "const"):
        if given in schema:
            return schema[given]
    for several in ("anyOf", "oneOf", "allOf"):
        if schema.get(several):
            return example_of(schema[several][0], schemas, depth + 1)
    if schema.get("type") == "array":
        return [] if depth > _DEEPEST else [example_of(schema.get("items", {}), schemas, depth + 1)]
    if "properties" in schema and depth <= _DEEPEST:
        wanted = schema.get("required", ())
        named = {
            name: one for name, one in schema["properties"].items() if name in wanted or one.get("examples")
        }
        return {name: example_of(one, schemas, depth + 1) for name, one in named.items()}
    return _PLAIN.get(str(schema.get("type")), {})


def _parameter(parameter: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    schema = parameter.get("schema", {})
    value = example_of(schema, schemas) if parameter.get("required") else schema.get("default", "")
    return {
        "name": parameter["name"],
        "where": parameter["in"],
        "required": parameter.get("required", False),
        "about": parameter.get("description", ""),
        "kind": _kind(schema),
        "value": "" if value is None or value == {} else value,
    }


def _kind(schema: Mapping[str, Any]) -> str:
    """The kind of a value, in few words."""
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    several = schema.get("anyOf") or schema.get("oneOf")
    if several:
        return " | ".join(_kind(one) for one in several)
    if schema.get("type") == "array":
        return f"{_kind(schema.get('items', {}))} …"
    return str(schema.get("type") or _named(schema) or "anything")


def _answer(status: str, response: Mapping[str, Any]) -> dict[str, Any]:
    kinds = [(kind, _named(one.get("schema", {}))) for kind, one in response.get("content", {}).items()]
    return {"status": status, "about": response.get("description", ""), "kinds": kinds}


def _named(schema: Mapping[str, Any]) -> str:
    """Name of the schema; empty if it has none."""
    found = schema.get("$ref") or schema.get("items", {}).get("$ref") or ""
    return _name(found)


def _name(reference: str) -> str:
    return reference.rsplit("/", 1)[-1]


def _shown(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
