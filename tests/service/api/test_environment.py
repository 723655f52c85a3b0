"""As a container or systemd starts it: the store from the environment, the first key in a file, an end by SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest


@pytest.mark.soak
def test_started_by_the_environment_it_has_a_key_and_ends_in_order(films: Path, tmp_path: Path) -> None:
    key_file, store = tmp_path / "first.key", tmp_path / "there.sqlite"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MOTET_STORE": str(store)}
    command = [sys.executable, "-m", "motet", "serve", str(films), "--port", "0", "--no-pages"]
    command += ["--host", "0.0.0.0", "--first-key", str(key_file)]  # noqa: S104
    for start in range(2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "motet serves" in line:
                break
        assert ("the first key is in" in said) is (start == 0)
        key = key_file.read_text(encoding="utf-8").strip()
        assert key not in said
        port = said.split("http://0.0.0.0:")[1].split()[0]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            assert client.get("/v1/health/ready").status_code == 200  # what the container asks
            assert client.get("/v1/schema").status_code == 401
            assert client.get("/v1/schema", headers={"X-API-Key": key}).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        process.stdout.close()
    assert store.is_file()
    assert not list(films.parent.glob(f"{films.name}.sqlite*"))
