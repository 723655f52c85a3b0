"""Whether the service lives and can answer, as Gorse tells it."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi.responses import PlainTextResponse

from motet.serving._gorse._needs import Needs
from motet.serving._gorse._route import Adder
from motet.serving._gorse._shapes import Health

__all__ = ["add_health"]

_PATIENCE_S: Final = 2.0


def add_health(add: Adder, needs: Needs) -> None:
    """Add both questions after health; no key is needed, as in Gorse, and neither waits for who asks for lists."""

    async def health() -> Health:
        try:
            connected = await asyncio.wait_for(asyncio.to_thread(needs.store.can_read), _PATIENCE_S)
        except TimeoutError:
            connected = False
        return Health(
            ready=connected and needs.has_model and not needs.is_ending,
            data_store_error=None if connected else "the store does not answer",
            cache_store_error=None,
            data_store_connected=connected,
            cache_store_connected=True,
        )

    @add.get("/health/live", "Whether the service lives.")
    async def live() -> Health:
        return await health()

    @add.get("/health/ready", "Whether the service can answer.", response_model=Health)
    async def ready() -> Health | PlainTextResponse:
        found = await health()
        if found.ready:
            return found
        return PlainTextResponse(found.model_dump_json(by_alias=True), 503, {"Retry-After": "1"})
