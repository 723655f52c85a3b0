"""How claims are put into Chinese words."""

from __future__ import annotations

from collections.abc import Sequence

from motet.explain._claim import Claim, Mention
from motet.explain._english import conditions, day_of, titles_of
from motet.explain._ground import Ground
from motet.explain._verbs import verb

__all__ = ["chinese_slots"]


def chinese_list(parts: Sequence[str]) -> str:
    """Parts as one lists them in Chinese.

    Example:
        >>> chinese_list(["《甲》", "《乙》", "《丙》"])
        '《甲》、《乙》和《丙》'
    """
    return parts[0] if len(parts) == 1 else f"{'、'.join(parts[:-1])}和{parts[-1]}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.2f}".rstrip("0").rstrip(".")


def chinese_slots(ground: Ground, claim: Claim) -> tuple[str, dict[str, str], dict[str, tuple[str, ...]]]:
    """As :func:`english_slots`, in Chinese."""
    measure, noun = ground.schema.explain.noun.get("zh", ("件", "商品"))
    slots = {
        "mw": measure,
        "noun": noun,
        "liked": verb(ground, "liked", "zh"),
        "had": verb(ground, "had", "zh"),
    }
    titles = [f"《{title}》" for title in titles_of(ground, claim)]
    entities = [f"《{m.name}》" if m.row >= 0 else m.name for m in claim.of("entity") if m.name]
    words = [f"“{m.key}”" for m in claim.of("word")]
    tags: list[str] = []
    if titles:
        slots |= {"titles": chinese_list(titles), "them": "它" if len(titles) == 1 else "它们"}
    if entities:
        slots["entities"] = chinese_list(entities)
    if words:
        slots |= {"words": chinese_list(words), "column": _column(ground, claim.of("word")[0].column)}
    numbers = _numbers(claim, slots)
    key: str = claim.kind
    if claim.kind in ("tags", "rate"):
        said = [_tag(ground, m) for m in claim.of("tag")]
        tags += [ground.catalogue.word(m.key, "zh") for m in claim.of("tag")]
        both = chinese_list(said)
        slots["kinds"] = _with_noun(both, noun) if len(said) == 1 else f"同属{both}两类的{noun}"
        slots["is_kind"] = f"是{_with_noun(both, noun)}" if len(said) == 1 else f"同属{both}两类"
        key = "tags" if claim.kind == "tags" else "rate+" if claim.polarity else "rate-"
    elif claim.kind == "popular":
        key = "popular_top" if claim.number("top") else "popular"
    elif claim.kind == "number":
        column = claim.relation.removeprefix("same_")
        key = "year" if ground.is_year(column) else "number"
        if key == "year":
            decade = int(claim.number("low"))
            slots["decade"] = f"{decade // 100 + 1}世纪{decade % 100}" if decade % 100 else f"{decade}"
            numbers += [str(decade // 100 + 1), str(decade % 100)] if decade % 100 else [str(decade)]
        else:
            slots["column"] = _column(ground, column)
            tags.append(slots["column"])
            for name in ("value", "low", "high"):
                slots[name] = _number(claim.number(name))
                numbers.append(slots[name])
    elif claim.kind == "words":
        key = "words_title" if claim.of("word")[0].column == ground.catalogue.title else "words"
    elif claim.kind == "peers":
        slots |= {"category": claim.mentions[0].column.replace("_", " "), "value": claim.mentions[0].key}
        tags += [slots["category"], slots["value"]]
    elif claim.kind in ("fact", "says") and ground.graph is not None:
        slots["said"] = ground.graph.said(claim.relation, "zh") or claim.relation
        if claim.kind == "fact":
            key = "fact_named" if entities else "fact" if claim.of("entity") else "fact_direct"
    elif claim.kind == "is":
        key = _is(ground, claim, slots, tags, numbers, noun, measure)
    elif claim.kind == "did":
        key, day = f"did_{claim.relation}", day_of(claim)
        slots["when"] = "" if day is None else f"（{day.year}年{day.month}月{day.day}日）"
        if claim.relation == "gave":
            slots["value"] = _number(claim.number("value"))
    names = tuple(part[1:-1] if part[0] in "《“" else part for part in [*titles, *entities, *words])
    if "title" in slots:
        names = (slots["title"].strip("《》"), *names)
    return key, slots, {"names": names, "tags": tuple(tags), "numbers": tuple(numbers)}


def _numbers(claim: Claim, slots: dict[str, str]) -> list[str]:
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
        slots |= {name: "" for name, there in conditions(found).items() if there}
    if found.get("times", 0) >= 2:
        slots["times"] = str(int(found["times"]))
        numbers.append(slots["times"])
    return numbers


def _tag(ground: Ground, mention: Mention) -> str:
    word = ground.catalogue.word(mention.key, "zh")
    if mention.column in ground.catalogue.tags:
        return word
    return f"{_column(ground, mention.column)}为“{word}”的"


def _with_noun(kind: str, noun: str) -> str:
    """A kind of item; one that holds the noun already, such as 黑色电影 or 纪录片, is not given it again."""
    return kind if kind.endswith((noun, "片")) else f"{kind}{noun}"


def _is(
    ground: Ground,
    claim: Claim,
    slots: dict[str, str],
    tags: list[str],
    numbers: list[str],
    noun: str,
    measure: str,
) -> str:
    kinds = [ground.catalogue.word(m.key, "zh") for m in claim.of("tag") if m.column in ground.catalogue.tags]
    year = next((value for column, value in claim.numbers if ground.is_year(column)), None)
    if kinds or year is not None:
        slots["title"] = f"《{ground.titles[claim.item]}》"
        when = f"{int(year)}年的" if year is not None else ""
        # words that hold the noun come last: 悬疑、黑色电影
        kinds.sort(key=lambda kind: _with_noun(kind, noun) == kind)
        slots["a_kind_of"] = f"一{measure}{when}{_with_noun('、'.join(kinds), noun)}"
        tags += kinds
        numbers += [] if year is None else [str(int(year))]
        return "is"
    if claim.mentions:
        column, value = claim.mentions[0].column, ground.catalogue.word(claim.mentions[0].key, "zh")
    else:
        column, value = claim.numbers[0][0], _number(claim.numbers[0][1])
        numbers.append(value)
    slots |= {"column": _column(ground, column), "value": value}
    tags += [slots["column"], value]
    return "is_more"


def _column(ground: Ground, column: str) -> str:
    return ground.catalogue.column_name(column, "zh")
