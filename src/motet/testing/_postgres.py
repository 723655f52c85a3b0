"""A PostgreSQL server of one's own, for tests: real, on loopback, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["PostgresServer"]

_PATIENCE_S: Final = 60.0


class PostgresServer:
    """A PostgreSQL server in a temporary directory, on a free port of the loopback interface.

    PostgreSQL refuses to run as root: started by root it runs as ``postgres`` or ``unknown_user``. It is stopped by its
    process id, and its directory is deleted.

    Attributes:
        port: The port.
    """

    def __init__(self) -> None:
        found = self.programs()
        if found is None:
            raise FileNotFoundError("PostgreSQL's initdb is not installed")
        self._programs = found
        self._user = _unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="motet-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        initdb = [str(found / "initdb"), "-D", str(self._folder / "data"), "-U", "motet", "--auth=trust"]
        self._call([*initdb, "--encoding=UTF8", "--locale=C.UTF-8"])

    @staticmethod
    def programs() -> Path | None:
        """The directory of PostgreSQL's newest programs; None where it is not installed."""
        places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)]
        if on_path := shutil.which("initdb"):
            places.append(Path(on_path).parent)
        return next((place for place in places if (place / "initdb").is_file()), None)

    def start(self) -> None:
        """Start it, and wait until it answers; after :meth:`kill` as often as it takes, as a supervisor does."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._folder),
            "max_connections": "60",
            "shared_buffers": "16MB",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        until_s = time.monotonic() + _PATIENCE_S
        self._process = self._begun(settings)
        while subprocess.run(ready, check=False).returncode != 0:  # noqa: S603 (our own arguments)
            if time.monotonic() > until_s:
                raise RuntimeError((self._folder / "log").read_text(encoding="utf-8")[-2000:])
            if self._process.poll() is not None:
                said = (self._folder / "log").read_text(encoding="utf-8")[-2000:]
                if "is still in use" not in said:  # by processes of the server that was killed
                    raise RuntimeError(said)
                self._process = self._begun(settings)
            time.sleep(0.05)

    def _begun(self, settings: list[str]) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 (our own arguments)
                [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *settings],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._user,
                group=None if self._user is None else pwd.getpwnam(self._user).pw_gid,
                extra_groups=None if self._user is None else [],
            )

    def stop(self) -> None:
        """Stop it at once, as a crash would: connections are cut, and what was committed stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def kill(self) -> None:
        """Kill its first process by SIGKILL: it can tell the others nothing, and cleans nothing up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_PATIENCE_S)
            self._process = None

    def new_database(self, name: str) -> str:
        """Make an empty database, and say its URL."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "motet"]
        self._call([str(self._programs / "createdb"), *where, name])
        return f"postgresql://motet@127.0.0.1:{self.port}/{name}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _call(self, command: list[str]) -> None:
        group = None if self._user is None else pwd.getpwnam(self._user).pw_gid
        groups: list[str | int] | None = None if self._user is None else []
        subprocess.run(  # noqa: S603 (our own arguments)
            command,
            check=True,
            capture_output=True,
            cwd=self._folder,
            user=self._user,
            group=group,
            extra_groups=groups,
        )


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.parent.name.split(".") if part.isdecimal())


def _unprivileged() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)
