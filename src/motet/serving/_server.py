"""The server: one process on one port, which ends in order."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from motet.errors import RequestError
from motet.serving._quiet_memory import quiet_memory
from motet.serving._settings import HttpSettings

__all__ = ["LOOPBACK", "is_loopback", "listen", "run_server"]

_log: Final = logging.getLogger("motet.serving")
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_HEADERS_S: Final = 10.0
_KEPT_S: Final = 15
_MOST_CONNECTIONS: Final = 1_000
_ENDING_S: Final = 15
_TURN_S: Final = 0.0005


class _PatientProtocol(H11Protocol):
    """A connection that must have said what it wants within some seconds, again and again."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the head of the first request."""
        super().connection_made(transport)
        self._waiting = asyncio.get_running_loop().call_later(_HEADERS_S, self._too_slow)

    def on_response_complete(self) -> None:
        """Begin to wait for the head of the next request."""
        super().on_response_complete()
        self._waiting.cancel()
        self._waiting = asyncio.get_running_loop().call_later(_KEPT_S + _HEADERS_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._waiting.cancel()
        super().connection_lost(exc)

    def _too_slow(self) -> None:
        nothing_asked = self.cycle is None or self.cycle.response_complete
        if nothing_asked and not self.transport.is_closing():
            self.transport.close()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: Name or address.
        port: From 1 to 65,535, or 0 for any that is free.

    Raises:
        RequestError: If it cannot.
    """
    found: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except (OSError, OverflowError) as error:
        if found is not None:
            found.close()
        problem = f"{host}:{port} cannot be listened on ({getattr(error, 'strerror', None) or error})"
        raise RequestError(problem, "name another with --host and --port") from None
    found.setblocking(False)
    return found


def run_server(
    app: FastAPI, place: socket.socket, settings: HttpSettings, *, ready: Callable[[], None] | None = None
) -> None:
    """Answer until the process is told to end, then finish the requests under way.

    Args:
        app: The application.
        place: From :func:`listen`.
        settings: Limits.
        ready: Called when it answers.
    """
    config = uvicorn.Config(
        app,
        http=_PatientProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEPT_S,
        timeout_graceful_shutdown=_ENDING_S,
        limit_concurrency=_MOST_CONNECTIONS,
        lifespan="on",
    )
    if threading.current_thread() is threading.main_thread():
        # the server sends itself the signal again when it has ended: nobody is to die of that with work left
        signal.signal(signal.SIGTERM, lambda number, frame: None)
    quiet_memory()
    # who accepts requests or writes to disk waits for a turn again and again: at 5 ms a turn behind whoever computes
    sys.setswitchinterval(_TURN_S)
    server = _Announced(config, ready)
    server.run(sockets=[place])


class _Announced(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None, **more: Any) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets, **more)
        if self._ready is not None:
            self._ready()
