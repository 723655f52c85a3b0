"""Why this item for this user, and what it is: in sentences that follow from what is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import polars as pl

from motet.bundle import Bundle
from motet.data import TextToVectors, WordIndex
from motet.errors import DataError
from motet.explain._choose import choose
from motet.explain._claim import Claim
from motet.explain._explanation import Description, Explanation, Reason
from motet.explain._ground import Ground
from motet.explain._render import join_sentences, render
from motet.explain._sentence import Sentence
from motet.explain._sources import ABOUT_ITEM, find_claims
from motet.explain._tones import Language, Tone
from motet.knowledge import KnowledgeGraph
from motet.recommend import Recommender
from motet.schema import nearest, require_known

__all__ = ["Explainer"]

_SAYS_LITTLE = 0.12  # strength of being liked by a few
_LANGUAGES, _TONES = ("en", "zh"), ("plain", "warm", "brief")


class Explainer:
    """Explains the answers of one bundle.

    Args:
        recommender: The recommender, or the bundle it would be made from.
        encode_text: Turns texts into vectors, for a recommender made here.
        graph: Facts about the items, if there are any.

    Raises:
        DataError: If the bundle has no users or no items.
    """

    def __init__(
        self,
        recommender: Recommender | Bundle,
        encode_text: TextToVectors | None = None,
        graph: KnowledgeGraph | None = None,
    ) -> None:
        if isinstance(recommender, Bundle):
            recommender = Recommender(recommender, encode_text)
        self.recommender = recommender
        self.bundle = recommender.bundle
        self.ground = Ground(self.bundle, lambda: recommender.items_ahead().moment, graph)
        self._users, self._items = WordIndex(self.bundle.data.user_ids), WordIndex(self.bundle.data.item_ids)

    def explain(
        self,
        user: str,
        item: str,
        *,
        language: Language = "en",
        tone: Tone = "plain",
        k: int = 3,
        seed: int = 0,
    ) -> Explanation:
        """Find everything that speaks for or against an item, and say the best of it.

        Args:
            user: Id of a user; of one the bundle does not know, only what holds for all is said.
            item: Id of an item of the bundle.
            language: ``en`` or ``zh``.
            tone: ``plain``, ``warm`` or ``brief``.
            k: Sentences at the most, 1 to 5.
            seed: Other numbers choose other words.

        Raises:
            DataError: If the item is not known, or a choice is not one.
        """
        self._check(language, tone, k)
        row = self._item(item)
        taste = self.ground.taste(self._user(user))
        evidence = find_claims(self.ground, taste, row)
        reason = self._reason(user, item, row, evidence, language, tone, k, seed, cautions=True)
        return Explanation(reason, tuple(evidence))

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
        taste = self.ground.taste(self._user(user))
        told: Counter[str] = Counter()
        return [
            self._reason(user, item, row, find_claims(self.ground, taste, row), language, tone, k, seed, told)
            for item, row in zip(items, rows, strict=True)
        ]

    def describe(
        self, item: str, *, language: Language = "en", tone: Tone = "plain", seed: int = 0
    ) -> Description:
        """Say what an item is, from the catalogue, the graph and what people liked alone.

        Args:
            item: Id of an item of the bundle.
            language: ``en`` or ``zh``.
            tone: ``plain``, ``warm`` or ``brief``.
            seed: Other numbers choose other words.

        Raises:
            DataError: If the item is not known, or a choice is not one.
        """
        self._check(language, tone, 1)
        row = self._item(item)
        found = find_claims(self.ground, self.ground.taste(-1), row, ABOUT_ITEM)
        order = {kind: place for place, kind in enumerate(ABOUT_ITEM)}
        claims = sorted(found, key=lambda claim: order[claim.kind])
        sentences = self._told(claims, language, tone, seed)
        text = join_sentences([sentence.text for sentence in sentences], language)
        return Description(str(item), self.ground.titles[row], text, tuple(sentences), language)

    # -- pieces --------------------------------------------------------------------------------

    def _reason(
        self,
        user: str,
        item: str,
        row: int,
        evidence: Sequence[Claim],
        language: Language,
        tone: Tone,
        k: int,
        seed: int,
        told: Counter[str] | None = None,
        *,
        cautions: bool = False,
    ) -> Reason:
        chosen = choose(evidence, k, cautions=cautions, told=told)
        if len(chosen) < k and not any(claim.polarity and claim.strength > _SAYS_LITTLE for claim in chosen):
            # little or nothing speaks for it: say first what it is
            chosen = [*find_claims(self.ground, self.ground.taste(-1), row, ("is",))[:1], *chosen]
        sentences = self._told(chosen, language, tone, seed)
        text = join_sentences([sentence.text for sentence in sentences], language)
        return Reason(str(user), str(item), text, tuple(sentences), language)

    def _told(self, claims: Sequence[Claim], language: Language, tone: Tone, seed: int) -> list[Sentence]:
        return render(self.ground, claims, language=language, tone=tone, seed=seed)

    def _check(self, language: str, tone: str, k: int) -> None:
        require_known(language, _LANGUAGES, "the language", DataError)
        require_known(tone, _TONES, "the tone", DataError)
        if not 1 <= k <= 5:
            raise DataError(f"k is {k}", "ask for 1 to 5 sentences")

    def _user(self, user: str) -> int:
        return int(self._users.rows(pl.Series([str(user)]))[0])

    def _item(self, item: str) -> int:
        row = int(self._items.rows(pl.Series([str(item)]))[0])
        if row < 0:
            known = self.bundle.data.item_ids.to_list() if len(self._items) <= 10_000 else []
            raise DataError(f"there is no item '{str(item)[:80]}'", nearest(str(item)[:80], known))
        return row
