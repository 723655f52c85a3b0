"""A request in words → what was understood, items with every task's prediction, and a reason each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from motet.assistant._answer import (
    Answer,
    AnsweredItem,
    Conversation,
    contradicted,
    note,
    parsed_turn,
    parts_of,
)
from motet.assistant._choose import choice_notes, choose
from motet.assistant._conditions import akin, allowed, likeness, match, nearest_alike, standardised
from motet.assistant._context import AnswerContext, BundleContext
from motet.assistant._list_answer import ListAnswer
from motet.assistant._list_limits import ListLimits
from motet.assistant._make_list import make_list
from motet.assistant.explain import Explainer, Reason
from motet.assistant.understand import Language, ParsedTurn, Reader, Request, Understanding
from motet.errors import LanguageError, RequestError
from motet.recommend import MeaningIndex, Recommender
from motet.text.safety import as_data

__all__ = ["Assistant"]

_BEFORE_OTHERS = np.float32(100)  # standard deviations, more than any score
_LONGEST_ID = 100  # characters of an id that are said


class Assistant:
    """Answers requests in words from one bundle.

    The recommender ranks; words only cut and shift. A reader, an encoder or a generator that fails
    costs its own part of the answer and is said in ``Answer.notes``, never the answer.

    Args:
        recommender: Ranks.
        explainer: Gives reasons.
        reader: Understands.
        meaning: Gives the index that finds items by meaning, when it is first needed; without it free
            words move nothing, which is said.

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
        self.context = BundleContext(recommender, explainer)
        self.recommender, self.explainer, self.reader = recommender, explainer, reader
        self._open_meaning = meaning
        self._index: MeaningIndex | None = None
        self.catalogue, self.graph = self.context.catalogue, explainer.evidence.graph

    def ask(
        self,
        text: str,
        *,
        user: str = "",
        k: int = 10,
        scenario: str | None = None,
        conversation: Conversation | None = None,
        context: AnswerContext | None = None,
        language: Language | None = None,
    ) -> Answer:
        """Answer a request.

        Args:
            text: The request, or what follows on the one before.
            user: Id of the user; an unknown one when left out.
            k: Items where the request names no number, 1 to 100.
            scenario: Where they are shown; the request's own when left out.
            conversation: What was said and shown before.
            context: What is answered about; what the bundle knows when left out.
            language: Of the reasons and everything else that is said; that of the request when left out.

        Raises:
            RequestError: If ``k`` is out of range, or the conversation is damaged or with another user.
            DataError: If the scenario is not known.
        """
        if not 1 <= k <= 100:
            raise RequestError(f"k is {k}", "ask for 1 to 100 items")
        began, context = time.perf_counter(), context or self.context
        before = conversation or Conversation(user=user)
        before.check(user, context)
        user = user or before.user
        understood = self.reader.understand(text, before.request, before.shown)
        if language is not None:
            spoken = understood.request.model_copy(update={"language": language})
            understood = replace(understood, request=spoken)
        request = understood.request
        turn = parsed_turn(self.reader, text, before)
        notes = self._at_first(text, user, request, turn, context)
        user = user or context.no_user
        where = scenario or request.scenario
        meaning, without_meaning = self._meaning(request, context)
        notes += [*without_meaning, *_not_read(understood)]
        wanted = request.count or k
        seen = context.seen(user)
        if turn is not None and turn.reading.compared:  # "older": than these, so not these again
            shown = context.rows(before.shown)
            seen = np.concatenate([seen, shown[shown >= 0]])
        model = context.scores(user, where)
        chosen = choose(
            request,
            context.catalogue,
            model.scores,
            k=wanted,
            seen=seen,
            graph=self.graph,
            meaning=meaning,
            like=_likeness(request, context),
            liked=model.liked,
            shown=context.shown,
        )
        notes += choice_notes(request, chosen, wanted, context.catalogue)
        ids = context.catalogue.frame["id"].gather(chosen.rows).to_list()
        explainer = context.explainer(user)
        reasons = explainer.reason(user, ids, language=request.language, tone=request.tone)
        notes += _not_written(reasons, request.language)
        predictions = context.predictions(user, ids, where)
        items = tuple(
            AnsweredItem(
                id=item,
                name=explainer.evidence.titles[int(row)],
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
        context: AnswerContext | None = None,
    ) -> ListAnswer:
        """Put together the list that a request asks for; see :func:`make_list`.

        What is preferred, close in meaning or referred to moves items as in :meth:`ask`; everything else is a limit.

        Args:
            text: The request: how many, what must and must not be there, budgets.
            user: Id of the user; an unknown one when left out.
            scenario: Where it is for; the request's own when left out.
            limits: What words cannot say.
            time_limit_s: Seconds for the choice, > 0.
            context: What it is made of; what the bundle knows when left out.

        Raises:
            DataError: If the scenario is not known.
        """
        context = context or self.context
        understood = self.reader.understand(text)
        request = understood.request
        if scenario is not None:
            request = request.model_copy(update={"scenario": scenario})
        turn = parsed_turn(self.reader, text)
        first = self._at_first(text, user, request, turn, context)
        user = user or context.no_user
        meaning, notes = self._meaning(request, context)
        notes += _not_read(understood)
        may = allowed(request, context.catalogue, self.graph)
        if context.shown is not None:
            may &= context.shown
        like = _likeness(request, context)
        scores = standardised(context.scores(user, request.scenario).scores, may)
        scores = scores + match(request, context.catalogue, may, meaning=meaning, like=like)
        if like is not None:  # what is recognisably alike before everything else
            scores += _BEFORE_OTHERS * nearest_alike(like, may, request.count or 5)
        if context.shown is not None:
            scores = np.where(context.shown, scores, np.float32(-np.inf))
        answer = make_list(
            self.recommender,
            user,
            request,
            context.relations(),
            limits=limits,
            scores=scores,
            catalogue=context.catalogue,
            seen=context.seen(user),
            graph=self.graph,
            contradicted=bool(contradicted(request, turn)),
            time_limit_s=time_limit_s,
        )
        if answer.status == "complete":  # its words say so themselves
            unread = note("unread", request.language, words=request.wants)
            notes = [said for said in notes if said != unread]
        return answer.model_copy(update={"words": " ".join([*first, answer.words, *notes])})

    # -- pieces --------------------------------------------------------------------------------

    def _at_first(
        self, text: str, user: str, request: Request, turn: ParsedTurn | None, context: AnswerContext
    ) -> list[str]:
        """What the user should know first."""
        language, notes = request.language, []
        if user and not context.knows(user):
            notes.append(
                note("unknown_user", language, user=as_data(user.split("\0", maxsplit=1)[0], _LONGEST_ID))
            )
        if not any(character.isalnum() for character in text) and not parts_of(request):
            notes.append(note("nothing_asked", language))
        against = contradicted(request, turn)
        if against:
            names = dict.fromkeys(context.catalogue.word(tag.value, language) for tag in against)
            joint = "、" if language == "zh" else ", "
            notes.append(note("contradicted", language, parts=joint.join(names)))
        return notes

    def _meaning(
        self, request: Request, context: AnswerContext
    ) -> tuple[NDArray[np.float32] | None, list[str]]:
        """Nearness of each item to the words that nothing else took, and what became of them.

        They are compared with running texts only: among titles and tags alone, "tom hanks" is near to
        "Tom and Huck", and what is near says nothing about what was asked for.
        """
        if not request.wants:
            return None, []
        if not context.catalogue.texts:
            return None, [note("unread", request.language, words=request.wants)]
        if self._open_meaning is None:
            return None, [note("no_meaning", request.language, words=request.wants)]
        try:
            self._index = self._index or self._open_meaning()
            found = context.meaning(self._index).scores(request.wants)
            return found, [note("by_meaning", request.language, words=request.wants)]
        except LanguageError as error:
            return None, [
                note("meaning_failed", request.language, words=request.wants, problem=error.problem)
            ]


def _likeness(request: Request, context: AnswerContext) -> NDArray[np.float32] | None:
    if not request.like:
        return None
    rows = context.rows(request.like)
    rows = rows[rows >= 0]
    if not len(rows):
        return None
    spaces = context.spaces()
    # Kin come before everything else: cosines of few tags do not show what users call alike.
    return likeness(spaces, rows) + akin(context.tags(), rows) if spaces else None


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
