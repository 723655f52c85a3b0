"""Build the wheel, install it in a fresh environment, and use it there: ``environments.py base serve ...``.

Names are ``base`` (no extra), ``lowest`` (no extra, the lowest versions that pyproject.toml allows; torch as
in constraints.txt, which is its lowest), and the extras. Nothing is left behind but the cache of pip.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
DOWNLOADS = Path(os.environ.get("MOTET_CACHE", Path.home() / ".cache" / "motet")) / "assets"
USE = Path(__file__).with_name("use.py")


def main(names: list[str]) -> int:
    """Check some environments, one after the other; returns the exit code."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = ["base", "lowest", *(extra for extra in project["optional-dependencies"] if extra != "dev")]
    if wrong := [name for name in names if name not in known]:
        print(f"{wrong[0]} is no environment; known: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    with tempfile.TemporaryDirectory() as place:
        run(sys.executable, "-m", "venv", f"{place}/build")
        run(f"{place}/build/bin/pip", "wheel", "--quiet", "--no-deps", "-w", place, ROOT)
        (wheel,) = Path(place).glob("motet-*.whl")
        for name in names or known:
            began = time.monotonic()
            done = check(name, wheel, lowest(project["dependencies"]))
            print(f"{name}: {'works' if done else 'FAILED'}, {time.monotonic() - began:.0f} s", flush=True)
            failed += [] if done else [name]
    return 1 if failed else 0


def check(name: str, wheel: Path, floors: list[str]) -> bool:
    """Install a wheel in a fresh environment and use it; returns whether that went well."""
    (torch,) = re.findall(r"^torch==.*$", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
    with tempfile.TemporaryDirectory() as place:
        run(sys.executable, "-m", "venv", f"{place}/env")
        install = (f"{place}/env/bin/pip", "install", "--quiet", "--disable-pip-version-check")
        if name == "lowest":
            run(*install, torch, *floors, wheel)
        else:
            run(*install, torch)
            extra = "" if name == "base" else f"[{name}]"
            run(*install, "-c", CONSTRAINTS, f"motet{extra} @ {wheel.as_uri()}")
        run(f"{place}/env/bin/pip", "check", "--disable-pip-version-check")
        work = Path(place) / "work"
        work.mkdir()
        # another directory, -P and no PYTHONPATH: what is used is what was installed
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment["MOTET_CACHE"] = f"{place}/cache"
        Path(place, "cache").mkdir()
        if DOWNLOADS.is_dir():
            Path(place, "cache", "assets").symlink_to(DOWNLOADS)
        command = [f"{place}/env/bin/python", "-P", str(USE), name]
        return subprocess.run(command, cwd=work, env=environment, check=False).returncode == 0


def lowest(dependencies: list[str]) -> list[str]:
    """The lowest version of each dependency, pinned; torch is left out.

    Example:
        >>> lowest(["numpy>=2.0,<3", "torch>=2.13,<3"])
        ['numpy==2.0']
    """
    floors = [re.fullmatch(r"([\w.-]+)>=([\w.]+)(?:,<[\w.]+)?", dependency) for dependency in dependencies]
    assert all(floors), f"each dependency needs a lowest version: {dependencies}"
    return [f"{floor[1]}=={floor[2]}" for floor in floors if floor is not None and floor[1] != "torch"]


def run(*command: object) -> None:
    """Run a command; one that fails ends the check."""
    subprocess.run([str(part) for part in command], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
