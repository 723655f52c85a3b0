"""Why this item for this user, and what it is: in sentences that follow from what is known."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TypeVar

import polars as pl

from motet.assistant.explain._attribution import Attribution, Attributor
from motet.assistant.explain._claim import CLAIM_KINDS, Claim, ClaimKind, Language, Sentence, Tone
from motet.assistant.explain._evidence import EvidenceIndex, Taste
from motet.assistant.explain._sentences import choose, join_sentences, render, rephrase
from motet.assistant.explain._sources import (
    ABOUT_ITEM,
    OF_CATALOGUE,
    by_influence,
    falls_of,
    find_claims,
    moved_claims,
)
from motet.assistant.understand import TONES
from motet.data import IdIndex, TextToVectors
from motet.errors import DataError
from motet.graph import KnowledgeGraph
from motet.recommend import ContextRows, Recommender
from motet.schema import LANGUAGES, nearest, require_known
from motet.text.generate import Generator
from motet.training import Bundle

__all__ = ["Description", "Explainer", "Explanation", "Reason"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is shown to a user, in words.

    Attributes:
        user: Id of the user, as asked.
        item: Id of the item.
        text: One to three sentences; empty only where nothing at all is known of the item.
        sentences: Each with the claim behind it.
        language: Of the text.
        written_by: ``templates``, or the name of the generator where any sentence of it was kept.
        fallback: Sentences of a generator that were refused or missing, and so are the templates' own.
        note: Why a generator wrote nothing; empty otherwise.
    """

    user: str
    item: str
    text: str
    sentences: tuple[Sentence, ...]
    language: Language
    written_by: str = "templates"
    fallback: int = 0
    note: str = ""

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What the sentences say."""
        return tuple(sentence.claim for sentence in self.sentences)


@dataclass(slots=True)
class _Above:
    """What was said higher up in a list of reasons: see :func:`choose`, and the sentences themselves."""

    mentioned: Counter[str] = field(default_factory=Counter)
    texts: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything found about a user and an item.

    Attributes:
        reason: In words.
        evidence: Every claim found, the strongest first; all of them true, most of them not said.
        attribution: What moved the score; None if it was not asked for.
    """

    reason: Reason
    evidence: tuple[Claim, ...]
    attribution: Attribution | None = None

    @property
    def text(self) -> str:
        """The reason as text."""
        return self.reason.text

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Description:
    """What an item is, in words, from the catalogue and the graph alone.

    Attributes:
        item: Id of the item.
        title: What it is called.
        text: Some sentences.
        sentences: Each with the claim behind it.
        language: Of the text.
        written_by: As of :class:`Reason`.
        fallback: Likewise.
        note: Likewise.
    """

    item: str
    title: str
    text: str
    sentences: tuple[Sentence, ...]
    language: Language
    written_by: str = "templates"
    fallback: int = 0
    note: str = ""


Answer = TypeVar("Answer", Reason, Description)

_SAYS_LITTLE = 0.12  # strength of being liked by a few
_OF_THE_MODEL = {"near", "moved", "popular"}  # claims that say nothing of what an item is


class Explainer:
    """Explains the answers of one bundle.

    Args:
        recommender: The recommender, or the bundle it would be made from.
        encode_text: Turns texts into vectors, for a recommender made here.
        graph: Facts about the items, if there are any.
        generator: Says the templates' sentences in other words; every sentence of its is checked, and
            the template's stands where it says anything else.
        time_limit_s: Seconds that the generator has for one call; 0 asks it nothing.

    Raises:
        DataError: If the bundle has no users or no items.
    """

    def __init__(
        self,
        recommender: Recommender | Bundle,
        encode_text: TextToVectors | None = None,
        graph: KnowledgeGraph | None = None,
        generator: Generator | None = None,
        *,
        time_limit_s: float = 30.0,
    ) -> None:
        if isinstance(recommender, Bundle):
            recommender = Recommender(recommender, encode_text)
        self.recommender = recommender
        self.generator, self.time_limit_s = generator, time_limit_s
        self.bundle = recommender.bundle
        self._kept_context: ContextRows | None = None
        self.evidence = EvidenceIndex(self.bundle, self._context_rows, graph, recommender.ranking)
        self._users, self._items = IdIndex(self.bundle.data.user_ids), IdIndex(self.bundle.data.item_ids)
        self._place: Callable[[str], int] = self._row_in_bundle

    def on(self, evidence: EvidenceIndex, place: Callable[[str], int]) -> Explainer:
        """The same explainer on other evidence, such as one that has grown since the model was trained.

        Args:
            evidence: What claims are found in and checked against.
            place: Row of an item on that evidence; −1 for one that is not there.
        """
        other = copy.copy(self)
        other.evidence, other._place = evidence, place
        return other

    def explain(
        self,
        user: str,
        item: str,
        *,
        language: Language = "en",
        tone: Tone = "plain",
        k: int = 3,
        seed: int = 0,
        attribute: bool | None = None,
    ) -> Explanation:
        """Find everything that speaks for or against an item, and say the best of it.

        Args:
            user: Id of a user; to one the bundle does not know, only what holds for all users is said.
            item: Id of an item of the bundle.
            language: ``en`` or ``zh``.
            tone: ``plain``, ``warm`` or ``brief``.
            k: Sentences at the most, 1 to 5.
            seed: Other numbers choose other words.
            attribute: Whether to divide the score among groups of features too; where Captum is installed,
                when left out.

        Raises:
            DataError: If the item is not known, or a choice is not one.
            MissingExtraError: If Captum is asked for and not installed.
        """
        self._check(language, tone, k)
        row = self._item(item)
        taste = self.evidence.taste(self._user(user))
        claims = self._claims(taste, [row])[0]
        attribute = find_spec("captum") is not None if attribute is None else attribute
        attribution: Attribution | None = None
        if attribute:
            history = self.evidence.history(taste.user) or None
            attribution = Attributor(self.evidence.probe).attribute(taste.user, row, history)
        reason = self._reason(user, item, row, claims, language, tone, k, seed, cautions=True)
        [reason] = self._rephrased([reason], tone)
        return Explanation(reason, tuple(claims), attribution)

    def reason(
        self,
        user: str,
        items: Sequence[str],
        *,
        language: Language = "en",
        tone: Tone = "plain",
        k: int = 2,
        seed: int = 0,
    ) -> list[Reason]:
        """Say why each of some items is shown to a user, quickly.

        Args:
            user: As of :meth:`explain`.
            items: Ids of items, in the order of the list they are shown in.
            language: ``en`` or ``zh``.
            tone: ``plain``, ``warm`` or ``brief``.
            k: Sentences a reason at the most, 1 to 5.
            seed: Other numbers choose other words.

        Raises:
            DataError: If an item is not known, or a choice is not one.
        """
        self._check(language, tone, k)
        rows = [self._item(item) for item in items]
        taste = self.evidence.taste(self._user(user))
        above = _Above()
        reasons = [
            self._reason(user, item, row, found, language, tone, k, seed, above)
            for item, row, found in zip(items, rows, self._claims(taste, rows), strict=True)
        ]
        return self._rephrased(reasons, tone)

    def describe(
        self,
        item: str,
        *,
        language: Language = "en",
        tone: Tone = "plain",
        seed: int = 0,
        opinions: bool = False,
    ) -> Description:
        """Say what an item is, from the catalogue and the graph alone.

        Args:
            item: Id of an item of the bundle.
            language: ``en`` or ``zh``.
            tone: ``plain``, ``warm`` or ``brief``.
            seed: Other numbers choose other words.
            opinions: Whether to add what is no fact of the catalogue: what the model places near it, and how
                many users liked it.

        Raises:
            DataError: If the item is not known, or a choice is not one.
        """
        self._check(language, tone, 1)
        row = self._item(item)
        kinds = ABOUT_ITEM if opinions else OF_CATALOGUE
        found = find_claims(self.evidence, self.evidence.taste(-1), row, kinds)
        order = {kind: place for place, kind in enumerate(ABOUT_ITEM)}
        claims = sorted(found, key=lambda claim: order[claim.kind])
        sentences = self._sentences(claims, language, tone, seed)
        text = join_sentences([sentence.text for sentence in sentences], language)
        plain = Description(str(item), self.evidence.titles[row], text, tuple(sentences), language)
        return self._rephrased([plain], tone)[0]

    def said(
        self, claims: Sequence[Claim], language: Language = "en", tone: Tone = "brief", *, seed: int = 0
    ) -> list[Sentence]:
        """Say claims, each in a sentence of the templates: the evidence of an explanation, say.

        Args:
            claims: In order, as :attr:`Explanation.evidence` has them.
            language: ``en`` or ``zh``.
            tone: ``plain``, ``warm`` or ``brief``.
            seed: Other numbers choose other words.

        Returns:
            One a claim, in order; a claim that no template can say is left out.

        Raises:
            DataError: If a choice is not one.
        """
        self._check(language, tone, 1)
        return self._sentences(claims, language, tone, seed)

    def title(self, item: str) -> str:
        """What an item is called, as one says it: *Usual Suspects, The (1995)* is The Usual Suspects.

        Args:
            item: Id of an item of the bundle.

        Raises:
            DataError: If the item is not known.
        """
        return self.evidence.titles[self._item(item)]

    # -- pieces --------------------------------------------------------------------------------

    def _claims(self, taste: Taste, rows: Sequence[int]) -> list[list[Claim]]:
        falls = falls_of(self.evidence, taste, rows)
        moved = moved_claims(self.evidence, taste, falls)
        found = []
        for place, row in enumerate(rows):
            claims = [*find_claims(self.evidence, taste, row), *moved[place]]
            claims = [claim for claim in claims if not self._names_itself(claim)]
            weighed = (by_influence(self.evidence, claim, falls, place) for claim in claims)
            said = [claim for claim in weighed if claim is not None]
            found.append(sorted(said, key=lambda claim: -claim.strength))
        return found

    def _names_itself(self, claim: Claim) -> bool:
        """Whether a claim names another item of the same title: a catalogue may hold one thing twice."""
        title = self.evidence.titles[claim.item]
        return any(self.evidence.titles[mention.row] == title for mention in claim.of("liked"))

    def _context_rows(self) -> ContextRows:
        if self._kept_context is None:
            self._kept_context = self.recommender.precomputed_items().context_rows
        return self._kept_context

    def _reason(
        self,
        user: str,
        item: str,
        row: int,
        claims: Sequence[Claim],
        language: Language,
        tone: Tone,
        k: int,
        seed: int,
        above: _Above | None = None,
        *,
        cautions: bool = False,
    ) -> Reason:
        turns, texts, mentioned = None, frozenset[str](), Counter[str]()
        if above is not None:
            texts, mentioned = frozenset(above.texts), above.mentioned
            turns = {kind: mentioned[f"kind {kind}"] for kind in CLAIM_KINDS}
        chosen = choose(claims, k, cautions=cautions, mentioned=mentioned)
        informative = [claim for claim in chosen if claim.polarity and claim.strength > _SAYS_LITTLE]
        if len(chosen) < k and not {claim.kind for claim in informative} - _OF_THE_MODEL:
            # little speaks for it, or only what the model knows: say first what it is
            chosen = [*find_claims(self.evidence, self.evidence.taste(-1), row, ("is",))[:1], *chosen]
        sentences = self._sentences(chosen, language, tone, seed, turns, texts)
        if above is not None:
            above.texts.update(sentence.text for sentence in sentences)
        text = join_sentences([sentence.text for sentence in sentences], language)
        return Reason(str(user), str(item), text, tuple(sentences), language)

    def _rephrased(self, answers: list[Answer], tone: Tone) -> list[Answer]:
        """Answers in the words of the generator, if there is one, all in one call."""
        if self.generator is None:
            return answers
        sentences = [sentence for answer in answers for sentence in answer.sentences]
        found = rephrase(sentences, self.generator, self.evidence, tone=tone, time_limit_s=self.time_limit_s)
        done, start = [], 0
        for answer in answers:
            mine = found.sentences[start : start + len(answer.sentences)]
            flags = found.refused[start : start + len(answer.sentences)]
            start += len(answer.sentences)
            done.append(
                replace(
                    answer,
                    text=join_sentences([sentence.text for sentence in mine], answer.language),
                    sentences=mine,
                    written_by="templates" if all(flags) else self.generator.name,
                    fallback=sum(flags),
                    note=found.note,
                )
            )
        return done

    def _sentences(
        self,
        claims: Sequence[Claim],
        language: Language,
        tone: Tone,
        seed: int,
        turns: Mapping[ClaimKind, int] | None = None,
        above: Collection[str] = (),
    ) -> list[Sentence]:
        evidence = self.evidence
        return render(evidence, claims, language=language, tone=tone, seed=seed, turns=turns, above=above)

    def _check(self, language: str, tone: str, k: int) -> None:
        require_known(language, LANGUAGES, "the language", DataError)
        require_known(tone, TONES, "the tone", DataError)
        if not 1 <= k <= 5:
            raise DataError(f"k is {k}", "ask for 1 to 5 sentences")

    def _user(self, user: str) -> int:
        return int(self._users.rows(pl.Series([str(user)]))[0])

    def _row_in_bundle(self, item: str) -> int:
        return int(self._items.rows(pl.Series([item]))[0])

    def _item(self, item: str) -> int:
        row = self._place(str(item))
        if row < 0:
            known = self.bundle.data.item_ids.to_list() if len(self._items) <= 10_000 else []
            raise DataError(f"there is no item '{str(item)[:80]}'", nearest(str(item)[:80], known))
        return row
