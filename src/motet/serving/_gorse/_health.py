"""Whether the service lives and can answer, as Gorse tells it."""

from __future__ import annotations

from fastapi.responses import PlainTextResponse

from motet.serving._gorse._needs import Needs
from motet.serving._gorse._route import Adder
from motet.serving._gorse._shapes import Health

__all__ = ["add_health"]


def add_health(add: Adder, needs: Needs) -> None:
    """Add both questions after health; no key is needed, as in Gorse."""

    def health() -> Health:
        connected = needs.store.can_read()
        return Health(
            ready=connected and needs.is_ready,
            data_store_error=None if connected else "the store does not answer",
            cache_store_error=None,
            data_store_connected=connected,
            cache_store_connected=True,
        )

    @add.get("/health/live", "Whether the service lives.")
    def live() -> Health:
        return health()

    @add.get("/health/ready", "Whether the service can answer.", response_model=Health)
    def ready() -> Health | PlainTextResponse:
        found = health()
        if found.ready:
            return found
        return PlainTextResponse(found.model_dump_json(by_alias=True), 503, {"Retry-After": "1"})
