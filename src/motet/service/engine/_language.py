"""Language service: requests in words, explanations, descriptions, profiles, lists."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from motet.assistant import Answer, Conversation, ListAnswer
from motet.assistant.explain import Sentence, profile_sentences
from motet.errors import RequestError, StoreError
from motet.recommend import Query
from motet.service.engine._active import ActiveModel
from motet.service.engine._catalogue import CatalogueView
from motet.service.engine._live_context import LiveAnswerContext
from motet.service.engine._served import ServedModel
from motet.service.engine._shown_log import ShownLog
from motet.service.engine._types import (
    AskAnswer,
    AskRequest,
    Described,
    Evidence,
    Explained,
    ItemAnswer,
    ListRequest,
    Profiled,
    SentenceAnswer,
    hide_places,
)
from motet.service.store import State, Store

__all__ = ["LanguageService"]

_log: Final = logging.getLogger("motet.service.engine")
_NOTES: Final = {
    "not_kept": {
        "en": "the conversation cannot go on: {why}",
        "zh": "对话无法继续：{why}",
    },
    "deleted": {
        "en": "the conversation cannot go on: its user was deleted meanwhile",
        "zh": "对话无法继续：该用户已被删除",
    },
    "taken_out": {
        "en": "{count} items were taken out of the catalogue meanwhile",
        "zh": "其间有 {count} 项已从目录中移除",
    },
}


class LanguageService:
    """Answers requests in natural language with the active model.

    Args:
        store: Holds conversations.
        model: The active model.
        shown_log: The recommendation log.
    """

    def __init__(self, store: Store, model: ActiveModel, shown_log: ShownLog) -> None:
        self._store, self._model, self._shown_log = store, model, shown_log

    def ask(self, request: AskRequest) -> AskAnswer:
        """Answer a request in words, or the next turn of a conversation.

        Raises:
            RequestError: If the conversation is not known, or another user's.
        """
        began, began_s = datetime.now(UTC), time.perf_counter()
        served = self._model.trained
        so_far = self._conversation(request)
        user = request.user or so_far.user
        who = served.known_as(user) if user else ""
        answer = served.parts.assistant.ask(
            request.text,
            user=who,
            k=request.k,
            scenario=request.scenario,
            conversation=so_far.model_copy(update={"user": who}),
            context=LiveAnswerContext(served, user or None),
            language=request.language,
        )
        items, notes = self._items(served, answer)
        conversation = request.conversation or uuid.uuid4().hex
        after = so_far.after(request.text, answer)
        after = after.model_copy(update={"user": user, "shown": tuple(one.id for one in items)})
        notes += self._keep(conversation, after, began, answer.request.language)
        where = request.scenario or answer.request.scenario
        return AskAnswer(
            conversation=conversation,
            understood=answer.request,
            items=items,
            notes=tuple(notes),
            read_by=answer.read_by,
            written_by=answer.written_by,
            elapsed_ms=round((time.perf_counter() - began_s) * 1e3, 3),
            list_id=self._shown_log.record(
                items, user=user or None, scenario=where, model=served.name, began=began
            ),
            model=served.name,
        )

    def make_list(self, request: ListRequest) -> ListAnswer:
        """Build the list that a request describes."""
        served = self._model.trained
        return served.parts.assistant.make_list(
            request.text,
            user=served.known_as(request.user) if request.user else "",
            scenario=request.scenario,
            time_limit_s=request.seconds,
            context=LiveAnswerContext(served, request.user),
        )

    def explain(self, user: str, item: str, *, language: str = "en", tone: str = "plain") -> Explained:
        """Why an item fits a user or does not: the reason and all evidence for it.

        Raises:
            DataError: If the item is not known.
        """
        served = self._model.trained
        who = served.known_as(user)
        explainer = LiveAnswerContext(served, user).explainer(who)
        found = explainer.explain(who, item, language=language, tone=tone)  # type: ignore[arg-type]
        evidence = [
            Evidence(text=one.text, kind=one.claim.kind, strength=one.claim.strength)
            for one in explainer.said(found.evidence, language)  # type: ignore[arg-type]
        ]
        ranked = served.parts.live.rank(Query(user=who), [item])
        attribution: dict[str, Any] | None = None if found.attribution is None else asdict(found.attribution)
        return Explained(
            user=user,
            item=item,
            title=explainer.title(item),
            reason=found.reason.text,
            sentences=_sentence_answers(found.reason.sentences),
            evidence=tuple(evidence),
            attribution=attribution,
            predictions=dict(ranked.items[0].predictions) if ranked.items else {},
            written_by=found.reason.written_by,
            model=served.name,
        )

    def describe(self, item: str, *, language: str = "en") -> Described:
        """Describe an item from the catalogue and the knowledge graph alone.

        Raises:
            DataError: If the item is not known.
        """
        served = self._model.served
        explainer = served.text_index.now().explainer(served.parts.explainer)
        found = explainer.describe(item, language=language)  # type: ignore[arg-type]
        return Described(
            id=item,
            title=found.title,
            text=found.text,
            sentences=_sentence_answers(found.sentences),
            written_by=found.written_by,
        )

    def profile(self, user: str, *, language: str = "en") -> Profiled:
        """The profile of a user, in sentences."""
        served = self._model.served
        who = served.known_as(user)
        context = LiveAnswerContext(served, user)
        found = context.text.profiler.profile(who, context.recent(who))
        plain = found.to_json()
        live = served.parts.live
        history = live.history.of(who, live.items.now)
        sentences = [one.replace(who, user) for one in profile_sentences(found, language)]
        return Profiled(
            user=user,
            known=found.known or history.live > 0,
            sentences=tuple(sentences),
            interests=tuple(plain["interests"]),
            liked=tuple(plain["liked"]),
            events=found.events,
            likes=found.likes,
            live_events=history.live,
        )

    def _conversation(self, request: AskRequest) -> Conversation:
        if request.conversation is None:
            return Conversation(user=request.user or "")
        state = self._store.states.get("conversation", request.conversation)
        if state is None:
            raise RequestError(
                f"the conversation '{request.conversation}' is not known", "leave it out to begin a new one"
            )
        found = Conversation.model_validate(state.state)
        whose = self._store.identities.resolve
        if request.user is not None and whose(found.user) != whose(request.user):
            raise RequestError("the conversation is with another user", "leave it out to begin a new one")
        return found

    def _keep(self, conversation: str, after: Conversation, began: datetime, language: str) -> list[str]:
        state = after.model_dump(mode="json", exclude_defaults=True)
        try:
            kept = self._store.states.put(
                State("conversation", conversation, state, after.user or None, began)
            )
        except StoreError as error:
            _log.warning("a conversation was not stored: %s", error.problem)
            return [_NOTES["not_kept"][language].format(why=error.public)]
        return [] if kept else [_NOTES["deleted"][language]]

    def _items(self, served: ServedModel, answer: Answer) -> tuple[tuple[ItemAnswer, ...], list[str]]:
        """The items of an answer that may still be recommended."""
        view = CatalogueView(served)
        rows = [view.now.row(one.id) for one in answer.items]
        kept = [one for one, row in zip(answer.items, rows, strict=True) if row >= 0 and view.now.shown[row]]
        read = view.read([one.id for one in kept])
        items = tuple(
            ItemAnswer(
                id=one.id,
                title=title,
                rank=rank,
                value=one.value,
                predictions=dict(one.predictions),
                sources=("request",),
                propensity=1.0,
                reason=one.reason,
                misses=one.misses,
                fields=fields,
            )
            for rank, (one, (title, fields)) in enumerate(zip(kept, read, strict=True), 1)
        )
        notes = [hide_places(one) for one in answer.notes]
        if len(kept) < len(answer.items):
            out = len(answer.items) - len(kept)
            notes.append(_NOTES["taken_out"][answer.request.language].format(count=out))
        return items, notes


def _sentence_answers(sentences: tuple[Sentence, ...]) -> tuple[SentenceAnswer, ...]:
    return tuple(SentenceAnswer(text=one.text, claim=one.claim.kind) for one in sentences)
