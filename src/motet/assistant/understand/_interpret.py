"""From items to slots: what is wanted, what is not, what is compared with what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from motet.assistant.understand._counts import Quotas, find_quotas
from motet.assistant.understand._lexicon import Lexicon, TagWord
from motet.assistant.understand._limits import (
    is_vague,
    joins_unknown,
    read_comparison,
    read_number,
    read_vague,
    refusal_behind,
)
from motet.assistant.understand._negation import (
    LACKS,
    OBJECTS,
    all_else_refused,
    clause_end,
    except_before,
    exception_until,
    fact_at,
    is_liked,
    is_part,
    limit_of_refused,
    list_goes_on,
    negated_twice,
    negates_backwards,
    read_backwards,
    refused_words,
)
from motet.assistant.understand._references import (
    BIRTHS,
    read_named_person,
    read_ordinal,
    read_pronoun,
    read_title,
    read_unknown_title,
    with_years_of_lives,
)
from motet.assistant.understand._request import Reading, TagSaid
from motet.assistant.understand._tokens import Scan, Span

__all__ = ["interpret"]

# Chinese characters that carry no wish by themselves, but do as a part of a word: 中国, 好莱坞, 机器人.
_PARTS: Final = frozenset("中好全对来说里人会能点部个日月号种带间在从到对为年线讲")
_TOO: Final = {"newer": "old", "older": "new", "cheaper": "dear", "dearer": "cheap"}
_REFUSABLE: Final = frozenset({*OBJECTS, "that", "those"})
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
        if "born" in scan.kinds or not BIRTHS.isdisjoint(scan.words):
            scan = with_years_of_lives(scan)
        self.scan, self.lexicon, self.shown, self.follows = scan, lexicon, shown, follows
        self.items = scan.items
        self.reading = Reading()
        self.negated: str | None = None  # kind of the cue whose scope this is
        self.has_object = False  # whether that scope holds something already
        self.hedged = False
        self.lacks = False  # whether it says what items do not have, and not what the user does not want
        self.refused: list[str] = []  # words in the scope of a negation, to be reported as unmet
        self.vague: list[tuple[int, bool]] = []
        self.refused_at: dict[int, str] = {}  # places of what was refused, and the kind of the cue
        self.refuses_back: int | None = None  # a cue that was read with what it refuses
        self.opens_at = 0  # place of the cue of this negation
        # Without a number no part of the answer is counted, and there are no quotas.
        counted = "number" in scan.kinds or "一" in scan.words
        self.quotas = find_quotas(scan) if counted else Quotas()
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
        """Read the item at a place; the place of the next one."""
        item = self.items[at]
        kinds = item.kinds
        if self.negated is not None and not _REFUSABLE.isdisjoint(kinds):
            self.refused_at[at] = self.negated
        if "and" in kinds and self.refused and self.negated:
            self.refused.append("and")  # "no black and white" is one thing
        elif self.refused and ("word" not in kinds or self.negated is None):
            self._flush()
        for kind, read in _READ_AS:
            if kind in kinds:
                return read(self, at)
        return self._cue(at)

    # -- scopes ------------------------------------------------------------------------------------

    def _skip(self, at: int) -> int:
        return at + 1

    def _end(self, at: int) -> int:
        self._end_scope()
        return at + 1

    def _end_scope(self) -> None:
        self._flush()
        self.negated, self.has_object, self.hedged = None, False, False

    def _comma(self, at: int) -> int:
        if self.negated is not None and self.has_object and not list_goes_on(self.items, at):
            self.negated, self.has_object = None, False
        elif self.negated is not None and not self.has_object:
            said = self.scan.words[self.items[at].start - 1]
            if negates_backwards(self.scan, self.reading, at) or said == "no":
                self.negated = None
        self.hedged = self.hedged and list_goes_on(self.items, at)
        return at + 1

    # -- things ------------------------------------------------------------------------------------

    def _tag(self, at: int) -> int:
        item = self.items[at]
        if at in self.quotas.tags:
            self.has_object = True
            return at + 1
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
        return at + 1

    def _fact(self, at: int) -> int:
        (self.reading.facts_not if self.negated else self.reading.facts).append(fact_at(self.items, at))
        self.has_object = True
        return at + 1

    def _ordinal(self, at: int) -> int:
        read_ordinal(self.scan, at, self.reading, self.shown, self.negated is not None)
        self.has_object = True
        return at + 1

    def _scenario(self, at: int) -> int:
        if self.negated is None:
            self.reading.scenario = self.items[at].value[0]
        return at + 1

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
        if (
            self.items[at].value.low == 0
            and self.items[at + 1 : at + 2]
            and "tag" in self.items[at + 1].kinds
        ):
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
        """Whether a limit belongs to what is refused; then it is reported as unmet."""
        refusal = trial.ranges and limit_of_refused(
            self.scan,
            at,
            after,
            opened=self.opens_at if self.negated is not None else None,
            has_object=self.has_object,
            refused=self.refused_at,
        )
        if refusal:
            self.reading.unmet.append(refusal)
        return bool(refusal)

    def _plain_word(self, at: int) -> int:
        if self.negated is None or "quote" in self.items[at].kinds:
            for read in (read_unknown_title, read_named_person):
                after = read(self.scan, at, self.lexicon, self.reading)
                if after > at:
                    return after
        self._word(self.items[at], self.negated is not None)
        return at + 1

    def _stop_word(self, at: int) -> int:
        item, words = self.items[at], self.scan.words
        if words[item.start] in _PARTS and is_part(self.scan, at):
            self._word(item, self.negated is not None)
        elif words[item.start] == "for" and self.has_object:
            self.negated = None
        elif words[item.start] == "的" and self.has_object and self._ends_lack(at):
            self.negated = None  # 没有爱情的犯罪片: crime films that lack romance
        elif at and "word" in self.items[at - 1].kinds and self.scan.before(item.start) == "-":
            self._word(item, self.negated is not None)  # "feel-good" is one word
        return at + 1

    def _ends_lack(self, at: int) -> bool:
        joins = at + 1 < len(self.items) and self.items[at + 1].has("or", "and")
        return not joins and (self.lacks or self.items[at - 1].has("old", "new", "cheap", "dear"))

    def _word(self, item: Span, negated: bool) -> None:
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
        """Let the first rule act that applies to the cue at a place; the place of the next item to read."""
        item = self.items[at]
        if self.negated and not self.has_object and self.scan.words[item.start] in ("too", "太"):
            kind = next((_TOO[kind] for kind in _TOO if kind in item.kinds), None)
            if kind is not None:
                self.items[at] = item = Span(frozenset({kind}), item.value, item.start, item.stop)
        if at == self.refuses_back:
            return at + 1
        for kinds, act in _CUE_RULES:
            if not kinds.isdisjoint(item.kinds):
                after = act(self, at)
                if after is not None:
                    return after
        return at + 1

    # Each rule returns the place of the next item to read, or None where it does not apply here.

    def _life(self, at: int) -> int:
        self.reading.unmet.append(self.items[at].value)
        return at + 1

    def _limit_vaguely(self, at: int) -> int:
        if is_vague(self.scan, at, self.lexicon):
            self.vague.append((at, self.negated is not None))
        else:
            self._word(self.items[at], self.negated is not None)
        self.has_object = True
        return at + 1

    def _negate_again(self, at: int) -> int | None:
        """A "no" inside the scope of another, which holds nothing yet."""
        if self.negated != "not" or self.has_object:
            return None
        twice = negated_twice(self.scan, self.opens_at, at)
        if twice is None:
            return None
        self.negated = None
        if twice == "wanted":
            return at + 1
        stop = clause_end(self.scan, at)
        self.reading.unmet.append(self.scan.said(self.items[self.opens_at].start, self.items[stop - 1].stop))
        self._end_scope()
        return stop

    def _negate(self, at: int) -> int:
        item = self.items[at]
        self.negated = "not" if "not" in item.kinds else "except"
        self.has_object, self.hedged, self.opens_at = False, False, at
        self.lacks = self.scan.said(item.start, item.stop) in LACKS
        if (
            self.negated == "not"
            and all(i.has("stop", "end") for i in self.items[at + 1 :])
            and negates_backwards(self.scan, self.reading, at + 1)
        ):
            self.negated = None
        return at + 1

    def _end_exception(self, at: int) -> int | None:
        item = self.items[at]
        if self.negated is None:
            except_before(self.scan, self.reading, at)
            return at + 1
        if self.negated == "not" and self.scan.said(item.start, item.stop) in ("以外", "之外", "外"):
            for tag in self.reading.said:  # 不要恐怖片以外的: horror, and nothing else
                tag.excluded = tag.excluded and not self.opens_at < tag.at < at
            self.negated = None
            return at + 1
        return None

    def _close(self, at: int) -> int:
        noop = "noop" in self.items[at].kinds
        self.negated = self.negated if noop else None
        self.has_object = False
        self.hedged = self.hedged and noop
        return at + 1

    def _hedge(self, at: int) -> int | None:
        if self.negated is not None and not self.has_object:
            return None
        self.hedged = True
        self.negated = None
        return at + 1

    def _reset(self, at: int) -> int:
        self.reading = Reading(
            again=True, tone=self.reading.tone, count=self.quotas.count, quotas=self.quotas.parts
        )
        self.vague = []
        self._end_scope()
        return at + 1

    def _instead(self, at: int) -> int | None:
        if "instead" not in self.items[at].kinds and at > 0:
            return None
        self.reading.instead = True
        self.negated = None
        return at + 1

    def _free(self, at: int) -> int:
        self.reading.freed = True
        return at + 1

    def _tone(self, at: int) -> int:
        self.reading.tone = "brief" if "brief" in self.items[at].kinds else "warm"
        return at + 1

    def _others(self, at: int) -> int | None:
        if not (self.follows and self.shown):
            return None
        self.reading.without += self.shown
        return at + 1

    def _end_lack(self, at: int) -> int | None:
        if not (self.negated and self.lacks and self.has_object):
            return None
        self.negated = None  # 不是美国拍的纪录片
        return at + 1

    def _pronoun(self, at: int) -> int | None:
        if not self.follows:
            return None
        known = len(self.reading.without)
        negated = self.negated is not None and not self.has_object
        read_pronoun(self.scan, at, self.reading, self.shown, negated)
        self.has_object = self.has_object or len(self.reading.without) > known
        return at + 1

    def _want(self, at: int) -> int | None:
        item = self.items[at]
        if item.has("gt", "lt", "ge", "le"):
            return None
        self.reading.also = self.reading.also or "also" in item.kinds
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
        if "except" in item.kinds and (refusing := all_else_refused(self.scan, at)):
            for place in refusing:
                found = self.items[place]
                self.items[place] = Span(frozenset({"stop"}), found.value, found.start, found.stop)
            self.negated = None
            return at + 1
        if self.negated == "not" and not self.has_object and self.scan.tokens[item.start].kind == "word":
            self.negated = None  # "nothing except comedies"
            return at + 1
        return None

    def _compare(self, at: int) -> int | None:
        following = self.items[at + 1] if at + 1 < len(self.items) else None
        if following is not None and "than" in following.kinds and at + 2 < len(self.items):
            return None
        if joins_unknown(self.scan, at):
            return None
        too = self.scan.words[self.items[at].start] in ("too", "太")
        if self.negated is not None and not self.has_object and not too:
            cue = self.items[self.opens_at]  # "nothing older": than what, is not known
            self.reading.unmet.append(self.scan.said(cue.start, self.items[at].stop))
            self.has_object = True
            return at + 1
        self.has_object = self.has_object or self.negated is not None
        return at + 1 if read_comparison(self.scan, at, self.lexicon, self.reading) else None

    def _points(self, at: int) -> int:
        for read in (read_unknown_title, read_named_person):
            after = (
                read(self.scan, at + 1, self.lexicon, self.reading) if at + 1 < len(self.items) else at + 1
            )
            if after > at + 1:
                return after
        if "by_after" in self.items[at].kinds:
            read_named_person(self.scan, at, self.lexicon, self.reading)
        return at + 1


# What an item is read as: the first kind that it has; every other kind is a cue.
_READ_AS: Final[tuple[tuple[str, Callable[[_Interpreter, int], int]], ...]] = (
    ("end", _Interpreter._end),
    ("comma", _Interpreter._comma),
    ("title", _Interpreter._title),
    ("tag", _Interpreter._tag),
    ("number", _Interpreter._number),
    ("fact", _Interpreter._fact),
    ("ordinal", _Interpreter._ordinal),
    ("scenario", _Interpreter._scenario),
    ("quote", _Interpreter._plain_word),
    ("word", _Interpreter._plain_word),
    ("stop", _Interpreter._stop_word),
    ("mark", _Interpreter._skip),
    ("dash", _Interpreter._skip),
)

# What cues do, by their kinds in words_en.yaml and words_zh.yaml: the first rule that applies.
_RULES: Final[tuple[tuple[str, Callable[[_Interpreter, int], int | None]], ...]] = (
    ("older newer cheaper dearer shorter longer", _Interpreter._compare),
    ("life", _Interpreter._life),
    ("except unless", _Interpreter._excepts),
    ("old new cheap dear", _Interpreter._limit_vaguely),
    ("not", _Interpreter._negate_again),
    ("not except unless", _Interpreter._negate),
    ("except_end", _Interpreter._end_exception),
    ("except_end but noop", _Interpreter._close),
    ("hedge", _Interpreter._hedge),
    ("reset", _Interpreter._reset),
    ("instead perhaps_instead", _Interpreter._instead),
    ("forget_numbers", _Interpreter._free),
    ("brief warm", _Interpreter._tone),
    ("others", _Interpreter._others),
    ("by_after", _Interpreter._end_lack),
    ("by by_after like like_after", _Interpreter._points),
    ("that those", _Interpreter._pronoun),
    ("pos also", _Interpreter._want),
)
_CUE_RULES: Final = tuple((frozenset(kinds.split()), act) for kinds, act in _RULES)
