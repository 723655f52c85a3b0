"""What is known of a user, in words, with what it rests on and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import Field

from motet.assistant.explain._traits import Trait
from motet.errors import RequestError
from motet.schema import LANGUAGES, Part, require_known

__all__ = [
    "Certainty",
    "Interest",
    "LikedItem",
    "Polarity",
    "Profile",
    "ProfileSettings",
    "Support",
    "profile_sentences",
]


class ProfileSettings(Part):
    """How interests are mined.

    Attributes:
        half_life_days: Days before a user's own last event after which an event counts half;
            None for events that never age.
        prior_events: Events of the population's mixture that a user's choices are smoothed with, > 0.
        prior_likes: Events at the expected like rate that each trait of a user is smoothed with, > 0.
        min_likes: Liked events that a liking rests on at least, and labelled ones that an
            aversion does, ≥ 1.
        most: Interests of each polarity that a profile holds, ≥ 1; the weightiest.
        latest: Liked items that a profile names, the latest ones.
        leave_out: Columns of the catalogue that are not looked at, beside the sensitive ones.
        title_words: Whether words of titles are traits, as those of running texts are. On films they
            were not: what one half of a user's events showed hardly held in the other.
        word_items: Items that a word of a title or text stands in at least, ≥ 1.
        word_share: Share of the items that it stands in at most, in (0, 1].
    """

    half_life_days: float | None = Field(180.0, gt=0, allow_inf_nan=False)
    prior_events: float = Field(10.0, gt=0, allow_inf_nan=False)
    prior_likes: float = Field(5.0, gt=0, allow_inf_nan=False)
    min_likes: int = Field(2, ge=1)
    most: int = Field(12, ge=1)
    latest: int = Field(5, ge=0)
    leave_out: tuple[str, ...] = ()
    title_words: bool = False
    word_items: int = Field(5, ge=1)
    word_share: float = Field(0.1, gt=0, le=1)


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
        share_of_others: The same of all users.
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


_CERTAINTY_ZH: Final = {"sure": "有把握", "fairly sure": "比较有把握", "a hint": "只是迹象"}


def profile_sentences(profile: Profile, language: str = "en") -> list[str]:
    """Say a profile: one sentence for what it rests on, one for each interest, one for the latest likes.

    Args:
        profile: What is said.
        language: ``en`` or ``zh``.

    Raises:
        RequestError: If the language is another.
    """
    require_known(language, LANGUAGES, "the language", RequestError)
    return (_chinese if language == "zh" else _english)(profile)


def _english(profile: Profile) -> list[str]:
    if not profile.known:
        return [f"Nothing is known of user {profile.user}: there is no event to learn from."]
    events = "1 event" if profile.events == 1 else f"{profile.events:,} events"
    span = (
        f", from {profile.first:%Y-%m-%d} to {profile.last:%Y-%m-%d}"
        if profile.first and profile.last
        else ""
    )
    liked = f", {profile.likes:,} liked" if profile.judged else ""
    lines = [f"User {profile.user}: {events}{span}{liked}."]
    if not profile.interests:
        lines.append("Nothing stands out: too few events, or a taste like everybody's.")
    lines += [_english_interest(interest, profile.judged) for interest in profile.interests]
    if profile.liked:
        verb = "Liked" if profile.judged else "Chose"
        lines.append(f"{verb} last: {'; '.join(item.name for item in profile.liked)}.")
    return lines


def _english_interest(interest: Interest, judged: bool) -> str:
    s = interest.support
    share = f"{s.share:.0%} of all likes (others: {s.share_of_others:.0%})"
    rate = f"liked {s.likes:,} of {s.labelled:,} ({s.expected_likes:,.0f} expected)"
    last = f"; last {s.last:%Y-%m-%d}" if s.last else ""
    end = f" [{interest.certainty}{last}]."
    if interest.polarity == "avoids":
        return f"Avoids {interest.words['en']}: {rate}{end}"
    if interest.polarity == "chooses":
        often = f"{s.share:.0%} of all events (others: {s.share_of_others:.0%})"
        return f"Often chooses {interest.words['en']}: {often}; {rate}{end}"
    if judged:
        return f"Likes {interest.words['en']}: {share}; {rate}{end}"
    choices = f"{s.likes:,} choices, {s.share:.0%} of all (others: {s.share_of_others:.0%})"
    return f"Often chooses {interest.words['en']}: {choices}{end}"


def _chinese(profile: Profile) -> list[str]:
    if not profile.known:
        return [f"对用户{profile.user}一无所知：没有任何行为记录。"]
    span = f"，{profile.first:%Y-%m-%d}至{profile.last:%Y-%m-%d}" if profile.first and profile.last else ""
    liked = f"，其中喜欢{profile.likes:,}次" if profile.judged else ""
    lines = [f"用户{profile.user}：{profile.events:,}次行为{span}{liked}。"]
    if not profile.interests:
        lines.append("没有明显的偏好：记录太少，或口味与大家相同。")
    lines += [_chinese_interest(interest, profile.judged) for interest in profile.interests]
    if profile.liked:
        verb = "喜欢" if profile.judged else "选择"
        lines.append(f"最近{verb}：{'；'.join(item.name for item in profile.liked)}。")
    return lines


def _chinese_interest(interest: Interest, judged: bool) -> str:
    s = interest.support
    share = f"占全部喜欢的{s.share:.0%}（他人{s.share_of_others:.0%}）"
    rate = f"{s.labelled:,}次评价中喜欢{s.likes:,}次（预期{s.expected_likes:,.0f}次）"
    last = f"，最近{s.last:%Y-%m-%d}" if s.last else ""
    end = f"［{_CERTAINTY_ZH[interest.certainty]}{last}］。"
    if interest.polarity == "avoids":
        return f"不喜欢{interest.words['zh']}：{rate}{end}"
    if interest.polarity == "chooses":
        often = f"占全部行为的{s.share:.0%}（他人{s.share_of_others:.0%}）"
        return f"常选{interest.words['zh']}：{often}；{rate}{end}"
    if judged:
        return f"喜欢{interest.words['zh']}：{share}；{rate}{end}"
    choices = f"{s.likes:,}次，占全部的{s.share:.0%}（他人{s.share_of_others:.0%}）"
    return f"常选{interest.words['zh']}：{choices}{end}"
