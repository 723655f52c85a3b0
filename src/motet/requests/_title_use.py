"""Whether words that are a title are used as one, and not as the words they are."""

from __future__ import annotations

from typing import Final

from motet.requests._item import Item
from motet.requests._lexicon import Lexicon
from motet.requests._quantities import quantity_at
from motet.requests._titles import TitleMatch
from motet.requests._tokens import Token

__all__ = ["TitleUse"]

_ENDS: Final = frozenset(".;!?:")
_FUZZY_REFERENCES: Final = frozenset({"like", "liked", "seen"})
_ARTICLES: Final = frozenset({"a", "an", "the", "some"})


class TitleUse:
    """Finds titles in a request, of which each word may also be meant as itself.

    Args:
        lexicon: Knows the titles, and what else words may be.
        tokens: Of the request.
        words: Theirs, misspelt ones put right.
        items: What was found so far; grows while the request is read.
        shouts: Whether everything is in capitals.
        last_year: The newest year of the catalogue.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        tokens: list[Token],
        words: list[str],
        items: list[Item],
        *,
        shouts: bool,
        last_year: float,
    ) -> None:
        self.lexicon, self.tokens, self.words, self.items = lexicon, tokens, words, items
        self.raw = [token.norm for token in tokens]
        self.shouts, self.last_year = shouts, last_year

    def at(self, at: int, context: str | None) -> TitleMatch | None:
        titles, tokens = self.lexicon.titles, self.tokens
        stop = at
        while stop < len(tokens) and stop - at < titles.longest + 2 and not self._closes(stop):
            stop += 1
        places = [k for k in range(at, stop) if tokens[k].kind != "mark"]
        if not places or places[0] != at:
            return None
        words = [self.raw[k] for k in places]
        for length in range(min(len(words), titles.longest), 0, -1):
            found = titles.exact(tuple(words[:length]), short=context is not None)
            if found is not None and self._is_meant(places[:length], tuple(words[:length]), context):
                return TitleMatch(found.rows, places[length - 1] + 1 - at, found.exact, found.short)
        if context in _FUZZY_REFERENCES and self.raw[at] not in _ARTICLES - {"the"}:
            return self._almost(at, places, words)
        return None

    def _closes(self, at: int) -> bool:
        """Whether a title cannot go on past a token."""
        token = self.tokens[at]
        if token.kind == "mark":
            return token.norm in _ENDS - {":"} or token.norm == '"'
        return False

    def _almost(self, at: int, places: list[int], words: list[str]) -> TitleMatch | None:
        if all(word in self.lexicon.common for word in words[:1]) and len(words) == 1:
            return None
        until = next(
            (k for k, place in enumerate(places) if k and self._breaks_fuzzy(place, place - at)), len(places)
        )
        best: TitleMatch | None = None
        for length in range(min(until, self.lexicon.titles.longest), 0, -1):
            part = words[:length]
            if length == 1 and (part[0] in self.lexicon.common or self.lexicon.values.get((self.words[at],))):
                continue
            found = self.lexicon.titles.fuzzy(part)
            if found is not None:
                best = TitleMatch(found.rows, places[length - 1] + 1 - at, False, found.short)
                break
        return best

    def _breaks_fuzzy(self, place: int, _: int) -> bool:
        kinds = self.lexicon.cues.get((self.words[place],))
        return bool({"but", "noun", "not"} & set(kinds)) or (self.words[place] in ("from", "with", "without"))

    def _is_meant(self, places: list[int], words: tuple[str, ...], context: str | None) -> bool:
        """Whether words that are a title are used as one, and not as the words they are."""
        lexicon, tokens = self.lexicon, self.tokens
        content = [
            k
            for k in places
            if not lexicon.stop.get((self.raw[k],))
            and not lexicon.cues.get((self.raw[k],))
            and len(self.raw[k]) > 1
        ]
        capital = all(tokens[k].capital for k in (content or places)) and not self.shouts
        first = places[0] == 0 or self.tokens[places[0] - 1].norm in _ENDS
        all_digits = all(word.isdigit() for word in words)
        common = lexicon.is_common(words)
        in_chinese = not all_digits and self._beside_han(places)
        if self._names_it(places, words, capital):
            return True
        if all_digits:
            return context in ("like", "seen", "liked") and not self._is_range(places)
        if any(tokens[k].kind == "han" for k in places):
            return True
        if in_chinese:
            return True
        only_cues = len(words) == 1 and bool(
            lexicon.values.get(words) or lexicon.cues.get(words) or lexicon.stop.get(words)
        )
        if context in ("like", "seen", "liked"):
            if only_cues or self._after_article(places[0]):
                return capital and not first and not self._is_own_name(words)
            return capital or not common or context != "like" or self._strong_like(places[0])
        if len(words) == 1:
            if not common:
                return not only_cues
            return capital and not first and context is not None and not self._is_own_name(words)
        if len(words) > 1 and self._is_all(places):
            return not all(lexicon.values.get((word,)) or lexicon.cues.get((word,)) for word in words)
        if capital and (not first or len(content) > 1):
            return not all(lexicon.values.get((word,)) for word in words)
        return len(content) > 2 or (not common and len(words) > 1)

    def _names_it(self, places: list[int], words: tuple[str, ...], capital: bool) -> bool:
        """Whether a title is all that is said ("Heat"), or stands beside another one ("Fargo or Heat")."""
        if self.lexicon.titles.exact(words) is None or self._is_own_name(words):
            return False
        capital = capital and not self.lexicon.cues.get(words)
        if self._is_all(places):
            return capital
        after = places[-1] + 1
        if places[0] == 0 and len(words) > 1 and self.raw[after : after + 1] == ["but"]:
            return True  # "toy story but for adults"
        if not capital:
            return False
        joined = len(self.items) > 1 and self.items[-1].has("or", "and") and self.items[-2].has("title")
        return joined or self._title_follows(after)

    def _title_follows(self, at: int) -> bool:
        """Whether "or" and a title with capitals stand at a place."""
        if self.raw[at : at + 1] not in (["or"], ["and"]) or not self.tokens[at + 1 : at + 2]:
            return False
        if not self.tokens[at + 1].capital:
            return False
        titles = self.lexicon.titles
        stops = range(at + 2, min(at + 2 + titles.longest, len(self.raw) + 1))
        found = [words for stop in stops if titles.exact(words := tuple(self.raw[at + 1 : stop]))]
        return bool(found) and not self.lexicon.values.get(found[-1])

    def _is_all(self, places: list[int]) -> bool:
        """Whether nothing else is said."""
        return sum(token.kind != "mark" for token in self.tokens) == len(places)

    def _is_own_name(self, words: tuple[str, ...]) -> bool:
        return any(said.own for said in self.lexicon.values.get(words))

    def _strong_like(self, at: int) -> bool:
        """Whether "like" follows what it compares ("films like heat"), or says "similar"."""
        for place in range(len(self.items) - 1, -1, -1):
            item = self.items[place]
            if item.has("like"):
                said = " ".join(self.words[item.start : item.stop])
                if said != "like":
                    return True
                before = self.items[place - 1] if place else None
                return (
                    before is None
                    or before.has("noun", "title", "tag", "comma", "end")
                    or (
                        before.has("stop", "word")
                        and str(self.words[before.start]).endswith(("thing", "one", "ones"))
                    )
                )
        return False

    def _after_article(self, at: int) -> bool:
        return at > 0 and self.raw[at - 1] in ("a", "an")

    def _beside_han(self, places: list[int]) -> bool:
        before, after = places[0] - 1, places[-1] + 1
        sides = [self.tokens[k] for k in (before, after) if 0 <= k < len(self.tokens)]
        latin = self.tokens[places[0]].kind == "word"
        return (
            latin
            and bool(sides)
            and all(side.kind in ("han", "mark") for side in sides)
            and any(side.kind == "han" for side in sides)
        )

    def _is_range(self, places: list[int]) -> bool:
        quantity = quantity_at(self.tokens, places[0], self.last_year)
        return quantity is not None and quantity.unit != "none"

    def wins(self, title: TitleMatch, known: Item, at: int, context: str | None) -> bool:
        length = known.stop - known.start
        places = [k for k in range(at, at + title.length) if self.tokens[k].kind != "mark"]
        words = tuple(self.raw[k] for k in places)
        whole = title.length == length and title.exact and not self.shouts
        if whole and all(self.tokens[k].capital for k in places) and self._names_it(places, words, True):
            return True
        if title.length != length:
            return title.length > length
        if known.has("tag", "number", "relation"):
            # "Not Aliens" is the film, though "aliens" may be another word for a tag; "not Western" is the tag.
            if known.has("number"):  # "we loved Seven"
                capital = self.tokens[at].capital and self.tokens[at].kind == "word"
                return capital and context in _FUZZY_REFERENCES
            own = known.has("tag") and known.value[0].own
            return context is not None and self.tokens[at].capital and not own
        return True
