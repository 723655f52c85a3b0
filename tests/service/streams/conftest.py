from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from motet.service.store import Event, Store

PATIENCE_S = 60.0


def until(done: Callable[[], object], what: str) -> None:
    """Wait until something holds."""
    until_s = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < until_s, f"waited in vain until {what}"
        time.sleep(0.02)


class RedisServer:
    """A real Redis on a free port of loopback, stopped by its process id. What it holds survives a restart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        redis = pytest.importorskip("redis", reason="the extra 'streams' is not installed")
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder), "--save", ""]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["redis-server", *options, "--appendonly", "yes", "--appendfsync", "always"],
                stdout=log,
                stderr=log,
            )
        self.client: Any = redis.Redis(port=self.port, protocol=2)

        def answers() -> bool:
            try:
                return bool(self.client.ping())
            except redis.exceptions.ConnectionError:
                return False

        until(answers, "Redis answers")

    def stop(self) -> None:
        self.client.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None

    def url(self, name: str, more: str = "") -> str:
        return f"redis://127.0.0.1:{self.port}/{name}{more}"

    def put(self, name: str, *rows: object) -> None:
        with self.client.pipeline() as pipeline:
            for row in rows:
                content = row if isinstance(row, bytes) else json.dumps(row)
                pipeline.xadd(name, {"event": content})
            pipeline.execute()

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(fields[b"event"]) for _, fields in self.client.xrange(name)]


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not installed (Debian: apt-get install redis-server)")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "store.sqlite"
    Store(path).close()
    return path


@pytest.fixture
def store(place: Path) -> Iterator[Store]:
    with Store(place) as opened:
        yield opened


def all_events(store: Store) -> list[Event]:
    found: list[Event] = []
    while more := store.events.after(found[-1].seq if found else 0, 10_000):
        found += more
    return found


class Command:
    """``motet stream …`` as a process of its own."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "motet", "stream", *map(str, arguments)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        self.said: list[str] = []
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said.append(line.strip())

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> tuple[int, str]:
        """Ask it to stop: its exit code, and what it printed."""
        return self._end(signal.SIGTERM)

    def wait(self) -> tuple[int, str]:
        return self._end(None)

    def _end(self, number: int | None) -> tuple[int, str]:
        if number is not None:
            self._process.send_signal(number)
        assert self._process.stdout is not None
        with self._process.stdout as output:
            printed = output.read()
        code = self._process.wait(PATIENCE_S)
        self._listener.join()
        assert self._process.stderr is not None
        self._process.stderr.close()
        return code, printed

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None


@pytest.fixture
def command() -> Iterator[Callable[..., Command]]:
    started: list[Command] = []

    def start(*arguments: object) -> Command:
        started.append(Command(*arguments))
        return started[-1]

    yield start
    for one in started:
        if one.is_running:
            one.kill()


@pytest.fixture
def waits() -> Callable[[Callable[[], object], str], None]:
    return until


@pytest.fixture
def read_all() -> Callable[[Store], list[Event]]:
    return all_events
