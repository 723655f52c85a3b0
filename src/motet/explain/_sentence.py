"""A sentence with the claim behind it."""

from __future__ import annotations

from dataclasses import dataclass

from motet.explain._claim import Claim
from motet.explain._tones import Language

__all__ = ["Sentence"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence that says one claim.

    Attributes:
        text: As it is shown.
        claim: What it says.
        language: Of the text.
        names: Titles, entities and quoted words as they stand in the text, in order.
        tags: Tags and columns as they stand in it.
        numbers: Numbers as they stand in it, in order.
        template: The text of the template; the same as ``text`` unless a generator rephrased it.
    """

    text: str
    claim: Claim
    language: Language
    names: tuple[str, ...]
    tags: tuple[str, ...]
    numbers: tuple[str, ...]
    template: str
