"""Whether a sentence says its claim and nothing else.

A generator may only rephrase. Its sentence is held against the sentence that templates made of the claim, and
against every other way in which the templates could have said it: whatever is new there must say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from motet.explain._check_en import english_findings
from motet.explain._check_zh import chinese_findings
from motet.explain._claim import Claim
from motet.explain._ground import Ground
from motet.explain._render import all_renderings, render
from motet.explain._sentence import Sentence
from motet.explain._tones import Language

__all__ = ["Finding", "check", "check_sentence"]

FindingKind = Literal["name", "number", "tag", "word", "polarity", "relation", "missing", "form"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing in a sentence that its claims do not bear out.

    Attributes:
        kind: A name, number, tag or word that is not theirs; a negation or comparison turned round or
            strengthened; a relation between other things than theirs; something of theirs that is missing;
            or a text that is no sentence.
        text: What was found.
    """

    kind: FindingKind
    text: str


def check(
    text: str, claims: Sequence[Claim], ground: Ground, language: Language = "en"
) -> tuple[Finding, ...]:
    """Hold a sentence against claims: the findings for the claim that it fits best.

    Args:
        text: One sentence.
        claims: It must say one of them.
        ground: What is known.
        language: Of the sentence.

    Returns:
        Nothing where the sentence says one of the claims and nothing else.
    """
    best: tuple[Finding, ...] | None = None
    for claim in claims:
        for sentence in render(ground, [claim], language=language):
            found = check_sentence(text, sentence, ground)
            if best is None or len(found) < len(best):
                best = found
    return (Finding("missing", "no claim to say"),) if best is None else best


def check_sentence(text: str, sentence: Sentence, ground: Ground) -> tuple[Finding, ...]:
    """Hold a text against the sentence it is meant to rephrase.

    Args:
        text: What a generator wrote.
        sentence: As the templates have it.
        ground: What is known.
    """
    others = [sentence.template, *all_renderings(ground, sentence.claim, sentence.language)]
    if text in others:
        return ()
    find = english_findings if sentence.language == "en" else chinese_findings
    tags = {value.lower() for _, value in ground.tags.keys}
    return tuple(Finding(kind, what) for kind, what in find(text, sentence, others, tags))  # type: ignore[arg-type]
