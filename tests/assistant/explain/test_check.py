from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from motet.assistant.explain import Explainer, Language, Sentence, Tone, check_sentence

Mutation = Callable[[str, Sentence], str | None]
_SENTENCES: dict[tuple[int, str], list[Sentence]] = {}


def sentences(explainer: Explainer, language: Language) -> list[Sentence]:
    """Distinct sentences of every kind, said once an explainer and a language."""
    key = (id(explainer), language)
    if key not in _SENTENCES:
        sentences: dict[str, Sentence] = {}
        tones: tuple[Tone, ...] = ("plain", "warm")
        for seed, user in enumerate(("u0", "u1", "u30")):
            for k in range(0, 24, 2):
                for tone in tones:
                    found = explainer.explain(
                        user, f"i{k}", language=language, tone=tone, k=5, seed=seed, attribute=False
                    )
                    sentences |= {sentence.text: sentence for sentence in found.reason.sentences}
        _SENTENCES[key] = list(sentences.values())
    return _SENTENCES[key]


def other_title(text: str, sentence: Sentence) -> str | None:
    return text.replace(sentence.names[0], "The Love Tale 99", 1) if sentence.names else None


def more_titles(text: str, sentence: Sentence) -> str:
    return f"{text[:-1]}, just like “The War Tale 5”."


def bare_title(text: str, sentence: Sentence) -> str:
    return f"{text[:-1]} and Casablanca."


def other_number(text: str, sentence: Sentence) -> str | None:
    if not sentence.numbers:
        return None
    number = sentence.numbers[-1]
    return re.sub(
        rf"(?<!\w){re.escape(number)}(?!\d)", str(int(float(number.replace(",", ""))) + 7), text, count=1
    )


def swapped_numbers(text: str, sentence: Sentence) -> str | None:
    if len(sentence.numbers) < 2 or len(set(sentence.numbers)) < 2:
        return None
    a, b = list(dict.fromkeys(sentence.numbers))[:2]
    return re.sub(rf"(?<!\w)({a}|{b})(?!\w)", lambda m: b if m.group() == a else a, text)


def negated(text: str, sentence: Sentence) -> str | None:
    found = re.sub(r"\b(is|are|did|liked)\b", r"\1 not", text, count=1)
    return found if found != text else None


def disliked(text: str, sentence: Sentence) -> str | None:
    return text.replace("liked", "disliked", 1) if "liked" in text else None


def unlike(text: str, sentence: Sentence) -> str | None:
    return re.sub(r"\blike\b", "unlike", text, count=1) if re.search(r"\blike\b", text) else None


def without_negation(text: str, sentence: Sentence) -> str | None:
    found = re.sub(r"\b(only|none of|few) ", "", text, count=1)
    return found if found != text else None


def stronger(text: str, sentence: Sentence) -> str:
    return f"{text[:-1]}, and everyone loves it."


def praise(text: str, sentence: Sentence) -> str:
    return f"This masterpiece is unforgettable: {text[0].lower()}{text[1:]}"


def other_tag(text: str, sentence: Sentence) -> str | None:
    found = re.sub(r"\b(space|love|war)\b(?! Tale)", "western", text, count=1)
    return found if found != text else None


def another_tag(text: str, sentence: Sentence) -> str:
    return f"{text[:-1]}, and it is a romance."


def other_people(text: str, sentence: Sentence) -> str | None:
    found = re.sub(r"\byou\b", "critics", text, count=1)
    return found if found != text else None


def user_likes_it(text: str, sentence: Sentence) -> str | None:
    if sentence.claim.kind == "did" and sentence.claim.relation == "liked":
        return None  # they did
    return f"You liked this, and {text[0].lower()}{text[1:]}"


def likers_of_this(text: str, sentence: Sentence) -> str | None:
    """Others who liked A liked this → others who liked this liked A."""
    if sentence.claim.kind != "others" or "who liked" not in text:
        return None
    name = f"“{sentence.names[0]}”"
    return text.replace(name, "@").replace(" this", f" {name}", 1).replace("@", "this")


def other_relation(text: str, sentence: Sentence) -> str | None:
    found = re.sub(r"\b(close|closer|closest)\b", "directed", text, count=1)
    return found if found != text else None


def two_claims_in_one(text: str, sentence: Sentence) -> str:
    return f"{text} It won three awards."


ENGLISH: tuple[Mutation, ...] = (
    other_title, more_titles, bare_title, other_number, swapped_numbers, negated, disliked, unlike, without_negation,
    stronger, praise, other_tag, another_tag, other_people, user_likes_it, likers_of_this, other_relation, two_claims_in_one,
)  # fmt: skip
CHINESE: tuple[tuple[str, str], ...] = (
    (r"《[^》]*》", "《卧虎藏龙》"),
    (r"\d+(?=[部人倍])", "777"),
    (r"喜欢", "不喜欢"),
    (r"有(?=\d)", "没有"),
    (r"只有", "有"),
    (r"太空|爱情|战争", "恐怖"),
    (r"你喜欢的", "影评人喜欢的"),
    (r"。$", "，是一部杰作。"),
    (r"。$", "，还得过三项大奖。"),
    (r"接近", "出自同一导演"),
)


def test_what_templates_say_passes(explainer: Explainer) -> None:
    languages: tuple[Language, ...] = ("en", "zh")
    for language in languages:
        for sentence in sentences(explainer, language):
            assert check_sentence(sentence.text, sentence, explainer.evidence) == ()


def test_mutations_are_caught(explainer: Explainer) -> None:
    caught: dict[str, list[bool]] = {}
    for sentence in sentences(explainer, "en"):
        for mutate in ENGLISH:
            text = mutate(sentence.text, sentence)
            if text is not None and text != sentence.text:
                caught.setdefault(mutate.__name__, []).append(
                    bool(check_sentence(text, sentence, explainer.evidence))
                )
    rates = {name: sum(found) / len(found) for name, found in caught.items()}
    assert set(rates) == {mutate.__name__ for mutate in ENGLISH}
    assert {name: rate for name, rate in rates.items() if rate < 1} == {}


def test_chinese_mutations_are_caught(explainer: Explainer) -> None:
    tried = 0
    for sentence in sentences(explainer, "zh"):
        for pattern, instead in CHINESE:
            text = re.sub(pattern, instead, sentence.text, count=1)
            if text != sentence.text:
                tried += 1
                assert check_sentence(text, sentence, explainer.evidence), text
    assert tried > 200


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("tags", "Of the {of} films you liked, {found} are {tag} films, and this is one too."),
        ("tags", "This is {tag} too, like {found} of the {of} films you liked."),
        ("others", "Of the {of} others who liked “{name}”, {found} liked this as well."),
    ],
)
def test_honest_rephrasings_pass(explainer: Explainer, kind: str, text: str) -> None:
    for sentence in sentences(explainer, "en"):
        claim = sentence.claim
        single = len(claim.mentions) == 1 and claim.polarity
        if claim.kind == kind and single and claim.number("found") != claim.number("of"):
            said = text.format(
                found=int(claim.number("found")),
                of=int(claim.number("of")),
                tag=sentence.tags[0] if sentence.tags else "",
                name=sentence.names[0] if sentence.names else "",
            )
            if len(check_sentence(said, sentence, explainer.evidence)) == 0:
                return
    pytest.fail(f"no sentence could be said as {text!r}")


def test_only_the_sentences_of_a_reason_pass(explainer: Explainer) -> None:
    reason = explainer.explain("u0", "i3", k=5, attribute=False).reason
    for sentence in reason.sentences:
        assert check_sentence(sentence.text, sentence, explainer.evidence) == ()
        assert check_sentence("It won three awards.", sentence, explainer.evidence)


@pytest.mark.parametrize("text", ["", "\n", "no end", "“", "{}", "See http://x.example.", "a" * 5000 + "."])
def test_what_is_no_sentence_is_refused(explainer: Explainer, text: str) -> None:
    for sentence in sentences(explainer, "en")[:5]:
        assert check_sentence(text, sentence, explainer.evidence)


def test_of_the_kind_you_liked_is_not_one_of_those_you_liked(explainer: Explainer) -> None:
    """The packaged model writes this: it says that the user liked the item."""
    tried = 0
    for sentence in sentences(explainer, "en"):
        if sentence.claim.kind == "tags" and len(sentence.numbers) == 2:
            (found, of), tag = sentence.numbers, " and ".join(sentence.tags)
            for text in (
                f"This is another of the {tag} films you liked: {found} of the {of} films you liked.",
                f"Here is one more of the {tag} films that you liked, {found} of {of}.",
                f"It is one of the {tag} films you liked, {found} of the {of}.",
            ):
                tried += 1
                kinds = {finding.kind for finding in check_sentence(text, sentence, explainer.evidence)}
                assert "relation" in kinds, text
    assert tried > 20


@pytest.mark.parametrize(
    "change",
    [
        ("in our model", ""),
        ("by our model, ", ""),
        ("By our model, ", ""),
        ("Our model places it", "It is"),
        (" to our model", ""),
        ("our model", "we"),
    ],
)
def test_whose_view_it_is_is_not_left_out(explainer: Explainer, change: tuple[str, str]) -> None:
    for sentence in sentences(explainer, "en"):
        text = sentence.text.replace(*change)
        if sentence.claim.kind in ("near", "moved") and text != sentence.text:
            assert check_sentence(text, sentence, explainer.evidence), text


def test_how_many_times_is_not_left_out_or_changed(explainer: Explainer) -> None:
    tried = 0
    for sentence in sentences(explainer, "en"):
        for said in ("at least twice as", "at least three times as", "at least four times as"):
            for instead in (
                "as",
                "at least as",
                "at least five times as",
                "at least half as",
                "many times as",
            ):
                if said in sentence.text:
                    tried += 1
                    text = sentence.text.replace(said, instead)
                    assert check_sentence(text, sentence, explainer.evidence), text
    assert tried


def test_what_the_packaged_model_gets_wrong_is_refused(explainer: Explainer) -> None:
    """Sentences of the kinds that it wrote of films: a predicate lost, rated become liked, another where none was."""
    tried: set[str] = set()
    for sentence in [*sentences(explainer, "en"), *explainer.describe("i3").sentences]:
        kind, numbers = sentence.claim.kind, sentence.numbers
        tag = " and ".join(sentence.tags)
        wrong = [f"This is another: {sentence.text[0].lower()}{sentence.text[1:]}"]
        if kind == "tags" and len(numbers) == 2 and len(sentence.tags) == 1:
            found, of = sorted(numbers, key=int)
            wrong += [
                f"This is another {tag} film: {found} of the {of} films you liked.",
                f"This is a {tag} film, {found} of the {of} you liked.",
                f"This is another {tag} film: {found} of the {of} films you liked, which you have a taste for.",
                f"This is another {tag} film: {found} of the {of} films you liked, and now this one.",
            ]
        if kind == "popular" and len(numbers) == 2:
            wrong += [f"Among the top {numbers[k]}, {numbers[1 - k]} people liked it." for k in (0, 1)]
        if kind == "rate" and len(numbers) == 2:
            found, of = sorted(numbers, key=int)
            wrong += [
                f"Of the {of} {tag} films you liked, you liked {found}.",
                sentence.text.replace("rated", "liked"),
            ]
        if kind == "others" and ", as you did," in sentence.text:
            wrong.append(
                re.sub("other people|Others|others", "people", sentence.text.replace(", as you did,", ""))
            )
        if kind == "is" and sentence.names:
            wrong.append(
                f"This is another {sentence.text.partition(' is a ')[2][:-1]}: “{sentence.names[0]}”."
            )
        tried.add(kind)
        for text in wrong:
            if text != sentence.text:
                assert check_sentence(text, sentence, explainer.evidence), text
    assert tried >= {"tags", "rate", "others", "is"}
