"""Methods beside a baseline over users and seeds: paired differences, their intervals, and p-values that many comparisons share.

Legend: N rows, B draws, S seeds, M methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from motet.metrics import Floats, Users, metrics_of, prepare, resampled_weights
from motet.schema import Task

__all__ = [
    "DrawnMetric",
    "PairedDifference",
    "holm",
    "mean_draws",
    "metric_draws",
    "paired_differences",
]

_DRAWS: Final = 400
_FEWEST: Final = 40
_MAX_CELLS: Final = 40_000_000  # rows × columns × draws, about; above it fewer are drawn
_MANY: Final = 1e6  # degrees of freedom at which Student's distribution is the normal one


@dataclass(frozen=True, slots=True)
class DrawnMetric:
    """A metric of some rows, and what it is under draws of their users.

    The draws depend on the users and their number alone, so that those of two predictors of the same rows are paired.

    Attributes:
        value: The metric; NaN where undefined.
        draws: Under each draw, [B].
        units: Users, or rows where there are none, that are drawn.
    """

    value: float
    draws: NDArray[np.float64]
    units: int


def metric_draws(
    task: Task,
    labels: Floats,
    predictions: Floats,
    users: Users = None,
    *,
    metric: str = "",
    deviation: float = 0.0,
    draws: int = _DRAWS,
) -> DrawnMetric | None:
    """A metric of predictions under draws of users with all their rows; of rows where there are no users.

    Args:
        task: The task.
        labels: NaN where missing, [N] or [N, K].
        predictions: On the label's own scale, [N] or [N, K].
        users: User of each row, [N].
        metric: Its name; the primary metric of the task when left out.
        deviation: Standard deviation of the training labels, for a metric that is a skill, 1 − error / deviation.
        draws: B; fewer, but at least 40, where there are very many rows.

    Returns:
        None where the metric is not defined for such predictions, or no label is known.
    """
    name = metric or task.primary_metric
    error = metrics_of(task)[name].skill_of
    statistics, known = prepare(task, labels, predictions, users, (error or name,))
    rows = int(known.sum())
    if not rows or (error or name) not in statistics or (error and deviation <= 0):
        return None
    statistic = statistics[error or name]
    cells = rows * (predictions.shape[1] if predictions.ndim > 1 else 1)
    number = max(min(draws, _FEWEST), min(draws, _MAX_CELLS // cells))
    clusters = None if users is None else np.asarray(users)[known]
    weights = resampled_weights(rows, clusters, number, 0)
    found = np.array([statistic(np.ones(rows)), *(statistic(w) for w in weights)])
    found = 1 - found / deviation if error else found
    return DrawnMetric(float(found[0]), found[1:], rows if clusters is None else len(np.unique(clusters)))


def mean_draws(
    values: NDArray[np.floating[Any]], users: Users = None, draws: int = _DRAWS
) -> NDArray[np.float64]:
    """The mean of some values under draws of users; under draws of the values themselves without users, [B].

    Args:
        values: [N].
        users: User of each, [N].
        draws: B.
    """
    return np.array([w @ values / w.sum() for w in resampled_weights(len(values), users, draws, 0)])


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A method's metric minus the baseline's, over the seeds that both have.

    Attributes:
        value: Mean over seeds.
        interval: Its 95 % interval; None where the metric is undefined under most draws.
        p: Chance of a difference as large where there is none; None likewise.
        seeds: S.
    """

    value: float
    interval: tuple[float, float] | None
    p: float | None
    seeds: int


def paired_differences(
    methods: Mapping[str, Mapping[int, DrawnMetric]], baseline: str, *, level: float = 0.95
) -> dict[str, PairedDifference]:
    """Compare every method with a baseline, by users and seeds.

    d = mean_s (x_ms − x_bs),  interval d ± t_ν · √(V_u + V_s),

    where V_u is the variance of d under paired draws of users, and V_s = σ² / S what seeds add. σ² is the larger of
    the variance over seeds of the pair's own differences (S − 1 degrees of freedom) and of that pooled over all
    methods, 2 · mean_m s_m², as in Dunnett's comparison with a control (1955): with few seeds one method alone says
    little about σ². Methods that do not depend on the seed are left out of the pool. ν follows Satterthwaite (1946):
    (V_u + V_s)² / (V_s² / ν_s), ν_s those of the pool. A bootstrap that draws two or three seeds with replacement
    instead is much too narrow: with two seeds it sees half of their variance, and not that it knows it badly. With
    a single seed V_s is unknown and left out: the interval is about other users alone.

    Args:
        methods: By name and seed, the metric on the same rows.
        baseline: One of the names.
        level: Coverage, in (0, 1).

    Returns:
        By method; those that have no seed in common with the baseline are left out, and so is the baseline.
    """
    spread = {
        name: float(np.var([one.value for one in of_seed.values()], ddof=1))
        for name, of_seed in methods.items()
        if len(of_seed) > 1
    }
    varying = {name: value for name, value in spread.items() if value > 0}
    pooled = 2 * float(np.mean(list(varying.values()))) if varying else 0.0
    freedom = sum(len(methods[name]) - 1 for name in varying)
    found = {}
    for name, of_seed in methods.items():
        seeds = [seed for seed in of_seed if seed in methods[baseline]]
        if name == baseline or not seeds:
            continue
        pairs = [(of_seed[seed], methods[baseline][seed]) for seed in seeds]
        each = np.array([one.value - other.value for one, other in pairs])  # [S]
        by_users = np.mean([one.draws - other.draws for one, other in pairs], axis=0)  # [B]
        known = by_users[~np.isnan(by_users)]
        units = min(one.units for one, _ in pairs)
        if np.isnan(each).any() or 2 * len(known) < len(by_users) or len(known) < 2 or units < 2:
            found[name] = PairedDifference(float(each.mean()), None, None, len(seeds))
            continue
        v_users = float(known.var(ddof=1)) * units / (units - 1)
        equal = not each.any()  # the same predictions: nothing that another seed would change
        own = float(each.var(ddof=1)) if len(seeds) > 1 else 0.0
        v_seeds = 0.0 if equal or len(seeds) == 1 else max(own, pooled) / len(seeds)
        total = v_users + v_seeds
        # freedom is above 0 where v_seeds is: two seeds of a pair differ only where those of a method do
        unknown = v_users**2 / (units - 1) + (v_seeds**2 / freedom if v_seeds else 0.0)
        nu = min(total**2 / unknown, _MANY) if unknown else _MANY
        value, error = float(each.mean()), total**0.5
        half = float(stdtrit(nu, (1 + level) / 2)) * error
        p = 2 * float(stdtr(nu, -abs(value) / error)) if error else float(value == 0)
        found[name] = PairedDifference(value, (value - half, value + half), p, len(seeds))
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, so that the chance of any false finding is bounded (Holm 1979).

    p̃_(k) = max_{j ≤ k} min(1, (n − j + 1) · p_(j)), for the sorted p_(1) ≤ … ≤ p_(n).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    n, order = len(p_values), np.argsort(p_values, kind="stable")
    corrected = np.empty(n)
    scaled = np.asarray(p_values, np.float64)[order] * np.arange(n, 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(scaled)) if n else scaled
    return [float(p) for p in corrected]
