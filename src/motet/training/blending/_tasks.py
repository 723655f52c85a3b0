"""What a bundle predicts of interactions: the network and plain members, summed with weights chosen on validation rows.

Legend of shapes: n pairs of users and items, M members.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear, minimize
from scipy.special import logsumexp

from motet.data import Dataset
from motet.models.baselines import PAIR_MEMBERS, PairMember, Pairs
from motet.schema import LabelStatistics, Progress, Task, silent
from motet.training.blending._members import Members, fit_each, joined, of_member, read_members, write_members
from motet.training.blending._ranking import NETWORK

__all__ = [
    "TaskBlend",
    "fit_pair_members",
    "fit_task_blend",
    "read_task_blend",
    "task_blend_of",
    "weigh_again",
    "write_task_blend",
]

Floats = NDArray[np.float32]

_FEWEST_ROWS: Final = 200
_LEAST_GAIN: Final = 0.005  # a member that lowers the loss by less than so much of it is not worth its cost
_LEAST_WEIGHT: Final = 0.05
_ERRORS: Final = 1.0  # standard errors of the gain that it must exceed
_FOLDS: Final = 5
_STEM: Final = "task_members"

Predict = Callable[[NDArray[np.int64]], Mapping[str, Floats]]


class TaskBlend:
    """Predicts tasks by all members that help.

    y = link(b + Σ_m w_m · link⁻¹(y_m)), w ≥ 0: for a yes-or-no label a sum of log-odds, for a number one of numbers,
    for classes one of log-chances without b, which is a weighted product of the distributions.

    Args:
        members: Plain members by name.
        weights: Per task, of its members and of the network, and ``bias``.
        statistics: Of the labels of each task.
        report: What each adds and costs, plain values.
    """

    def __init__(
        self,
        members: Mapping[str, PairMember],
        weights: Mapping[str, Mapping[str, float]],
        statistics: Mapping[str, LabelStatistics],
        report: Mapping[str, Any],
    ) -> None:
        self.members, self.weights, self.report = members, weights, report
        self._statistics = statistics

    @property
    def reads_texts(self) -> bool:
        """Whether a member looks at texts of interactions."""
        return any(member.reads_texts for member in self.members.values())

    def logits(
        self, tasks: Mapping[str, Task], network: Mapping[str, Floats], pairs: Pairs
    ) -> dict[str, Floats]:
        """Before the link function, those of the blended tasks among ``network`` in place of the network's, [n].

        Args:
            tasks: Of the schema.
            network: What the network says, before the link function, [n] or [n, K].
            pairs: [n].
        """
        found = dict(network)
        wanted = [name for name in self.weights if name in network]
        given = {
            member: one.predict(pairs, [t for t in wanted if member in self.weights[t]])
            for member, one in self.members.items()
        }
        for name in wanted:
            weights, shift = self.weights[name], _shift(tasks[name], self._statistics[name])
            total = weights["bias"] + weights[NETWORK] * (network[name].astype(np.float64) - shift)
            for member, of_tasks in given.items():
                if member in weights:
                    total += weights[member] * _unlinked(tasks[name], of_tasks[name], self._statistics[name])
            found[name] = (total + shift).astype(np.float32)
        return found

    def parts(self, task: str, kind: Task, network: Floats, pairs: Pairs) -> dict[str, NDArray[np.float64]]:
        """What each member adds to one task before the link function; they sum to what :meth:`logits` gives.

        The network's part holds the intercept.

        Args:
            task: One of :attr:`weights`.
            kind: Its settings.
            network: What the network says, before the link function, [n].
            pairs: [n], or one of which the network says several things.
        """
        weights, statistics = self.weights[task], self._statistics[task]
        shift = _shift(kind, statistics)
        parts = {NETWORK: weights["bias"] + shift + weights[NETWORK] * (network.astype(np.float64) - shift)}
        for name in (name for name in self.members if name in weights):
            values = self.members[name].predict(pairs, [task])[task]
            parts[name] = weights[name] * _unlinked(kind, values, statistics)
        return parts

    def usual_parts(self, task: str, kind: Task) -> dict[str, float]:
        """The same of a plain member that predicts the mean of the training labels for every pair."""
        weights, statistics = self.weights[task], self._statistics[task]
        mean = np.full(1, statistics.mean, np.float32)
        usual = float(_unlinked(kind, mean, statistics)[0])
        return {name: weights[name] * usual for name in self.members if name in weights}


def _unlinked(task: Task, values: Floats, statistics: LabelStatistics) -> NDArray[np.float64]:
    """Predictions on the label's own scale as log-odds, standardised numbers or log-chances, [n] or [n, K]."""
    found = task.unlink(values.astype(np.float64), statistics)
    assert found is not None  # noqa: S101 (tasks without an inverse are not blended)
    return found - _shift(task, statistics)


def _shift(task: Task, statistics: LabelStatistics) -> float | NDArray[np.float64]:
    """What the link function is given for even odds, a number or [K]: not 0 where classes were weighed."""
    if task.has_classes and len(statistics.classes) > 1:
        k = len(statistics.classes)
        every = task.unlink(np.full((1, k), 1 / k), statistics)
        if every is None or not np.ptp(every[0]):  # 0 in all or the same in all is one distribution
            return 0.0
        return np.asarray(every[0] - every[0].mean(), np.float64)
    even = task.unlink(np.full(1, 0.5), statistics) if task.is_chance else None
    return 0.0 if even is None else float(even[0])


def fit_pair_members(
    data: Dataset,
    names: tuple[str, ...] | None = None,
    *,
    limit_s: float = 0.0,
    progress: Progress = silent,
) -> Members[PairMember]:
    """Fit the plain members that may predict tasks beside the network.

    Args:
        data: The data set.
        names: Members; all of :data:`~motet.models.baselines.PAIR_MEMBERS` when left out.
        limit_s: Of the whole run, 0 for none; see :func:`~motet.training.fit_each`.
        progress: Progress callback.
    """
    if len(data.rows("validation")) < _FEWEST_ROWS or not _blendable(data):
        return Members()
    wanted = [name for name in PAIR_MEMBERS if names is None or name in names]
    return fit_each(
        wanted,
        lambda name, _: (None, PAIR_MEMBERS[name].fit(data, data.rows("train"))),
        limit_s=limit_s,
        progress=progress,
    )


def fit_task_blend(
    data: Dataset, members: Members[PairMember], network: Predict, progress: Progress = silent
) -> TaskBlend | None:
    """Weigh the network and plain members by the loss on validation rows.

    A task is blended if that lowers its loss, over folds of the validation rows, by half a per cent and by one
    standard error. A network whose chances training may have bent (:attr:`~motet.schema.Task.needs_calibration`) gets
    a weight and an intercept even without members, where that lowers the loss by one standard error (Platt 1999). Members
    that help are then fitted again with the same settings on training and validation rows (``training.refit``).

    Args:
        data: The data set.
        members: From :func:`fit_pair_members`.
        network: Predictions of the network for some rows.
        progress: Progress callback.

    Returns:
        None without validation rows, or where no member helps and no network is calibrated.
    """
    calibrated = any(data.schema.tasks[name].needs_calibration for name in _blendable(data))
    if not members.fitted and (not calibrated or len(data.rows("validation")) < _FEWEST_ROWS):
        return None
    progress("weighing plain members of tasks", 0, 1)
    rows = data.rows("validation")
    pairs = Pairs.of(data, rows)
    of_network = network(rows)
    given = {name: one.predict(pairs) for name, one in members.fitted.items()}
    weights: dict[str, dict[str, float]] = {}
    report: dict[str, Any] = {}
    for name in _blendable(data):
        labels = data.label(name, rows).astype(np.float64)
        known = ~np.isnan(labels)
        there = [member for member, found in given.items() if name in found]
        task, statistics = data.schema.tasks[name], data.encoder.statistics(name)
        if known.sum() < _FEWEST_ROWS or name not in of_network or np.ptp(labels[known]) == 0:
            continue
        if not there and not task.needs_calibration:
            continue
        columns = {NETWORK: _unlinked(task, of_network[name][known], statistics)}
        columns |= {member: _unlinked(task, given[member][name][known], statistics) for member in there}
        found, losses = _weigh(task, columns, labels[known], statistics)
        report[name] = {
            "loss": losses,
            "weights": found,
            "fit_s": {member: members.seconds[member] for member in there},
        }
        if found is not None:
            weights[name] = found
    if not weights:
        return None
    used = {member for of_task in weights.values() for member in of_task}
    refit = data.schema.training.refit
    both = np.sort(np.concatenate([data.rows("train"), rows]))
    again: dict[str, PairMember] = {}
    for name, one in members.fitted.items():
        if name in used:
            again[name] = one.only([task for task in weights if name in weights[task]])
            progress(f"fitting {name} again, with the validation rows", len(again) - 1, len(used))
            again[name] = again[name].refit(data, both) if refit else again[name]
    return TaskBlend(again, weights, {name: data.encoder.statistics(name) for name in weights}, report)


def weigh_again(
    blend: TaskBlend, data: Dataset, rows: NDArray[np.int64], network: Mapping[str, Floats]
) -> TaskBlend | None:
    """The blend for what has changed: tasks that it predicts worse than the network alone are weighed again.

    Worse means beyond one standard error, on rows that neither network nor members had learnt from. Where no member
    helps any more, the network predicts the task alone.

    Args:
        blend: Members and weights so far.
        data: The data set.
        rows: Interactions, [n].
        network: What the network predicted of them before it learnt from them, by task, [n] or [n, K].

    Returns:
        A blend of the members that still help; None where none does.
    """
    pairs = Pairs.of(data, rows)
    given = {name: one.predict(pairs) for name, one in blend.members.items()}
    weights: dict[str, Mapping[str, float]] = {}
    for name, known_weights in blend.weights.items():
        weights[name] = known_weights
        labels = data.label(name, rows).astype(np.float64)
        known = ~np.isnan(labels)
        if known.sum() < _FEWEST_ROWS or np.ptp(labels[known]) == 0:
            continue
        task, statistics = data.schema.tasks[name], data.encoder.statistics(name)
        y = labels[known]
        if not (task.is_chance or task.has_classes):
            y = (y - statistics.mean) / statistics.std
        columns = {NETWORK: _unlinked(task, network[name][known], statistics)}
        columns |= {
            m: _unlinked(task, given[m][name][known], statistics) for m in given if m in known_weights
        }
        blended = known_weights["bias"] + sum(known_weights[m] * column for m, column in columns.items())
        loss = _losses(task, np.asarray(blended), y) - _losses(task, columns[NETWORK], y)
        if loss.mean() <= _ERRORS * loss.std() / np.sqrt(len(loss)):
            continue
        found, _ = _weigh(task, columns, labels[known], statistics)
        if found is None:
            del weights[name]
        else:
            weights[name] = found
    if not weights:
        return None
    used = {member for of_task in weights.values() for member in of_task}
    members = {
        name: one.only([task for task in weights if name in weights[task]])
        for name, one in blend.members.items()
        if name in used
    }
    return TaskBlend(
        members, weights, {name: data.encoder.statistics(name) for name in weights}, blend.report
    )


def task_blend_of(
    data: Dataset, member: str, fitted: PairMember, network: Predict, fit_s: float
) -> TaskBlend:
    """One plain member with all the weight for the tasks that it predicts.

    Args:
        data: The data set.
        member: Name of the member.
        fitted: The member.
        network: Predictions of the network for some rows.
        fit_s: Seconds that fitting took.
    """
    rows = data.rows("validation")
    given, of_network = fitted.predict(Pairs.of(data, rows)), network(rows)
    weights, report = {}, {}
    for name in (name for name in _blendable(data) if name in fitted.tasks):
        task, statistics = data.schema.tasks[name], data.encoder.statistics(name)
        weights[name] = {NETWORK: 0.0, member: 1.0, "bias": 0.0}
        labels = data.label(name, rows).astype(np.float64)
        known = ~np.isnan(labels)
        y = labels[known]
        if not (task.is_chance or task.has_classes):
            y = (y - statistics.mean) / statistics.std
        each = [_losses(task, _unlinked(task, a[name][known], statistics), y) for a in (of_network, given)]
        alone, value = (float(one.mean()) if len(one) else None for one in each)
        loss = {NETWORK: alone, member: value, "blend": value}
        report[name] = {"loss": loss, "weights": weights[name], "fit_s": {member: fit_s}}
    statistics_of = {name: data.encoder.statistics(name) for name in weights}
    return TaskBlend({member: fitted.only(list(weights))}, weights, statistics_of, report)


def _blendable(data: Dataset) -> list[str]:
    """Tasks on interactions whose predictions have an inverse link."""
    zeros = np.zeros(1)
    tasks = data.schema.tasks
    return [
        name
        for name in data.encoder.interaction_tasks
        if not tasks[name].ranks_catalogue
        and tasks[name].unlink(zeros, data.encoder.statistics(name)) is not None
    ]


def _weigh(
    task: Task,
    columns: Mapping[str, NDArray[np.float64]],
    labels: NDArray[np.float64],
    statistics: LabelStatistics,
) -> tuple[dict[str, float] | None, dict[str, float]]:
    """Weights where they help, and the loss of the network, of each member alone, and over folds of the blend."""
    alone = task.needs_calibration  # the network gets a weight and an intercept without any member
    names = list(columns)
    x = np.stack([columns[name] for name in names], axis=-1)  # [n, M] or [n, K, M]
    known = task.is_chance or task.has_classes
    y = labels if known else (labels - statistics.mean) / statistics.std
    fold = np.random.default_rng(0).permutation(len(y)) % _FOLDS
    each = {name: _losses(task, x[..., at], y) for at, name in enumerate(names)}
    losses = {name: float(of_rows.mean()) for name, of_rows in each.items()}

    def over_folds(chosen: list[int]) -> NDArray[np.float64]:
        found = np.empty(len(y))
        for k in range(_FOLDS):
            some, others = fold == k, fold != k
            w = _solve(task, x[others][..., chosen], y[others])
            found[some] = _losses(task, x[some][..., chosen] @ w[:-1] + w[-1], y[some])
        return found

    chosen = list(range(len(names)))
    best = over_folds(chosen)
    for at in range(1, len(names)):  # one that is not missed is left out
        less = [one for one in chosen if one != at]
        if (len(less) > 1 or alone) and (found := over_folds(less)).mean() <= best.mean() * (
            1 + _LEAST_GAIN / 2
        ):
            chosen, best = less, found
    losses["blend"] = float(best.mean())
    w = _solve(task, x[..., chosen], y)
    weights = {names[at]: float(w[place]) for place, at in enumerate(chosen)}
    weights = {name: weight for name, weight in weights.items() if weight >= _LEAST_WEIGHT or name == NETWORK}
    gain = each[NETWORK] - best
    # the network alone costs no more in serving than it did, so that any gain beyond noise will do
    least = losses[NETWORK] * _LEAST_GAIN if len(weights) > 1 else 0.0
    useless = len(weights) == 1 and (not alone or weights[NETWORK] < _LEAST_WEIGHT)
    if useless or gain.mean() < least or gain.mean() <= _ERRORS * gain.std() / np.sqrt(len(gain)):
        return None, losses
    return weights | {"bias": float(w[-1])}, losses


def _solve(task: Task, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights ≥ 0 and an intercept that minimise the loss, [M + 1]; the intercept is 0 for classes."""
    if task.has_classes:
        return _solve_classes(x, y.astype(np.int64))
    wide = np.column_stack([x, np.ones(len(x))])
    low = np.append(np.zeros(x.shape[1]), -np.inf)
    if not task.is_chance:
        return np.asarray(lsq_linear(wide, y, bounds=(low, np.inf)).x)

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = wide @ w
        slope = 1 / (1 + np.exp(-z)) - y
        return float(np.mean(np.logaddexp(0, z) - y * z)), wide.T @ slope / len(y)

    start = np.append(np.full(x.shape[1], 1 / x.shape[1]), 0.0)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(a, None) for a in low])
    return np.asarray(found.x)


def _solve_classes(x: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    rows, members = np.arange(len(y)), x.shape[-1]

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ w
        total = logsumexp(z, axis=1)
        p = np.exp(z - total[:, None])
        slope = (np.einsum("nk,nkm->nm", p, x) - x[rows, y]).mean(axis=0)
        return float(np.mean(total - z[rows, y])), slope

    start = np.full(members, 1 / members)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * members)
    return np.append(found.x, 0.0)


def _losses(task: Task, logits: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64]
    if task.has_classes:
        found = logsumexp(logits, axis=1) - logits[np.arange(len(y)), y.astype(np.int64)]
        return found
    found = np.logaddexp(0, logits) - y * logits if task.is_chance else (logits - y) ** 2
    return found


# Written into a bundle and read from it.


def write_task_blend(directory: Path, blend: TaskBlend) -> None:
    """Write ``task_members.json`` and ``task_members.safetensors``."""
    content = {"weights": blend.weights, "members": list(blend.members), "report": blend.report}
    write_members(directory, _STEM, joined({n: m.arrays() for n, m in blend.members.items()}), content)


def read_task_blend(directory: Path, statistics: Callable[[str], LabelStatistics]) -> TaskBlend | None:
    """Read what :func:`write_task_blend` wrote; None where the network predicts alone."""
    found = read_members(directory, _STEM)
    if found is None:
        return None
    arrays, content = found
    members = {name: PAIR_MEMBERS[name].read(of_member(arrays, name)) for name in content["members"]}
    weights = content["weights"]
    return TaskBlend(members, weights, {name: statistics(name) for name in weights}, content["report"])
