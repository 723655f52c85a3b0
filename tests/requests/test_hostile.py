"""Requests that try to turn the recommender against its rules ask for nothing but what is plain in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from motet.requests import FastReader

ENTRIES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "hostile_requests.yaml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["id"])
def test_only_what_is_plain_is_read(films: FastReader, entry: dict[str, Any]) -> None:
    text = entry["text"] * entry.get("repeat", 1)
    read, plain = films.read(text), films.read(entry["must"]["same_as"])
    parts = set(type(read).model_fields) - {"text", "flags", "language"}
    assert {part: getattr(read, part) for part in parts} == {part: getattr(plain, part) for part in parts}
    assert set(entry["flags"]) <= set(read.flags)
