"""What is known of a user, in words, with what it rests on and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from motet.explain._traits import Trait

__all__ = ["Certainty", "Interest", "LikedItem", "Polarity", "Profile", "Support"]

Polarity = Literal["likes", "chooses", "avoids"]
Certainty = Literal["sure", "fairly sure", "a hint"]


@dataclass(frozen=True, slots=True)
class Support:
    """What an interest rests on: plain counts, whatever the age of the events.

    Attributes:
        events: Events of the user with the trait.
        labelled: Those of them that say whether it was liked.
        likes: Those of them that are likes.
        share: ``likes`` over all likes of the user; for ``chooses``, ``events`` over all its events.
        share_of_others: The same of everybody.
        expected_likes: Likes among the labelled events if this user liked the trait as others do, at its
            own readiness to like; for ``avoids``, or as others do if that is less.
        like_interval: 95 % Wilson interval of ``likes / labelled``; None without labels.
        items: Ids of the items of the liked events, of the disliked ones for an aversion, of all for
            ``chooses``, latest first.
        last: Time of the latest of them; None where the data have no times.
    """

    events: int
    labelled: int
    likes: int
    share: float
    share_of_others: float
    expected_likes: float
    like_interval: tuple[float, float] | None
    items: tuple[str, ...]
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Interest:
    """A trait that a user likes, often chooses, or avoids.

    Attributes:
        trait: What; ``trait.words`` says it by language.
        polarity: ``likes``; ``chooses`` where it makes up much of what is liked because it is picked often,
            while fewer of the picks were liked than expected; or ``avoids``, which is only said where labels
            say what was not liked, less than half and fewer than expected were, and the odds of liking it
            are at most half of what is expected.
        weight: Log-odds of its share of the user's likes, old ones weighing less, against everybody's
            likes; for ``chooses``, of its share of the user's events against everybody's; for ``avoids``,
            log-odds of its like rate against what is expected and against others'.
        interval: 95 % posterior interval of the weight.
        choice: Log-odds of picking it, against everybody.
        outcome: Log-odds of liking it once picked, against what everybody likes; 0 where unknown.
        certainty: ``sure`` if at most 1 in 100 of what is said at this level should be wrong,
            ``fairly sure`` at most 1 in 10 (false discovery rate), ``a hint`` if chance alone
            would show it in 1 of 10 traits.
        support: What it rests on.
    """

    trait: Trait
    polarity: Polarity
    weight: float
    interval: tuple[float, float]
    choice: float
    outcome: float
    certainty: Certainty
    support: Support

    @property
    def words(self) -> Mapping[str, str]:
        """The trait in words, by language."""
        return self.trait.words


@dataclass(frozen=True, slots=True)
class LikedItem:
    """An item that the user liked.

    Attributes:
        id: Its id.
        name: What it is called.
        time: When it was liked; None where the data have no times.
    """

    id: str
    name: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a user.

    Attributes:
        user: Its id.
        known: Whether there is any event of it.
        judged: Whether labels say what was liked; else interests rest on choices alone.
        events: Events that were looked at.
        likes: Those of them that are likes.
        first: Time of the first of them.
        last: Time of the last.
        half_life_days: After how many days an event counts half; None for never.
        interests: Likings, weightiest first, then choices, then aversions, likewise.
        liked: The latest liked items, latest first.
        withheld: Sensitive traits of the catalogue that were not looked at.
    """

    user: str
    known: bool
    judged: bool
    events: int
    likes: int
    first: datetime | None
    last: datetime | None
    half_life_days: float | None
    interests: tuple[Interest, ...]
    liked: tuple[LikedItem, ...]
    withheld: int

    def of(self, polarity: Polarity) -> tuple[Interest, ...]:
        """The interests of one polarity."""
        return tuple(i for i in self.interests if i.polarity == polarity)

    def to_json(self) -> dict[str, Any]:
        """The profile as plain values; times in ISO format."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.isoformat() if isinstance(value, datetime) else value
