"""Thousands of made-up requests, right and wrong, to every operation of a real service, by schemathesis.

    python -m benchmarks.api_cases BUNDLE --cases 20000 [--seed 1] [--learn] [--json FILE]

The service is a process of its own on loopback, with a store and a key of its own. What its description promises is held
against what it answers: no server error, only described statuses, kinds of content, headers and schemas, wrong
requests refused, other methods answered with 405 and Allow. Nothing is left out but the key that the run comes with,
which is not revoked. With ``--learn`` a learner is at work beside it, which trains on what was made up whenever a request
asks for a training.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks._bundles import variant

__all__ = ["main", "run_cases"]

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
SLOW = (
    "/v1/ask",
    "/v1/lists",
    "/v1/explain",
    "/v1/models",
    "/v1/items/{id}/description",
    "/v1/users/{id}/profile",
)
"""Operations that get a tenth of the cases of others."""

# beside what schemathesis takes for a refusal: a body that is too large is one too
_REFUSED = "[checks.negative_data_rejection]\nexpected-statuses = ['400', '401', '403', '404', '405', '408', '409', '413', '415', '422', '429', '503']\n"


@contextmanager
def service(bundle: Path, place: Path, *arguments: str) -> Iterator[tuple[str, str]]:
    """A service with an empty store of its own: its address, and a key with all scopes."""
    command = [sys.executable, "-m", "motet", "serve", str(bundle), "--store", str(place / "store.sqlite")]
    command += ["--port", "0", "--no-pages", "--new-key", "--rate", "100000", *arguments]
    with (place / "service.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "motet serves" in line:
                break
        address = re.search(r" on (http://\S+)", said)
        key = re.search(r"key: (\S+)", said)
        if address is None or key is None:
            raise SystemExit(f"the service did not start: {(place / 'service.log').read_text()[-2000:]}")
        try:
            yield address.group(1), key.group(1)
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()


def _settings(place: Path, operations: int, cases: int) -> Path:
    """A file of settings: so many cases for each operation that all together are at least those wanted."""
    each = max(1, round(cases / operations))
    slow = "\n".join(
        f'[[operations]]\ninclude-path-regex = "^{re.escape(path)}"\ngeneration.max-examples = {max(1, each // 10)}\n'.replace("\\", "\\\\")
        for path in SLOW
    )  # fmt: skip
    found = place / "schemathesis.toml"
    found.write_text(
        f"[generation]\nmax-examples = {each}\ndatabase = 'none'\n\n{_REFUSED}\n{slow}", encoding="utf-8"
    )
    return found


def run_cases(
    address: str,
    key: str,
    *,
    cases: int,
    seed: int,
    phases: str,
    place: Path,
    bundles: Sequence[Path] = (),
) -> dict[str, Any]:
    """What schemathesis found.

    Args:
        address: Of a running service.
        key: With all scopes.
        cases: About how many are wanted, beyond those of the phase coverage.
        seed: Of what is drawn.
        phases: Which phases, joined by commas.
        place: Where files may be written.
        bundles: Directories that a request to load a model may name.
    """
    headers = {"X-API-Key": key}
    described = httpx.get(f"{address}/openapi.json", headers=headers).json()
    operations = sum(len(one) for one in described["paths"].values())
    own = httpx.get(f"{address}/v1/keys", headers=headers).json()[0]["id"]
    out = place / "found.json"
    environment = {
        **os.environ,
        "MOTET_CASES_KNOWN": json.dumps(
            {**_known(address, headers), "bundles": [str(one) for one in bundles]}
        ),
        "SCHEMATHESIS_HOOKS": "benchmarks._api_hooks",
        "MOTET_CASES_KEY_ID": own,
        "MOTET_CASES_OUT": str(out),
    }
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        str(_settings(place, operations, cases)),
    ]
    command += ["run", f"{address}/openapi.json", "-H", f"X-API-Key: {key}", "--checks", ",".join(CHECKS)]
    command += [
        "--phases",
        phases,
        "--seed",
        str(seed),
        "--continue-on-failure",
        "--no-color",
        "--warnings",
        "off",
    ]
    command += ["--suppress-health-check", "all", "--request-timeout", "60", "--workers", "1", "--no-shrink"]
    began_s = time.perf_counter()
    with (place / "cases.log").open("wb") as log:
        done = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False)
    if not out.exists():
        raise SystemExit((place / "cases.log").read_text(encoding="utf-8")[-4000:])
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return {"operations": operations, "elapsed_s_all": round(time.perf_counter() - began_s, 1), "status": done.returncode, **found}  # fmt: skip


def _known(address: str, headers: dict[str, str]) -> dict[str, list[str]]:
    """What there is, some of it made here: by the address up to the parameter that takes it, or by its name alone."""
    with httpx.Client(base_url=address, headers=headers, timeout=60) as client:

        def made(path: str, body: dict[str, Any] | None = None) -> Any:
            return client.post(path, json=body).raise_for_status().json()

        users = [one["id"] for one in client.get("/v1/users?n=20").json()["users"]]
        items = [one["id"] for one in client.get("/v1/items?n=20").json()["items"]]
        lists = [made("/v1/recommend", {"user": user})["list_id"] for user in users]
        made("/v1/events", {"events": [{"type": "like", "user": users[0], "item": one} for one in items]})
        made(f"/v1/users/{users[0]}/identities", {"identity": "elsewhere"})
        experiment = {
            "hypothesis": "varied lists find more likes",
            "variants": [{"name": "as-it-is"}, {"name": "varied", "diversity": {"strength": 0.9}}],
            "metric": {"name": "likers", "events": ["like"]},
            "planned_users": 1000,
            "window_hours": 24,
        }
        tried = ["begun", *(f"draft-{k}" for k in range(9))]  # some are deleted before they are started
        for name in tried:
            made("/v1/experiments", {**experiment, "key": name})
        made("/v1/experiments/begun/start")
        asked = {"kind": "stars", "share": 1, "question": {"en": "Does this list fit you?"}}
        for survey in ("open", "closed"):
            made("/v1/surveys", {**asked, "key": survey})
        made("/v1/surveys/closed/close")
        questions = [made("/v1/questions", {"user": user})["question"]["id"] for user in users]
        keys = [made("/v1/keys", {"scopes": ["read"]})["id"] for _ in range(20)]
        models = [one["name"] for one in client.get("/v1/models").json()]
    return {
        "user": users,
        "/v1/users/{id}": users,
        "identity": ["elsewhere"],
        "item": items,
        "/v1/items/{id}": items,
        "list_id": lists,
        "type": ["like"],
        "/v1/experiments/{key}": tried,
        "/v1/surveys/{key}": ["open", "closed"],
        "/v1/questions/{id}": questions,
        "/v1/keys/{id}": keys,
        "/v1/models/{name}": models,
    }


def report_lines(found: dict[str, Any]) -> Iterator[str]:
    """What was found, in lines."""
    tested = sum(1 for one in found["answers"].values() if sum(one.values()))
    phases = ", ".join(f"{name} {n:,}" for name, n in found["phases"].items())
    yield f"{found['cases']:,} cases ({phases}) of {tested} of {found['operations']} operations in {found['elapsed_s_all']:,.0f} s"
    answers: dict[str, int] = {}
    for one in found["answers"].values():
        for status, n in one.items():
            answers[status] = answers.get(status, 0) + n
    yield "answers: " + ", ".join(f"{status} × {n:,}" for status, n in sorted(answers.items()))
    for check in CHECKS:
        by = found["failures"].get(check, {})
        yield f"{check}: {sum(one['count'] for one in by.values()):,} failures"
        for label, one in sorted(by.items()):
            yield f"  {label}: {one['count']:,}"
            yield from (f"    {line}" for line in one["some"][0].splitlines()[:40])
    yield from (f"error: {error}" for error in found["errors"])
    for label, one in sorted(found["answers"].items()):
        if not any(status.startswith("2") for status in one):
            yield f"no case was answered with success: {label}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 1 where anything failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--learn", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="motet-cases-") as name:
        place = Path(name)
        second = variant(options.bundle, place / "second", 1)
        learns = ("--learn", "--first-events", "1000000") if options.learn else ()
        with service(options.bundle, place, *learns) as (address, key):
            # a version to roll back to
            loaded = {"path": str(second), "activate": True}
            httpx.post(
                f"{address}/v1/models", json=loaded, headers={"X-API-Key": key}, timeout=60
            ).raise_for_status()
            found = run_cases(
                address,
                key,
                cases=options.cases,
                seed=options.seed,
                phases=options.phases,
                place=place,
                bundles=[options.bundle.absolute(), second],
            )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print("\n".join(report_lines(found)))
    return 1 if found["failures"] or found["errors"] or found["cases"] < options.cases else 0


if __name__ == "__main__":
    sys.exit(main())
