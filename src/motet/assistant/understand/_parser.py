"""The reader of requests: text → items → slots → a request, on top of what was asked before."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median_low
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.assistant.understand._interpret import interpret
from motet.assistant.understand._lexicon import Lexicon
from motet.assistant.understand._request import (
    FactWanted,
    Language,
    Range,
    Reading,
    Request,
    Tag,
    TagQuota,
    TagSaid,
    Understanding,
)
from motet.assistant.understand._scan import scan
from motet.assistant.understand._tokens import Scan, tokenize
from motet.text.safety import as_data, redact, suspicion, without_suspicious

__all__ = [
    "LONGEST_REQUEST",
    "EncodeText",
    "FastReader",
    "NearestTags",
    "ParsedTurn",
    "as_request",
    "language_of",
    "without_markup",
]

_MOST: Final = 10_000  # characters that are looked at
_SCRIPTS: Final = re.compile(
    r"<(script|style|template|noscript|iframe|object|svg)\b[^<>]{0,500}>.{0,4000}?</\1\s{0,5}>",
    re.DOTALL | re.IGNORECASE,
)
_TAGS: Final = re.compile(
    r"</?(?:a|b|i|u|s|p|em|strong|br|hr|img|div|span|h[1-6]|ul|ol|li|table|tr|td|th|code|pre|font|small|big|center)"
    r"(?:\s[^<>]{0,500})?/?>",
    re.IGNORECASE,
)
_TEMPLATES: Final = re.compile(r"\{\{[^{}]{0,500}\}\}|\{%[^{}]{0,500}%\}|\$\{[^{}]{0,500}\}")
_ORDERS: Final = frozenset(["override", "role", "leak", "steer", "system", "tool", "encoded"])


def without_markup(text: str) -> str:
    """Leave out tags, scripts with their bodies, and expressions of templates.

    Where what is left gives orders that were hidden between them, the text stays as it is, so that
    the whole sentence is left out later.

    Example:
        >>> without_markup("{{7*7}} western"), without_markup("<script>x()</script> <b>no</b> comedy")
        ('western', 'no comedy')
    """
    if len(text) > _MOST:
        return text
    plain, joined = (_cut(text, glue) for glue in (" ", ""))
    known = {flag.kind for flag in suspicion(plain)}
    hidden = {flag.kind for flag in suspicion(joined)} - known
    return text if hidden & _ORDERS else plain


def _cut(text: str, glue: str) -> str:
    for pattern in (_SCRIPTS, _TAGS, _TEMPLATES):
        text = pattern.sub(glue, text)
    return re.sub(r" {2,}", " ", text).strip()


EncodeText = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to vectors, [n, D]."""

_NEAR: Final = 0.8
_MOST_WORDS: Final = 16
_MOST_KEPT: Final = 10_000  # words whose tag is remembered
_SHORTEST: Final = 3  # characters; a lone Chinese character means too many things


class NearestTags:
    """Finds the tags that left words mean, by the cosine of their vectors.

    Such a tag is only preferred, and its words stay in what is searched for: meaning is a guess.

    Args:
        lexicon: Its tags, in all their words.
        encode_text: Texts to vectors.
    """

    def __init__(self, lexicon: Lexicon, encode_text: EncodeText) -> None:
        self._lexicon = lexicon
        self._encode = encode_text
        self._kept: dict[str, Tag | None] = {}

    def add(self, reading: Reading) -> None:
        """Prefer the tags that the left words of a reading mean."""
        said = {tag for one in reading.said for tag in one.tags}
        left = [word for word in reading.wants[:_MOST_WORDS] if len(word) >= _SHORTEST]
        new = [word for word in left if word not in self._kept]
        if new:
            if len(self._kept) > _MOST_KEPT:
                self._kept = {word: tag for word, tag in self._kept.items() if word in left}
            self._kept |= dict(zip(new, self._found(new), strict=True))
        for word in left:
            tag = self._kept[word]
            if tag is not None and tag not in said:
                said.add(tag)
                reading.said.append(TagSaid((tag,), False, False, True, -1, word))

    def _found(self, words: Sequence[str]) -> list[Tag | None]:
        tags, vectors = self._ways
        if not tags:
            return [None] * len(words)
        cosine = _unit(self._encode(list(words))) @ vectors.T  # [words, ways]
        best = cosine.argmax(1)
        return [
            tags[way] if row[way] >= _NEAR else None for row, way in zip(cosine, best.tolist(), strict=True)
        ]

    @cached_property
    def _ways(self) -> tuple[list[Tag], NDArray[np.float32]]:
        pairs = [(" ".join(words), said[0].tag) for words, said in self._lexicon.values.items()]
        if not pairs:
            return [], np.zeros((0, 1), np.float32)
        return [tag for _, tag in pairs], _unit(self._encode([words for words, _ in pairs]))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit


def as_request(
    reading: Reading,
    lexicon: Lexicon,
    *,
    text: str,
    language: Language,
    flags: Sequence[str],
    previous: Request | None,
    shown: Sequence[int],
) -> Request:
    """Put the slots together; what is excluded wins over what is wanted, what is new over what is old.

    Args:
        reading: What was read.
        lexicon: Of the catalogue.
        text: What was said, cleaned.
        language: Of the text.
        flags: Kinds of suspicious text.
        previous: What was asked before; None for a first request.
        shown: Rows that were shown for it.
    """
    before = Request() if previous is None or reading.again else previous
    unmet = list(reading.unmet)
    must, prefer, must_not = _tags(reading, unmet, lexicon)
    said_now = {*must, *prefer}
    forget = reading.instead and bool(said_now - set(before.must_not))
    if forget:
        old_must: list[Tag] = []
        old_prefer: list[Tag] = []
    else:
        old_must = [tag for tag in before.must if tag not in must_not]
        old_prefer = [tag for tag in before.prefer if tag not in must_not]
    if previous is not None and not reading.again:
        # "Romance is fine after all" lifts an exclusion and asks for nothing.
        prefer = [tag for tag in prefer if tag not in before.must_not]
    lifted = said_now | set(must)
    all_must_not = list(dict.fromkeys([*(t for t in before.must_not if t not in lifted), *must_not]))
    all_must = dict.fromkeys([*old_must, *must])
    ranges = _ranges(reading, before, lexicon, shown, unmet)
    without = dict.fromkeys([*before.without, *(lexicon.ids[row] for row in reading.without)])
    like = [lexicon.ids[row] for row in reading.like]
    old_like = [] if reading.instead and like else [item for item in before.like if item not in without]
    wants = " ".join(reading.wants) if language == "en" else _joined(reading.wants)
    return Request(
        text=text,
        language=language,
        wants=" ".join(part for part in (before.wants, wants) if part),
        must=tuple(all_must),
        prefer=tuple(tag for tag in dict.fromkeys([*old_prefer, *prefer]) if tag not in all_must),
        must_not=tuple(all_must_not),
        facts=_facts(before.facts, reading.facts, reading.facts_not),
        facts_not=_facts(before.facts_not, reading.facts_not, ()),
        ranges=ranges,
        like=tuple(dict.fromkeys([*old_like, *like])),
        without=tuple(without),
        count=reading.count if reading.count is not None else before.count,
        quotas=_quotas(reading, before, all_must_not, forget=forget),
        total=tuple({**{r.column: r for r in before.total}, **reading.total}.values()),
        scenario=reading.scenario or before.scenario,
        tone=reading.tone or before.tone,
        flags=tuple(flags),
        unmet=tuple(dict.fromkeys([*before.unmet, *unmet])),
    )


def _tags(reading: Reading, unmet: list[str], lexicon: Lexicon) -> tuple[list[Tag], list[Tag], list[Tag]]:
    must_not: list[Tag] = []
    wanted_by_name = {s.tags[0] for s in reading.said if not s.excluded and s.own}
    for said in reading.said:
        if not said.excluded:
            continue
        # "Sci-fi with no aliens": another word for what is wanted excludes a part of it, which no tag says.
        if not said.own and said.tags[0] in wanted_by_name:
            unmet.append(f"no {said.words}")
        else:
            must_not += said.tags
    chosen = {tag for said in reading.said if said.choice for tag in said.tags}
    must = [
        tag
        for said in reading.said
        if not said.excluded and not said.hedged
        for tag in said.tags
        if tag not in must_not and tag not in chosen
    ]
    prefer = [t for s in reading.said if not s.excluded and s.hedged for t in s.tags if t not in must_not]
    must = list(dict.fromkeys(must))
    return must, [tag for tag in dict.fromkeys(prefer) if tag not in must], list(dict.fromkeys(must_not))


def _ranges(
    reading: Reading, before: Request, lexicon: Lexicon, shown: Sequence[int], unmet: list[str]
) -> tuple[Range, ...]:
    known: dict[str, tuple[Range, ...]] = {}
    for limit in () if reading.freed else before.ranges:
        known[limit.column] = (*known.get(limit.column, ()), limit)
    ranges = {column: limits[0] for column, limits in known.items() if len(limits) == 1}
    for column, limit in reading.ranges.items():
        old = ranges.get(column)
        low = limit.low if limit.low is not None or old is None else old.low
        high = limit.high if limit.high is not None or old is None else old.high
        if reading.also and old is not None and (both := _together(old, limit)):
            ranges[column] = both
            continue
        if reading.instead or (low is not None and high is not None and low > high):
            low, high = limit.low, limit.high
        ranges[column] = Range(column=column, low=low, high=high)
    for column, sign in reading.compared.items():
        limit = _compared(column, sign, lexicon, shown or reading.like, ranges.get(column))
        if column not in reading.ranges:
            ranges[column] = limit
    clashes = {column: limits for column, limits in known.items() if len(limits) > 1 and column not in ranges}
    clashes |= reading.clashes
    whole = [limit for column, limit in ranges.items() if column not in clashes]
    return (*whole, *itertools.chain(*clashes.values()))


def _together(old: Range, new: Range) -> Range | None:
    """Two spans that touch as one: "from the eighties", "and from the seventies as well"."""
    if old.low is None or old.high is None or new.low is None or new.high is None:
        return None
    if new.low > old.high + 1 or old.low > new.high + 1:
        return None
    return Range(column=old.column, low=min(old.low, new.low), high=max(old.high, new.high))


def _quotas(
    reading: Reading, before: Request, must_not: Sequence[Tag], *, forget: bool
) -> tuple[TagQuota, ...]:
    """Parts that are counted: those said now, or those of before where nothing took their place."""
    found = reading.quotas or (() if forget else before.quotas)
    if not reading.quotas and sum(quota.low or 0 for quota in found) > (reading.count or before.count or 100):
        return ()  # "just two" of what was one of each
    return tuple(quota for quota in found if not set(quota.tags) & set(must_not))


def _compared(column: str, sign: int, lexicon: Lexicon, rows: Iterable[int], known: Range | None) -> Range:
    """For "older": below the middle of what was shown; of what was asked for, if nothing was; else of the catalogue."""
    values = sorted(v for row in rows if (v := lexicon.catalogue.number(row, column)) is not None)
    number = lexicon.numbers[column]
    if values:
        middle = float(median_low(values))
    elif known is not None and (known.low if sign < 0 else known.high) is not None:
        middle = float(known.low if sign < 0 else known.high)  # type: ignore[arg-type]
    else:
        middle = number.at(0.15 if number.role == "year" else 0.33) if sign < 0 else number.at(0.75)
    step = 1.0 if number.role == "year" else 0.0
    if sign > 0:
        high = known.high if known is not None and (known.high or 0) > middle else None
        return Range(column=column, low=middle + step, high=high)
    low = known.low if known is not None and known.low is not None and known.low < middle else None
    return Range(column=column, low=low, high=middle - step)


def _facts(
    old: Sequence[FactWanted], new: Sequence[FactWanted], gone: Sequence[FactWanted]
) -> tuple[FactWanted, ...]:
    lost = {fact.entity for fact in gone}
    return tuple(fact for fact in dict.fromkeys([*old, *new]) if fact.entity not in lost)


def _joined(words: Sequence[str]) -> str:
    """Chinese words stand together, others apart."""
    out = ""
    for word in words:
        glue = " " if out and (out[-1].isascii() or word[0].isascii()) else ""
        out += glue + word
    return out


LONGEST_REQUEST: Final = 2000
"""Characters of a request that are read; the rest is cut off, and flagged."""

MOST_TOKENS: Final = 400
"""Words, numbers, Chinese characters and marks that are read; the rest is cut off, and flagged."""

_HAN: Final = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_WORD: Final = re.compile(r"[^\W\d_\u3400-\u9fff\uf900-\ufaff]+")


def language_of(text: str) -> Language:
    """The language of a request: Chinese if it has as many Chinese characters as other words.

    Example:
        >>> language_of("像Toy Story一样的电影"), language_of("movies like Hero (英雄)")
        ('zh', 'en')
    """
    characters = len(_HAN.findall(text))
    return "zh" if characters and characters >= len(_WORD.findall(text)) else "en"


def _as_words(text: str) -> tuple[str, list[str]]:
    """A text without what gives orders, and the kinds of what was left out or is suspicious."""
    flags: list[str] = [flag.kind for flag in suspicion(text)]
    if flags:
        text = without_suspicious(without_markup(text))
    if len(text) > LONGEST_REQUEST:
        flags.append("long")
        text = text[:LONGEST_REQUEST]
    text = as_data(redact(text), LONGEST_REQUEST)
    tokens = tokenize(text) if len(text) > MOST_TOKENS else []
    if len(tokens) > MOST_TOKENS:
        flags.append("long")
        text = text[: tokens[MOST_TOKENS].start].rstrip()
    return text, list(dict.fromkeys(flags))


@dataclass(frozen=True, slots=True)
class ParsedTurn:
    """One turn of a conversation, parsed, beside what was said before.

    Attributes:
        text: What was said, cleaned.
        flags: Kinds of suspicious text in it.
        scan: The text in items.
        reading: The slots of the text.
        previous: What was understood before.
        shown: Rows that were shown for that.
        lexicon: What could be asked for.
    """

    text: str
    flags: tuple[str, ...]
    scan: Scan
    reading: Reading
    previous: Request | None
    shown: tuple[int, ...]
    lexicon: Lexicon

    def request(self) -> Request:
        """All turns together as one request."""
        spoken = _WORD.search(self.text) or _HAN.search(self.text)
        language = language_of(self.text) if spoken or self.previous is None else self.previous.language
        return as_request(
            self.reading,
            self.lexicon,
            text=self.text,
            language=language,
            flags=self.flags,
            previous=self.previous,
            shown=self.shown,
        )


class FastReader:
    """Reads requests in a few milliseconds; the same words are always read the same.

    Args:
        lexicon: What can be asked for.
        encode_text: Texts to vectors [n, D]; with it, words that are no tag but mean nearly the same
            as one make it preferred. Costs one call of the encoder where such words are left.

    Example:
        >>> import polars as pl
        >>> from motet.data import Catalogue
        >>> frame = pl.DataFrame({"id": ["1"], "title": ["Heat"], "kind": [["Crime", "War"]], "year": [1995.0]})
        >>> films = Catalogue(frame, "title", ("kind",), (), ("year",), (), {}, {})
        >>> request = FastReader(Lexicon(films)).read("two crime films from the 90s like Heat, no war")
        >>> request.count, request.like, request.must_not[0].value, request.ranges[0].high
        (2, ('1',), 'War', 1999.0)
    """

    def __init__(self, lexicon: Lexicon, encode_text: EncodeText | None = None) -> None:
        self.lexicon = lexicon
        self._nearest = NearestTags(lexicon, encode_text) if encode_text is not None else None

    def read(self, text: str, previous: Request | None = None, shown: Sequence[str] = ()) -> Request:
        """Understand a request.

        Args:
            text: What was said; any text. What gives orders to a machine is left out, and flagged.
            previous: What was understood before, to be changed by what is said now.
            shown: Ids of the items that were shown for it, in order.

        Returns:
            A request; an empty one if nothing was understood.
        """
        return self.parse(text, previous, shown).request()

    def understand(
        self, text: str, previous: Request | None = None, shown: Sequence[str] = ()
    ) -> Understanding:
        """Understand a request; as :meth:`read`."""
        return Understanding(self.read(text, previous, shown))

    def parse(self, text: str, previous: Request | None = None, shown: Sequence[str] = ()) -> ParsedTurn:
        """Parse one turn, not yet put together with what was said before; as :meth:`read`."""
        cleaned, flags = _as_words(text)
        rows = tuple(row for item in shown if (row := self.lexicon.row(item)) is not None)
        taken = scan(cleaned, self.lexicon)
        reading = interpret(taken, self.lexicon, rows, follows=previous is not None)
        if self._nearest is not None:
            self._nearest.add(reading)
        return ParsedTurn(cleaned, tuple(flags), taken, reading, previous, rows, self.lexicon)
