"""The server: one process on one port, which ends in order."""

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
    """Connections within limits."""
    return type(
        "_Limited", (_PatientProtocol,), {"limits": settings, "proxies": Proxies(settings.trusted_proxies)}
    )


class _PatientProtocol(H11Protocol):
    """A connection that must have said what it wants within some seconds, again and again.

    Where too many are open, of all or of one address, the one that waits longest without a request is closed for a new
    one. Where each has a request, the new one may ask for the state of the service alone.
    """

    limits: HttpSettings
    proxies: Proxies

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the head of the first request."""
        super().connection_made(transport)
        self._since_s = self.loop.time()
        others = [one for one in self.connections if one is not self and isinstance(one, _PatientProtocol)]
        self._make_room(others, self.limits.connections)
        if self.client is not None and not self.proxies.trusts(self.client[0]):
            same = [one for one in others if one.client and one.client[0] == self.client[0]]
            self._make_room(same, self.limits.connections_per_address)
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

    def _make_room(self, others: list[_PatientProtocol], most: int) -> None:
        others = [one for one in others if not one.transport.is_closing()]
        if len(others) < most:
            return
        idle = [one for one in others if one._nothing_asked]
        if idle:  # first those that never asked anything
            min(idle, key=lambda one: (one.cycle is not None, one._since_s)).transport.close()
        elif len(others) < 2 * most:
            self.app = _health_alone(self.app)
        else:
            self.transport.abort()

    @property
    def _nothing_asked(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _too_slow(self) -> None:
        if self._nothing_asked and not self.transport.is_closing():
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

    At SIGTERM it is no more ready, but answers for some seconds more, each time with ``Connection: close``: a balancer
    sees the first, and nobody's request meets a connection that was just closed.

    Args:
        app: The application.
        place: From :func:`listen`.
        settings: Limits.
        ready: Called when it answers.
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
        # the server sends itself the signal again when it has ended: nobody is to die of that with work left
        signal.signal(signal.SIGTERM, lambda number, frame: None)
    quiet_memory()
    # who accepts requests or writes to disk waits for a turn again and again: at 5 ms a turn behind whoever computes
    sys.setswitchinterval(_TURN_S)
    server = _Announced(config, ready, app.state.context.engine, settings.drain_s)
    server.run(sockets=[place])


class _Announced(uvicorn.Server):
    """Says when it answers, and answers for a while after it was told to end."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None] | None, engine: Engine, drain_s: float
    ) -> None:
        super().__init__(config)
        self._ready, self._engine, self._drain_s = ready, engine, drain_s

    async def startup(self, sockets: list[socket.socket] | None = None, **more: Any) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets, **more)
        if self._ready is not None:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Be no more ready."""
        self._engine.is_ending = True
        if sig != signal.SIGTERM:  # somebody waits at a terminal
            self._drain_s = 0.0
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer for a while more, then end."""
        self._engine.is_ending = True
        until_s = time.monotonic() + self._drain_s
        while time.monotonic() < until_s and not self.force_exit and self._drain_s:
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)
