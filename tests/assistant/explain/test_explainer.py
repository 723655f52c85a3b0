from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from motet.assistant.explain import (
    CHINESE_TEMPLATES,
    ENGLISH_TEMPLATES,
    Explainer,
    Language,
    Tone,
    said_title,
    verify,
)
from motet.assistant.understand import TONES
from motet.errors import DataError
from motet.training import Bundle

Unmet = Callable[[str, int], list[str]]


def test_a_reason_says_the_planted_taste(explainer: Explainer, unmet: Unmet) -> None:
    for user, genre in (("u0", "space"), ("u1", "love"), ("u10", "space")):
        for reason in explainer.reason(user, unmet(user, ("space", "love").index(genre))[:3]):
            assert re.search(rf"{genre}|“The {genre.title()} Tale", reason.text), reason.text
            assert 1 <= len(reason.sentences) <= 2
            assert reason.written_by == "templates"
            assert all(verify(claim, explainer.evidence) for claim in reason.claims)


def test_titles_are_as_one_says_them(explainer: Explainer) -> None:
    description = explainer.describe("i3")
    assert explainer.title("i3") == description.title
    assert description.title == "The Space Tale 3"
    assert description.text.startswith("“The Space Tale 3” is a space film from 1981.")


def test_a_cold_user_gets_what_holds_for_all(explainer: Explainer) -> None:
    explanation = explainer.explain("never seen", "i0")
    assert {claim.kind for claim in explanation.evidence} <= {"popular"}
    assert explanation.reason.text
    assert "you" not in explanation.reason.text.lower()


def test_an_unknown_item_is_refused_with_the_nearest(explainer: Explainer) -> None:
    with pytest.raises(DataError, match="i1"):
        explainer.explain("u0", "i1x")
    with pytest.raises(DataError):
        explainer.reason("u0", ["i0", "nothing"])
    with pytest.raises(DataError):
        explainer.describe("nothing")
    with pytest.raises(DataError):
        explainer.title("nothing")


@pytest.mark.parametrize(("name", "value"), [("language", "xx"), ("tone", "shouting"), ("k", 0), ("k", 6)])
def test_choices_that_are_none_are_refused(explainer: Explainer, name: str, value: object) -> None:
    with pytest.raises(DataError):
        explainer.explain("u0", "i0", **{name: value})  # type: ignore[arg-type]


def test_the_same_question_gets_the_same_answer_and_seeds_vary_it(explainer: Explainer, unmet: Unmet) -> None:
    items = unmet("u0", 0)
    first = [reason.text for reason in explainer.reason("u0", items)]
    assert first == [reason.text for reason in explainer.reason("u0", items)]
    texts = {tuple(r.text for r in explainer.reason("u0", items, seed=seed)) for seed in range(8)}
    assert len(texts) > 3


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("tone", ["plain", "warm", "brief"])
def test_every_sentence_is_whole(explainer: Explainer, language: Language, tone: Tone) -> None:
    for user in ("u0", "u1", "nobody"):
        for item in ("i0", "i1", "i2", "i9", "i18"):
            for seed in range(3):
                reason = explainer.explain(user, item, language=language, tone=tone, seed=seed, k=5).reason
                about = explainer.describe(item, language=language, tone=tone, seed=seed)
                for sentence in (*reason.sentences, *about.sentences):
                    assert not re.search(r"[{}]|  |None|nan", sentence.text), sentence.text
                    assert sentence.text.endswith("." if language == "en" else "。")
                    assert sentence.text[0] == sentence.text[0].upper()
                    for name in (*sentence.names, *sentence.numbers):
                        assert name in sentence.text


def test_chinese_uses_the_words_and_measures_of_the_schema(explainer: Explainer, unmet: Unmet) -> None:
    texts = [r.text for r in explainer.reason("u0", unmet("u0", 0), language="zh", k=3)]
    assert any("太空" in text for text in texts)
    assert any(re.search(r"\d+部", text) for text in texts)
    assert any("电影" in text for text in texts)
    assert any("《" in text for text in texts)
    assert not any("Space" in re.sub("《[^》]*》", "", text) for text in texts)


def test_nothing_is_said_of_the_users_own_features(explainer: Explainer, unmet: Unmet) -> None:
    for user in ("u0", "u7"):
        for item in unmet(user, 0):
            text = explainer.explain(user, item, k=5).reason.text
            assert not re.search(r"nurse|cook|\bage\b|\bjob\b", text)


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Usual Suspects, The (1995)", "The Usual Suspects"),
        ("Misérables, Les", "Les Misérables"),
        ("Avventura, L'", "L'Avventura"),
        ("Horseman on the Roof, The (Hussard sur le toit, Le)", "The Horseman on the Roof"),
        ("Good, The Bad and The Ugly, The", "The Good, The Bad and The Ugly"),
        ("2001: A Space Odyssey", "2001: A Space Odyssey"),
        ("<b>Silk</b>\u202e dress\x00 “new”", "Silk dress new"),
        ("(500) Days", "(500) Days"),
        ("(Untitled)", "(Untitled)"),
        ("word " * 100, "word " * 15 + "word …"),
    ],
)
def test_titles_of_every_sort(title: str, said: str) -> None:
    assert said_title(title) == said


def test_evidence_is_said_in_order_in_both_languages(explainer: Explainer) -> None:
    evidence = explainer.explain("u0", "i3", attribute=False).evidence
    languages: tuple[Language, ...] = ("en", "zh")
    for language in languages:
        for tone in TONES:
            sentences = explainer.said(evidence, language, tone)
            assert [sentence.claim for sentence in sentences] == list(evidence)
            assert all(sentence.text and sentence.language == language for sentence in sentences)
    assert explainer.said([]) == []
    with pytest.raises(DataError, match="the tone"):
        explainer.said(evidence, "en", "loud")  # type: ignore[arg-type]


def test_a_description_keeps_to_the_catalogue_unless_asked(explainer: Explainer) -> None:
    kinds = [s.claim.kind for s in explainer.describe("i3").sentences]
    assert set(kinds) == {"is"}
    more = [s.claim.kind for s in explainer.describe("i3", opinions=True).sentences]
    assert more[: len(kinds)] == kinds
    assert "similar" in more


def test_a_list_does_not_lean_on_one_kind_of_claim(explainer: Explainer, unmet: Unmet) -> None:
    found = explainer.reason("u0", [*unmet("u0", 0), *unmet("u0", 2)], k=1)
    kinds = [claim.kind for reason in found for claim in reason.claims]
    assert len(set(kinds)) >= 3
    texts = [sentence.text for reason in found for sentence in reason.sentences]
    assert len(set(texts)) == len(texts)


def test_of_two_items_of_one_title_it_is_said_once(planted: Bundle) -> None:
    twins = Explainer(planted)
    every = [c for k in range(60) for c in twins.explain("u0", f"i{k}", attribute=False).evidence]
    evidence = [claim for claim in every if len(claim.of("liked")) > 1][:3]
    assert evidence
    for claim in evidence:
        rows = [mention.row for mention in claim.of("liked")]
        for row in rows:
            twins.evidence.titles[row] = "Chasing Amy"
        for language, said in (("en", "“Chasing Amy”"), ("zh", "《Chasing Amy》")):
            [sentence] = twins.said([claim], language, "plain")  # type: ignore[arg-type]
            assert sentence.text.count(said) == 1


def test_no_item_is_explained_by_its_own_twin(planted: Bundle) -> None:
    twins = Explainer(planted)
    liked = {m.row for c in twins.explain("u0", "i3", attribute=False).evidence for m in c.of("liked")}
    assert liked
    for row in liked:
        twins.evidence.titles[row] = twins.evidence.titles[3]
    after = twins.explain("u0", "i3", attribute=False)
    assert not {m.row for c in after.evidence for m in c.of("liked")} & liked


def test_nothing_says_that_something_was_picked_or_is_what_most_like() -> None:
    """An explanation may be asked of an item that would not be recommended."""
    for templates in (*ENGLISH_TEMPLATES.values(), *CHINESE_TEMPLATES.values()):
        for text in (text for texts in templates.values() for text in texts):
            assert not re.search(
                r"picked|thought of it|safe choice|more often than most|推荐它|便选了", text
            ), text
