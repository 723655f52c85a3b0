"""How people say where or when something is for."""

from __future__ import annotations

from typing import Final

__all__ = ["ways_to_say_scenario"]

_TIMES: Final = {
    "morning": "in the morning, for the morning, this morning, 早上, 上午, 早晨",
    "day": "during the day, in the daytime, daytime, by day, for daytime, 白天",
    "afternoon": "in the afternoon, this afternoon, for the afternoon, 下午",
    "evening": "in the evening, this evening, for the evening, evening, tonight, for tonight, after dinner, 晚上, 今晚, 傍晚",
    "night": "at night, late at night, late night, in the night, for the night, before bed, 深夜, 夜里, 半夜, 睡前",
    "weekend": "at the weekend, on the weekend, this weekend, for the weekend, 周末",
}
_AROUND: Final = ("in the {}", "for the {}", "on the {}", "at the {}", "at {}", "on {}", "in {}", "for {}")


def ways_to_say_scenario(scenario: str) -> list[str]:
    """Phrases that name a placement; never its bare name if that is a word such as "day" or "home".

    Example:
        >>> ways_to_say_scenario("night")[0], ways_to_say_scenario("checkout_page")[0]
        ('at night', 'in the checkout page')
    """
    said = scenario.replace("_", " ").strip()
    if said.casefold() in _TIMES:
        return [phrase.strip() for phrase in _TIMES[said.casefold()].split(",")]
    if not said.isascii():
        return [said]
    return [around.format(said) for around in _AROUND]
