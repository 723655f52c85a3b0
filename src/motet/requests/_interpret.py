"""From a row of things to slots: what is wanted, what is not, what is compared with what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from motet.requests._backwards import read_backwards
from motet.requests._directions import refusal_behind
from motet.requests._double import clause_end, negated_twice
from motet.requests._exceptions import all_else_refused, exception_until
from motet.requests._item import Item, Scan
from motet.requests._lexicon import Lexicon, TagWord
from motet.requests._lifetime import with_years_of_lives
from motet.requests._quotas import find_quotas
from motet.requests._ranges import read_number
from motet.requests._reading import Reading, TagSaid
from motet.requests._references import (
    read_named_people,
    read_ordinal,
    read_pronoun,
    read_title,
    read_unknown_title,
)
from motet.requests._scopes import (
    LACKS,
    OBJECTS,
    except_before,
    fact_at,
    is_liked,
    is_part,
    joins_unknown,
    limit_of_refused,
    list_goes_on,
    negates_backwards,
    refused_words,
)
from motet.requests._vague import is_vague, read_comparison, read_vague

__all__ = ["interpret"]

# Chinese characters that carry no wish by themselves, but do as a part of a word: 中国, 好莱坞, 机器人.
_PARTS: Final = frozenset("中好全对来说里人会能点部个日月号种带间在从到对为年线讲")
_TOO: Final = {"newer": "old", "older": "new", "cheaper": "dear", "dearer": "cheap"}
_LONGEST_WORD: Final = 80  # characters; what is longer is no word


def interpret(scan: Scan, lexicon: Lexicon, shown: Sequence[int] = (), *, follows: bool = False) -> Reading:
    """Read the slots of a request.

    Args:
        scan: The request, taken apart.
        lexicon: What it can ask for.
        shown: Rows that were shown before, in order.
        follows: Whether something was said before.
    """
    return _Interpreter(scan, lexicon, shown, follows).run()


class _Interpreter:
    def __init__(self, scan: Scan, lexicon: Lexicon, shown: Sequence[int], follows: bool) -> None:
        scan = with_years_of_lives(scan)
        self.scan, self.lexicon, self.shown, self.follows = scan, lexicon, shown, follows
        self.items = scan.items
        self.reading = Reading()
        self.negated: str | None = None  # kind of the cue whose scope this is
        self.has_object = False  # whether that scope holds something already
        self.hedged = False
        self.lacks = False  # whether it says what things do not have, and not what somebody does not want
        self.refused: list[str] = []  # words in the scope of a negation, to be told as unmet
        self.vague: list[tuple[int, bool]] = []
        self.refused_at: dict[int, str] = {}  # places of what was refused, and the kind of the cue
        self.refuses_back: int | None = None  # a cue that was read with what it refuses
        self.opens_at = 0  # place of the cue of this negation
        self.quotas = find_quotas(scan)
        self.reading.count, self.reading.quotas = self.quotas.count, self.quotas.parts

    def run(self) -> Reading:
        at = 0
        while at < len(self.items):
            at = self._read(at)
        self._flush()
        settled = set(self.reading.ranges)
        for place, negated in self.vague:  # after all numbers: a year that was said wins over "old"
            read_vague(self.scan, place, self.lexicon, self.reading, negated, settled)
        read_backwards(self.scan, self.reading)
        if self.scan.foreign:
            self.reading.unmet.append("only English and Chinese are read")
        return self.reading

    def _read(self, at: int) -> int:
        item = self.items[at]
        if self.negated is not None and item.has(*OBJECTS, "that", "those"):
            self.refused_at[at] = self.negated
        if item.has("and") and self.refused and self.negated:
            self.refused.append("and")  # "no black and white" is one thing
        elif not item.has("word") or self.negated is None:
            self._flush()
        if item.has("end"):
            self._end_scope()
        elif item.has("comma"):
            self._comma(at)
        elif item.has("title"):
            return self._title(at)
        elif item.has("tag"):
            self._tag(at)
        elif item.has("number"):
            return self._number(at)
        elif item.has("fact"):
            (self.reading.facts_not if self.negated else self.reading.facts).append(fact_at(self.items, at))
            self.has_object = True
        elif item.has("ordinal"):
            read_ordinal(self.scan, at, self.reading, self.shown, self.negated is not None)
            self.has_object = True
        elif item.has("scenario"):
            if self.negated is None:
                self.reading.scenario = item.value[0]
        elif item.has("quote"):
            return self._quote(at)
        elif item.has("word"):
            return self._plain_word(at)
        elif item.has("stop"):
            self._stop_word(at)
        elif not item.has("mark", "dash"):
            return self._cue(at)
        return at + 1

    # -- scopes ------------------------------------------------------------------------------------

    def _end_scope(self) -> None:
        self._flush()
        self.negated, self.has_object, self.hedged = None, False, False

    def _comma(self, at: int) -> None:
        if self.negated is not None and self.has_object and not list_goes_on(self.items, at):
            self.negated, self.has_object = None, False
        elif self.negated is not None and not self.has_object:
            said = self.scan.words[self.items[at].start - 1]
            if negates_backwards(self.scan, self.reading, at) or said == "no":
                self.negated = None
        self.hedged = self.hedged and list_goes_on(self.items, at)

    # -- things ------------------------------------------------------------------------------------

    def _tag(self, at: int) -> None:
        item = self.items[at]
        if at in self.quotas.tags:
            self.has_object = True
            return
        words: tuple[TagWord, ...] = item.value
        # A name means one thing; another word, such as "romcom", all things it was given to.
        tags = (words[0].tag,) if words[0].own else tuple(word.tag for word in words)
        if self.has_object and self.scan.words[item.start] == "for":
            self.negated = None  # "nothing scary for my kids"
        hedged = self.hedged or is_liked(self.items, at)
        said = TagSaid(
            tags,
            words[0].own,
            self.negated is not None,
            hedged,
            at,
            self.scan.said(item.start, item.stop),
        )
        self.reading.said.append(said)
        self.has_object = True

    def _title(self, at: int) -> int:
        negated = self.negated is not None
        turned, trial = negated and not self.has_object, Reading()
        after = read_title(self.scan, at, self.lexicon, trial, negated, turned=turned)
        if not self._limits_what_is_refused(at, after, trial):
            read_title(self.scan, at, self.lexicon, self.reading, negated, turned=turned)
        self.has_object = True
        return after

    def _number(self, at: int) -> int:
        if at in self.quotas.numbers:
            self.has_object = True
            return at + 1
        if self.items[at].value.low == 0 and self.items[at + 1 : at + 2] and self.items[at + 1].has("tag"):
            self.negated, self.has_object, self.hedged, self.opens_at = "not", False, False, at
            return at + 1  # "zero romance"
        negated, trial = self.negated is not None and not self.has_object, Reading(count=self.reading.count)
        after = read_number(self.scan, at, self.lexicon, trial, negated)
        if self._limits_what_is_refused(at, after, trial):
            return after
        if trial.ranges and self.negated is None:
            self.refuses_back = refusal_behind(self.scan, after)
            negated = self.refuses_back is not None
        read_number(self.scan, at, self.lexicon, self.reading, negated)
        if after == at:
            if self.scan.words[self.items[at].start] != "one":
                self._word(self.items[at], self.negated is not None)
            return at + 1
        self.has_object = True
        return after

    def _limits_what_is_refused(self, at: int, after: int, trial: Reading) -> bool:
        """Whether a limit belongs to what is refused; then it is told."""
        told = trial.ranges and limit_of_refused(
            self.scan,
            at,
            after,
            opened=self.opens_at if self.negated is not None else None,
            has_object=self.has_object,
            refused=self.refused_at,
        )
        if told:
            self.reading.unmet.append(told)
        return bool(told)

    def _quote(self, at: int) -> int:
        after = read_unknown_title(self.scan, at, self.lexicon, self.reading)
        if after > at:
            return after
        self._word(self.items[at], self.negated is not None)
        return at + 1

    def _plain_word(self, at: int) -> int:
        if self.negated is None:
            for read in (read_unknown_title, read_named_people):
                after = read(self.scan, at, self.lexicon, self.reading)
                if after > at:
                    return after
        self._word(self.items[at], self.negated is not None)
        return at + 1

    def _stop_word(self, at: int) -> None:
        item, words = self.items[at], self.scan.words
        if words[item.start] in _PARTS and is_part(self.scan, at):
            self._word(item, self.negated is not None)
        elif words[item.start] == "for" and self.has_object:
            self.negated = None
        elif words[item.start] == "的" and self.has_object and self._ends_lack(at):
            self.negated = None  # 没有爱情的犯罪片: crime films that lack romance
        elif at and self.items[at - 1].has("word") and self.scan.before(item.start) == "-":
            self._word(item, self.negated is not None)  # "feel-good" is one word

    def _ends_lack(self, at: int) -> bool:
        joins = at + 1 < len(self.items) and self.items[at + 1].has("or", "and")
        return not joins and (self.lacks or self.items[at - 1].has("old", "new", "cheap", "dear"))

    def _word(self, item: Item, negated: bool) -> None:
        said = self.scan.said(item.start, item.stop)
        if len(said) > _LONGEST_WORD:
            return
        if negated:
            self.refused.append(said)
            self.has_object = True
        else:
            self.reading.wants.append(said)

    def _flush(self) -> None:
        if self.refused and self.refused[-1] == "and":
            self.refused.pop()
        if self.refused:
            self.reading.unmet.append(refused_words(self.refused))
            self.refused = []

    # -- cues --------------------------------------------------------------------------------------

    def _cue(self, at: int) -> int:
        item = self.items[at]
        said = self.scan.words[item.start]
        if self.negated and not self.has_object and said in ("too", "太") and item.has(*_TOO):
            kind = next(_TOO[kind] for kind in _TOO if item.has(kind))
            self.items[at] = item = Item(frozenset({kind}), item.value, item.start, item.stop)
        if item.has("older", "newer", "cheaper", "dearer", "shorter", "longer") and self._compares(at):
            return at + 1
        if at == self.refuses_back:
            return at + 1
        if item.has("life"):
            self.reading.unmet.append(item.value)
            return at + 1
        if item.has("except", "unless") and (after := self._excepts(at)):
            return after
        if item.has("old", "new", "cheap", "dear"):
            if is_vague(self.scan, at, self.lexicon):
                self.vague.append((at, self.negated is not None))
            else:
                self._word(item, self.negated is not None)
            self.has_object = True
        elif (
            self.negated == "not"
            and not self.has_object
            and item.has("not")
            and (twice := negated_twice(self.scan, self.opens_at, at))
        ):
            self.negated = None
            if twice == "wanted":
                return at + 1
            stop = clause_end(self.scan, at)
            self.reading.unmet.append(
                self.scan.said(self.items[self.opens_at].start, self.items[stop - 1].stop)
            )
            self._end_scope()
            return stop
        elif item.has("not", "except", "unless"):
            self.negated = "not" if item.has("not") else "except"
            self.has_object, self.hedged, self.opens_at = False, False, at
            self.lacks = self.scan.said(item.start, item.stop) in LACKS
            if (
                item.has("not")
                and all(i.has("stop", "end") for i in self.items[at + 1 :])
                and negates_backwards(self.scan, self.reading, at + 1)
            ):
                self.negated = None
        elif item.has("except_end") and self.negated is None:
            except_before(self.scan, self.reading, at)
        elif self.negated == "not" and self.scan.said(item.start, item.stop) in ("以外", "之外", "外"):
            for tag in self.reading.said:  # 不要恐怖片以外的: horror, and nothing else
                tag.excluded = tag.excluded and not self.opens_at < tag.at < at
            self.negated = None
        elif item.has("except_end", "but", "noop"):
            self.negated = None if not item.has("noop") else self.negated
            self.has_object = False
            self.hedged = self.hedged and item.has("noop")
        elif item.has("hedge") and (self.negated is None or self.has_object):
            self.hedged = True
            if self.negated and self.has_object:
                self.negated = None
        elif item.has("reset"):
            self._reset()
        elif item.has("instead") or (item.has("perhaps_instead") and at == 0):
            self.reading.instead = True
            self.negated = None
        elif item.has("forget_numbers"):
            self.reading.freed = True
        elif item.has("brief", "warm"):
            self.reading.tone = "brief" if item.has("brief") else "warm"
        elif item.has("others") and self.follows and self.shown:
            self.reading.without += self.shown
        elif item.has("by_after") and self.negated and self.lacks and self.has_object:
            self.negated = None  # 不是美国拍的纪录片
        elif item.has("by", "by_after", "like", "like_after"):
            return self._points(at)
        elif item.has("that", "those") and self.follows:
            known = len(self.reading.without)
            read_pronoun(
                self.scan, at, self.reading, self.shown, self.negated is not None and not self.has_object
            )
            self.has_object = self.has_object or len(self.reading.without) > known
        elif item.has("pos", "also") and not item.has("gt", "lt", "ge", "le"):
            self.reading.also = self.reading.also or item.has("also")
            self.negated = None if self.has_object else self.negated
        return at + 1

    def _excepts(self, at: int) -> int | None:
        """Where an exception from what is refused ends, or one that refuses nothing; None if this refuses something."""
        item = self.items[at]
        until = exception_until(self.scan, at, self.refused_at)
        if until is not None:
            self.reading.unmet.append(self.scan.said(item.start, self.items[until - 1].stop))
            self._end_scope()
            return until
        if item.has("except") and (refusing := all_else_refused(self.scan, at)):
            for place in refusing:
                found = self.items[place]
                self.items[place] = Item(frozenset({"stop"}), found.value, found.start, found.stop)
            self.negated = None
            return at + 1
        if self.negated == "not" and not self.has_object and self.scan.tokens[item.start].kind == "word":
            self.negated = None  # "nothing except comedies"
            return at + 1
        return None

    def _reset(self) -> None:
        tone = self.reading.tone
        self.reading = Reading(again=True, tone=tone, count=self.quotas.count, quotas=self.quotas.parts)
        self.vague = []
        self._end_scope()

    def _compares(self, at: int) -> bool:
        following = self.items[at + 1] if at + 1 < len(self.items) else None
        if following is not None and following.has("than") and at + 2 < len(self.items):
            return False
        if joins_unknown(self.scan, at):
            return False
        too = self.scan.words[self.items[at].start] in ("too", "太")
        if self.negated is not None and not self.has_object and not too:
            cue = self.items[self.opens_at]  # "nothing older": than what, nobody knows
            self.reading.unmet.append(self.scan.said(cue.start, self.items[at].stop))
            self.has_object = True
            return True
        self.has_object = self.has_object or self.negated is not None
        return read_comparison(self.scan, at, self.lexicon, self.reading)

    def _points(self, at: int) -> int:
        for read in (read_unknown_title, read_named_people):
            after = (
                read(self.scan, at + 1, self.lexicon, self.reading) if at + 1 < len(self.items) else at + 1
            )
            if after > at + 1:
                return after
        if self.items[at].has("by_after"):
            read_named_people(self.scan, at, self.lexicon, self.reading)
        return at + 1
