"""The files that a service is deployed with: linted by their own tools, and held to what the service is and needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from motet.datasets import ASSETS
from motet.schema import LanguageSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def tool(name: str) -> str:
    """A linter of the development environment."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile with what follows them, in order."""
    whole = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", dockerfile))
    lines = [line.split(maxsplit=1) for line in whole.splitlines() if line.strip()]
    return [(word.upper(), rest) for word, rest in lines]


@pytest.fixture
def options_of_serve() -> str:
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "motet", "serve", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    run(tool("hadolint"), str(DEPLOY / "Dockerfile"))


def test_the_image_is_built_as_it_should_be() -> None:
    found = instructions(DOCKERFILE)
    last = [k for k, (word, _) in enumerate(found) if word == "FROM"][-1]
    final = dict(found[last:])
    assert final["USER"] not in ("root", "0")
    assert "/v1/health/ready" in final["HEALTHCHECK"]
    assert '"python"' in final["HEALTHCHECK"]
    assert {"/data", "/bundles"} <= set(re.findall(r'"([^"]+)"', final["VOLUME"]))
    assert final["STOPSIGNAL"] == "SIGTERM"
    assert final["ENTRYPOINT"] == '["motet", "serve"]'
    assert all(":" in rest.split()[0] for word, rest in found if word == "FROM")
    assert not re.search(r"(?i)password|secret|token|api_key", DOCKERFILE)
    assert all(word != "ADD" for word, _ in found)
    for source in re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", DOCKERFILE):
        for one in source.split():
            assert (ROOT / one).exists(), one
            assert f"!{one}" in (ROOT / ".dockerignore").read_text(encoding="utf-8").split()


def test_the_image_has_the_parts_that_a_service_uses() -> None:
    (named,) = re.findall(r"(?m)^ARG EXTRAS=(\S+)$", DOCKERFILE)
    assert '".[${EXTRAS}]"' in DOCKERFILE
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(named.split(",")) == {"language", "serve", "explain", "traces"}
    assert set(named.split(",")) <= set(project["optional-dependencies"])


def test_what_is_fetched_while_it_serves_is_kept() -> None:
    settings = dict(re.findall(r"(\w+)=(\S+)", DOCKERFILE.split("FROM")[-1]))
    assert settings["MOTET_CACHE"].startswith("/data/")
    unit = (DEPLOY / "motet.service").read_text(encoding="utf-8")
    assert "Environment=MOTET_CACHE=/var/lib/motet/cache" in unit.splitlines()
    guide = (ROOT / "docs" / "guide" / "service.md").read_text(encoding="utf-8")
    for text in (guide, unit, DOCKERFILE, (DEPLOY / "compose.yaml").read_text(encoding="utf-8")):
        (asset,) = set(
            re.findall(r"-c \"from motet.datasets import fetch_asset; fetch_asset\('([^']+)'\)\"", text)
        )
        assert asset == LanguageSettings().encoder
        assert asset in ASSETS


def test_the_compose_file_fits_its_schema() -> None:
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml"))


def test_the_services_are_composed_as_they_should_be() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    motet, database = services["motet"], services["database"]
    assert motet["read_only"] is True
    assert motet["cap_drop"] == ["ALL"]
    assert motet["depends_on"]["database"]["condition"] == "service_healthy"
    assert "pg_isready" in database["healthcheck"]["test"]
    assert all(port.startswith("127.0.0.1:") for port in motet["ports"])
    assert "ports" not in database
    for password in (motet["environment"]["PGPASSWORD"], database["environment"]["POSTGRES_PASSWORD"]):
        assert re.fullmatch(r"\$\{MOTET_DATABASE_PASSWORD:\?[^}]+\}", password)  # no default
    assert "@" in motet["environment"]["MOTET_STORE"]
    assert ":" not in motet["environment"]["MOTET_STORE"].split("//")[1].split("@")[0]


def test_every_option_that_is_deployed_is_one_of_serve(options_of_serve: str) -> None:
    known = options_of_serve
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    unit = (DEPLOY / "motet.service").read_text(encoding="utf-8")
    used = set(re.findall(r"--[a-z-]+", dict(instructions(DOCKERFILE))["CMD"]))
    used |= {part for part in compose["services"]["motet"]["command"] if part.startswith("--")}
    used |= set(re.findall(r"--[a-z-]+", re.findall(r"(?m)^ExecStart=(.+)$", unit)[0]))
    assert used >= {"--host", "--first-key"}
    assert {option for option in used if option not in known} == set()
    assert "MOTET_STORE" in known


def test_the_unit_is_one_and_is_hardened(tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    unit = (DEPLOY / "motet.service").read_text(encoding="utf-8")
    here = tmp_path / "motet.service"
    here.write_text(
        unit.replace("/opt/motet/bin/motet", "/bin/true"), encoding="utf-8"
    )  # what is on any machine
    assert run(analyze, "verify", str(here)) == ""
    exposure = run(analyze, "security", "--offline=true", "--no-pager", str(here))
    level = re.search(r"Overall exposure level for motet.service: ([\d.]+)", exposure)
    assert level is not None
    assert float(level[1]) <= 2.0


@pytest.mark.parametrize(
    "setting",
    [
        "NoNewPrivileges=yes", "ProtectSystem=strict", "DynamicUser=yes", "StateDirectory=motet", "Restart=always",
        "EnvironmentFile=-/etc/motet/environment", "TimeoutStopSec=30",
    ],
)  # fmt: skip
def test_the_unit_says(setting: str) -> None:
    assert setting in (DEPLOY / "motet.service").read_text(encoding="utf-8").splitlines()


def test_scripts_that_make_runs_are_executable() -> None:
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    scripts = sorted(set(re.findall(r"^\t@?([\w./-]+\.sh)\b", rules, re.MULTILINE)))
    assert "benchmarks/setup_peers.sh" in scripts
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK), f"{script} cannot be run"
        if (ROOT / ".git").exists():  # a clone gets the mode that git records
            recorded = run("git", "-C", str(ROOT), "ls-files", "--stage", script)
            assert recorded.startswith("100755 "), recorded
