"""What ``benchmarks.defaults`` measures: test events one by one, and paired draws that cells keep for one interval.

Legend of shapes: E events, I items, S seeds, B draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from motet.data import SPLIT_CODES, Dataset, Ragged
from motet.evaluation import catalogue_task, mean_draws, metric_draws, rank_catalogue
from motet.metrics import metrics_of
from motet.models.baselines import Baseline, RankingBaseline
from motet.schema import EntityPredictor, Predictor, Task
from motet.training import ModelPredictor

__all__ = [
    "DRAWS",
    "Answers",
    "Events",
    "Gains",
    "answers_of",
    "deviation_of",
    "drawn_differences",
    "drawn_means",
    "event_gains",
    "events_of",
    "score_baseline",
    "score_model",
    "statistic_draws",
    "two_level_interval",
    "verdict_of",
]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Rows = NDArray[np.int64]
Gains = dict[str, Doubles]
Answers = Mapping[str, Doubles | Floats]
Scorer = Callable[[Rows, Ragged], Mapping[str, Floats]]

DRAWS: Final = 400
_MANY: Final = 1e6  # degrees of freedom at which Student's distribution is the normal one
_DIGITS: Final = 7
_BLOCK_CELLS: Final = 20_000_000
_MOST_EVENTS: Final = {"test": 20_000, "validation": 4_000}
_MOST_CELLS: Final = 500_000_000


# One test event after the other, as a service sees them.


@dataclass(frozen=True, slots=True)
class Events:
    """Positive events of a split whose items may be recommended.

    Attributes:
        rows: Interactions, [E].
        had: Positive items of the user strictly before each, oldest first, [E].
        out: Items that may not be shown again, [E].
        cold: Whether the item occurs in neither training nor validation rows, [E].
    """

    rows: Rows
    had: Ragged
    out: Ragged
    cold: NDArray[np.bool_]


def events_of(data: Dataset, split: Literal["validation", "test"]) -> Events | None:
    """Events of a split, a seeded sample where there are many; None without times or without a retrieval task."""
    schema, name = data.schema, data.schema.retrieval_task
    if name is None or not schema.keys.time or not schema.keys.user or schema.split.by == "random":
        return None
    order = np.lexsort((data.time, data.user_row))
    user, time = data.user_row[order], data.time[order]
    first = np.r_[True, (user[1:] != user[:-1]) | (time[1:] != time[:-1])]
    begin = np.flatnonzero(np.r_[True, user[1:] != user[:-1]])
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    stop_of = np.flatnonzero(first)[np.cumsum(first) - 1]  # the first event of the same user and moment
    start_of = begin[np.searchsorted(begin, np.arange(len(order)), side="right") - 1]
    liked = data.label(name, order) > 0
    again = schema.tasks[name].offers_again

    rows = data.rows(split)
    rows = rows[data.label(name, rows) > 0]
    most = max(1, min(_MOST_EVENTS[split], _MOST_CELLS // max(len(data.items), 1)))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    items = data.item_row[order]
    before = [items[start_of[p] : stop_of[p]] for p in place[rows]]
    if not again:
        kept = np.array([item not in b for item, b in zip(data.item_row[rows], before, strict=True)], bool)
        rows, before = rows[kept], [b for b, k in zip(before, kept, strict=True) if k]
    if not len(rows):
        return None
    positive = [items[start_of[p] : stop_of[p]][liked[start_of[p] : stop_of[p]]] for p in place[rows]]
    known = np.concatenate([data.rows("train"), data.rows("validation")])
    cold = np.bincount(data.item_row[known], minlength=len(data.items))[data.item_row[rows]] == 0
    return Events(rows, _ragged(positive), _ragged([] if again else before, len(rows)), cold)


def _ragged(lists: Sequence[NDArray[np.int32]], n: int | None = None) -> Ragged:
    if not lists:
        return Ragged.empty(n or 0)
    lengths = np.array([len(one) for one in lists], np.int64)
    return Ragged.from_lengths(np.concatenate(lists).astype(np.int32), lengths)


def event_gains(data: Dataset, events: Events, scorer: Scorer) -> dict[str, Gains]:
    """NDCG@10 and HR@10 of each event by method, [E] each; ties count half.

    Args:
        data: The data set.
        events: From :func:`events_of`.
        scorer: Scores of all items by method, given some interactions and the items had before each.
    """
    ranks: dict[str, list[Doubles]] = {}
    size = max(32, _BLOCK_CELLS // max(len(data.items), 1))
    for start in range(0, len(events.rows), size):
        some = np.arange(start, min(start + size, len(events.rows)))
        rows, out = events.rows[some], events.out.take(some)
        for name, given in scorer(rows, events.had.take(some)).items():
            scores = np.array(given, np.float32)
            scores[np.repeat(np.arange(len(some)), out.lengths()), out.values] = -np.inf
            own = np.take_along_axis(scores, data.item_row[rows].astype(np.int64)[:, None], 1)
            rank = (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) / 2
            ranks.setdefault(name, []).append(rank)
    found = {}
    for name, parts in ranks.items():
        rank = np.concatenate(parts)
        found[name] = {
            "ndcg@10": np.where(rank < 10, 1 / np.log2(rank + 2), 0.0),
            "hr@10": (rank < 10).astype(np.float64),
        }
    return found


def score_model(predictor: ModelPredictor) -> Scorer:
    """The served ranking and the network alone; the scenario of each event counts."""

    def scores(rows: Rows, had: Ragged) -> Mapping[str, Floats]:
        network = predictor.score_events(rows)
        if network is None:
            return {}
        served = network if predictor.blend is None else predictor.blend.scores(network, had)
        return {"motet": served, "network": network}

    return scores


def score_baseline(name: str, baseline: Baseline, data: Dataset) -> Scorer:
    """A baseline: given the items before the event if it looks at items, else as it ranks for the user."""

    def scores(rows: Rows, had: Ragged) -> Mapping[str, Floats]:
        if isinstance(baseline, RankingBaseline):
            return {name: baseline.score_histories(had)}
        given = baseline.score_items(data.user_row[rows].astype(np.int64))
        return {} if given is None else {name: given}

    return scores


# Differences: the same draws of users whatever the seed of training, so that cells of several seeds go together.


def answers_of(data: Dataset, predictor: Predictor) -> dict[str, Doubles | Floats]:
    """What a predictor says of the test, by task; tasks it does not predict are left out.

    Of a task that ranks the catalogue NDCG@10 of each test user; of others the predictions of the test's rows, entities
    where the task is on them.
    """
    found: dict[str, Doubles | Floats] = {}
    of_rows = predictor.predict(data.rows("test"))
    for name, settings in data.schema.tasks.items():
        if settings.ranks_catalogue:
            wanted = catalogue_task(data, "test")
            if wanted is None or not len(wanted.users):
                continue
            ranked = rank_catalogue(wanted, predictor.score_items)
            if ranked is not None:
                found[name] = ranked.ndcg
        elif settings.on == "interaction":
            if name in of_rows:
                found[name] = of_rows[name]
        elif isinstance(predictor, EntityPredictor):
            given = predictor.predict_entities(settings.on).get(name)
            if given is not None:
                found[name] = given[_labelled(data, name)]
    return found


def _labelled(data: Dataset, task: str) -> Rows:
    """Entities of the test that a task on entities has labels of."""
    return np.flatnonzero(data.entity_labels[task].split == SPLIT_CODES["test"])


def drawn_differences(
    data: Dataset, first: Doubles | Floats, second: Doubles | Floats, task: str
) -> list[float] | None:
    """Primary metric of one predictor minus that of another under draws of the test's users, [B].

    Rows are drawn where there are no users, and items or users where the task is on them.

    Args:
        data: The data set.
        first: What the predictor that is asked about says of the task, from :func:`answers_of`.
        second: The same of the one to compare with.
        task: Name.
    """
    settings = data.schema.tasks[task]
    if settings.ranks_catalogue:
        return drawn_means(np.asarray(first - second, np.float64), None)
    if settings.on == "interaction":
        rows = data.rows("test")
        users = data.user_row[rows] if data.schema.keys.user is not None else None
        labels = data.label(task, rows)
    else:
        users, labels = None, data.entity_labels[task].values[_labelled(data, task)]
    answers = (np.asarray(first, np.float32), np.asarray(second, np.float32))
    return statistic_draws(settings, labels, answers, users, deviation_of(data, task))


def deviation_of(data: Dataset, task: str) -> float | None:
    """Deviation of the training labels where the primary metric is a skill, 1 − error / deviation; None elsewhere."""
    settings = data.schema.tasks[task]
    if settings.ranks_catalogue or not metrics_of(settings)[settings.primary_metric].skill_of:
        return None
    if settings.on == "interaction":
        labels = data.label(task, data.rows("train"))
    else:
        known = data.entity_labels[task]
        labels = known.values[known.split == SPLIT_CODES["train"]]
    return float(np.nanstd(labels.astype(np.float64)))


def statistic_draws(
    task: Task,
    labels: Floats,
    given: tuple[Floats, Floats],
    users: NDArray[Any] | None,
    deviation: float | None = None,
) -> list[float] | None:
    """The difference of the primary metric of two predictions of the same rows, under draws of users, [B]."""
    first, second = (
        metric_draws(task, labels, one, users, deviation=deviation or 0.0, draws=DRAWS) for one in given
    )
    if first is None or second is None:
        return None
    return [round(float(d), _DIGITS) for d in first.draws - second.draws]


def drawn_means(values: Doubles, users: NDArray[Any] | None) -> list[float]:
    """The mean of some values under draws of users; of the values themselves without users, [B]."""
    return [round(float(d), _DIGITS) for d in mean_draws(values, users, DRAWS)]


def two_level_interval(
    draws: Sequence[Sequence[float] | None], level: float = 0.95
) -> tuple[float, float] | None:
    """Interval of a mean over seeds, d ± t_ν·√(V_u + V_s).

    V_u is the variance of the mean under draws of users, who are the same whatever the seed; V_s the variance over seeds,
    divided by their number S. ν = (V_u + V_s)² / (V_s² / (S − 1)) (Satterthwaite 1946): two or three seeds say little of
    their variance, and drawing them with replacement would hide that.

    Args:
        draws: Of each seed, the difference under the same B draws of users.
        level: Coverage.

    Returns:
        None where it is not defined. With one seed it is over users alone.
    """
    known = [one for one in draws if one is not None]
    if not known:
        return None
    table = np.array(known, np.float64)  # [S, B]
    table = table[:, ~np.isnan(table).any(axis=0)]
    seeds, columns = table.shape
    if columns < max(2, len(known[0]) / 2):
        return None
    of_users = float(table.mean(axis=0).var(ddof=1))
    of_seeds = float(table.mean(axis=1).var(ddof=1)) / seeds if seeds > 1 else 0.0
    total, freedom = of_users + of_seeds, _MANY
    if of_seeds:
        freedom = min(total**2 / (of_seeds**2 / (seeds - 1)), _MANY)
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * total**0.5
    return float(table.mean()) - half, float(table.mean()) + half


def verdict_of(interval: tuple[float, float] | None) -> str:
    """``ahead`` or ``behind`` where the interval excludes zero, else ``level``; a dash without an interval."""
    if interval is None:
        return "–"
    return "ahead" if interval[0] > 0 else "behind" if interval[1] < 0 else "level"
