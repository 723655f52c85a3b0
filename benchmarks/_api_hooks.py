"""What a run of schemathesis against the service counts, and what it leaves alone; loaded by schemathesis itself."""

from __future__ import annotations

import json
import os
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import cli
from schemathesis.engine import events

_FEW_SHOWN = 3


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Every other address with right ids names what there is: no made-up id would."""
    if path_parameters is None:
        return None
    known: dict[str, list[str]] = json.loads(os.environ.get("MOTET_CASES_KNOWN", "{}"))
    found = dict(path_parameters)
    for name, value in path_parameters.items():
        digest = zlib.crc32(repr(value).encode("utf-8", "replace"))
        place = context.operation.path.partition(f"{{{name}}}")[0] + f"{{{name}}}"
        if digest % 2 and _is_id(value) and (ids := known.get(place) or known.get(name)):
            found[name] = ids[digest // 2 % len(ids)]
    return found


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Every other load of a model names a bundle that there is."""
    paths: list[str] = json.loads(os.environ.get("MOTET_CASES_KNOWN", "{}")).get("bundles", [])
    is_load = context.operation.path == "/v1/models" and isinstance(body, dict)
    if not is_load or not paths or not _is_id(body.get("path")):
        return body
    digest = zlib.crc32(repr(body).encode("utf-8", "replace"))
    return {**body, "path": paths[digest // 2 % len(paths)]} if digest % 2 else body


def _is_id(value: Any) -> bool:
    """Whether it may be replaced by an id without making a wrong request right."""
    return isinstance(value, str) and 1 <= len(value) <= 512


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave the key alone that the run itself comes with: without it nothing more could be tried."""
    own = os.environ.get("MOTET_CASES_KEY_ID")
    return not (case.operation.path == "/v1/keys/{id}" and (case.path_parameters or {}).get("id") == own)


@schemathesis.serializer("application/x-ndjson", "application/vnd.apache.parquet")
def as_it_is(context: Any, value: Any) -> bytes:
    """A stream: bytes and text go as they are, anything else as a line of JSON."""
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "replace")


@cli.handler()
class Count(cli.EventHandler[Any]):
    """Counts cases, answers and failures by operation, and writes them where the run says."""

    def __init__(self, *args: Any, **params: Any) -> None:
        super().__init__(*args, **params)
        self._answers: dict[str, Counter[str]] = {}
        self._phases: Counter[str] = Counter()
        self._failures: dict[str, dict[str, list[str]]] = {}
        self._times_s: dict[str, float] = {}
        self._errors: list[str] = []

    def handle_event(self, ctx: Any, event: events.EngineEvent) -> None:
        """Take note of what happened."""
        if isinstance(event, events.ScenarioFinished):
            self._take(event)
        elif isinstance(event, events.NonFatalError):
            self._errors.append(f"{event.label}: {event.value}"[:1000])
        elif isinstance(event, events.FatalError):
            self._errors.append(str(event.exception)[:1000])

    def _take(self, event: events.ScenarioFinished) -> None:
        for id, node in event.recorder.cases.items():
            interaction = event.recorder.interactions.get(id)
            answer = interaction.response if interaction is not None else None
            label = node.value.operation.label
            status = str(answer.status_code) if answer is not None else "none"
            self._answers.setdefault(label, Counter())[status] += 1
            self._phases[event.phase.value] += 1
            if answer is not None:
                self._times_s[label] = self._times_s.get(label, 0.0) + answer.elapsed
            for check in event.recorder.checks.get(id, ()):
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    text = f"{failure.title}: {failure.message}\n{check.failure_info.code_sample}"
                    self._failures.setdefault(check.name, {}).setdefault(label, []).append(text)

    def shutdown(self, ctx: Any) -> None:
        """Write what was counted."""
        found = {
            "cases": sum(sum(one.values()) for one in self._answers.values()),
            "phases": dict(self._phases),
            "answers": {label: dict(one) for label, one in sorted(self._answers.items())},
            "elapsed_s": {label: round(s, 3) for label, s in sorted(self._times_s.items())},
            "failures": {
                check: {
                    label: {"count": len(texts), "some": texts[:_FEW_SHOWN]} for label, texts in by.items()
                }
                for check, by in self._failures.items()
            },
            "errors": self._errors,
        }
        Path(os.environ["MOTET_CASES_OUT"]).write_text(json.dumps(found, indent=1), encoding="utf-8")
