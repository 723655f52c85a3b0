"""A request in words, answered from a bundle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motet.assistant import Assistant, Conversation
from motet.assistant.explain import Explainer
from motet.assistant.understand import FastReader, Lexicon
from motet.errors import LanguageError, RequestError
from motet.models import build_model
from motet.recommend import MeaningIndex, Recommender
from motet.schema import is_chinese
from motet.testing import hashed_words_for_tests, toy_dataset
from motet.training import load_bundle, save_bundle


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    data, place = toy_dataset(rows=300), tmp_path_factory.mktemp("b") / "bundle"
    save_bundle(place, model=build_model(data.schema, data.encoder), data=data, metrics={})
    return Recommender(load_bundle(place), hashed_words_for_tests)


def assistant_of(recommender: Recommender, encode: object = hashed_words_for_tests) -> Assistant:
    catalogue = recommender.bundle.data.catalogue
    assert catalogue is not None
    scenarios = recommender.bundle.data.encoder.scenarios[1:]
    return Assistant(
        recommender,
        Explainer(recommender),
        FastReader(Lexicon(catalogue, scenarios=scenarios)),
        meaning=None if encode is None else lambda: MeaningIndex.of_catalogue(catalogue, encode),  # type: ignore[arg-type]
    )


def with_texts(assistant: Assistant) -> Assistant:
    """An assistant whose catalogue has a column of running text, in which free words are searched."""
    catalogue = assistant.catalogue
    assert catalogue.title is not None
    assistant.context.catalogue = assistant.catalogue = replace(catalogue, texts=(catalogue.title,))
    return assistant


@pytest.fixture(scope="module")
def assistant(recommender: Recommender) -> Assistant:
    return assistant_of(recommender)


def genres(recommender: Recommender, item: str) -> set[str]:
    catalogue = recommender.bundle.data.catalogue
    assert catalogue is not None
    return set(catalogue.values(catalogue.frame["id"].to_list().index(item), "genres"))


def test_every_item_has_a_reason_and_every_prediction(assistant: Assistant) -> None:
    answer = assistant.ask("three comedy, no crime", user="u1")
    assert len(answer.items) == 3
    tasks = {n for n, t in assistant.recommender.schema.tasks.items() if t.on != "user"}
    for item in answer.items:
        assert item.reason
        assert tasks <= set(item.predictions)
        assert "crime" not in genres(assistant.recommender, item.id)
        assert ("comedy" in genres(assistant.recommender, item.id)) == (not item.misses)


def test_what_a_user_has_seen_does_not_come_back(assistant: Assistant) -> None:
    recommender = assistant.recommender
    seen = set(recommender.bundle.data.item_ids.gather(recommender.seen("u3")))
    assert not seen & {item.id for item in assistant.ask("anything", user="u3", k=5).items}


def test_a_conversation_goes_on(assistant: Assistant) -> None:
    first = assistant.ask("comedy", user="u2", k=3)
    so_far = Conversation(user="u2").after("comedy", first)
    second = assistant.ask("not the first", k=3, conversation=so_far)
    assert first.items[0].id not in {item.id for item in second.items}
    assert [tag.value for tag in second.request.must] == ["comedy"]


def test_a_conversation_is_kept_in_a_file(assistant: Assistant, tmp_path: Path) -> None:
    so_far = Conversation(user="u2").after("comedy", assistant.ask("comedy", user="u2", k=2))
    so_far.save(tmp_path / "talk.json")
    assert Conversation.load(tmp_path / "talk.json") == so_far
    (tmp_path / "talk.json").write_text("{", encoding="utf-8")
    with pytest.raises(RequestError, match=r"talk\.json is no conversation"):
        Conversation.load(tmp_path / "talk.json")
    with pytest.raises(RequestError, match="No such file"):
        Conversation.load(tmp_path / "none.json")


def test_chinese_is_answered_in_chinese(assistant: Assistant) -> None:
    answer = assistant.ask("我想看comedy，不要crime", user="u1", k=2)
    assert answer.request.language == "zh"
    assert all(any("\u4e00" <= c <= "\u9fff" for c in item.reason) for item in answer.items)


def test_another_language_than_that_of_the_request_may_be_asked_for(assistant: Assistant) -> None:
    plain = assistant.ask("comedy, no crime, with dragons", user="never seen", k=2)
    answer = assistant.ask("comedy, no crime, with dragons", user="never seen", k=2, language="zh")
    assert [item.id for item in answer.items] == [item.id for item in plain.items]
    assert not any(is_chinese(said) for said in (*plain.notes, *(item.reason for item in plain.items)))
    assert answer.notes
    assert all(is_chinese(said) for said in (*answer.notes, *(item.reason for item in answer.items)))
    assert answer.request.language == "zh"
    english = assistant.ask("我想看comedy，不要crime", user="u1", k=2, language="en")
    assert not any(is_chinese(item.reason) for item in english.items)


def test_an_unknown_user_gets_an_answer(assistant: Assistant) -> None:
    assert len(assistant.ask("comedy", k=4).items) == 4
    assert len(assistant.ask("comedy", user="never seen", k=4).items) == 4


def test_an_encoder_that_fails_costs_only_its_part(recommender: Recommender) -> None:
    def broken(texts: Sequence[str]) -> NDArray[np.float32]:
        raise LanguageError("the endpoint is down")

    failing = with_texts(assistant_of(recommender, broken))
    answer = failing.ask("comedy about lonely accordions", user="u1", k=3)
    assert len(answer.items) == 3
    assert any("the endpoint is down" in line for line in answer.notes)
    without = with_texts(assistant_of(recommender, None))
    none = without.ask("comedy about lonely accordions", user="u1", k=3)
    assert [i.id for i in none.items] == [i.id for i in answer.items]
    assert any("no text encoder" in line for line in none.notes)


@pytest.mark.parametrize("text", ["", " ", "?" * 10_000, "\x00\u202e<script>alert(1)</script>", "🦊" * 50])
def test_any_text_is_answered(assistant: Assistant, text: str) -> None:
    assert len(assistant.ask(text, user="u1", k=3).items) == 3


def test_the_number_of_items_has_limits(assistant: Assistant) -> None:
    with pytest.raises(RequestError, match="k is 0"):
        assistant.ask("comedy", k=0)


def test_a_list_keeps_its_limits(assistant: Assistant) -> None:
    answer = assistant.make_list("two comedy, no crime", user="u1")
    assert answer.status == "complete"
    assert len(answer.items) == 2
    for item in answer.items:
        assert "comedy" in genres(assistant.recommender, item.id)
        assert "crime" not in genres(assistant.recommender, item.id)


def test_what_is_asked_for_and_against_is_reported(assistant: Assistant) -> None:
    answer = assistant.ask("comedy films that are not comedy", user="u1", k=3)
    assert answer.notes[0] == "You asked for and against comedy; against wins."
    assert not any("comedy" in genres(assistant.recommender, item.id) for item in answer.items)
    listed = assistant.make_list("two comedy films, no comedy", user="u1")
    assert listed.words == (
        "You asked for and against comedy; against wins. 2 items; every other limit is kept."
    )
    said = assistant.make_list("我想看comedy，不要comedy", user="u1").words
    assert said.startswith("您既要求又排除了comedy")
    assert not any("against" in line for line in assistant.ask("comedy, no crime", user="u1").notes)


def test_a_later_turn_may_take_back_what_was_asked(assistant: Assistant) -> None:
    so_far = Conversation(user="u2").after("comedy", assistant.ask("comedy", user="u2", k=3))
    assert not any("against" in n for n in assistant.ask("no comedy", conversation=so_far).notes)


def test_an_unknown_user_is_reported(assistant: Assistant) -> None:
    expected = "User u99999 is not known; answered as for anybody."
    assert expected in assistant.ask("comedy", user="u99999", k=3).notes
    assert expected in assistant.make_list("two comedy", user="u99999").words
    assert "没有用户 u99999 的记录" in assistant.ask("我想看comedy", user="u99999").notes[0]
    for user in ("u1", ""):
        assert not any("not known" in line for line in assistant.ask("comedy", user=user).notes)


@pytest.mark.parametrize("text", ["", " ", "?", "🦊"])
def test_nothing_asked_is_reported(assistant: Assistant, text: str) -> None:
    expected = "Nothing was asked for; these are the first recommendations."
    assert assistant.ask(text, user="u1", k=3).notes == (expected,)
    assert not any(expected in line for line in assistant.ask("comedy", user="u1", k=3).notes)
    so_far = Conversation(user="u1").after("comedy", assistant.ask("comedy", user="u1", k=3))
    assert expected not in assistant.ask(text, conversation=so_far, k=3).notes


def test_a_conversation_of_another_user_is_refused(assistant: Assistant) -> None:
    so_far = Conversation(user="u2").after("comedy", assistant.ask("comedy", user="u2", k=3))
    with pytest.raises(RequestError, match=r"with user 'u2', and user 'u1' asks.*start a new conversation"):
        assistant.ask("newer", user="u1", conversation=so_far)
    assert assistant.ask("newer", user="u2", conversation=so_far).items


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ({"shown": ["nowhere"]}, "no item 'nowhere'"),
        ({"request": {"like": ["nowhere"]}}, "no item 'nowhere'"),
        ({"request": {"without": ["nowhere"]}}, "no item 'nowhere'"),
        ({"request": {"ranges": [{"column": "price", "low": float("nan")}]}}, "'price' is nan"),
        ({"request": {"total": [{"column": "price", "high": float("inf")}]}}, "'price' is inf"),
    ],
)
def test_a_damaged_conversation_is_refused(
    assistant: Assistant, tmp_path: Path, damage: dict[str, object], what: str
) -> None:
    (tmp_path / "talk.json").write_text(json.dumps(damage), encoding="utf-8")
    loaded = Conversation.load(tmp_path / "talk.json")
    with pytest.raises(RequestError, match=f"damaged.*{what}"):
        assistant.ask("comedy", conversation=loaded)


def test_what_was_shown_does_not_come_back_for_more_or_less(assistant: Assistant) -> None:
    first = assistant.ask("anything", user="u4", k=4)
    so_far = Conversation(user="u4").after("anything", first)
    second = assistant.ask("cheaper", k=4, conversation=so_far)
    assert second.request.ranges
    third = assistant.ask("more expensive", k=4, conversation=so_far.after("cheaper", second))
    shown = {item.id for item in first.items}
    assert second.items
    assert not shown & {item.id for item in second.items}
    assert not {i.id for i in second.items} & {i.id for i in third.items}


def test_items_out_of_the_range_of_the_catalogue_are_the_nearest(assistant: Assistant) -> None:
    answer = assistant.ask("price over 1000", user="u1", k=3)
    numbers = assistant.catalogue.frame["price"]
    assert answer.request.ranges
    low, high = numbers.min(), numbers.max()
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert any(line.startswith("Nothing has price") and "The nearest come first." in line for line in answer.notes)  # fmt: skip
    zh = assistant.ask("price超过1000", user="u1", k=3)
    assert not zh.request.ranges or any("最接近" in line for line in zh.notes)


def test_words_that_nothing_knows_are_reported_and_search_no_titles(recommender: Recommender) -> None:
    catalogue = recommender.bundle.data.catalogue
    assert catalogue is not None
    title = catalogue.name(0)
    assistant = assistant_of(recommender)
    assistant.context.catalogue = assistant.catalogue = replace(catalogue, texts=())
    plain = assistant.ask("comedy", user="u1", k=5)
    answer = assistant.ask(f"comedy with {title.lower().split()[0]}xyz hanks", user="u1", k=5)
    assert [item.id for item in answer.items] == [item.id for item in plain.items]
    assert any(line.startswith("Not read: “") and "hanks" in line for line in answer.notes)
    chinese = assistant.ask("我想看comedy，关于宇航猫", user="u1", k=5)
    assert any(line.startswith("未能理解“") for line in chinese.notes)
    assert not any(line.startswith("Not read") for line in plain.notes)


def test_a_search_by_meaning_is_reported(recommender: Recommender) -> None:
    notes = with_texts(assistant_of(recommender)).ask("comedy about lonely accordions", user="u1", k=3).notes
    assert any("“lonely accordions” is no tag" in line and "compared in meaning" in line for line in notes)


def test_a_list_does_not_claim_to_keep_what_was_not_read(recommender: Recommender) -> None:
    assistant = assistant_of(recommender)
    catalogue = recommender.bundle.data.catalogue
    assert catalogue is not None
    assistant.context.catalogue = assistant.catalogue = replace(catalogue, texts=())
    listed = assistant.make_list("two comedy, suitable for grandmothers", user="u1").words
    assert listed == "2 items; every limit that was read is kept. Not read as a limit: “grandmothers”."
    assert assistant.make_list("two comedy", user="u1").words == "2 items; every limit is kept."
    chinese = assistant.make_list("两部comedy，关于宇航猫", user="u1").words
    assert "所有限制都已满足" not in chinese
