"""How the parts of a claim are put into words, English and Chinese: what fills the slots of the templates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from motet.assistant.explain._claim import Claim, Language, Mention
from motet.assistant.explain._evidence import EvidenceIndex

__all__ = ["and_list", "chinese_slots", "english_slots", "verb"]

_BY_TASK: Final[tuple[tuple[str, str, str], ...]] = (
    ("like|love|favou?rite", "liked", "喜欢"),
    ("buy|bought|purchase|conver", "bought", "买过"),
    ("order", "ordered", "订过"),
    ("click|open", "opened", "点开过"),
    ("watch", "watched", "看过"),
    ("view", "looked at", "看过"),
    ("read", "read", "读过"),
    ("play", "played", "玩过"),
    ("listen", "listened to", "听过"),
    ("save|cart|wish", "saved", "收藏过"),
    ("recommend", "recommended", "推荐过"),
)
_DEFAULT: Final = {
    ("liked", "en"): "chose",
    ("liked", "zh"): "选过",
    ("had", "en"): "tried",
    ("had", "zh"): "试过",
}


def verb(evidence: EvidenceIndex, which: Literal["liked", "had"], language: Language) -> str:
    """What a user did with an item that they liked, or with any item."""
    settings = evidence.schema.explain
    said = (settings.liked if which == "liked" else settings.had).get(language)
    if said is not None:
        return said
    if which == "liked" and evidence.task is not None:
        for names, english, chinese in _BY_TASK:
            if re.search(rf"(?:^|_)(?:{names})", evidence.task.lower()):
                return english if language == "en" else chinese
    return _DEFAULT[which, language]


_PLAIN_CASE = re.compile(r"[A-Z][a-z']+(?:[ -][A-Z]?[a-z']+)*")
_SILENT = re.compile(r"(?i)^(hono|hour|heir)")
_AS_YOU = re.compile(r"(?i)^(uni[^nm]|use|usu|eu|one)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_TIMES = ("", "", "", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
# what a relation of a graph shares, by how it is said of an item; anything else is quoted
_SHARED = {
    "directed by": "a director",
    "written by": "a writer",
    "produced by": "a producer",
    "photographed by": "a cinematographer",
    "edited by": "an editor",
    "starring": "an actor",
    "made by the company": "a production company",
    "about": "a subject",
    "of the genre": "a genre",
    "made in": "a country",
    "spoken in": "a language",
    "nominated for": "a nomination",
    "winner of": "an award",
    "by": "an author",
    "published by": "a publisher",
    "performed by": "a performer",
    "made by": "a maker",
}


def and_list(parts: Sequence[str]) -> str:
    """Parts as one would list them.

    Example:
        >>> and_list(["a"]), and_list(["a", "b"]), and_list(["a", "b", "c"])
        ('a', 'a and b', 'a, b and c')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def article(phrase: str) -> str:
    """A phrase with "a" or "an".

    Example:
        >>> article("action film"), article("unusual film"), article("one-act film")
        ('an action film', 'an unusual film', 'a one-act film')
    """
    vowel = phrase[:1].lower() in "aeiou" and not _AS_YOU.match(phrase)
    if phrase.lower().startswith("unus") or _SILENT.match(phrase):
        vowel = True
    return f"{'an' if vowel else 'a'} {phrase}"


def said_tag(tag: str) -> str:
    """A tag within a sentence: lower case, unless its capitals mean something.

    Example:
        >>> said_tag("Sci-Fi"), said_tag("Children's"), said_tag("USB"), said_tag("iPhone")
        ('sci-fi', "children's", 'USB', 'iPhone')
    """
    return tag.lower() if _PLAIN_CASE.fullmatch(tag) else tag


def said_number(value: float) -> str:
    """A number as it is written: whole ones with separators, others with two decimals at the most.

    Example:
        >>> said_number(1234.0), said_number(39.9), said_number(0.125)
        ('1,234', '39.9', '0.12')
    """
    return f"{int(value):,}" if value == int(value) else f"{value:.2f}".rstrip("0").rstrip(".")


def titles_of(evidence: EvidenceIndex, claim: Claim) -> list[str]:
    """Titles of the items that a claim names; of items with one title, it is said once."""
    return list(dict.fromkeys(evidence.titles[m.row] for m in claim.mentions if m.role in ("liked", "item")))


def said_times(times: int) -> str:
    """How many times as often, as one says it.

    Example:
        >>> said_times(2), said_times(3), said_times(25)
        ('twice', 'three times', '25 times')
    """
    if times == 2:
        return "twice"
    return f"{_TIMES[times] if times < len(_TIMES) else f'{times:,}'} times"


def english_slots(
    evidence: EvidenceIndex, claim: Claim
) -> tuple[str, dict[str, str], dict[str, tuple[str, ...]]]:
    """Which templates say a claim, what fills their slots, and which surfaces are names, tags and numbers."""
    one, many = evidence.schema.explain.noun.get("en", ("item", "items"))
    slots = {
        "noun": one,
        "nouns": many,
        "liked": verb(evidence, "liked", "en"),
        "had": verb(evidence, "had", "en"),
    }
    titles = [f"“{title}”" for title in titles_of(evidence, claim)]
    entities = [f"“{m.name}”" if m.row >= 0 else m.name for m in claim.of("entity") if m.name]
    words = [f"“{_as_in(evidence, claim, m)}”" for m in claim.of("word")]
    tags: list[str] = []
    if titles:
        one_title = len(titles) == 1
        slots |= {
            "titles": and_list(titles),
            "are": "is" if one_title else "are",
            "them": "it" if one_title else "each of them",
        }
    if entities:
        slots["entities"] = and_list(entities)
    if words:
        slots["words"] = and_list(words)
        slots["column"] = _column(evidence, claim.of("word")[0].column)
    numbers = _numbers(claim, slots)
    key: str = claim.kind
    if claim.kind in ("tags", "rate"):
        kind, kinds = _kinds(evidence, claim.of("tag"), one, many)
        combine = f"{many} that combine "
        are_kinds = kinds.removeprefix(f"{many} that ") if kinds.startswith(combine) else f"are {kinds}"
        slots |= {"kind": kind, "a_kind": article(kind), "kinds": kinds, "are_kinds": are_kinds}
        tags += [said_tag(m.key) for m in claim.of("tag")]
        key = {"tags": "tags"}.get(claim.kind, "rate+" if claim.polarity else "rate-")
    elif claim.kind == "popular":
        key = "popular_top" if claim.number("top") else "popular"
    elif claim.kind == "number":
        column = claim.relation.removeprefix("same_")
        year = evidence.is_year(column)
        key = "year" if year else "number"
        if year:
            slots["decade"] = f"{int(claim.number('low'))}s"
            numbers.insert(0, str(int(claim.number("low"))))
        else:
            slots["column"] = _column(evidence, column)
            tags.append(slots["column"])
            for name in ("value", "low", "high"):
                slots[name] = said_number(claim.number(name))
                numbers.append(slots[name])
    elif claim.kind == "words":
        title = claim.of("word")[0].column == evidence.catalogue.title
        key = "words_title" if title else "words"
    elif claim.kind == "peers":
        slots |= {"category": claim.mentions[0].column.replace("_", " "), "value": claim.mentions[0].key}
        tags += [slots["category"], slots["value"]]
    elif claim.kind in ("fact", "says") and evidence.graph is not None:
        said = evidence.graph.said(claim.relation, "en") or claim.relation
        slots["said"] = said
        noun_like = said.split()[0] in ("a", "an", "the")
        slots["a_thing"] = said if noun_like else f"{article(one)} {said}"
        done = re.match(
            r"(?i)[a-z]+ed\b|by\b|about\b|made\b|written\b", said
        )  # "it is directed by", "it is about"
        slots["is_thing"] = said if done else slots["a_thing"]
        if noun_like and len(titles) == 1:  # "a sequel to it"
            slots["such"] = ""
        if claim.kind == "fact":
            key = "fact_named" if entities else "fact" if claim.of("entity") else "fact_direct"
            if key == "fact":
                slots["what"] = _SHARED.get(said, f"something under “{said}”")
    elif claim.kind == "is":
        key = _is(evidence, claim, slots, tags, numbers, one)
    elif claim.kind == "did":
        key = f"did_{claim.relation}"
        slots["when"] = _when(claim)
        if claim.relation == "gave":
            slots["value"] = said_number(claim.number("value"))
    names = tuple(part[1:-1] if part.startswith("“") else part for part in [*titles, *entities, *words])
    if "title" in slots:
        names = (slots["title"].strip("“”"), *names)
    return key, slots, {"names": names, "tags": tuple(tags), "numbers": tuple(numbers)}


def _numbers(claim: Claim, slots: dict[str, str]) -> list[str]:
    found = dict(claim.numbers)
    numbers: list[str] = []
    if "found" not in found:
        return numbers
    n = int(found["found"])
    slots["found"] = said_number(n)
    numbers.append(slots["found"])
    if "top" in found:
        slots["top"] = said_number(found["top"])
        numbers.append(slots["top"])
    if "of" in found:
        of = int(found["of"])
        slots |= {"of": said_number(of), "share": f"all {of:,}" if n == of else f"{n:,} of the {of:,}"}
        slots["only"] = f"none of the {of:,}" if n == 0 else f"only {n:,} of the {of:,}"
        numbers.append(slots["of"])
        slots |= {name: "" for name, there in supported_words(found).items() if there}
    if found.get("times", 0) >= 2:
        slots["times"] = said_times(int(found["times"]))
    return numbers


def supported_words(numbers: dict[str, float]) -> dict[str, bool]:
    """Which words the numbers of a claim bear out.

    Example:
        >>> [supported_words({"found": n, "of": of})["keen"] for n, of in ((4, 33), (3, 10), (20, 48))]
        [False, False, True]
        >>> [supported_words({"found": n, "of": 10})["rarely"] for n in (6, 9)]
        [False, True]
    """
    share = numbers["found"] / max(numbers["of"], 1)
    return {
        "often": share >= 0.25,
        "keen": share >= 0.25 and numbers["found"] >= 5,
        "half": share > 0.5,
        "part": 0 < share < 1,
        "all": share == 1,
        "many": share >= 0.25,
        "few": share < 0.25,
        "rarely": share >= 0.8,
        "some": share > 0,
        "none": share == 0,
    }


def _kinds(evidence: EvidenceIndex, mentions: Sequence[Mention], one: str, many: str) -> tuple[str, str]:
    """A kind of item, one and several: "action film", "films that combine action and war"."""
    tags = [said_tag(m.key) for m in mentions if m.column in evidence.catalogue.tags]
    rest = [
        f"{_column(evidence, m.column)} is “{m.key}”"
        for m in mentions
        if m.column not in evidence.catalogue.tags
    ]
    ending = f" whose {and_list(rest)}" if rest else ""
    if len(tags) == 2:
        both = and_list(tags)
        return f"{one} that combines {both}{ending}", f"{many} that combine {both}{ending}"
    if not tags:
        return f"{one}{ending}", f"{many}{ending}"
    if one.lower() in re.split(r"\W", tags[0].lower()):  # "film-noir film"
        return f"{tags[0]} title{ending}", f"{tags[0]} titles{ending}"
    return f"{tags[0]} {one}{ending}", f"{tags[0]} {many}{ending}"


def _is(
    evidence: EvidenceIndex,
    claim: Claim,
    slots: dict[str, str],
    tags: list[str],
    numbers: list[str],
    one: str,
) -> str:
    """Slots of what the catalogue says: kinds and year in one sentence, or one column in another."""
    kinds = [said_tag(m.key) for m in claim.of("tag") if m.column in evidence.catalogue.tags]
    year = next((value for column, value in claim.numbers if evidence.is_year(column)), None)
    if kinds or year is not None:
        noun = "title" if any(one.lower() in re.split(r"\W", kind) for kind in kinds) else one
        phrase = article(f"{and_list(kinds)} {noun}") if kinds else article(noun)
        slots["title"] = f"“{evidence.titles[claim.item]}”"
        slots["a_kind_of"] = phrase + (f" from {int(year)}" if year is not None else "")
        tags += kinds
        numbers += [] if year is None else [str(int(year))]
        return "is"
    if claim.mentions:
        column, value = claim.mentions[0].column, claim.mentions[0].key
    else:
        column, value = claim.numbers[0][0], said_number(claim.numbers[0][1])
        numbers.append(value)
    slots |= {"column": _column(evidence, column), "value": value}
    tags += [slots["column"], value]
    return "is_more"


def _when(claim: Claim) -> str:
    """On which day something was, in universal time; nothing where it is not known."""
    day = day_of(claim)
    return "" if day is None else f" on {day.day} {_MONTHS[day.month - 1]} {day.year}"


def day_of(claim: Claim) -> date | None:
    """The day of which a claim speaks, in universal time; None where it names none."""
    us = claim.number("time_us")
    return (_EPOCH + timedelta(microseconds=us)).date() if us else None


def _column(evidence: EvidenceIndex, column: str) -> str:
    return evidence.catalogue.column_name(column, "en")


def _as_in(evidence: EvidenceIndex, claim: Claim, mention: Mention) -> str:
    """A word with the capitals that it has in the item's own text."""
    text = evidence.text(claim.item, mention.column)
    found = re.search(rf"(?i)\b{re.escape(mention.key)}\b", text)
    return found.group() if found else mention.key


def chinese_list(parts: Sequence[str]) -> str:
    """Parts as one lists them in Chinese.

    Example:
        >>> chinese_list(["《甲》", "《乙》", "《丙》"])
        '《甲》、《乙》和《丙》'
    """
    return parts[0] if len(parts) == 1 else f"{'、'.join(parts[:-1])}和{parts[-1]}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.2f}".rstrip("0").rstrip(".")


def chinese_slots(
    evidence: EvidenceIndex, claim: Claim
) -> tuple[str, dict[str, str], dict[str, tuple[str, ...]]]:
    """As :func:`english_slots`, in Chinese."""
    measure, noun = evidence.schema.explain.noun.get("zh", ("件", "商品"))
    slots = {
        "mw": measure,
        "noun": noun,
        "liked": verb(evidence, "liked", "zh"),
        "had": verb(evidence, "had", "zh"),
    }
    titles = [f"《{title}》" for title in titles_of(evidence, claim)]
    entities = [f"《{m.name}》" if m.row >= 0 else m.name for m in claim.of("entity") if m.name]
    words = [f"“{m.key}”" for m in claim.of("word")]
    tags: list[str] = []
    if titles:
        slots |= {"titles": chinese_list(titles), "them": "它" if len(titles) == 1 else "它们"}
    if entities:
        slots["entities"] = chinese_list(entities)
    if words:
        slots |= {"words": chinese_list(words), "column": _column_zh(evidence, claim.of("word")[0].column)}
    numbers = _numbers_zh(claim, slots)
    key: str = claim.kind
    if claim.kind in ("tags", "rate"):
        said = [_tag(evidence, m) for m in claim.of("tag")]
        tags += [evidence.catalogue.word(m.key, "zh") for m in claim.of("tag")]
        both = chinese_list(said)
        slots["kinds"] = chinese_kind(both, noun) if len(said) == 1 else f"同属{both}两类的{noun}"
        slots["is_kind"] = f"是{chinese_kind(both, noun)}" if len(said) == 1 else f"同属{both}两类"
        key = "tags" if claim.kind == "tags" else "rate+" if claim.polarity else "rate-"
    elif claim.kind == "popular":
        key = "popular_top" if claim.number("top") else "popular"
    elif claim.kind == "number":
        column = claim.relation.removeprefix("same_")
        key = "year" if evidence.is_year(column) else "number"
        if key == "year":
            decade = int(claim.number("low"))
            slots["decade"] = f"{decade // 100 + 1}世纪{decade % 100}" if decade % 100 else f"{decade}"
            numbers += [str(decade // 100 + 1), str(decade % 100)] if decade % 100 else [str(decade)]
        else:
            slots["column"] = _column_zh(evidence, column)
            tags.append(slots["column"])
            for name in ("value", "low", "high"):
                slots[name] = _number(claim.number(name))
                numbers.append(slots[name])
    elif claim.kind == "words":
        key = "words_title" if claim.of("word")[0].column == evidence.catalogue.title else "words"
    elif claim.kind == "peers":
        slots |= {"category": claim.mentions[0].column.replace("_", " "), "value": claim.mentions[0].key}
        tags += [slots["category"], slots["value"]]
    elif claim.kind in ("fact", "says") and evidence.graph is not None:
        slots["said"] = evidence.graph.said(claim.relation, "zh") or claim.relation
        if claim.kind == "fact":
            key = "fact_named" if entities else "fact" if claim.of("entity") else "fact_direct"
    elif claim.kind == "is":
        key = _is_zh(evidence, claim, slots, tags, numbers, noun, measure)
    elif claim.kind == "did":
        key, day = f"did_{claim.relation}", day_of(claim)
        slots["when"] = "" if day is None else f"（{day.year}年{day.month}月{day.day}日）"
        if claim.relation == "gave":
            slots["value"] = _number(claim.number("value"))
    names = tuple(part[1:-1] if part[0] in "《“" else part for part in [*titles, *entities, *words])
    if "title" in slots:
        names = (slots["title"].strip("《》"), *names)
    return key, slots, {"names": names, "tags": tuple(tags), "numbers": tuple(numbers)}


def _numbers_zh(claim: Claim, slots: dict[str, str]) -> list[str]:
    found = dict(claim.numbers)
    if "found" not in found:
        return []
    slots["found"] = str(int(found["found"]))
    numbers = [slots["found"]]
    for name in ("top", "of"):
        if name in found:
            slots[name] = str(int(found[name]))
            numbers.append(slots[name])
    if "of" in found:
        slots |= {name: "" for name, there in supported_words(found).items() if there}
    if found.get("times", 0) >= 2:
        slots["times"] = str(int(found["times"]))
        numbers.append(slots["times"])
    return numbers


def _tag(evidence: EvidenceIndex, mention: Mention) -> str:
    word = evidence.catalogue.word(mention.key, "zh")
    if mention.column in evidence.catalogue.tags:
        return word
    return f"{_column_zh(evidence, mention.column)}为“{word}”的"


def chinese_kind(kind: str, noun: str) -> str:
    """A kind of item; one that holds the noun already is not given it again.

    Example:
        >>> [chinese_kind(kind, "电影") for kind in ("黑色电影", "纪录片", "科幻", "悬疑、黑色电影")]
        ['黑色电影', '纪录片', '科幻电影', '悬疑、黑色电影']
    """
    return kind if kind.endswith((noun, "片")) else f"{kind}{noun}"


def _is_zh(
    evidence: EvidenceIndex,
    claim: Claim,
    slots: dict[str, str],
    tags: list[str],
    numbers: list[str],
    noun: str,
    measure: str,
) -> str:
    kinds = [
        evidence.catalogue.word(m.key, "zh") for m in claim.of("tag") if m.column in evidence.catalogue.tags
    ]
    year = next((value for column, value in claim.numbers if evidence.is_year(column)), None)
    if kinds or year is not None:
        slots["title"] = f"《{evidence.titles[claim.item]}》"
        when = f"{int(year)}年的" if year is not None else ""
        # words that hold the noun come last: 悬疑、黑色电影
        kinds.sort(key=lambda kind: chinese_kind(kind, noun) == kind)
        slots["a_kind_of"] = f"一{measure}{when}{chinese_kind('、'.join(kinds), noun)}"
        tags += kinds
        numbers += [] if year is None else [str(int(year))]
        return "is"
    if claim.mentions:
        column, value = claim.mentions[0].column, evidence.catalogue.word(claim.mentions[0].key, "zh")
    else:
        column, value = claim.numbers[0][0], _number(claim.numbers[0][1])
        numbers.append(value)
    slots |= {"column": _column_zh(evidence, column), "value": value}
    tags += [slots["column"], value]
    return "is_more"


def _column_zh(evidence: EvidenceIndex, column: str) -> str:
    return evidence.catalogue.column_name(column, "zh")
