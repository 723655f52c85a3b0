"""Claims: what is said of an item, how strong it is, and the sentence that says it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from motet.assistant.explain._evidence import EvidenceIndex, Taste
from motet.assistant.understand import Tone
from motet.schema import Language

__all__ = [
    "CLAIM_KINDS",
    "LEAST_COSINE",
    "MOST_NAMED",
    "PRIVACY",
    "Basis",
    "Claim",
    "ClaimKind",
    "Language",
    "Mention",
    "Sentence",
    "Source",
    "Templates",
    "Tone",
    "lift",
    "slight",
    "surprise",
    "weight",
]

Templates = Mapping[str, Mapping[Tone, tuple[str, ...]]]


ClaimKind = Literal[
    "did",  # what the user did with this very item
    "tags",  # many of the liked items have these tags
    "rate",  # how often items with these tags were liked, of those that were tried
    "near",  # the nearest of the liked items
    "moved",  # the liked items without which the score would be lower
    "others",  # how many of those who liked one of them liked this
    "peers",  # how many users of the same category liked this
    "popular",  # how many liked it
    "number",  # of the same years, price ... as liked items
    "words",  # words that its text shares with those of liked items
    "fact",  # a fact of the knowledge graph that it shares with liked items
    "is",  # what the catalogue says of it
    "says",  # a fact of the graph about it
    "similar",  # the nearest items, for any user
]
CLAIM_KINDS: tuple[ClaimKind, ...] = get_args(ClaimKind)


@dataclass(frozen=True, slots=True)
class Mention:
    """Something that a claim names.

    Attributes:
        role: A tag or category of the item; an item that the user liked; any other item; an entity
            of the graph; a word of a text; a category of the user.
        key: The tag, the id of the item or entity, the word, the category.
        column: Column of the catalogue, or feature of the user, that it comes from; empty for items.
        row: Row of the item, −1 for anything else.
        name: What it is called where the key is no name; empty otherwise.
    """

    role: Literal["tag", "liked", "item", "entity", "word", "category"]
    key: str
    column: str = ""
    row: int = -1
    name: str = ""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a claim rests on.

    Attributes:
        rows: Rows of the items that it was counted from, or a sample of them, the latest first.
        count: How many there are.
        weights: Weight of each row: a cosine, a TF-IDF weight, a change of the score; may be empty.
    """

    rows: tuple[int, ...] = ()
    count: int = 0
    weights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement about an item, and about a user where it is one of their reasons.

    Attributes:
        kind: What sort of statement.
        item: Row of the item.
        user: Row of the user; −1 where it speaks of none.
        relation: What is stated between the item and what it names: ``shares``, ``liked_by``, the
            name of a relation of the graph ...
        polarity: False where it speaks against the item.
        mentions: What it names, in order.
        numbers: The numbers it speaks of, by name.
        strength: How much it says, 0 to 1; claims of one explanation are said in this order.
        support: What it rests on.
    """

    kind: ClaimKind
    item: int
    user: int
    relation: str
    polarity: bool
    mentions: tuple[Mention, ...]
    numbers: tuple[tuple[str, float], ...]
    strength: float
    support: Basis = Basis()

    def number(self, name: str) -> float:
        """One of its numbers.

        Raises:
            KeyError: If it has no such number.
        """
        return dict(self.numbers)[name]

    def of(self, role: str) -> tuple[Mention, ...]:
        """Its mentions of one role."""
        return tuple(mention for mention in self.mentions if mention.role == role)


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


PRIVACY = 5  # a number about other users is said of so many at the least
MOST_NAMED = 3  # items that one claim names
LEAST_COSINE = 0.3  # of two items that the model places near each other
_SLIGHT, _STRIKING, _LARGE = 0.08, 3.0, 0.25


class Source(Protocol):
    """Finds claims of one kind, and says of any claim of that kind whether it is true."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """Claims about an item for a user, in no order.

        Args:
            evidence: What is known.
            taste: What the user liked, the item itself left out.
            item: Row of the item.
        """
        ...

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """Whether a claim of this kind follows from what is known, derived again."""
        ...


def lift(found: float, of: float, base: float) -> float:
    """How many times the base rate a share is, cut to one decimal so that nothing is overstated.

    Example:
        >>> lift(12, 38, 0.15)
        2.1
    """
    if not of or base <= 0:
        return 0.0
    return math.floor(10 * (found / of) / base + 1e-9) / 10


def surprise(found: float, of: float, base: float) -> float:
    r"""How far a share is from its base rate, 0 to 1: :math:`z / (3 + z)` of the binomial deviation z, or 0.

    Args:
        found: How many of ``of``.
        of: All, ≥ 0.
        base: Share that was to be expected, 0 to 1.

    Example:
        >>> surprise(10, 100, 0.1), round(surprise(40, 100, 0.1), 2)
        (0.0, 0.77)
    """
    if of <= 0 or not 0 < base < 1:
        return 0.0
    z = (found - of * base) / math.sqrt(of * base * (1 - base))
    return max(0.0, z / (3 + z)) if z > 0 else 0.0


def slight(found: float, of: float, times: float) -> bool:
    """Whether a part of the liked items is too small to be said, unless it is many times the usual one.

    Example:
        >>> slight(9, 181, 1.9), slight(9, 181, 3.4), slight(12, 38, 1.3)
        (True, False, False)
    """
    return found < _SLIGHT * of and times < _STRIKING


def weight(found: float, of: float) -> float:
    """Less for a small part of the liked items, however much it is above the usual: 0.7 to 1.

    Example:
        >>> weight(10, 40), round(weight(4, 40), 2)
        (1.0, 0.82)
    """
    return 0.7 + 0.3 * min(1.0, found / max(of, 1) / _LARGE)
