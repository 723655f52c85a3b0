"""Recommendations for somebody who is known by a sentence only: cold start by text.

Legend of shapes: I items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import TextToVectors
from motet.errors import DataError
from motet.recommend._meaning import MeaningIndex
from motet.recommend._mentions import MentionReader, Mentions
from motet.recommend._new_user import Pasts
from motet.recommend._recommender import Recommender
from motet.schema import Entity

__all__ = ["Signals", "TextRecommender", "TextWeights", "recommend_by_text"]

_ECHO: Final = 10
_NOBODY: Final = "described in words"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TextWeights:
    """How what a sentence says is weighed: score = Σ weight · signal.

    A :class:`TextRecommender` that is given none takes ``echo=1, together=1`` for a sentence that
    names items, and ``popularity=1, echo=0.75`` for one that does not: rounded from what
    :func:`fit_text_weights` found on MovieLens-100K for three draws of users whose events the model
    had not seen. Fit them on other data.

    Attributes:
        model: Of the model's score for a new user whose past are the items named.
        echo: Of the model's score for a new user whose past are the items named and, beside them,
            the items that fit the words best.
        together: Of the items that the same people like: mean cosine to the items named, or where
            none is, to those that fit the words best.
        meaning: Of the cosine of the sentence to the items' texts.
        tags: Of the tags named: the share of those wanted that an item has, less the unwanted.
        popularity: Of the logarithm of an item's likes.
    """

    model: float = 1.0
    echo: float = 0.0
    together: float = 0.0
    meaning: float = 0.0
    tags: float = 0.0
    popularity: float = 0.0


@dataclass(frozen=True, slots=True)
class Signals:
    """What speaks for each item, [I] each, with mean 0 and deviation 1 over the catalogue but for tags.

    Attributes:
        model: See :class:`TextWeights`.
        echo: Likewise.
        together: Likewise.
        meaning: Likewise.
        tags: Likewise, between −1 and 1.
        popularity: Likewise.
    """

    model: Floats
    echo: Floats
    together: Floats
    meaning: Floats
    tags: Floats
    popularity: Floats

    def score(self, weights: TextWeights) -> Floats:
        """The weighted sum, [I]."""
        total: Floats = np.zeros(len(self.model))
        for part in fields(self):
            total += getattr(weights, part.name) * getattr(self, part.name)
        return total


class TextRecommender:
    """Answers to sentences of new users.

    Args:
        recommender: The model.
        encode_text: The bundle's text encoder.
        index: The items by meaning; made of the catalogue when left out, which encodes each item once.
        named: Weights for a sentence that names items as liked.
        unnamed: Weights for one that names none.
        scenario: Where answers are shown; unknown when left out.
        by: Task to rank by; the retrieval task when left out, else the first one.

    Raises:
        DataError: If the bundle has no users, items or catalogue, or the task cannot rank.
    """

    def __init__(
        self,
        recommender: Recommender,
        encode_text: TextToVectors,
        *,
        index: MeaningIndex | None = None,
        named: TextWeights | None = None,
        unnamed: TextWeights | None = None,
        scenario: str | None = None,
        by: str | None = None,
    ) -> None:
        bundle, catalogue = recommender.bundle, recommender.bundle.data.catalogue
        if bundle.schema.keys.user is None or catalogue is None:
            raise DataError(
                f"the schema '{bundle.schema.name}' has no users or no items",
                "recommending by text needs both keys",
            )
        self._recommender, self._catalogue, self._scenario = recommender, catalogue, scenario
        self._by = recommender._ranking_task(by)
        self._index = index or MeaningIndex.of_catalogue(catalogue, encode_text)
        self._named, self._unnamed = named or _NAMED, unnamed or _UNNAMED
        self._pasts = Pasts(bundle)
        items = len(catalogue)
        task, lists = bundle.schema.liking_task, bundle.behaviour.items
        rows, users = lists.values, np.repeat(np.arange(len(lists)), lists.lengths())
        self.reader = MentionReader(catalogue, np.bincount(rows, minlength=items))
        liked = np.full(len(rows), True) if task is None else bundle.behaviour.label(task) > 0
        pairs = (users[liked], rows[liked])
        count = np.bincount(pairs[1], minlength=items)
        self._popularity = _standard(np.log1p(count))
        likes = sp.csc_array((np.ones(len(pairs[0])), pairs), shape=(len(lists), items))
        self._likes = sp.csc_array(likes @ sp.diags_array(1 / np.sqrt(np.maximum(count, 1))))
        self._ahead = recommender.items_ahead(scenario)
        name, known = _NOBODY, set(bundle.data.user_ids)
        while name in known:
            name += "'"
        self._user_key = str(bundle.schema.keys.user)
        self._nobody = pl.DataFrame({self._user_key: [name]})
        self._new, self._row, _ = recommender._with_users(self._nobody, self._user_key)
        self._tags = {
            column: catalogue.frame[column].to_list() for column in (*catalogue.tags, *catalogue.categories)
        }

    def signals(self, sentence: str, mentions: Mentions | None = None) -> Signals:
        """What speaks for each item.

        Args:
            sentence: The words.
            mentions: What they name, where another reader has found it.
        """
        mentions = self.reader.read(sentence) if mentions is None else mentions
        meaning = self._index.scores(sentence).astype(np.float64)
        meaning[meaning == -1] = meaning[meaning > -1].mean() if (meaning > -1).any() else 0.0
        meaning, tags = _standard(meaning), self._tag_scores(mentions)
        fits = meaning + 2 * tags + self._popularity
        fits[[*mentions.liked, *mentions.disliked]] = -np.inf
        nearest = np.argsort(-fits, kind="stable")[: max(0, _ECHO - len(mentions.liked))]
        return Signals(
            model=self._model(mentions.liked, mentions.disliked),
            echo=self._model([*nearest[::-1].tolist(), *mentions.liked], mentions.disliked),
            together=self._together([*mentions.liked] or nearest.tolist()),
            meaning=meaning,
            tags=tags,
            popularity=self._popularity,
        )

    def recommend(self, sentence: str, k: int = 10, *, mentions: Mentions | None = None) -> pl.DataFrame:
        """The best items for who says a sentence; neither items it names nor any with an unwanted tag come.

        Args:
            sentence: Any words; an empty sentence gets what suits most people.
            k: Items, ≥ 1; fewer come where the catalogue ends.
            mentions: What they name, where another reader has found it.

        Returns:
            Columns rank (from 1), item, score, and a column for each task, as
            :meth:`Recommender.recommend`.
        """
        if k < 1:
            raise DataError(f"k is {k}", "ask for at least one item")
        mentions = self.reader.read(sentence) if mentions is None else mentions
        score = self.signals(sentence, mentions).score(self._named if mentions.liked else self._unnamed)
        score[[*mentions.liked, *mentions.disliked]] = -np.inf
        for column, value in mentions.unwanted:
            score[self._has(column, value)] = -np.inf
        best = np.argsort(-score, kind="stable")[:k]
        best = best[np.isfinite(score[best])]
        data = self._pasts.with_user(self._new, mentions.liked, mentions.disliked)
        item_key = str(self._recommender.schema.keys.item)
        part = pl.DataFrame(
            {
                "rank": np.arange(1, len(best) + 1),
                item_key: self._catalogue.frame["id"].gather(best),
                "score": score[best],
            }
        )
        asked = self._nobody.join(part.select(item_key), how="cross")
        if self._scenario is not None:
            asked = asked.with_columns(
                pl.lit(self._scenario).alias(str(self._recommender.schema.keys.scenario))
            )
        rows: dict[Entity, NDArray[np.int32]] = {
            "user": np.repeat(self._row, len(best)),
            "item": best.astype(np.int32),
        }
        values = self._recommender._predicted(data, rows, asked)
        return part.hstack(self._recommender._columns(values, part))

    def encode(self, sentences: Sequence[str]) -> None:
        """Encode sentences ahead, in one batch, where the encoder keeps what it has encoded."""
        self._index.vectors_of(sentences)

    def model_scores(self, liked: Sequence[int], disliked: Sequence[int] = ()) -> Floats:
        """The model's own score of every item for a new user with a past, standardised, [I]."""
        return self._model(liked, disliked)

    def _model(self, liked: Sequence[int], disliked: Sequence[int]) -> Floats:
        data = self._pasts.with_user(self._new, liked, disliked)
        scores = self._recommender._scores(self._ahead, data, self._row, self._by, self._scenario)[0]
        return _standard(scores.astype(np.float64))

    def _together(self, items: Sequence[int]) -> Floats:
        if not items:
            return np.zeros(len(self._catalogue))
        by_user = np.asarray(self._likes[:, list(items)].sum(axis=1)).ravel()
        cosine = np.asarray(by_user @ self._likes)
        cosine[list(items)] -= 1  # what is named resembles itself
        return _standard(cosine)

    def _tag_scores(self, mentions: Mentions) -> Floats:
        scores = np.zeros(len(self._catalogue))
        for sign, named in ((1.0, mentions.wanted), (-1.0, mentions.unwanted)):
            for column, value in named:
                scores += sign / len(named) * self._has(column, value)
        return scores

    def _has(self, column: str, value: str) -> NDArray[np.bool_]:
        if column not in self._tags:
            raise DataError(
                f"'{column}' is no column of tags or categories", f"name one of {list(self._tags)}"
            )
        cells = self._tags[column]
        return np.array(
            [c is not None and (value in c if isinstance(c, list) else value == c) for c in cells]
        )


def recommend_by_text(
    recommender: Recommender,
    sentence: str,
    k: int = 10,
    *,
    encode_text: TextToVectors,
    scenario: str | None = None,
    by: str | None = None,
) -> pl.DataFrame:
    """The best items for somebody who is known by a sentence only.

    Titles that the sentence names become the past of a new user of the model; its meaning and the
    tags it names are weighed in by :class:`TextWeights`. For many sentences make one
    :class:`TextRecommender`.

    Args:
        recommender: The model.
        sentence: The words.
        k: Items, ≥ 1.
        encode_text: The bundle's text encoder.
        scenario: Where they are shown; unknown when left out.
        by: Task to rank by.
    """
    return TextRecommender(recommender, encode_text, scenario=scenario, by=by).recommend(sentence, k)


def _standard(values: NDArray[np.float64]) -> Floats:
    spread = values.std()
    standard: Floats = (values - values.mean()) / (spread if spread > 1e-12 else 1.0)
    return standard


_NAMED: Final = TextWeights(model=0.0, echo=1.0, together=1.0)
_UNNAMED: Final = TextWeights(model=0.0, popularity=1.0, echo=0.75)
