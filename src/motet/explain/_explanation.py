"""What an explainer answers."""

from __future__ import annotations

from dataclasses import dataclass

from motet.explain._attribution import Attribution
from motet.explain._claim import Claim
from motet.explain._sentence import Sentence
from motet.explain._tones import Language

__all__ = ["Description", "Explanation", "Reason"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is shown to a user, in words.

    Attributes:
        user: Id of the user, as asked.
        item: Id of the item.
        text: One to three sentences; empty only where nothing at all is known of the item.
        sentences: Each with the claim behind it.
        language: Of the text.
        written_by: ``templates``, or the name of the generator where any sentence of it was kept.
        fallback: Sentences of a generator that were refused or missing, and so are the templates' own.
        note: Why a generator wrote nothing; empty otherwise.
    """

    user: str
    item: str
    text: str
    sentences: tuple[Sentence, ...]
    language: Language
    written_by: str = "templates"
    fallback: int = 0
    note: str = ""

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What the sentences say."""
        return tuple(sentence.claim for sentence in self.sentences)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything found about a user and an item.

    Attributes:
        reason: In words.
        evidence: Every claim found, the strongest first; all of them true, most of them not told.
        attribution: What moved the score; None if it was not asked for.
    """

    reason: Reason
    evidence: tuple[Claim, ...]
    attribution: Attribution | None = None

    @property
    def text(self) -> str:
        """The reason in words."""
        return self.reason.text

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Description:
    """What an item is, in words, from the catalogue and the graph alone.

    Attributes:
        item: Id of the item.
        title: What it is called.
        text: Some sentences.
        sentences: Each with the claim behind it.
        language: Of the text.
        written_by: As of :class:`Reason`.
        fallback: Likewise.
        note: Likewise.
    """

    item: str
    title: str
    text: str
    sentences: tuple[Sentence, ...]
    language: Language
    written_by: str = "templates"
    fallback: int = 0
    note: str = ""
