"""HTTP/1.1 over one kept connection, as little as a load generator needs: its own cost must not be measured."""

from __future__ import annotations

import json
import socket
from types import TracebackType
from typing import Any, Self

__all__ = ["Wire", "http_request"]

_BLOCK = 2**18


def http_request(method: str, path: str, content: Any = None, *, kind: str = "application/json") -> bytes:
    """A request as bytes, so that none is put together while a clock runs.

    Args:
        method: Such as POST.
        path: With its query, quoted.
        content: Becomes JSON, unless it is bytes already; no body where it is None.
        kind: Type of the content.
    """
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if content is None:
        return (
            f"{head}Content-Length: 0\r\n\r\n".encode()
            if method in ("PUT", "POST")
            else f"{head}\r\n".encode()
        )
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return f"{head}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Wire:
    """A connection that is opened again when the other side has closed it.

    Args:
        port: On loopback.
        source: The own address.
        timeout_s: Longest wait for a part of an answer.
    """

    def __init__(self, port: int, source: str = "127.0.0.1", timeout_s: float = 60.0) -> None:
        self._port, self._source, self._timeout_s = port, source, timeout_s
        self._socket: socket.socket | None = None
        self._rest = b""

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and wait for its answer: status and body.

        Raises:
            OSError: If there was no whole answer; whether the request had an effect is not known then.
        """
        try:
            if self._socket is None:
                self._open()
            assert self._socket is not None
            self._socket.sendall(request)
            return self._read()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest = None, b""

    def _open(self) -> None:
        found = socket.create_connection(("127.0.0.1", self._port), self._timeout_s, (self._source, 0))
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self._rest = found, b""

    def _read(self) -> tuple[int, bytes]:
        data = self._rest
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        head = data[:end].lower()
        body, status = data[end + 4 :], int(head[9:12])
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            size = int(head[at + 17 :].split(b"\r\n", 1)[0])
            if len(body) < size:
                parts, have = [body], len(body)
                while have < size:
                    parts.append(self._more())
                    have += len(parts[-1])
                body = b"".join(parts)
            body, self._rest = body[:size], body[size:]
        elif b"transfer-encoding: chunked" in head:
            body = self._chunks(body)
        elif status not in (204, 304):
            raise OSError("an answer has no length")
        if b"\r\nconnection: close" in head:
            self.close()
        return status, body

    def _chunks(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        while True:
            while (end := data.find(b"\r\n")) < 0:
                data += self._more()
            size = int(data[:end], 16)
            while len(data) < end + size + 4:
                data += self._more()
            parts.append(data[end + 2 : end + 2 + size])
            data = data[end + size + 4 :]
            if size == 0:
                self._rest = data
                return b"".join(parts)

    def _more(self) -> bytes:
        assert self._socket is not None
        part = self._socket.recv(_BLOCK)
        if not part:
            raise ConnectionResetError("the connection was closed before the end of an answer")
        return part

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
