"""What a rephrased Chinese sentence says that its claim does not, or leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from typing import Final

from motet.assistant.explain._claim import Sentence

__all__ = ["chinese_findings"]

# Words that a rephrased sentence may use beside those of its claim: they say nothing of their own.
_NEUTRAL: Final = frozenset(
    "的了也在和与你它这那部件是有为因而且所以里中把被给对于到一个样类型推荐选择想可能会，。、：；"
)

_NEGATORS: Final = frozenset("不没无非未否别少但却只仅")

_QUOTED = re.compile(r"《([^《》]*)》|“([^“”]*)”|\"([^\"]*)\"")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_CHINESE_NUMBER = re.compile(r"[二三四五六七八九十百千万两半几]+")
_LONGEST = 1.8


def chinese_findings(
    text: str, sentence: Sentence, renderings: Sequence[str], tags: Set[str]
) -> Iterator[tuple[str, str]]:
    """As :func:`english_findings`; words are held against the characters of the templates' own sentences."""
    if not text or text[-1] not in "。！":
        yield "form", "no end"
    if len(text) > _LONGEST * len(sentence.template) + 10:
        yield "form", "too long"
    for groups in _QUOTED.findall(text):
        quoted = "".join(groups)
        if quoted not in sentence.names and quoted not in sentence.tags:
            yield "name", quoted
    for name in sentence.names:
        if name not in text:
            yield "missing", name
    for tag in sentence.tags:
        if tag not in text:
            yield "missing", tag
    said, source = _plain(text, sentence.names), _plain(sentence.template, sentence.names)
    others = [_plain(one, sentence.names) for one in renderings]
    yield from _numbers(said, source, others)
    known = set("".join(others)) | _NEUTRAL
    for character in dict.fromkeys(said):
        if character not in known and not character.isspace():
            yield "word", character
    here, there = ([c for c in one if c in _NEGATORS] for one in (said, source))
    if sorted(here) != sorted(there):
        yield "polarity", "".join(set(here) ^ set(there)) or "negations"
    yield from _order(said, source, sentence)


def _plain(text: str, names: Sequence[str]) -> str:
    """A text with its names replaced by ⟦their number⟧."""
    for place, name in sorted(enumerate(names), key=lambda one: -len(one[1])):
        text = text.replace(name, f"⟦{chr(0x2460 + place)}⟧")
    return re.sub(r"[《》“”]", "", text)


def _contexts(text: str) -> list[tuple[str, str, str]]:
    """Each number with the character in front of it and the two behind it."""
    padded = f"^{text}$$"
    return [
        (m.group(), _pause(padded[m.start() - 1]), padded[m.end() : m.end() + 2])
        for m in _NUMBER.finditer(padded)
    ]


def _pause(character: str) -> str:
    return "，" if character in "^，。：；有" else character


def _numbers(said: str, source: str, others: Sequence[str]) -> Iterator[tuple[str, str]]:
    here, there = (sorted(value for value, *_ in _contexts(one)) for one in (said, source))
    if here != there:
        yield "number", " ".join(set(here) ^ set(there)) or " ".join(here)
    known = {context for one in others for context in _contexts(one)}
    for context in _contexts(said):
        if context not in known:
            yield "number", "".join(context[1:2] + context[:1] + context[2:])
    spelt = {word for one in others for word in _CHINESE_NUMBER.findall(one)}
    for word in _CHINESE_NUMBER.findall(said):
        if word not in spelt:
            yield "number", word


def _order(said: str, source: str, sentence: Sentence) -> Iterator[tuple[str, str]]:
    """You, others and the item keep their places."""
    for agent in ("你", "人"):
        if (agent in said) != (agent in source):
            yield "relation", agent
    if re.search(r"喜欢(?:过)?(?:它|这)[^。，]{0,3}的[^。，]{0,6}人", said) and "喜欢它的" not in source:
        yield "relation", "who liked what"
    if sentence.claim.kind != "others" and re.search(r"你喜欢(?:它|这)", said):
        yield "relation", "你喜欢它"
    swapped = re.search(r"你[^，。]{0,4}(?:不|没)", said)
    if swapped and not re.search(r"你[^，。]{0,4}(?:不|没)", source):
        yield "polarity", swapped.group()
