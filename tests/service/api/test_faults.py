"""Short forms of the benchmarks of faults and swaps: real processes, killed, starved of disk, given other models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from motet.testing import PostgresServer

ROOT = Path(__file__).parents[3]
needs_postgres = pytest.mark.skipif(PostgresServer.programs() is None, reason="PostgreSQL is not installed")


def measured(name: str, place: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """What a benchmark found, and what it said."""
    written = place / "found.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments, "--json", str(written)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500)
    said = done.stdout + done.stderr
    assert written.is_file(), said
    return json.loads(written.read_text(encoding="utf-8"))["results"], said


def check_nothing_is_lost(part: dict[str, Any], said: str) -> None:
    assert part["acknowledged"] > 0, said
    counts = [part[what] for what in ("lost", "twice", "never_sent", "users_with_wrong_counts")]
    assert counts == [0, 0, 0, 0], said


def check_outage(part: dict[str, Any], cure: str, said: str) -> None:
    check_nothing_is_lost(part, said)
    during, after = part["phases"]["during"], part["phases"]["after"]
    assert during["lists"] > 0, said
    assert during["lists_failed"] == 0, said
    assert during["events_503"] > 0, said
    assert all(cure in refusal for refusal in part["refusals"]), said
    assert part["same_process"], said
    assert after["events_200"] > 0, said
    assert after["events_503"] == 0, said


@pytest.mark.soak
def test_killed_and_without_room_on_its_disk_it_loses_nothing(films: Path, tmp_path: Path) -> None:
    short = ("--parts", "kills", "disk", "--kills", "2", "--seconds", "2", "--bundle", str(films))
    found, said = measured("service_faults", tmp_path, *short)
    check_nothing_is_lost(found["kill -9"], said)
    assert found["kill -9"]["wrong_answers"] == 0, said
    check_outage(found["disk full"], "make room", said)


@pytest.mark.soak
@needs_postgres
def test_killed_beside_postgresql_or_when_that_is_killed_it_loses_nothing(
    films: Path, tmp_path: Path
) -> None:
    short = ("--parts", "kills-postgresql", "database-killed", "--kills", "2", "--seconds", "2", "--bundle", str(films))  # fmt: skip
    found, said = measured("service_faults", tmp_path, *short)
    check_nothing_is_lost(found["kill -9, PostgreSQL"], said)
    assert found["kill -9, PostgreSQL"]["wrong_answers"] == 0, said
    check_outage(found["database killed"], "see that the database runs", said)


@pytest.mark.soak
def test_models_are_swapped_under_load_without_a_failed_request(films: Path, tmp_path: Path) -> None:
    short = ("--swaps", "20", "--fresh-every", "7", "--bundle", str(films))
    found, said = measured("service_swaps", tmp_path, *short)
    assert found["load"]["requests"] > 20, said
    assert found["load"]["errors"] == 0, said
    assert found["fresh_loads"] == 2, said
    assert sorted(found["models"]) == ["active", "loaded", "previous"], said
