"""From a claim to a sentence, by templates."""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Mapping, Sequence

from motet.explain._chinese import chinese_slots
from motet.explain._claim import Claim, ClaimKind
from motet.explain._english import english_slots
from motet.explain._ground import Ground
from motet.explain._sentence import Sentence
from motet.explain._templates_en import ALSO_TRUE, ENGLISH
from motet.explain._templates_zh import CHINESE
from motet.explain._tones import Language, Tone

__all__ = ["all_renderings", "join_sentences", "render"]

_TONES: tuple[Tone, ...] = ("plain", "warm", "brief")
Surfaces = dict[str, tuple[str, ...]]
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def render(
    ground: Ground,
    claims: Sequence[Claim],
    *,
    language: Language = "en",
    tone: Tone = "plain",
    seed: int = 0,
    turns: Mapping[ClaimKind, int] | None = None,
) -> list[Sentence]:
    """Say each claim in a sentence.

    Which of several templates says a claim follows from the seed, the user and the item, or the turn, so that the same question gets the same answer; neighbours do not begin with the same word.

    Args:
        ground: What is known.
        claims: In order.
        language: ``en`` or ``zh``.
        tone: ``plain``, ``warm`` or ``brief``.
        seed: Other numbers choose other templates.
        turns: In a list, how often each kind was told higher up: templates take turns then.
    """
    said: list[Sentence] = []
    openings: set[str] = set()
    for claim in claims:
        key, slots, surfaces = _filled(ground, claim, language)
        options = [t for t in _templates(language, key, tone) if _fields(t) <= slots.keys()]
        if not options:
            continue
        turn = None if turns is None else turns.get(claim.kind, 0)
        start = _draw(seed, claim, turn) % len(options)
        order = options[start:] + options[:start]
        texts = [_capital(template.format_map(slots)) for template in order]
        text = next((t for t in texts if _opening(t, language) not in openings), texts[0])
        openings.add(_opening(text, language))
        said.append(
            Sentence(
                text,
                claim,
                language,
                tuple(name for name in surfaces["names"] if name in text),
                tuple(tag for tag in surfaces["tags"] if tag.lower() in text.lower()),
                _numbers_of(text, surfaces["names"]),
                text,
            )
        )
    return said


def all_renderings(ground: Ground, claim: Claim, language: Language) -> list[str]:
    """Every sentence, in every tone, that says a claim, those that are never shown included."""
    key, slots, _ = _filled(ground, claim, language)
    templates = [template for tone in _TONES for template in _templates(language, key, tone)]
    templates += ALSO_TRUE.get(key, ()) if language == "en" else ()
    return [_capital(t.format_map(slots)) for t in templates if _fields(t) <= slots.keys()]


def _filled(ground: Ground, claim: Claim, language: Language) -> tuple[str, dict[str, str], Surfaces]:
    """Which templates say a claim, their slots, and which surfaces are names and tags."""
    key, slots, surfaces = (english_slots if language == "en" else chinese_slots)(ground, claim)
    if language == "en":
        slots |= {_capital(name): _capital(value) for name, value in slots.items()}
    return key, slots, surfaces


def join_sentences(texts: Sequence[str], language: Language) -> str:
    """Sentences as one text."""
    return (" " if language == "en" else "").join(texts)


def _templates(language: Language, key: str, tone: Tone) -> tuple[str, ...]:
    return (ENGLISH if language == "en" else CHINESE)[key][tone]


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def _numbers_of(text: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Numbers that stand in a text outside of its names, in order."""
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, " ")
    return tuple(_NUMBER.findall(text))


def _draw(seed: int, claim: Claim, turn: int | None) -> int:
    """A number that follows from the question: from the item, or in a list from the turn."""
    what = f"{seed}|{claim.user}|{claim.kind}|{claim.item if turn is None else ''}"
    drawn = int.from_bytes(hashlib.blake2b(what.encode(), digest_size=8).digest(), "big")
    return drawn + (turn or 0)


def _opening(text: str, language: Language) -> str:
    return text.split(" ", 1)[0] if language == "en" else text[:1]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
