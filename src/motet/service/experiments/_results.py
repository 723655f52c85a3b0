"""What an experiment says: counts, effects with their intervals, their course, and the decision.

Legend: U exposed users, T moments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from motet.service.experiments._effects import (
    Effect,
    GuardrailState,
    UserTotals,
    decide,
    effect_of,
    guardrail_state,
)
from motet.service.experiments._interleaving import Preference, credited, interleaving_preference
from motet.service.experiments._sequential import sample_ratio
from motet.service.experiments._settings import (
    ExperimentSettings,
    GuardrailSettings,
    MetricSettings,
    read_experiment,
)
from motet.service.store import ExperimentRecord, ExposedUser, Outcome, Store

__all__ = ["ExperimentResults", "experiment_results", "running_clash"]

_MOMENTS: Final = 40
_US: Final = timedelta(microseconds=1)

Interval = tuple[float, float]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class RatioView(_Part):
    """The check of the numbers of users."""

    counts: dict[str, int] = Field(description="Exposed users by variant.")
    expected: dict[str, float] = Field(description="Users that each was to have.")
    chi_square_p: float
    always_valid_p: float
    passed: bool = Field(description="Where it is false, nothing else is shown.")


class EffectView(_Part):
    """A variant beside the baseline."""

    variant: str
    users: int
    value: float | None = Field(description="The metric with the variant, adjusted by what was before.")
    difference: float | None = Field(description="To the baseline.")
    interval: Interval | None = Field(description="Of the difference; it holds at every look.")
    relative: float | None
    relative_interval: Interval | None
    p: float | None = Field(description="It holds at every look.")
    variance_saved: float = Field(description="Share of the variance that what was before explains.")
    guardrail: GuardrailState | None = Field(description="For a guardrail: kept, violated or open.")


class MetricView(_Part):
    """A metric, variant by variant."""

    name: str
    role: Literal["decides", "more", "guardrail"]
    kind: str
    higher_is_better: bool
    margin: float | None
    baseline: float | None = Field(description="Its value with the baseline.")
    effects: tuple[EffectView, ...]


class MixedView(_Part):
    """Lists of two rankings."""

    lists: int = Field(description="With an event on one of their items.")
    wins: dict[str, int] = Field(description="By variant: lists of which more of its items were taken.")
    ties: int


class Moment(_Part):
    """The difference in the metric that decides, as it was known at a time."""

    time: datetime
    users: int
    intervals: dict[str, tuple[float, float, float]] = Field(description="By variant: low, difference, high.")


class DecisionView(_Part):
    """What follows."""

    kind: Literal["mismatch", "harmful", "better", "better_unguarded", "no_difference", "running"]
    variants: tuple[str, ...]
    stop: bool = Field(description="Whether there is no reason to go on.")


class ExperimentResults(_Part):
    """What an experiment says as of one moment."""

    as_of: datetime
    users: int
    planned_users: int
    progress: float = Field(description="Windows of users that have passed, by users planned.")
    level: float = Field(description="Coverage of each interval; more than asked for where there are more variants.")  # fmt: skip
    sample_ratio: RatioView
    decision: DecisionView
    metrics: tuple[MetricView, ...] = Field(description="Empty while the numbers of users do not fit.")
    timeline: tuple[Moment, ...]
    mixed: MixedView | None = Field(None, description="Only of an experiment of the kind interleaving.")


def experiment_results(
    store: Store, record: ExperimentRecord, settings: ExperimentSettings, at: datetime | None = None
) -> ExperimentResults:
    """Compute the results of an experiment from the store.

    Users are counted from their first list on, and what they do counts for ``window_hours``. Progress is the sum of
    the parts of windows that have passed, by the planned users: it grows with the information, also where all users
    come at once. With more than two variants each interval has the level 1 − (1 − level) / (variants − 1).

    Of the kind interleaving all users get lists of both variants. Values are shares of the lists that each won, their
    difference is that of :func:`interleaving_preference`; and what is checked is which variant placed the first item of
    each user's first list: a coin says so, and where it does not come out even, lists of one variant are lost.

    Args:
        store: Holds exposures, events and lists.
        record: The experiment.
        settings: Its definition.
        at: As of when; the time it was stopped, or now, when left out.
    """
    until = at or record.stopped or datetime.now(UTC)
    kind = _MixedTable if settings.kind == "interleaving" else _Table
    table = kind(store, record.key, settings, until)
    ratio = sample_ratio(table.counts.tolist(), settings.traffic.shares)
    names = [one.name for one in settings.variants]
    level = 1 - (1 - settings.level) / (len(names) - 1)
    fraction = table.progress(table.until)
    measured: list[tuple[MetricSettings, list[Effect]]] = []
    if ratio.passed:
        measured = [(metric, table.effects(metric, table.until, level)) for metric in settings.metrics]
    states: list[tuple[str, GuardrailState]] = [
        (name, guardrail_state(effect, metric.margin, metric.higher_is_better))
        for metric, effects in measured
        if isinstance(metric, GuardrailSettings)
        for name, effect in zip(names[1:], effects, strict=True)
    ]
    primary = [
        (name, effect, settings.metric.higher_is_better)
        for name, effect in zip(names[1:], measured[0][1] if measured else [], strict=False)
    ]
    decision = decide(ratio, primary, states, fraction)
    return ExperimentResults(
        as_of=until,
        users=int(table.counts.sum()),
        planned_users=settings.planned_users,
        progress=fraction,
        level=level,
        sample_ratio=RatioView(
            counts=dict(zip(names, ratio.counts, strict=True)),
            expected=dict(zip(names, ratio.expected, strict=True)),
            chi_square_p=ratio.chi_square_p,
            always_valid_p=ratio.sequential_p,
            passed=ratio.passed,
        ),
        decision=DecisionView(kind=decision.kind, variants=decision.variants, stop=decision.stop),
        metrics=tuple(_view(settings, metric, names, effects) for metric, effects in measured),
        timeline=_timeline(table, settings, names, level) if ratio.passed else (),
        mixed=table.view(names) if isinstance(table, _MixedTable) and ratio.passed else None,
    )


class _Table:
    """Exposed users with what they did, as arrays."""

    def __init__(self, store: Store, key: str, settings: ExperimentSettings, until: datetime) -> None:
        names = [one.name for one in settings.variants]
        exposed = [
            one for one in store.experiments.exposures(key) if one.variant in names and one.time <= until
        ]
        self._settings = settings
        self.until = _to_us(until)
        self._window = int(settings.window / _US)
        self._began = np.array([_to_us(one.time) for one in exposed], np.int64)  # [U]
        self._arm = np.array([names.index(one.variant) for one in exposed], np.int64)
        self.counts = np.bincount(self._arm, minlength=len(names))
        self._load(store, key, exposed, until)

    def _load(self, store: Store, key: str, exposed: Sequence[ExposedUser], until: datetime) -> None:
        settings = self._settings
        types = sorted({type for metric in settings.metrics for type in (*metric.events, *metric.per)})
        lists = any(metric.kind == "ratio" and not metric.per for metric in settings.metrics)
        found: list[Outcome] = store.experiments.outcomes(
            key,
            types,
            window=settings.window,
            before=timedelta(hours=settings.before_hours),
            until=until,
            lists=lists,
        )
        place = {one.user: at for at, one in enumerate(exposed)}
        found = [one for one in found if one.user in place]
        number = {type: at for at, type in enumerate(["", *types])}
        self._numbers = number
        self._who = np.array([place[one.user] for one in found], np.int64)
        self._type = np.array([number[one.type] for one in found], np.int64)
        self._value = np.array([one.value for one in found], np.float64)
        self._time = np.array([one.time_us for one in found], np.int64)
        self._old = np.array([one.before for one in found], bool)

    def progress(self, at: int) -> float:
        """Share of the planned information at a time in microseconds."""
        passed = np.clip((at - self._began) / self._window, 0, 1)
        return float(passed.sum()) / self._settings.planned_users

    def users(self, at: int) -> int:
        """Users exposed up to a time in microseconds."""
        return int((self._began <= at).sum())

    def moments(self) -> NDArray[np.int64]:
        """Times from the first exposure to the end, at which the course is shown, [T]."""
        if not len(self._began):
            return np.zeros(0, np.int64)
        first = int(self._began.min())
        last = max(first + 1, min(self.until, int(self._began.max()) + self._window))
        return np.unique(np.linspace(first, last, _MOMENTS + 1)[1:].astype(np.int64))

    def effects(self, metric: MetricSettings, at: int, level: float) -> list[Effect]:
        """Each variant beside the baseline, by what was known at a time in microseconds."""
        fraction = max(self.progress(at), 1e-9)
        arms = [self._totals(metric, arm, at) for arm in range(len(self.counts))]
        return [effect_of(arms[0], other, fraction, level) for other in arms[1:]]

    def _totals(self, metric: MetricSettings, arm: int, at: int) -> UserTotals:
        inside = (self._arm == arm) & (self._began <= at)
        known = self._time <= at
        above = self._per_user(metric, metric.events, ~self._old & known)[inside]
        below = before = None
        if metric.kind == "ratio":
            below = self._per_user(None, metric.per or ("",), ~self._old & known)[inside]
        if self._settings.before_hours:
            old = self._per_user(metric, metric.events, self._old)
            if metric.kind == "ratio":
                under = self._per_user(None, metric.per or ("",), self._old)
                whole = float(old.sum()) / float(under.sum()) if under.any() else 0.0
                old = old - whole * under
            before = old[inside]
        return UserTotals(above, below, before)

    def _per_user(
        self, metric: MetricSettings | None, types: Sequence[str], rows: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        rows = rows & np.isin(self._type, [self._numbers[type] for type in types])
        if metric is not None and metric.at_least is not None:
            rows = rows & (self._value >= metric.at_least)
        weight = self._value[rows] if metric is not None and metric.kind == "sum" else None
        totals = np.bincount(self._who[rows], weight, minlength=len(self._began)).astype(np.float64)
        return np.minimum(totals, 1) if metric is not None and metric.kind == "share" else totals


class _MixedTable(_Table):
    """Lists of two rankings, with what was taken of each variant's items."""

    def _load(self, store: Store, key: str, exposed: Sequence[ExposedUser], until: datetime) -> None:
        settings, metric = self._settings, self._settings.metric
        lists, taken = store.experiments.mixed(key, metric.events, window=settings.window, until=until)
        place = {one.user: at for at, one in enumerate(exposed)}
        number = {one.name: at for at, one in enumerate(settings.variants)}
        self._lists = np.array([place.get(one.user, -1) for one in lists], np.int64)  # [L] users
        counted = set()
        found: list[tuple[int, int, int]] = []  # list, variant, time
        for at, event in credited(lists, taken):
            variant = number.get(lists[at].placed[event.item])
            if variant is None or (metric.at_least is not None and event.value < metric.at_least):
                continue
            if metric.kind == "share" and (at, event.item) in counted:
                continue
            counted.add((at, event.item))
            found.append((at, variant, event.time_us))
        self._credits = np.array(found, np.int64).reshape(-1, 3)

    def effects(self, metric: MetricSettings, at: int, level: float) -> list[Effect]:
        found = self._preference(at, level)
        share = [wins / found.lists if found.lists else math.nan for wins in found.wins]
        return [
            Effect((found.users, found.users), share[0], share[2], found.value, math.nan, found.interval, None, None, found.p, level, 0.0)
        ]  # fmt: skip

    def view(self, names: Sequence[str]) -> MixedView:
        """Lists, wins and ties at the end."""
        found = self._preference(self.until, self._settings.level)
        first, ties, second = found.wins
        return MixedView(lists=found.lists, wins=dict(zip(names, (first, second), strict=True)), ties=ties)

    def _preference(self, at: int, level: float) -> Preference:
        known = self._credits[self._credits[:, 2] <= at]
        first, second = (
            np.bincount(known[known[:, 1] == arm, 0], minlength=len(self._lists)).astype(np.float64)
            for arm in (0, 1)
        )
        return interleaving_preference(first, second, self._lists, max(self.progress(at), 1e-9), level)


def _to_us(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // _US


def _timeline(
    table: _Table, settings: ExperimentSettings, names: Sequence[str], level: float
) -> tuple[Moment, ...]:
    found = []
    for at in table.moments().tolist():
        effects = table.effects(settings.metric, at, level)
        intervals = {
            name: (one.interval[0], one.difference, one.interval[1])
            for name, one in zip(names[1:], effects, strict=True)
            if one.interval is not None
        }
        time = datetime(1970, 1, 1, tzinfo=UTC) + at * _US
        found.append(Moment(time=time, users=table.users(at), intervals=intervals))
    return tuple(found)


def _view(
    settings: ExperimentSettings, metric: MetricSettings, names: Sequence[str], effects: Sequence[Effect]
) -> MetricView:
    guard = metric if isinstance(metric, GuardrailSettings) else None
    role: Any = "guardrail" if guard is not None else "decides" if metric is settings.metric else "more"
    return MetricView(
        name=metric.name,
        role=role,
        kind=metric.kind if settings.kind == "groups" else settings.kind,
        higher_is_better=metric.higher_is_better,
        margin=guard.margin if guard is not None else None,
        baseline=_known(effects[0].baseline),
        effects=tuple(
            EffectView(
                variant=name,
                users=one.users[1],
                value=_known(one.variant),
                difference=_known(one.difference),
                interval=one.interval,
                relative=one.relative,
                relative_interval=one.relative_interval,
                p=one.p,
                variance_saved=one.variance_saved,
                guardrail=guardrail_state(one, guard.margin, guard.higher_is_better) if guard else None,
            )
            for name, one in zip(names[1:], effects, strict=True)
        ),
    )


def running_clash(store: Store, settings: ExperimentSettings) -> tuple[str, str] | None:
    """Why an experiment must not start beside those that run, and what to do; None if it may."""
    for one in store.experiments.all("running"):
        what = settings.clashes_with(read_experiment(one.definition))
        if what is not None:
            return (
                f"the experiment '{one.key}' runs and changes the {what}, too",
                "stop it, or give both disjoint parts of one namespace",
            )
    return None


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
