"""Limits and refusals are hard: each way to say them is read rightly, or reported and not obeyed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from motet.assistant.understand import FastReader, Request

Slots = dict[str, object]
Plain = Callable[[Request], Slots]
Span = tuple[float | None, float | None]
SHOWN = ("144", "568", "385")  # Die Hard 1988, Speed 1994, True Lies 1994

DOZENS = {
    "half a dozen war films": 6,
    "a half dozen war films": 6,
    "give me half-dozen thrillers": 6,
    "来半打恐怖片": 6,
    "a dozen comedies": 12,
    "一打喜剧": 12,
    "two dozen comedies": 24,
    "推荐两打动作片": 24,
}


@pytest.mark.parametrize("text", DOZENS)
def test_a_dozen_and_what_stands_before_it_are_one_number(films: FastReader, slots: Plain, text: str) -> None:
    read = slots(films.read(text))
    assert (read["count"], read.get("wants")) == (DOZENS[text], None)


TITLES: dict[str, Span] = {  # Psycho 1960, Jaws 1975, Alien 1979, Aliens 1986
    "films older than Alien but newer than Psycho": (1961, 1978),
    "newer than Psycho and older than Alien": (1961, 1978),
    "films newer than Psycho but older than Alien": (1961, 1978),
    "films made after Psycho, before Alien": (1961, 1978),
    "older than Alien but after 1970": (1971, 1978),
    "after 1970 but older than Alien": (1971, 1978),
    "films after Psycho but not after Alien": (1961, 1979),
    "no older than Psycho and no newer than Alien": (1960, 1979),
    "晚于Jaws早于Aliens": (1976, 1985),
    "比Psycho新比Alien老的电影": (1961, 1978),
    "since Alien": (1979, None),
    "up to Alien": (None, 1979),
    # a negation turns the limit round
    "nothing newer than Alien": (None, 1979),
    "I don't want anything before Alien": (1979, None),
    "I won't watch anything older than Alien": (1979, None),
    "不早于Jaws": (1975, None),
    "不比Alien新": (None, 1979),
}


@pytest.mark.parametrize("text", TITLES)
def test_titles_limit_both_ends(films: FastReader, slots: Plain, text: str) -> None:
    assert slots(films.read(text)) == {"year": TITLES[text]}


YEARS: dict[str, Span] = {
    "after 1970 and before 1980": (1971, 1979),
    "before 1980 and after 1970": (1971, 1979),
    "films from before Alien and after 1970": (1971, 1978),
    "Nothing after 1980 and nothing before 1960": (1960, 1980),
    "比1980年早的": (None, 1979),
    "不比1990年老": (1990, None),
    # about then
    "films from around 1990": (1985, 1995),
    "circa 1990": (1985, 1995),
    "from about 1990": (1985, 1995),
    "1990年左右的": (1985, 1995),
    "around 1990 or later": (1990, None),
    # refused behind
    "1990年以前的不要": (1990, None),
    "1995年以后的就算了": (None, 1994),
    "Anything before 1990 is out": (1990, None),
    "films before 1990 are not for me": (1990, None),
}


@pytest.mark.parametrize("text", YEARS)
def test_years_limit_the_end_that_is_said(films: FastReader, slots: Plain, text: str) -> None:
    read = slots(films.read(text))
    assert (read["year"], read.keys() - {"wants"}) == (YEARS[text], {"year"})


LIVES: dict[str, Span] = {
    "Nothing made before I was born, that's 1982.": (1982, None),
    "nothing before I was born, 1982": (1982, None),
    "nothing older than me, I was born in 1982": (1982, None),
    "I was born in 1982, nothing older than that": (1982, None),
    "no films from before my birth in 1982": (1982, None),
    "Nothing that came out before I was born (1982)": (1982, None),
    "Please only films since I was born. I was born in 1982.": (1982, None),
    "films from before I was born (1982)": (None, 1981),
    "films from the year I was born, 1982": (1982, 1982),
    "我出生以前的不要，我1982年生": (1982, None),
    "不要我出生前的电影，我是1982年出生的": (1982, None),
    "只看我出生后的电影，我生于1982年": (1982, None),
}


@pytest.mark.parametrize("text", LIVES)
def test_a_year_of_birth_stands_where_the_birth_does(films: FastReader, slots: Plain, text: str) -> None:
    assert slots(films.read(text)) == {"year": LIVES[text]}


TOLD: dict[str, list[str]] = {
    # a life is no limit
    "made when I was a kid, I was born in 1975": ["born in 1975", "when I was a kid"],
    "movies I could have seen as a kid, I was born in 1975": ["born in 1975", "as a kid"],
    "films from my childhood, born in 1975": ["born in 1975", "my childhood"],
    "I was born in the eighties": ["born in the eighties"],
    "the sort of thing I grew up with": ["I grew up with"],
    "我小时候的电影，我1975年出生": ["1975年出生", "我小时候"],
    # what is no range
    "films before 1950 or after 1990": ["before 1950 or after 1990"],
    "before Star Wars or after Titanic": ["before Star Wars or after Titanic"],
    # what it is about
    "a film about 1968": ["about 1968"],
    "films about the sixties": ["about sixties"],
    # nothing to compare
    "比Alien好看的": ["比Alien"],
    "newer than Tootsy Roll": ["newer than Tootsy Roll"],
}


@pytest.mark.parametrize("text", TOLD)
def test_what_is_no_limit_is_reported(films: FastReader, slots: Plain, text: str) -> None:
    assert slots(films.read(text)) == {"unmet": TOLD[text]}


def test_years_beside_a_childhood_are_meant(films: FastReader, slots: Plain) -> None:
    for text in ("when I was a teenager in the 80s", "from my childhood in the eighties"):
        assert slots(films.read(text)) == {"year": (1980, 1989)}
    assert slots(films.read("films about childhood")) == {"wants": "childhood"}
    assert slots(films.read("学生生活的电影")) == {"wants": "学生生活"}


REFUSED: dict[str, Slots] = {
    # an exception is reported; what is refused stays refused
    "anything but a musical, unless it's Grease": {"must_not": ["Musical"], "unmet": ["unless it's Grease"]},
    "no musicals unless it's Grease": {"must_not": ["Musical"], "unmet": ["unless it's Grease"]},
    "no horror, except for Alien": {"must_not": ["Horror"], "unmet": ["except for Alien"]},
    "no horror unless it is funny": {"must_not": ["Horror"], "unmet": ["unless it is funny"]},
    "no horror and no war except Alien": {"must_not": ["Horror", "War"], "unmet": ["except Alien"]},
    "不要恐怖片，除非是Alien": {"must_not": ["Horror"], "unmet": ["除非是Alien"]},
    "不要恐怖片，除了Alien": {"must_not": ["Horror"], "unmet": ["除了Alien"]},
    # none of these is an exception
    "no horror, action films except westerns": {"must": ["Action"], "must_not": ["Horror", "Western"]},
    "no horror, everything except war": {"must_not": ["Horror", "War"]},
    "everything except horror, except for war": {"must_not": ["Horror", "War"]},
    "不要恐怖片，除了战争片以外都行": {"must_not": ["Horror", "War"]},
    "comedies, unless they are romantic": {"must": ["Comedy"], "must_not": ["Romance"]},
    # all but one thing refused
    "nothing except comedies": {"must": ["Comedy"]},
    "除了喜剧我都不想看": {"must": ["Comedy"]},
    "除了喜剧以外什么都不看": {"must": ["Comedy"]},
    "除了恐怖片我都想看": {"must_not": ["Horror"]},
    "除了恐怖片都可以，喜剧我都不想看": {"must_not": ["Horror", "Comedy"]},
    "no films other than comedies": {"must": ["Comedy"]},
    # a limit of what is refused is not one of what is wanted
    "no comedies before 1990": {"must_not": ["Comedy"], "unmet": ["no comedies before 1990"]},
    "nothing scary from the nineties": {"must_not": ["Horror"], "unmet": ["nothing scary from the nineties"]},
    "no horror newer than Alien": {"must_not": ["Horror"], "unmet": ["no horror newer than Alien"]},
    "comedies before 1990 are out": {"must_not": ["Comedy"], "unmet": ["comedies before 1990"]},
    "1990年以前的喜剧不要": {"must_not": ["Comedy"], "unmet": ["1990年以前"]},
    "no horror, newer than Alien": {"must_not": ["Horror"], "year": (1980, None)},
    "comedies without romance before 1990": {
        "must": ["Comedy"],
        "must_not": ["Romance"],
        "year": (None, 1989),
    },
    # others
    "I won't watch horror": {"must_not": ["Horror"]},
    "without robots, zombies and aliens": {"must_not": ["Sci-Fi"], "unmet": ["no robots", "no zombies"]},
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused_stays_refused(films: FastReader, slots: Plain, text: str) -> None:
    assert slots(films.read(text)) == REFUSED[text]


FOLLOW_UPS: dict[str, Slots] = {
    "not that one, and with robots": {"without": ["144"], "wants": "robots"},
    "not those, and with robots": {"without": list(SHOWN), "wants": "robots"},
    "not that one, with romance": {"without": ["144"], "must": ["Romance"]},
    "no, not that one, with horror please": {"without": ["144"], "must": ["Horror"]},
    "不要这部，要有机器人的": {"without": ["144"], "wants": "机器人"},
    "不要这些，来点爱情的": {"without": list(SHOWN), "must": ["Romance"]},
    # the refusal goes on
    "not that one or the second": {"without": ["144", "568"]},
    "not that one, and no robots": {"without": ["144"], "unmet": ["no robots"]},
    # than what, is not known
    "nothing older": {"unmet": ["nothing older"]},
    "no newer ones please": {"unmet": ["no newer ones"]},
    "不要更老的": {"unmet": ["不要更老"]},
}


@pytest.mark.parametrize("text", FOLLOW_UPS)
def test_a_refusal_ends_with_what_it_refuses(films: FastReader, slots: Plain, text: str) -> None:
    first = films.read("action movies")
    read = slots(films.read(text, first, SHOWN))
    wanted = FOLLOW_UPS[text]
    assert read == {**wanted, "must": ["Action", *wanted.get("must", [])]}  # type: ignore[misc]
