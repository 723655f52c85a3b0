"""Benchmarks take all their parts when none is named, as `make benchmark-NAME` calls them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("name", ["quality", "tuning"])
@pytest.mark.parametrize(("named", "run"), [((), ["a", "b"]), (("b",), ["b"])])
def test_parts(name: str, named: tuple[str, ...], run: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    module: Any = importlib.import_module(f"benchmarks.{name}")
    ran: list[str] = []
    parts = {part: lambda *given, part=part: ran.append(part) for part in ("a", "b")}
    monkeypatch.setattr(module, "PARTS", parts)
    for printed in ("_print", "show", "summary", "say"):
        monkeypatch.setattr(module, printed, lambda *given: None, raising=False)
    monkeypatch.setattr(sys, "argv", [name, *named, "--seeds", "0"])
    module.main()
    assert ran == run
