"""The description of the service, with what holds for every operation."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from motet.serving._scopes import needed_scope

__all__ = ["describe_whole"]

_PROBLEM: Final = "application/problem+json"
_KEYS: Final = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key of the service."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
}
_HEADERS: Final = {
    "X-Request-Id": {
        "description": "Of this request, as it stands in the log; the client's own if it sent a sane one.",
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
    """Add to an application's description: keys and scopes, headers of answers, problems as they are sent.

    ``x-motet-scope`` of an operation is the least scope of a key that it needs once there are keys.

    Args:
        app: With all its routes.
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
