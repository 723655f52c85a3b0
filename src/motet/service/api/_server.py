"""The HTTP server: one process on one port, with connection limits and graceful shutdown."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from motet.errors import RequestError
from motet.service.api._authenticator import Proxies, needed_scope
from motet.service.api._problems import problem_response
from motet.service.engine import Engine, HttpSettings, quiet_memory

__all__ = ["LOOPBACK", "is_loopback", "listen", "run_server"]

_log: Final = logging.getLogger("motet.service.engine")
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_HEADERS_S: Final = 10.0
_KEPT_S: Final = 15
_ENDING_S: Final = 15
_TURN_S: Final = 0.0005


def _protocol(settings: HttpSettings) -> type[H11Protocol]:
    """The protocol class with the connection limits of the settings."""
    return type(
        "_Limited", (_LimitedProtocol,), {"limits": settings, "proxies": Proxies(settings.trusted_proxies)}
    )


class _LimitedProtocol(H11Protocol):
    """A connection with a time limit for the head of each request.

    If too many are open, in total or from one address, the one that is idle for the longest time is closed to make room
    for a new one. If none is idle, the new one can only request the health routes.
    """

    limits: HttpSettings
    proxies: Proxies

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time limit for the head of the first request."""
        super().connection_made(transport)
        self._since_s = self.loop.time()
        others = [one for one in self.connections if one is not self and isinstance(one, _LimitedProtocol)]
        self._make_room(others, self.limits.connections)
        if self.client is not None and not self.proxies.trusts(self.client[0]):
            same = [one for one in others if one.client and one.client[0] == self.client[0]]
            self._make_room(same, self.limits.connections_per_address)
        self._waiting = asyncio.get_running_loop().call_later(_HEADERS_S, self._too_slow)

    def on_response_complete(self) -> None:
        """Start the time limit for the head of the next request."""
        super().on_response_complete()
        self._waiting.cancel()
        self._waiting = asyncio.get_running_loop().call_later(_KEPT_S + _HEADERS_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limit."""
        self._waiting.cancel()
        super().connection_lost(exc)

    def _make_room(self, others: list[_LimitedProtocol], most: int) -> None:
        others = [one for one in others if not one.transport.is_closing()]
        if len(others) < most:
            return
        idle = [one for one in others if one._is_idle]
        if idle:  # first those that never sent a request
            min(idle, key=lambda one: (one.cycle is not None, one._since_s)).transport.close()
        elif len(others) < 2 * most:
            self.app = _health_alone(self.app)
        else:
            self.transport.abort()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _too_slow(self) -> None:
        if self._is_idle and not self.transport.is_closing():
            self.transport.close()


def _health_alone(app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if needed_scope(scope["method"], scope["path"]) is None and "/health/" in scope["path"]:
            await app(scope, receive, send)
            return
        response = problem_response(
            503,
            "too many connections are open",
            "close some, or send it again a little later",
            path=scope["path"],
            retry_s=1,
            headers={"Connection": "close"},
        )
        await response(scope, receive, send)

    return answer


def is_loopback(host: str) -> bool:
    """Whether a host is reachable only from this machine.

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
    """Bind a socket.

    Args:
        host: Name or address.
        port: From 1 to 65,535; 0 for any free port.

    Raises:
        RequestError: If the address cannot be bound.
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
    """Serve until the process gets a signal, then finish the running requests.

    At SIGTERM the service is no longer ready, but answers for some seconds more, each time with ``Connection: close``:
    a load balancer notices the former, and no request meets a closed connection.

    Args:
        app: The application.
        place: From :func:`listen`.
        settings: Limits.
        ready: Called when the service answers.
    """
    config = uvicorn.Config(
        app,
        http=_protocol(settings),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEPT_S,
        timeout_graceful_shutdown=_ENDING_S,
        lifespan="on",
    )
    if threading.current_thread() is threading.main_thread():
        # uvicorn raises the signal again after its shutdown; the process must not die of it before its work is done
        signal.signal(signal.SIGTERM, lambda number, frame: None)
    quiet_memory()
    # threads that accept requests or write to disk need the GIL often: with the default of 5 ms they wait for threads
    # that compute
    sys.setswitchinterval(_TURN_S)
    server = _DrainingServer(config, ready, app.state.context.engine, settings.drain_s)
    server.run(sockets=[place])


class _DrainingServer(uvicorn.Server):
    """A uvicorn server that reports its start and drains before shutdown."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None] | None, engine: Engine, drain_s: float
    ) -> None:
        super().__init__(config)
        self._ready, self._engine, self._drain_s = ready, engine, drain_s

    async def startup(self, sockets: list[socket.socket] | None = None, **more: Any) -> None:
        """Start, then call ``ready``."""
        await super().startup(sockets, **more)
        if self._ready is not None:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Make the service not ready."""
        self._engine.is_ending = True
        if sig != signal.SIGTERM:  # Ctrl-C at a terminal: end at once
            self._drain_s = 0.0
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer for the drain time, then shut down."""
        self._engine.is_ending = True
        until_s = time.monotonic() + self._drain_s
        while time.monotonic() < until_s and not self.force_exit and self._drain_s:
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)
