"""A claim: one statement about an item, typed, with what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["CLAIM_KINDS", "Basis", "Claim", "ClaimKind", "Mention"]

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
    "similar",  # the nearest items, whoever asks
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
        strength: How much it says, 0 to 1; claims of one explanation are told in this order.
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
