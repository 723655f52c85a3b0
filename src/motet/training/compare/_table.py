"""From predictions of the test rows to the table: values over seeds, differences to the baseline, what is beyond noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from motet.data import SPLIT_CODES, Dataset
from motet.errors import DataError
from motet.evaluation import (
    DrawnMetric,
    catalogue_task,
    holm,
    mean_draws,
    metric_draws,
    paired_differences,
    score_of,
    training_deviation,
)
from motet.metrics import METRICS, Floats, Users, metric_name, metrics_of
from motet.schema import Schema
from motet.training.compare._cell import FEW_ROWS

__all__ = ["TestRows", "correct_together", "task_tables"]

_LEVEL: Final = 0.05
_OF_LISTS: Final = {"ndcg@10": 0, "recall@10": 1, "hit@10": 2, "mrr": 3}  # columns of a ranking's predictions

Measured = dict[str, dict[int, DrawnMetric]]  # by method and seed


@dataclass(frozen=True, slots=True)
class TestRows:
    """What the test rows of a schema hold, without their features.

    Attributes:
        schema: The schema.
        labels: By task.
        users: User of each row, by task; None where rows are drawn one by one.
        scenarios: Mask of the rows of each scenario; empty without scenarios.
        codes: The code of each scenario.
        seekers: Number of the users who have something to find in each scenario, where the catalogue is ranked.
        deviations: Standard deviation of the training labels, by task.
        rows: Number of the test rows.
        fingerprint: Of all labels.
    """

    __test__ = False  # no test, whatever its name

    schema: Schema
    labels: Mapping[str, Floats]
    users: Mapping[str, Users]
    scenarios: Mapping[str, NDArray[np.bool_]]
    codes: Mapping[str, int]
    seekers: Mapping[str, int]
    deviations: Mapping[str, float]
    rows: int
    fingerprint: str

    @classmethod
    def of(cls, data: Dataset, fingerprint: str) -> TestRows:
        """Those of a data set."""
        rows, schema = data.rows("test"), data.schema
        labels: dict[str, Floats] = {}
        users: dict[str, Users] = {}
        for name, task in schema.tasks.items():
            users[name] = None
            if task.ranks_catalogue:
                wanted = catalogue_task(data, "test") if name == schema.retrieval_task else None
                labels[name] = np.zeros(0 if wanted is None else len(wanted.users), np.float32)
            elif task.on == "interaction":
                labels[name] = data.label(name, rows)
                users[name] = data.user_row[rows] if schema.keys.user is not None else None
            else:
                known = data.entity_labels[name]
                labels[name] = known.values[known.split == SPLIT_CODES["test"]]
        scenarios = {}
        if schema.keys.scenario is not None:
            codes = data.scenario[rows]
            masks = {name: codes == code for code, name in enumerate(data.encoder.scenarios)}
            scenarios = {name: mask for name, mask in masks.items() if mask.sum() >= FEW_ROWS}
        deviations = {
            name: training_deviation(data, name)
            for name, task in schema.tasks.items()
            if not task.ranks_catalogue
        }
        codes_of = {name: data.encoder.scenarios.index(name) for name in scenarios}
        within = {name: catalogue_task(data, "test", code) for name, code in codes_of.items()}
        seekers = {name: 0 if found is None else len(found.users) for name, found in within.items()}
        return cls(schema, labels, users, scenarios, codes_of, seekers, deviations, len(rows), fingerprint)

    def measure(
        self, task: str, given: Floats, metric: str, scenario: str | None = None
    ) -> DrawnMetric | None:
        """A metric of predictions, and its draws."""
        settings = self.schema.tasks[task]
        if settings.ranks_catalogue:
            if metric not in _OF_LISTS or not len(given):
                return None
            column = _OF_LISTS[metric]
            if scenario is not None:
                column += len(_OF_LISTS) * (1 + self.codes[scenario])
                if column >= given.shape[1]:  # of a cell that an earlier version wrote
                    return None
            values = given[:, column].astype(np.float64)
            values = values[~np.isnan(values)]
            if not len(values):
                return None
            return DrawnMetric(float(values.mean()), mean_draws(values), len(values))
        labels, users = self.labels[task], self.users[task]
        if scenario is not None:
            mask = self.scenarios[scenario]
            labels, given, users = labels[mask], given[mask], None if users is None else users[mask]
        return metric_draws(settings, labels, given, users, metric=metric, deviation=self.deviations[task])


def task_tables(
    rows: TestRows,
    predictions: Mapping[str, Mapping[int, Mapping[str, Floats]]],
    baseline: str,
    metrics: Sequence[str],
) -> tuple[dict[str, Any], dict[str, float | None]]:
    """Every task of a schema: all methods on all rows, by scenario, and by further metrics.

    Args:
        rows: The test rows.
        predictions: By method, seed and task.
        baseline: What the methods are compared with.
        metrics: Further metrics.

    Returns:
        Tables by task, without corrected p-values; and the score of each method over all tasks.
    """
    tables: dict[str, Any] = {}
    means: dict[str, dict[str, float | None]] = {method: {} for method in predictions}
    for task, settings in rows.schema.tasks.items():
        primary = settings.primary_metric

        def of(metric: str, scenario: str | None = None, task: str = task) -> dict[str, Any]:
            found: Measured = {}
            for method, of_seeds in predictions.items():
                measured = {
                    seed: one
                    for seed, given in of_seeds.items()
                    if task in given
                    and (one := rows.measure(task, given[task], metric, scenario)) is not None
                }
                if measured:
                    found[method] = measured
            return _lines(found, baseline)

        lines = of(primary)
        if not lines:
            continue
        _rank(lines)
        for method, line in lines.items():
            means[method][task] = line["mean"]
        scenarios = rows.scenarios if settings.on == "interaction" else {}
        tables[task] = {
            "kind": settings.kind,
            "metric": primary,
            "drawn": "users" if rows.users[task] is not None or settings.ranks_catalogue else "rows",
            "rows": len(rows.labels[task]),
            "methods": lines,
            "scenarios": {
                name: {
                    "rows": rows.seekers[name] if settings.ranks_catalogue else int(mask.sum()),
                    "methods": found,
                }
                for name, mask in scenarios.items()
                if (found := _rank(of(primary, name)))
            },
            "metrics": {
                name: {"higher_is_better": METRICS[name].higher_is_better, "methods": found}
                for name in metrics
                if name != primary and name in metrics_of(settings) and (found := of(name))
            },
        }
    return tables, {method: _score(rows.schema, values) for method, values in means.items()}


def _lines(measured: Measured, baseline: str) -> dict[str, Any]:
    """Value and difference of each method."""
    differences = paired_differences(measured, baseline) if baseline in measured else {}
    lines = {}
    for method, of_seed in measured.items():
        values = np.array([one.value for one in of_seed.values()])
        line: dict[str, Any] = {
            "values": {str(seed): _plain(one.value) for seed, one in of_seed.items()},
            "mean": _plain(values.mean()),
            "deviation": _plain(values.std(ddof=1)) if len(values) > 1 else None,
        }
        found = differences.get(method)
        if found is not None:
            line["difference"] = _plain(found.value)
            line["interval"] = None if found.interval is None else list(found.interval)
            line["p"] = found.p
        lines[method] = line
    return lines


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _rank(lines: dict[str, Any]) -> dict[str, Any]:
    """1 for the best mean; equals share the middle of their places. Of primary metrics, where higher is better."""
    known = [name for name, line in lines.items() if line["mean"] is not None]
    for name, rank in zip(known, rankdata([-lines[name]["mean"] for name in known]), strict=True):
        lines[name]["rank"] = float(rank)
    return lines


def _score(schema: Schema, values: Mapping[str, float | None]) -> float | None:
    try:
        return score_of(schema, values) if values else None
    except DataError:  # no task is defined
        return None


def correct_together(schemas: Mapping[str, dict[str, Any]], baseline: str) -> None:
    """Correct the p-values of all methods, tasks and schemas together, and say of each task what is beyond noise.

    Args:
        schemas: Content of each schema, whose tables are completed in place: ``p_holm`` and ``verdict`` of each
            method, and ``sentence`` of each task.
        baseline: What the methods are compared with.
    """
    lines = [
        line
        for schema in schemas.values()
        for table in schema["tasks"].values()
        for line in table["methods"].values()
        if line.get("p") is not None
    ]
    for line, p in zip(lines, holm([line["p"] for line in lines]), strict=True):
        line["p_holm"] = p
        line["verdict"] = "level" if p > _LEVEL else "better" if line["difference"] > 0 else "worse"
    for schema in schemas.values():
        for task, table in schema["tasks"].items():
            table["sentence"] = _sentence(task, table, baseline)


def _sentence(task: str, table: Mapping[str, Any], baseline: str) -> str:
    head = f"{task} ({metric_name(table['metric'])}): "
    compared = {name: line for name, line in table["methods"].items() if line.get("verdict")}
    if baseline not in table["methods"]:
        return f"{head}{baseline} does not predict it, so that nothing is compared."
    if not compared:
        return f"{head}nothing can be compared with {baseline}."
    parts = []
    for verdict in ("better", "worse"):
        names = [
            f"{n} ({line['difference']:+.4f})" for n, line in compared.items() if line["verdict"] == verdict
        ]
        if names:
            parts.append(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {verdict} than {baseline}")
    if not parts:
        return f"{head}no method differs from {baseline} beyond noise."
    rest = "; no other method differs beyond noise" if any(
        line["verdict"] == "level" for line in compared.values()
    ) else ""  # fmt: skip
    return f"{head}{' and '.join(parts)}{rest}."
