"""A profile in sentences: every number in them stands in the profile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from motet.errors import RequestError
from motet.explain._profile import Interest, Profile
from motet.schema import require_known

__all__ = ["profile_sentences"]

_CERTAINTY_ZH: Final = {"sure": "有把握", "fairly sure": "比较有把握", "a hint": "只是迹象"}


def profile_sentences(profile: Profile, language: str = "en") -> list[str]:
    """Say a profile: one sentence for what it rests on, one for each interest, one for the latest likes.

    Args:
        profile: What is said.
        language: ``en`` or ``zh``.

    Raises:
        RequestError: If the language is another.
    """
    require_known(language, tuple(_LANGUAGES), "the language", RequestError)
    return _LANGUAGES[language](profile)


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


_LANGUAGES: Final[dict[str, Callable[[Profile], list[str]]]] = {"en": _english, "zh": _chinese}
