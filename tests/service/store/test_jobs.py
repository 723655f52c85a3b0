"""Long operations: recorded while they run, and how they ended, also where their process was killed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from motet.errors import StoreError
from motet.service.store import Store, has_ended, this_process

KILLED = """
import os, sys
from motet.service.store import Store
with Store(sys.argv[1]) as store, store.jobs.record("import", "events"):
    os.kill(os.getpid(), 9)
"""


def test_a_job_is_there_while_it_runs(url: str) -> None:
    with Store(url) as store, Store(url) as other:
        with store.jobs.record("import", "events") as details:
            (job,) = other.jobs.latest()
            assert (job.kind, job.what, job.state, job.ended) == ("import", "events", "running", None)
            details["rows"] = 3
        (job,) = other.jobs.latest()
        assert (job.state, job.details) == ("done", {"rows": 3})
        assert job.ended is not None
        assert job.ended >= job.began


def test_a_failure_keeps_its_reason_and_goes_on(url: str) -> None:
    with Store(url) as store:
        with pytest.raises(StoreError), store.jobs.record("import", "events"):
            raise StoreError("line 7 is wrong", "mend it")
        with pytest.raises(KeyError), store.jobs.record("import", "events"):
            raise KeyError("of a user")
        second, first = store.jobs.latest()
        assert (first.state, first.reason) == ("failed", "line 7 is wrong")
        assert (second.state, second.reason) == ("failed", "KeyError")


def test_one_whose_process_was_killed_is_not_running(url: str) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, url], env=os.environ, check=False)
    assert ended.returncode == -9
    with Store(url) as store:
        (job,) = store.jobs.latest()
    assert (job.state, job.ended) == ("ended", None)
    assert has_ended(job.process)
    assert not has_ended(this_process())
    assert not has_ended("no process")


def test_a_hundred_are_kept_the_latest_first(url: str) -> None:
    with Store(url) as store:
        store.values.put("job", 1)  # names that only begin alike stay
        store.values.put("jobs", 2)
        for at in range(103):
            with store.jobs.record("activate", f"model{at}"):
                pass
        found = store.jobs.latest(1_000)
        assert [job.what for job in found] == [f"model{at}" for at in range(102, 2, -1)]
        assert (store.values.get("job"), store.values.get("jobs")) == (1, 2)


def test_unknown_kinds_are_refused(url: str) -> None:
    with (
        Store(url) as store,
        pytest.raises(StoreError, match="import"),
        store.jobs.record("imports", "events"),  # type: ignore[arg-type]
    ):
        pass
