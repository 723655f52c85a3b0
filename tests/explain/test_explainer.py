from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from motet.errors import DataError
from motet.explain import Explainer, Language, Tone, verify
from motet.explain._titles import said_title

Unmet = Callable[[str, int], list[str]]


def test_a_reason_says_the_planted_taste(explainer: Explainer, unmet: Unmet) -> None:
    for user, genre in (("u0", "space"), ("u1", "love"), ("u10", "space")):
        for reason in explainer.reason(user, unmet(user, ("space", "love").index(genre))[:3]):
            assert re.search(rf"{genre}|“The {genre.title()} Tale", reason.text), reason.text
            assert 1 <= len(reason.sentences) <= 2
            assert reason.written_by == "templates"
            assert all(verify(claim, explainer.ground) for claim in reason.claims)


def test_titles_are_as_one_says_them(explainer: Explainer) -> None:
    description = explainer.describe("i3")
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
                told = explainer.explain(user, item, language=language, tone=tone, seed=seed, k=5).reason
                about = explainer.describe(item, language=language, tone=tone, seed=seed)
                for sentence in (*told.sentences, *about.sentences):
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
