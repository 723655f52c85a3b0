"""The tables of ``benchmarks.defaults``, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks._default_measures import two_level_interval, verdict_of
from benchmarks._default_sets import SYNTHETIC

__all__ = ["ablation_table", "defaults_table", "line_of"]

Cell = Mapping[str, Any]
Facts = Sequence[Mapping[str, Any]]


def defaults_table(cells: Sequence[Cell]) -> str:
    """One line a task of a set, and one for its test events one by one; last who is ahead how often."""
    lines = [
        "| data, task | metric | motet, mean ± sd | its network alone | best plain method | difference | | training, s |",
        "|---|---|---:|---:|---|---:|---|---:|",
    ]
    verdicts: list[tuple[str, bool]] = []
    of_events: list[str] = []
    for name in dict.fromkeys(one["set"] for one in cells):
        of_set = [one for one in cells if one["set"] == name]
        title = f"{name} (synthetic)" if name in SYNTHETIC else name
        title += ", one seed" if len(of_set) == 1 else f", {len(of_set)} seeds"
        spent = f"{np.mean([one['train_s'] for one in of_set]):.0f}"
        for task in of_set[0]["tasks"]:
            facts = [one["tasks"][task] for one in of_set if task in one["tasks"]]
            line, verdict = line_of(f"{title}: {task}" if spent else task, facts, spent)
            lines.append(line)
            verdicts.append((verdict, bool(facts[0]["users"])))
            spent = ""
        for metric in of_set[0].get("events") or {}:
            facts = [one["events"][metric] for one in of_set]
            line, verdict = line_of(f"next, {facts[0]['n']:,} test events", facts, "")
            lines.append(line)
            if metric == "ndcg@10":
                of_events.append(verdict)
    lines += ["", f"Tasks: {_counted([verdict for verdict, _ in verdicts])}."]
    lines[-1] += f" Of those with users: {_counted([verdict for verdict, users in verdicts if users])}."
    lines[-1] += f" NDCG@10 over test events: {_counted(of_events)}." if of_events else ""
    return "\n".join(lines)


def _counted(verdicts: Sequence[str]) -> str:
    count = Counter(verdicts)
    parts = [f"{count[verdict]} {verdict}" for verdict in ("ahead", "level")]
    parts.append(f"**{count['behind']} behind**" if count["behind"] else "0 behind")
    if count["–"]:
        parts.append(f"{count['–']} without an interval")
    return ", ".join(parts)


def line_of(title: str, facts: Facts, spent: str) -> tuple[str, str]:
    """A line of the table and its verdict.

    Args:
        title: First column.
        facts: Of each seed: ``metric``, ``ours``, ``network``, ``best``, ``best_value``, ``draws``, and ``deviation``
            where the metric is a skill.
        spent: Last column.
    """
    ours = np.array([one["ours"] for one in facts])
    alone = [one["network"] for one in facts if one["network"] is not None]
    best = float(np.mean([one["best_value"] for one in facts]))
    interval = two_level_interval([one["draws"] for one in facts])
    verdict = verdict_of(interval)
    value = f"{ours.mean():.4f}" + (f" ± {ours.std(ddof=1):.4f}" if len(ours) > 1 else "")
    deviation = facts[0].get("deviation")
    if deviation is not None:
        value += f" (RMSE {(1 - ours.mean()) * deviation:.4f})"
    between = "" if interval is None else f" [{interval[0]:+.4f}, {interval[1]:+.4f}]"
    names = Counter(one["best"] for one in facts).most_common()
    line = (
        f"| {title} | {facts[0]['metric']} | {value} | {f'{np.mean(alone):.4f}' if alone else '–'} "
        f"| {' or '.join(name for name, _ in names)} {best:.4f} | {ours.mean() - best:+.4f}{between} "
        f"| {'**behind**' if verdict == 'behind' else verdict} | {spent} |"
    )
    return line, verdict


def ablation_table(cells: Sequence[Cell], variants: Sequence[str]) -> str:
    """One line a task and group of items: values by variant, and what each adds to the one before it."""
    steps = [f"{later} − {earlier}" for earlier, later in pairwise(variants)]
    lines = [
        "| data, task | metric | items | rows | " + " | ".join([*variants, *steps]) + " |",
        "|---|---|---|---:|" + "---:|" * (len(variants) + len(steps)),
    ]
    for name in dict.fromkeys(one["set"] for one in cells):
        of_set = [one for one in cells if one["set"] == name]
        title = f"{name}, {len(of_set)} seed{'s' * (len(of_set) > 1)}: "
        for key in of_set[0]["values"]:
            facts = [one["values"][key] for one in of_set if key in one["values"]]
            task, group = key.rsplit("|", 1)
            row = [title + task, facts[0]["metric"], group, f"{facts[0]['n']:,}"]
            title = ""
            for variant in variants:
                known = [one["of"][variant] for one in facts if one["of"].get(variant) is not None]
                row.append(_mean(known))
            for step in steps:
                drawn = [one["draws"].get(step) for one in facts]
                interval, verdict = two_level_interval(drawn), ""
                later, earlier = step.split(" − ")
                gains = [
                    one["of"][later] - one["of"][earlier]
                    for one in facts
                    if one["of"].get(later) is not None and one["of"].get(earlier) is not None
                ]
                if interval is not None and gains:
                    verdict = f"{np.mean(gains):+.4f} [{interval[0]:+.4f}, {interval[1]:+.4f}]"
                    verdict = f"**{verdict}**" if interval[1] < 0 else verdict
                row.append(verdict or "–")
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    if not values:
        return "–"
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{spread}"
