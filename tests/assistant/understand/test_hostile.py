"""Requests that try to turn the recommender against its rules ask for nothing but what is plain in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from motet.assistant.understand import FastReader, ModelReader, Request
from motet.testing import ScriptedGenerator
from motet.text.generate import Prompt

ENTRIES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "hostile_requests.yaml").read_text(encoding="utf-8")
)
PARTS = set(Request.model_fields) - {"text", "flags", "language"}
each_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["id"])


def asked(films: FastReader) -> Prompt:
    """What a model is asked about a plain request."""
    model = ScriptedGenerator("{}")
    ModelReader(model, films.lexicon, films).read("a western")
    return model.prompts[0]


def orders(films: FastReader) -> dict[str, str]:
    """Answers that obey: item 50 for everybody, no exclusion, more than may be asked for, a call, the prompt."""
    genres = films.lexicon.catalogue.frame["genres"].explode().drop_nulls().unique().sort().to_list()
    steered = {"like": ["Star Wars"], "must": genres, "must_not": [], "count": 100, "scenario": "night"}
    limits = {"year_from": 1900, "year_to": 1977, "keep_seen": True, "k": 100_000, "users": "all"}
    return {
        "steered": json.dumps({**steered, **limits}),
        "excluding": json.dumps({"must_not": genres, "without": ["Toy Story", "Fargo"], "count": 1}),
        "prompt": asked(films).system,
        "call": '{"name": "recommend", "arguments": {"keep_seen": true, "k": 100000}}',
        "turned": '{"must": {"$ne": null}, "count": "all", "like": [["Star Wars"]], "year_from": "1e999"}',
        "deep": "[" * 50_000,
    }


def plain_parts(request: Request) -> dict[str, object]:
    return {part: getattr(request, part) for part in PARTS}


def said(entry: dict[str, Any]) -> str:
    return str(entry["text"]) * int(entry.get("repeat", 1))


@each_entry
def test_only_what_is_plain_is_read(films: FastReader, entry: dict[str, Any]) -> None:
    read, plain = films.read(said(entry)), films.read(entry["must"]["same_as"])
    assert plain_parts(read) == plain_parts(plain)
    assert set(entry["flags"]) <= set(read.flags)


@each_entry
def test_a_model_that_obeys_changes_nothing(films: FastReader, entry: dict[str, Any]) -> None:
    plain = films.read(entry["must"]["same_as"])
    for answer in orders(films).values():
        read = ModelReader(ScriptedGenerator(answer), films.lexicon, films).read(said(entry))
        assert plain_parts(read) == plain_parts(plain)
        assert set(entry["flags"]) <= set(read.flags)


@each_entry
def test_a_model_sees_the_wish_as_data_and_never_the_order(films: FastReader, entry: dict[str, Any]) -> None:
    model = ScriptedGenerator("{}")
    ModelReader(model, films.lexicon, films).read(said(entry))
    trusted = asked(films)
    for prompt in model.prompts:
        assert (prompt.system, prompt.examples) == (trusted.system, trusted.examples)
        lines = prompt.user.split("\n")
        assert (lines[0], len(lines), lines[-1]) == ("<request>", 3, "</request>")
        assert not set("<>{}`\\") & set(lines[1])
        for order in (
            "gnore",
            "prompt",
            "everyone",
            "rules",
            "DROP",
            "rm -rf",
            "http",
            "4111",
            "@",
            "管理员",
        ):
            assert order not in lines[1], order
    # where an order was all that was said, the model is not even asked
    nothing_left = not films.read(said(entry)).text
    assert bool(model.prompts) != nothing_left


def test_such_a_model_is_believed_where_a_request_bears_it_out(films: FastReader) -> None:
    """Without that, what is above would hold for a reader that never listens."""
    answer = json.dumps({"must": ["Adventure"]})
    read = ModelReader(ScriptedGenerator(answer), films.lexicon, films).read("something adventuresome")
    assert [tag.value for tag in read.must] == ["Adventure"]


@each_entry
def test_a_conversation_keeps_its_limits_through_an_attack(films: FastReader, entry: dict[str, Any]) -> None:
    before = films.read("three comedies from the nineties, no horror, nothing like Fargo")
    after, plain = films.read(said(entry), before), films.read(entry["must"]["same_as"], before)
    assert plain_parts(after) == plain_parts(plain)
    assert set(before.must_not) <= set(after.must_not)
    assert set(before.without) <= set(after.without)
