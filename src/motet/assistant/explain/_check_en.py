"""What a rephrased English sentence says that its claim does not, or leaves out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from typing import Final

from motet.assistant.explain._claim import Sentence

__all__ = ["english_findings"]

# Words that a rephrased sentence may use beside those of its claim: they say nothing of their own.
_NEUTRAL: Final = frozenset(
    """
    a an the this that these those it its itself is are was were be been being has have had do does did
    of to in on at by for from with as and or so too also well just here there which who whom whose what
    while because since if then than you your yours will would can could may might
    ones give given look looking see take found find
    recommend recommended recommendation suggest suggested suggestion pick picked choose chosen
    reason reasons why how thing things title titles selection among within including include includes
    fit fits match matches matching similar similarly along alongside together
    both same kind kinds sort type
    """.split()  # noqa: SIM905 (read as a list of words)
)

# "not", and whatever turns a statement round or makes it small
_NEGATORS: Final = frozenset(
    """
    not no never none nothing nobody without hardly barely scarcely seldom rarely neither nor unlike cannot
    except excluding lacks lack lacking fail fails failed dislike disliked dislikes hate hated hates avoid
    avoided avoids against despite although though instead few fewer less least below lower under worse worst
    bad poor boring far farther distant different unrelated opposite contrary only but
    """.split()  # noqa: SIM905
)

# what makes a statement stronger or wider than it is
_STRONG: Final = frozenset(
    """
    all every everyone everybody everything always often usually mostly most many much several some any more
    best better higher above top greatest favourite favorite very really truly highly extremely absolutely
    perfect definitely certainly surely must exactly nearly almost about around over half twice double triple
    third quarter dozen majority percent
    """.split()  # noqa: SIM905
)

_AGENTS: Final = frozenset(
    "others people user users viewer viewers customers fans everyone critics we us our i me my he she they them their".split()  # noqa: SIM905
)

_NUMBER_WORDS: Final = {
    word: value
    for value, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
    )
} | {
    "twice": 2, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "hundred": 100, "thousand": 1000,
}  # fmt: skip

_QUOTED = re.compile(r"[“\"”]([^“”\"]*)[“\"”]")
_TOKEN = re.compile(
    r"⟦\d+⟧|\d[\d,.]*\d(?:s\b)?|\d(?:s\b)?|[^\W\d_]+(?:['’][^\W\d_]+)*(?:-[^\W\d_]+)*|[^\w\s]"
)
_UNWANTED = re.compile(r"[<>{}\[\]|`#*_\\\n\t]|https?:|www\.")
_DID = r"(?:liked?|enjoy(?:ed)?|loved?|bought|chose|tried|rated|watched|opened|read|played|saved|ordered|[a-z]+ed)"
_LIKES_THE_ITEM = re.compile(
    rf"\byou\b(?:(?! and | who )[^.,;⟦])*?\b{_DID}\s+(?:it|this|them)\b", re.IGNORECASE
)
# "12 of the 40 films you liked." says nothing of the twelve
_NO_PREDICATE = re.compile(
    r"(?:^|[:,;])\s*[\d,]+ of (?:the )?[\d,]+ (?:[^\W\d]+ ){0,3}you [^\W\d]+ ?(?:[.!;]|, (?:which|that|as|and now)\b|$)"
)
# "another of the films you liked": of the kind they are, and not one of them
_ONE_OF_YOURS = re.compile(
    rf"\b(?:this|it|another|one|more)\b[^.,;:⟦\d]*\bof\b[^.,;:⟦\d]*\byou\b[^.,;:⟦\d]*\b{_DID}\b",
    re.IGNORECASE,
)
# "Among the top 10, 321 people liked it." says that they are the ten
_COUNT_BEHIND_TOP = re.compile(r"\btop [\d,]*\d ?,")
_TASTE = {"taste", "seems", "seem"}
_WHO_LIKED_IT = re.compile(
    rf"\b(?:who|that)\s+(?:also\s+|have\s+|has\s+)?{_DID}\s+(?:it|this)\b", re.IGNORECASE
)
_LIKED_ANCHOR = re.compile(rf"\b(?:{_DID}|share)\s+⟦0⟧", re.IGNORECASE)
# in front of a number these stand for a pause, or for nothing
_PAUSES = {
    "!",
    ",",
    ".",
    ":",
    ";",
    "(",
    "and",
    "that",
    "as",
    "—",
    "-",
    "–",
    "just",
    "so",
    "with",
    "since",
    "because",
    "where",
    "^",
}
_LONGEST = 1.8
_AROUND = 3  # words on either side of a number that it must stand among


def english_findings(
    text: str, sentence: Sentence, renderings: Sequence[str], tags: Set[str]
) -> Iterator[tuple[str, str]]:
    """Kind and text of each finding.

    Args:
        text: What a generator wrote.
        sentence: What it was to rephrase.
        renderings: Every way in which templates say the claim.
        tags: All tags of the catalogue, in lower case.
    """
    yield from _form(text, sentence)
    for quoted in _QUOTED.findall(text):
        if quoted.strip(" .,;") not in sentence.names:
            yield "name", quoted
    for name in sentence.names:
        if name not in text:
            yield "missing", name
    for tag in sentence.tags:
        if tag.lower() not in text.lower():
            yield "missing", tag
    said, source = _tokens(text, sentence.names), _tokens(sentence.template, sentence.names)
    all_said = [_tokens(one, sentence.names) for one in renderings]
    own = {token.lower() for tokens in all_said for token in tokens}
    yield from _numbers(said, source, all_said)
    yield from _words(said, source, own, tags, len(sentence.names))
    yield from _polarity(said, source)
    everywhere = set.intersection(*({token.lower() for token in tokens} for tokens in all_said))
    yield from _relations(said, source, everywhere, sentence)


def _form(text: str, sentence: Sentence) -> Iterator[tuple[str, str]]:
    if found := _UNWANTED.search(text):
        yield "form", found.group()
    if not text.strip() or text[-1] not in ".!":
        yield "form", "no end"
    if len(text) > _LONGEST * len(sentence.template) + 20:
        yield "form", "too long"
    if text.lower().partition(": ")[2] == sentence.template.lower():
        yield "form", "words in front of the sentence itself"
    if text.count("“") != text.count("”"):
        yield "form", "quotation marks"


def _tokens(text: str, names: Sequence[str]) -> list[str]:
    """Words, numbers and marks of a text; names as ⟦their number⟧, without the marks around them."""
    for place, name in sorted(enumerate(names), key=lambda one: -len(one[1])):
        text = re.sub(rf"[“\"]?{re.escape(name)}([.,]?)[”\"]?", rf" ⟦{place}⟧\1 ", text)
    return _TOKEN.findall(text)


def _number(token: str) -> str | None:
    """A number as digits, whichever way it is written; None for any other token."""
    if token[0].isdigit():
        return token.replace(",", "")
    value = _NUMBER_WORDS.get(token.lower())
    return None if value is None or token.lower() == "one" else str(value)


def _contexts(tokens: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Each number with three words on either side of it, up to a pause."""
    words = [token.lower() for token in tokens]
    for at, word in enumerate(words):
        value = _number(word)
        if value is not None:
            yield value, *_up_to_a_pause(words[:at][::-1]), "#", *_up_to_a_pause(words[at + 1 :])


def _up_to_a_pause(words: Sequence[str]) -> list[str]:
    found: list[str] = []
    for word in words[:_AROUND]:
        if word in _PAUSES:
            break
        found.append("#" if _number(word) else "⟦⟧" if word[0] == "⟦" else word)
    return found + [","] * (_AROUND - len(found))


def _numbers(
    said: Sequence[str], source: Sequence[str], renderings: Sequence[Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Every number of the source, each beside the words that some template puts beside it, and no other."""
    there = Counter(value for value, *_ in _contexts(source))
    here = Counter(value for value, *_ in _contexts(said))
    known = {context for tokens in renderings for context in _contexts(tokens)}
    for value, times in here.items():
        if times > there[value]:
            yield "number", value
    for value in there - here:
        yield "missing", value
    for context in _contexts(said):
        if context[0] in there and context not in known:
            yield "number", " ".join((*context[_AROUND:0:-1], context[0], *context[_AROUND + 2 :]))


def _words(
    said: Sequence[str], source: Sequence[str], own: Set[str], tags: Set[str], names: int
) -> Iterator[tuple[str, str]]:
    own_source = {token.lower() for token in source}
    start = True
    for place, token in enumerate(said):
        word = token.lower()
        begins, start = start, token in {".", "!", ":"}
        if not token[0].isalpha() or word in own_source:
            continue
        if word in tags and word not in own:
            yield "tag", token
        elif word in _STRONG or word in _NEGATORS:
            continue  # held against the source as a whole
        elif word in _AGENTS and word not in own:
            yield "relation", token
        elif word == "one" and place and said[place - 1].lower() in ("this", "another", "that"):
            continue
        elif word == "both" and names != 2:
            yield "number", token
        elif token[0].isupper() and not begins:
            yield "name", token
        elif word not in _NEUTRAL and word not in own:
            yield "word", token


def _polarity(said: Sequence[str], source: Sequence[str]) -> Iterator[tuple[str, str]]:
    """As many negations as the source has, and nothing stronger than its words."""
    here, there = ([token.lower() for token in tokens] for tokens in (said, source))

    def negations(words: Sequence[str]) -> list[str]:
        return sorted(word for word in words if word in _NEGATORS or word.endswith(("n't", "n’t")))

    if negations(here) != negations(there):
        yield "polarity", " ".join(set(negations(here)) ^ set(negations(there))) or "negations"
    for word in here:
        if word in _STRONG and word not in there:
            yield "polarity", word


def _relations(
    said: Sequence[str], source: Sequence[str], everywhere: Set[str], sentence: Sentence
) -> Iterator[tuple[str, str]]:
    """Who did what: the user never liked the item, and others liked what they liked in this order."""
    here, claim = {token.lower() for token in said}, sentence.claim
    plain = " ".join(said)
    if claim.kind == "did":  # what the user did with the item is as it was said, and nothing else
        there = {found.group().lower() for found in _LIKES_THE_ITEM.finditer(" ".join(source))}
        for liked in _LIKES_THE_ITEM.finditer(plain):
            if liked.group().lower() not in there:
                yield "relation", liked.group()
    for pattern in (_LIKES_THE_ITEM, _WHO_LIKED_IT, _ONE_OF_YOURS):
        found = pattern.search(plain)
        if found and not pattern.search(" ".join(source)):
            yield "relation", found.group()
    # what no way of saying it leaves out: whose liking it is, whose view, "rated" beside "liked"
    small = (_NEUTRAL - {"you"}) | _NEGATORS | _STRONG
    for word in sorted(everywhere - small - here):
        if word[0].isalpha():
            yield "missing", word
    first = " ".join(source)
    for pattern in (_NO_PREDICATE, _COUNT_BEHIND_TOP):
        found = pattern.search(plain)
        if found and not pattern.search(first):
            yield "form", found.group()
    if _NO_PREDICATE.search(plain) and _TASTE & set(first.lower().split()) and not _TASTE & here:
        yield "missing", "taste"
    if claim.kind in ("others", "peers", "popular") and not here & {"others", "people", "other"}:
        yield "missing", "people"
    if claim.kind == "others" and not here & {"others", "other", "did", "besides"}:
        yield "missing", "others"  # the user liked it too, and is not counted
    if claim.kind in ("near", "similar") and not here & {"close", "closer", "closest", "near", "nearest"}:
        yield "missing", "close"
    if claim.kind in ("fact", "says"):
        for word in _content(source) - {token.lower() for token in said}:
            yield "missing", word
    if claim.kind == "others" and not _LIKED_ANCHOR.search(plain):
        yield "relation", "who liked what"


def _content(tokens: Sequence[str]) -> set[str]:
    """Words of a source that carry a relation of the graph: neither small words nor verbs of liking."""
    small = _NEUTRAL | _NEGATORS | _STRONG | {"like", "liked", "shares", "share"}
    return {t.lower() for t in tokens if t[0].isalpha() and t.lower() not in small}
