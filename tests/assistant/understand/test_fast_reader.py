"""Requests on real films, one rule of reading each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from motet.assistant.understand import FastReader, Request

Slots = dict[str, object]
Plain = Callable[[Request], Slots]

CASES: dict[str, Slots] = {
    # values, inflected and in other words
    "romcom": {"must": ["Comedy", "Romance"]},
    "SCIENCE FICTION": {"must": ["Sci-Fi"]},
    "kids' westerns": {"must": ["Children's", "Western"]},
    # negation and where it ends
    "no horror, comedy or drama": {"must_not": ["Horror", "Comedy", "Drama"]},
    "nothing scary for my kids": {"must_not": ["Horror"], "must": ["Children's"]},
    "nothing but comedies": {"must": ["Comedy"]},
    "don't forget the musicals": {"must": ["Musical"]},
    "I can't get enough of westerns": {"must": ["Western"]},
    "horror -comedy": {"must": ["Horror"], "must_not": ["Comedy"]},
    "horror, horror, no horror": {"must_not": ["Horror"]},
    "action without any war or crime but with romance": {
        "must": ["Action", "Romance"],
        "must_not": ["War", "Crime"],
    },
    "除了恐怖片、战争片和西部片": {"must_not": ["Horror", "War", "Western"]},
    "没有爱情的犯罪片": {"must_not": ["Romance"], "must": ["Crime"]},
    "不要太老也不要太新的喜剧": {"must": ["Comedy"], "year": (1982.0, 1995.0)},
    "西部片以外的冒险片": {"must_not": ["Western"], "must": ["Adventure"]},
    # wishes and choices
    "drama, maybe with a bit of war": {"must": ["Drama"], "prefer": ["War"]},
    "comedy, romance or drama": {"prefer": ["Comedy", "Romance", "Drama"]},
    # years
    "1945-55": {"year": (1945.0, 1955.0)},
    "40s/50s": {"year": (1940.0, 1959.0)},
    "between the 60s and the 80s": {"year": (1960.0, 1989.0)},
    "late eighties": {"year": (1986.0, 1989.0)},
    "pre-1960": {"year": (None, 1959.0)},
    "thrillers > 1990": {"must": ["Thriller"], "year": (1991.0, None)},
    "1990+": {"year": (1990.0, None)},
    "nothing after 1980": {"year": (None, 1980.0)},
    "not older than 1990": {"year": (1990.0, None)},
    "films newer than Titanic": {"year": (1998.0, None)},
    "less than 20 years old": {"year": (1978.0, None)},
    "I am 30 years old": {"wants": "30"},
    "七八十年代": {"year": (1970.0, 1989.0)},
    "20世纪60年代": {"year": (1960.0, 1969.0)},
    "about an old man": {"wants": "old man"},
    "set in New York": {"wants": "New York"},
    # how many
    "a couple of comedies": {"must": ["Comedy"], "count": 2},
    "a dozen of your best films": {"count": 12},
    "westerns for my two sons": {"must": ["Western"], "wants": "two sons"},
    "200 films": {"unmet": ["200 films: at most 100 can be asked for"]},
    "the one with dinosaurs": {"wants": "dinosaurs"},
    # what the catalogue does not have
    "under 20 euro": {"unmet": ["under 20 euro"]},
    "for at most 100 in all": {"unmet": ["at most 100"]},
    "两个半小时以内": {"unmet": ["两个半小时以内"]},
    "starring Tom Hanks": {"unmet": ["starring Tom Hanks"]},
    "without superheroes": {"unmet": ["no superheroes"]},
    # where and how
    "for tonight": {"scenario": "evening"},
    "after a long day": {"wants": "long"},
    "keep it brief: war": {"must": ["War"], "tone": "brief"},
}


@pytest.mark.parametrize("text", CASES)
def test_one_rule_each(films: FastReader, slots: Plain, text: str) -> None:
    assert slots(films.read(text)) == CASES[text]


TITLES: dict[str, tuple[list[str], list[str]]] = {
    # what is said → like, without
    "movies like heat": (["Heat"], []),
    "a film with heat": ([], []),
    "speed": ([], []),
    "something big": ([], []),
    "it": ([], []),
    "something dark and twisted": ([], []),
    '"Heat"': (["Heat"], []),
    "I loved 'Seven'": (["Seven (Se7en)"], []),
    "not Heat": ([], ["Heat"]),
    "the seventh seal": (["Seventh Seal, The (Sjunde inseglet, Det)"], []),
    "like Godfather 2": (["Godfather: Part II, The"], []),
    "like twelve angry men": (["12 Angry Men"], []),
    "films like jaws": (["Jaws"], []),
    "movies like Shawshank Redemtion": (["Shawshank Redemption, The"], []),
    "similar to M*A*S*H or E.T. the Extra-Terrestrial": (["M*A*S*H", "E.T. the Extra-Terrestrial"], []),
    "like Alien but not Aliens": (["Alien"], ["Aliens"]),
    "I thought Independence Day was awful": ([], ["Independence Day (ID4)"]),
    "我看过Star Wars了，推荐点类似的": (["Star Wars"], ["Star Wars"]),
}


@pytest.mark.parametrize("text", TITLES)
def test_titles(films: FastReader, text: str) -> None:
    request = films.read(text)
    name = films.lexicon.catalogue.name
    found = [
        sorted({name(films.lexicon.row(item) or 0) for item in items})
        for items in (request.like, request.without)
    ]
    assert found == [sorted(titles) for titles in TITLES[text]]


def test_a_year_in_brackets_chooses_between_films_of_one_name(films: FastReader) -> None:
    old, new = films.read("like Cape Fear (1962)"), films.read("like Cape Fear (1991)")
    assert (old.like, new.like) == (("673",), ("218",))
    assert old.ranges == ()
    assert set(films.read("like Cape Fear").like) == {"673", "218"}


def test_a_series_by_its_name(films: FastReader) -> None:
    assert len(films.read("films like star trek").like) == 8


def test_the_language_is_that_of_the_words(films: FastReader) -> None:
    assert films.read("像Toy Story一样的电影").language == "zh"
    assert films.read("films like Toy Story").language == "en"


def test_a_long_request_is_cut_and_flagged(films: FastReader) -> None:
    request = films.read("a western " + "and a good one " * 300)
    assert "long" in request.flags
    assert len(request.text) <= 2000
    assert [tag.value for tag in request.must] == ["Western"]
    assert films.read("x" * 500_000).flags[-1] == "long"


def test_nothing_asks_for_nothing(films: FastReader) -> None:
    for text in ("", "   ", "?!", "，。"):
        request = films.read(text)
        assert request == Request(text=request.text, language=request.language)


def test_the_same_words_are_read_the_same(films: FastReader) -> None:
    text = "three sci-fi films like Blade Runner, no horror, after 1980"
    assert films.read(text) == FastReader(films.lexicon).read(text)
