"""Surveys: questions put to a share of the users, and what they answered."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, Strict, model_validator
from scipy.special import stdtrit

from motet.errors import RequestError
from motet.recommend import RequestPart
from motet.service.engine._active import ActiveModel
from motet.service.engine._shown_log import ShownLog
from motet.service.engine._types import ConflictError, NotFoundError
from motet.service.store import AskedQuestion, Store, SurveyRecord

__all__ = ["LiveSurveys", "PutQuestion", "SurveyNumbers", "SurveySettings", "SurveyView"]

_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_LOG_S: Final = 2.0
_MOST_OPEN: Final = 20
Line = Annotated[str, Field(min_length=1, max_length=300)]


class BothLanguages(RequestPart):
    """A text in English, and in Chinese if it is to be shown there."""

    en: Line
    zh: Line | None = Field(None, description="English is shown where it is left out.")


class SurveySettings(RequestPart):
    """A survey: one question, and who is asked how often."""

    key: str = Field(pattern=_NAME, description="Letters, digits, point, dash, underscore.", examples=["fit"])
    question: BothLanguages
    kind: Literal["stars", "yes_no", "choice"] = Field(description="1 to 5 stars; yes or no; one of choices.")
    choices: tuple[BothLanguages, ...] = Field(
        (), max_length=10, description="2 to 10, of kind choice alone."
    )
    scenarios: tuple[Annotated[str, Field(min_length=1, max_length=512)], ...] = Field(
        (), max_length=100, description="Where it is shown; everywhere when empty."
    )
    share: Annotated[float, Strict()] = Field(1.0, gt=0, le=1, description="Of the users; always the same ones.")  # fmt: skip
    every_days: Annotated[float, Strict()] = Field(
        30.0, gt=0, le=3650, description="A user who was asked anything in these days is not asked."
    )

    @model_validator(mode="after")
    def _choices_fit(self) -> Self:
        if (self.kind == "choice") != bool(self.choices) or len(self.choices) == 1:
            raise ValueError("give 2 to 10 choices with the kind choice, and none with another")
        return self

    @property
    def values(self) -> range:
        """The values that an answer may have."""
        if self.kind == "stars":
            return range(1, 6)
        return range(2) if self.kind == "yes_no" else range(len(self.choices))

    def asks(self, user: str) -> bool:
        """Whether a user is of the share."""
        digest = hashlib.sha256(f"{self.key}\0{user}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < self.share * 2**64


class PutQuestion(BaseModel):
    """A question that is put to a user."""

    id: str = Field(description="Name it in the answer.")
    survey: str
    question: BothLanguages
    kind: Literal["stars", "yes_no", "choice"]
    choices: tuple[BothLanguages, ...]


class SurveyNumbers(BaseModel):
    """Answers of a survey, or of a part of them."""

    of: str = Field(description="Scenario, model version or day; empty for all, and where it is not known.")
    asked: int
    answered: int
    counts: dict[int, int] = Field(description="Answers by value.")
    mean: float | None = Field(
        description="Mean of stars, share of yes; null for choices and without answers."
    )
    interval: tuple[float, float] | None = Field(
        description="95 % interval of the mean, with users as the unit; null for fewer than two users."
    )


class SurveyView(BaseModel):
    """A survey with its numbers."""

    state: Literal["open", "closed"]
    created: datetime
    closed: datetime | None
    settings: SurveySettings
    total: SurveyNumbers
    by_scenario: tuple[SurveyNumbers, ...]
    by_model: tuple[SurveyNumbers, ...]
    by_day: tuple[SurveyNumbers, ...] = Field(description="By the day of the question, in UTC.")


class LiveSurveys:
    """The surveys of a service; all of them are in the store, so that all processes agree.

    Args:
        store: Holds surveys and answers.
        model: The active model.
        shown_log: The recommendation log.
    """

    def __init__(self, store: Store, model: ActiveModel, shown_log: ShownLog) -> None:
        self._store, self._model, self._shown_log = store, model, shown_log

    def create(self, settings: SurveySettings) -> SurveyView:
        """Open a survey.

        Raises:
            ConflictError: If there is one of that name, or 20 are open.
        """
        if len(self._store.surveys.all(is_open=True)) >= _MOST_OPEN:
            raise ConflictError(f"{_MOST_OPEN} surveys are open", "close one first")
        record = SurveyRecord(settings.key, settings.model_dump(mode="json"))
        if not self._store.surveys.create(record):
            raise ConflictError(f"there is a survey '{settings.key}'", "choose another key")
        return self.view(settings.key)

    def all(self) -> list[SurveyView]:
        """All surveys with their numbers, oldest first."""
        return [self._view(one) for one in self._store.surveys.all()]

    def view(self, key: str) -> SurveyView:
        """A survey with its numbers.

        Raises:
            NotFoundError: If there is no such survey.
        """
        return self._view(self._record(key))

    def close(self, key: str) -> SurveyView:
        """Close a survey: nobody is asked any more, and answers are refused.

        Raises:
            NotFoundError: If there is no such survey.
            ConflictError: If it is closed.
        """
        self._record(key)
        if not self._store.surveys.close(key):
            raise ConflictError(f"the survey '{key}' is closed", "create another one")
        return self.view(key)

    def ask(self, user: str, scenario: str | None, list_id: str | None) -> PutQuestion | None:
        """Put a question to a user, if there is one for them now; that counts as asked.

        Args:
            user: The user.
            scenario: Where; that of the list when left out.
            list_id: The list that it is put with.

        Raises:
            NotFoundError: If there is no such list.
        """
        every = [
            SurveySettings.model_validate(one.definition) for one in self._store.surveys.all(is_open=True)
        ]
        owner = self._store.identities.resolve(user)
        every = [one for one in every if one.asks(owner)]
        if not every:
            return None
        model = self._model.name
        if list_id is not None:
            self._shown_log.flush(_LOG_S)  # the list may still be queued for the log
            shown = self._store.shown.get(list_id)
            if shown is None:
                raise NotFoundError(f"there is no list {list_id[:80]!r}", "name the list_id of an answer")
            scenario, model = scenario or shown.scenario, shown.model
        fitting = {one.key: one for one in every if not one.scenarios or scenario in one.scenarios}
        pauses = [(key, timedelta(days=one.every_days)) for key, one in fitting.items()]
        wanted = AskedQuestion("-", user, list_id=list_id, scenario=scenario, model=model)
        put = self._store.surveys.ask(pauses, wanted) if pauses else None
        return None if put is None else _put(put.id, fitting[put.survey])

    def question(self, id: str) -> PutQuestion | None:
        """A question that was put and can still be answered for the first time; None otherwise."""
        found = self._store.surveys.question(id)
        record = None if found is None else self._store.surveys.get(found.survey)
        if found is None or record is None or record.closed is not None or found.value is not None:
            return None
        return _put(id, SurveySettings.model_validate(record.definition))

    def answer(self, id: str, value: int) -> None:
        """Record an answer; the last one counts.

        Raises:
            NotFoundError: If the question is not known.
            ConflictError: If the survey is closed.
            RequestError: If it is no answer to the question.
        """
        found = self._store.surveys.question(id)
        if found is None:
            raise NotFoundError(f"there is no question {id[:80]!r}", "name the id of a question that was put")
        record = self._record(found.survey)
        if record.closed is not None:
            raise ConflictError(f"the survey '{record.key}' is closed", "ask for another question")
        values = SurveySettings.model_validate(record.definition).values
        if value not in values:
            raise RequestError(
                f"the answer is {value}", f"give a whole number from {values[0]} to {values[-1]}"
            )
        self._store.surveys.answer(id, value)

    def _record(self, key: str) -> SurveyRecord:
        found = self._store.surveys.get(key)
        if found is None:
            raise NotFoundError(f"there is no survey {key[:80]!r}", "see /v1/surveys")
        return found

    def _view(self, record: SurveyRecord) -> SurveyView:
        settings = SurveySettings.model_validate(record.definition)
        questions = self._store.surveys.questions(record.key)
        resolve = self._store.identities.resolve

        def by(of: Callable[[AskedQuestion], str]) -> tuple[SurveyNumbers, ...]:
            groups: dict[str, list[AskedQuestion]] = {}
            for one in questions:
                groups.setdefault(of(one), []).append(one)
            return tuple(_numbers(settings, name, groups[name], resolve) for name in sorted(groups))

        return SurveyView(
            state="open" if record.closed is None else "closed",
            created=record.created,
            closed=record.closed,
            settings=settings,
            total=_numbers(settings, "", questions, resolve),
            by_scenario=by(lambda one: one.scenario or ""),
            by_model=by(lambda one: one.model or ""),
            by_day=by(lambda one: one.time.date().isoformat()),
        )


def _put(id: str, settings: SurveySettings) -> PutQuestion:
    return PutQuestion(
        id=id,
        survey=settings.key,
        question=settings.question,
        kind=settings.kind,
        choices=settings.choices,
    )


def _numbers(
    settings: SurveySettings, of: str, questions: Sequence[AskedQuestion], resolve: Callable[[str], str]
) -> SurveyNumbers:
    answers = [(resolve(one.user), one.value) for one in questions if one.value is not None]
    counts = dict.fromkeys(settings.values, 0)
    for _, value in answers:
        counts[value] = counts.get(value, 0) + 1
    is_number = settings.kind != "choice"
    return SurveyNumbers(
        of=of,
        asked=len(questions),
        answered=len(answers),
        counts=counts,
        mean=float(np.mean([value for _, value in answers])) if answers and is_number else None,
        interval=_interval(answers, settings.values) if is_number else None,
    )


def _interval(answers: Sequence[tuple[str, int]], values: range) -> tuple[float, float] | None:
    r"""95 % interval of the mean of answers, with users as the unit.

    The mean is the ratio x̄ = Σ_u x_u / Σ_u n_u of the sum x_u and the number n_u of a user's answers. By the delta
    method its variance is U/(U − 1) · Σ_u (x_u − x̄ n_u)² / (Σ_u n_u)²; the quantile is Student's with U − 1 degrees of
    freedom. Where all answers are alike, which says nothing about the variance, the far end is that of the
    exact interval of a share (Clopper and Pearson 1934) of users who would have answered otherwise.
    """
    sums: dict[str, list[float]] = {}
    for user, value in answers:
        total = sums.setdefault(user, [0.0, 0.0])
        total[0] += value
        total[1] += 1
    if len(sums) < 2:
        return None
    x, n = np.array(list(sums.values())).T
    mean, users = float(x.sum() / n.sum()), len(sums)
    spread = math.sqrt(users / (users - 1) * float(((x - mean * n) ** 2).sum())) / float(n.sum())
    if spread == 0:
        other = 1 - 0.025 ** (1 / users)
        low, high = mean - other * (mean - values[0]), mean + other * (values[-1] - mean)
        return low, high
    half = float(stdtrit(users - 1, 0.975)) * spread
    return max(float(values[0]), mean - half), min(float(values[-1]), mean + half)
