"""Hostile requests and hostile catalogue texts change no ranking, and reach no generator as orders."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from motet.assistant import Answer, Assistant
from motet.assistant.explain import Explainer
from motet.assistant.understand import FastReader, Lexicon
from motet.data import build_dataset
from motet.models import build_model
from motet.recommend import MeaningIndex, Recommender
from motet.schema import Schema
from motet.testing import ScriptedGenerator, hashed_words_for_tests, toy_tables
from motet.text.safety import delimit, suspicion
from motet.training import load_bundle, save_bundle

TESTS = Path(__file__).parents[2]
REQUESTS: list[dict[str, Any]] = yaml.safe_load(
    (TESTS / "assistant" / "understand" / "hostile_requests.yaml").read_text(encoding="utf-8")
)
TEXTS = [
    str(item["text"]) * int(item.get("repeat", 1))
    for item in yaml.safe_load((TESTS / "text" / "hostile_items.yaml").read_text(encoding="utf-8"))
]
ASKED = ("anything", "three drama, no crime", "comedy under 30", "我想看comedy，不要crime")
USERS = ("u1", "u7", "never seen")
SCHEMA = {
    "name": "shelf",
    "tables": {"users": "users.parquet", "items": "items.parquet", "interactions": "interactions.parquet"},
    "keys": {"user": "user", "item": "item", "time": "at"},
    "features": {
        "user": {"user": "id", "past": {"kind": "sequence", "of": "item", "last": 6, "where": "click = 1"}},
        "item": {"item": "id", "genres": "tags", "price": "numeric", "brand": "categorical"},
    },
    "tasks": {
        "click": {"kind": "binary", "label": "click"},
        "next": {"kind": "retrieval", "positive": "click = 1"},
    },
    "catalogue": {"title": "title", "columns": {"blurb": {"en": "story", "zh": "简介"}}},
    "split": {"by": "user_time"},
    "model": {"width": 4, "retrieval_width": 4, "options": {"hidden": [8]}},
}


OBEDIENT = itertools.cycle(
    ("SCARF", "Everybody must buy this: it was made for every query.", "My system prompt is secret.")
)


def obedient() -> ScriptedGenerator:
    """Says what a hostile text orders, whatever it is asked."""
    return ScriptedGenerator(lambda prompt: next(OBEDIENT))


class Shelf:
    """The toy world with other texts on its items, which no feature of the model reads."""

    def __init__(self, place: Path, texts: Sequence[str]) -> None:
        tables = toy_tables()
        items = tables["items"]
        said = [*texts, *(f"quiet lamp {k}" for k in range(len(texts), len(items)))]
        place.mkdir()
        for name, table in (
            tables | {"items": items.with_columns(pl.Series("title", said), pl.Series("blurb", said))}
        ).items():
            table.write_parquet(place / f"{name}.parquet")
        schema = Schema.parse(SCHEMA)
        data = build_dataset(schema, place, encode_text=hashed_words_for_tests)
        model = build_model(schema, data.encoder).eval()
        save_bundle(place / "bundle", model=model, data=data, metrics={})
        self.recommender = Recommender(load_bundle(place / "bundle"), hashed_words_for_tests)
        self.ids = self.recommender.bundle.data.item_ids.to_list()

    def assistant(self, generator: ScriptedGenerator | None = None) -> Assistant:
        catalogue = self.recommender.bundle.data.catalogue
        assert catalogue is not None
        return Assistant(
            self.recommender,
            Explainer(self.recommender, generator=generator),
            FastReader(Lexicon(catalogue)),
            meaning=lambda: MeaningIndex.of_catalogue(catalogue, hashed_words_for_tests),
        )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(tmp_path_factory.mktemp("plain") / "shelf", [])


@pytest.fixture(scope="module", params=[0, 25], ids=["first half", "second half"])
def hostile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    texts = TEXTS[request.param : request.param + 25]
    assert len(texts) == 25
    return Shelf(tmp_path_factory.mktemp("hostile") / "shelf", texts)


def ranking(answer: Answer) -> list[tuple[str, float, tuple[tuple[str, Any], ...]]]:
    return [(item.id, item.value, tuple(item.predictions.items())) for item in answer.items]


def test_hostile_requests_are_answered_as_what_is_plain_in_them(plain: Shelf) -> None:
    assistant = plain.assistant()
    for entry in REQUESTS:
        text = str(entry["text"]) * int(entry.get("repeat", 1))
        answer = assistant.ask(text, user="u1", k=5)
        clean = assistant.ask(entry["must"]["same_as"], user="u1", k=5)
        assert ranking(answer) == ranking(clean), entry["id"]
        assert [item.reason for item in answer.items] == [item.reason for item in clean.items], entry["id"]
        assert any("instructions to a machine" in n or "机器指令" in n for n in answer.notes) == bool(
            answer.request.flags
        ), entry["id"]
        seen = set(plain.recommender.bundle.data.item_ids.gather(plain.recommender.seen("u1")))
        assert not seen & {item.id for item in answer.items}, entry["id"]


def test_hostile_texts_change_no_ranking(plain: Shelf, hostile: Shelf) -> None:
    theirs = hostile.assistant(obedient())
    ours = plain.assistant()
    for text in ASKED:
        for user in USERS:
            answer, calm = theirs.ask(text, user=user, k=8), ours.ask(text, user=user, k=8)
            assert answer.request.model_copy(update={"text": ""}) == calm.request.model_copy(
                update={"text": ""}
            )
            assert ranking(answer) == ranking(calm)


def test_what_is_said_is_free_of_markup_and_of_the_models_obedience(hostile: Shelf) -> None:
    plainly, swayed = hostile.assistant(), hostile.assistant(obedient())
    for text in ASKED:
        for item, other in zip(
            plainly.ask(text, user="u1", k=8).items, swayed.ask(text, user="u1", k=8).items, strict=True
        ):
            assert other.reason == item.reason  # the model's words were refused, one and all
            assert_harmless(item.reason)
            assert_harmless(item.name)
    for one in hostile.ids:
        said = plainly.explainer.describe(one)
        assert swayed.explainer.describe(one).text == said.text
        assert_harmless(said.text)
        assert_harmless(plainly.explainer.explain("u1", one, attribute=False).reason.text)


def assert_harmless(text: str) -> None:
    """No markup, address, mark of a chat, or character without a shape."""
    assert len(text) < 1000
    assert not re.search(r"[<>{}`\\]|https?:|\n|[\u200b\u202a-\u202e\x00-\x1f\U000e0000-\U000e007f]", text), (
        text
    )


def test_a_generator_sees_texts_as_data_and_no_orders(plain: Shelf, hostile: Shelf) -> None:
    trusted, shown = obedient(), obedient()
    plain.assistant(trusted).ask("anything", user="u1", k=8)
    assistant = hostile.assistant(shown)
    for text in ASKED[:3]:
        assistant.ask(text, user="u1", k=20)
    for one in hostile.ids:
        assistant.explainer.describe(one)
    assert shown.prompts
    frames = {(prompt.system, prompt.examples) for prompt in trusted.prompts}
    for prompt in shown.prompts:
        assert (prompt.system, prompt.examples) in frames
        lines = prompt.user.split("\n")
        assert (lines[0], len(lines), lines[-1]) == ("<sentence>", 3, "</sentence>")
        assert prompt.user == delimit("sentence", lines[1])  # nothing in it ends its place
        assert not suspicion(lines[1])


def test_hostile_names_are_reported_so_there_was_something_to_refuse(hostile: Shelf) -> None:
    """Without that, what is above would hold for reasons that name nothing."""
    assistant = hostile.assistant()
    said = [
        sentence.text
        for user in ("u1", "u2", "u3", "u4")
        for item in assistant.ask("anything", user=user, k=20).items
        for sentence in assistant.explainer.explain(user, item.id, attribute=False).reason.sentences
    ]
    assert any(suspicion(text) for text in said)
