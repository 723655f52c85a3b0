"""A request in words → what was understood, items with every task's prediction, and a reason each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.assist._allowed import allowed
from motet.assist._answer import Answer, AnsweredItem, Conversation
from motet.assist._choose import choose
from motet.assist._heard import Heard, contradicted, heard, parts_of
from motet.assist._list_answer import ListAnswer
from motet.assist._list_limits import ListLimits
from motet.assist._make_list import make_list
from motet.assist._match import akin, likeness, match, nearest_alike, standardised
from motet.assist._model_scores import ModelScores, model_scores
from motet.assist._notes import note
from motet.assist._relations import ItemRelations, mine_relations
from motet.assist._spaces import item_spaces
from motet.assist._tags import tag_matrix
from motet.assist._told import told
from motet.data import WordIndex
from motet.errors import LanguageError, RequestError
from motet.explain import Explainer, Reason
from motet.language import as_data
from motet.recommend import MeaningIndex, Recommender
from motet.requests import Reader, Request, Understanding

__all__ = ["Assistant"]

_BEFORE_OTHERS = np.float32(100)  # standard deviations, more than any score
_LONGEST_ID = 100  # characters of an id that are said


class Assistant:
    """Answers requests in words from one bundle.

    The recommender ranks; words only cut and shift. A reader, an encoder or a generator that fails
    costs its own part of the answer and is told in ``Answer.notes``, never the answer.

    Args:
        recommender: Ranks.
        explainer: Gives reasons.
        reader: Understands.
        meaning: Gives the index that finds items by meaning, when it is first needed; without it free
            words move nothing, which is told.

    Raises:
        RequestError: If the bundle has no catalogue.
    """

    def __init__(
        self,
        recommender: Recommender,
        explainer: Explainer,
        reader: Reader,
        meaning: Callable[[], MeaningIndex] | None = None,
    ) -> None:
        catalogue = recommender.bundle.data.catalogue
        if catalogue is None or recommender.schema.keys.user is None:
            raise RequestError(
                f"the schema '{recommender.schema.name}' has no users or no items", "asking needs both keys"
            )
        self.recommender, self.explainer, self.reader = recommender, explainer, reader
        self._open_meaning = meaning
        self._index: MeaningIndex | None = None
        self.catalogue, self.graph = catalogue, explainer.ground.graph
        self._ids = frozenset(catalogue.frame["id"])
        self._items = WordIndex(recommender.bundle.data.item_ids)
        self._users = WordIndex(recommender.bundle.data.user_ids)
        self._spaces: Sequence[NDArray[np.float32]] | None = None
        self._tags = sp.csr_array((0, 0))
        self._relations: ItemRelations | None = None

    def ask(
        self,
        text: str,
        *,
        user: str = "",
        k: int = 10,
        scenario: str | None = None,
        conversation: Conversation | None = None,
    ) -> Answer:
        """Answer a request.

        Args:
            text: The request, or what follows on the one before.
            user: Id of the user; somebody unknown when left out.
            k: Items where the request names no number, 1 to 100.
            scenario: Where they are shown; the request's own when left out.
            conversation: What was said and shown before.

        Raises:
            RequestError: If ``k`` is out of range, or the conversation is damaged or with somebody else.
            DataError: If the scenario is not known.
        """
        if not 1 <= k <= 100:
            raise RequestError(f"k is {k}", "ask for 1 to 100 items")
        began = time.perf_counter()
        before = conversation or Conversation(user=user)
        before.check(user, self._ids)
        user = user or before.user
        understood = self.reader.understand(text, before.request, before.shown)
        request = understood.request
        aloud = heard(self.reader, text, before)
        notes = self._at_first(text, user, request, aloud)
        user = user or self._nobody()
        where = scenario or request.scenario
        meaning, without_meaning = self._meaning(request)
        notes += [*without_meaning, *_not_read(understood)]
        wanted = request.count or k
        seen = self.recommender.seen(user)
        if aloud is not None and aloud.reading.compared:  # "older": than these, so not these again
            seen = np.concatenate([seen, np.asarray(aloud.shown, np.int32)])
        model = self._model(user, where)
        chosen = choose(
            request,
            self.catalogue,
            model.scores,
            k=wanted,
            seen=seen,
            graph=self.graph,
            meaning=meaning,
            like=self._likeness(request),
            liked=model.liked,
        )
        notes += told(request, chosen, wanted, self.catalogue)
        ids = self.catalogue.frame["id"].gather(chosen.rows).to_list()
        reasons = self.explainer.reason(user, ids, language=request.language, tone=request.tone)
        notes += _not_written(reasons, request.language)
        predictions = self._predictions(user, ids, where)
        items = tuple(
            AnsweredItem(
                id=item,
                name=self.explainer.ground.titles[int(row)],
                rank=rank,
                value=float(value),
                predictions=predictions[rank - 1],
                reason=reason.text,
                misses=misses,
            )
            for rank, (item, row, value, reason, misses) in enumerate(
                zip(ids, chosen.rows, chosen.values, reasons, chosen.missed, strict=True), 1
            )
        )
        writers = {reason.written_by for reason in reasons} - {"templates"}
        return Answer(
            request=request,
            items=items,
            notes=tuple(notes),
            read_by=understood.read_by,
            written_by=next(iter(writers), "templates"),
            elapsed_s=time.perf_counter() - began,
        )

    def make_list(
        self,
        text: str,
        *,
        user: str = "",
        scenario: str | None = None,
        limits: ListLimits | None = None,
        time_limit_s: float = 3.0,
    ) -> ListAnswer:
        """Put together the list that a request asks for; see :func:`make_list`.

        What is preferred, meant or referred to moves items as in :meth:`ask`; everything else is a limit.

        Args:
            text: The request: how many, what must and must not be there, budgets.
            user: Id of the user; somebody unknown when left out.
            scenario: Where it is for; the request's own when left out.
            limits: What words cannot say.
            time_limit_s: Seconds for the choice, > 0.

        Raises:
            DataError: If the scenario is not known.
        """
        understood = self.reader.understand(text)
        request = understood.request
        if scenario is not None:
            request = request.model_copy(update={"scenario": scenario})
        aloud = heard(self.reader, text)
        first = self._at_first(text, user, request, aloud)
        user = user or self._nobody()
        meaning, notes = self._meaning(request)
        notes += _not_read(understood)
        may = allowed(request, self.catalogue, self.graph)
        like = self._likeness(request)
        scores = standardised(self._model(user, request.scenario).scores, may)
        scores = scores + match(request, self.catalogue, may, meaning=meaning, like=like)
        if like is not None:  # what is recognisably alike before everything else
            scores += _BEFORE_OTHERS * nearest_alike(like, may, request.count or 5)
        if self._relations is None:
            bundle = self.recommender.bundle
            self._relations = mine_relations(bundle.data, bundle.behaviour)
        answer = make_list(
            self.recommender,
            user,
            request,
            self._relations,
            limits=limits,
            scores=scores,
            graph=self.graph,
            contradicted=bool(contradicted(request, aloud)),
            time_limit_s=time_limit_s,
        )
        return answer.model_copy(update={"words": " ".join([*first, answer.words, *notes])})

    # -- pieces --------------------------------------------------------------------------------

    def _at_first(self, text: str, user: str, request: Request, aloud: Heard | None) -> list[str]:
        """What a person should know before everything else."""
        language, notes = request.language, []
        if user and not self._known(user):
            notes.append(
                note("unknown_user", language, user=as_data(user.split("\0", maxsplit=1)[0], _LONGEST_ID))
            )
        if not any(character.isalnum() for character in text) and not parts_of(request):
            notes.append(note("nothing_asked", language))
        against = contradicted(request, aloud)
        if against:
            names = dict.fromkeys(self.catalogue.word(tag.value, language) for tag in against)
            joint = "、" if language == "zh" else ", "
            notes.append(note("contradicted", language, parts=joint.join(names)))
        return notes

    def _known(self, user: str) -> bool:
        return bool(self._users.rows(pl.Series([user]))[0] >= 0) or len(self.recommender.seen(user)) > 0

    def _model(self, user: str, scenario: str | None) -> ModelScores:
        return model_scores(self.recommender, user, scenario)

    def _meaning(self, request: Request) -> tuple[NDArray[np.float32] | None, list[str]]:
        """Nearness of each item to the free words, and what went wrong."""
        if not request.wants:
            return None, []
        if self._open_meaning is None:
            return None, [note("no_meaning", request.language, words=request.wants)]
        try:
            self._index = self._index or self._open_meaning()
            return self._index.scores(request.wants), []
        except LanguageError as error:
            return None, [
                note("meaning_failed", request.language, words=request.wants, problem=error.problem)
            ]

    def _likeness(self, request: Request) -> NDArray[np.float32] | None:
        if not request.like:
            return None
        rows = self._items.rows(pl.Series(request.like, dtype=pl.String)).astype(np.int64)
        rows = rows[rows >= 0]
        if not len(rows):
            return None
        if self._spaces is None:
            self._spaces = item_spaces(self.recommender)
            self._tags = tag_matrix(self.catalogue)
        # Kin come before everything else: cosines of few tags do not tell what people call alike.
        return likeness(self._spaces, rows) + akin(self._tags, rows) if self._spaces else None

    def _predictions(self, user: str, ids: Sequence[str], scenario: str | None) -> list[dict[str, Any]]:
        """Every task's prediction for each item, on the labels' own scale."""
        if not ids:
            return []
        keys = self.recommender.schema.keys
        pairs = pl.DataFrame({keys.user: [user] * len(ids), keys.item: list(ids)})
        if scenario is not None:
            pairs = pairs.with_columns(pl.lit(scenario).alias(str(keys.scenario)))
        found = self.recommender.predict(pairs).drop(str(keys.user), str(keys.item))
        return found.to_dicts()

    def _nobody(self) -> str:
        """An id that no user has."""
        name = "somebody"
        while self._users.rows(pl.Series([name]))[0] >= 0:
            name += "?"
        return name


def _not_read(understood: Understanding) -> list[str]:
    """That a language model was to read the request, and did not."""
    if not understood.problem:
        return []
    return [note("not_read", understood.request.language, problem=understood.problem)]


def _not_written(reasons: Sequence[Reason], language: str) -> list[str]:
    """That a language model was to say the reasons, and did not, or not all of them."""
    problems = {reason.note for reason in reasons if reason.note}
    if problems:
        return [note("not_written", language, problem=problem) for problem in sorted(problems)]
    refused = sum(reason.fallback for reason in reasons)
    sentences = sum(len(reason.sentences) for reason in reasons)
    return [note("refused", language, refused=refused, sentences=sentences)] if refused else []
