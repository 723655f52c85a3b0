"""Every published method beside a shared bottom: architectures × data sets × seeds under an equal tuning budget.

    python -m benchmarks.zoo [SET ...] [--methods M ...] [--seeds 0 1 2 3 4] [--trials 4] [--hours 24] [--processes 1]
                             [--quick] [--cache DIR] [--json FILE]

Sets: films (MovieLens-1M by time, 200,000 rows; networks and ways to share), films-genres, films-ages and films-dayparts
(the same films with scenarios; each user's time; methods for scenarios), adult and clothing-reviews (ways to share),
open-bandit (methods for scenarios), and two synthetic worlds of 60,000 impressions, world-strong (tastes differ by
scenario) and world-alike (they do not), with all methods, funnels included. Texts are left out.

Each set is one comparison of ``motet compare``: the same rows, seeds and number of trials for each method, settings chosen on
validation rows with the first seed, networks alone, the scenario a plain feature except for methods that are made for it
("shared_bottom, gated" is the default of towers). Differences to ``shared_bottom`` are paired over users and seeds; their
p-values are corrected for all methods, tasks and sets together (Holm). ``compare.html`` of each set has scenarios one by
one and pictures of quality against cost. Balancers are not here: ``benchmarks.balancers``.

Each finished cell is a file in ``--cache``, so that the same command goes on. ``--hours`` bounds the training in all cells
there, those of earlier runs included: what is not finished by then is named and left out. ``--quick`` takes 3,000 rows of
each set, two seeds, no trials and two epochs; such figures show that everything runs, and little else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks._zoo_sets import ZOO, write_set
from motet.evaluation import holm
from motet.models.architectures import ARCHITECTURES
from motet.training.compare import compare_methods

__all__ = ["main", "methods_of", "spec_of", "spent_s", "table_of"]

BASELINE: Final = "shared_bottom"
GATED: Final = "shared_bottom, gated"
_QUICK_ROWS: Final = 3_000
_LEVEL: Final = 0.05
_TRAINING: Final = {"training.epochs": 8, "training.patience": 2}
_QUICK_TRAINING: Final = {"training.epochs": 2, "training.patience": 2}


def say(what: str) -> None:
    """Progress, on standard error."""
    print(what, file=sys.stderr, flush=True)


def methods_of(name: str) -> dict[str, dict[str, Any]]:
    """Methods of a set by name: the baseline, and every registered architecture of its families that fits.

    Args:
        name: Of the set.
    """
    of = ZOO[name]
    found: dict[str, dict[str, Any]] = {BASELINE: {}}
    if of.scenario:
        found[GATED] = {"architecture": BASELINE, "settings": {"model.scenario_gate": True}}
    for method, (kind, _) in ARCHITECTURES.items():
        about = kind.about
        if about is None or about.family not in of.families or method == BASELINE:
            continue
        if "features of the user" in about.needs and of.source in ("adult", "clothing-reviews"):
            continue
        found[method] = {"options": {"levels": 2}} if method == "ple" else {}  # with one level it is cgc
    return found


def spec_of(
    name: str, schema: Path, methods: Sequence[str] | None, *, quick: bool, **settings: Any
) -> dict[str, Any]:
    """The comparison of a set, as ``motet compare`` reads it.

    Args:
        name: Of the set.
        schema: File of its schema.
        methods: Names that are taken; all when left out. The baseline always is.
        quick: Few epochs.
        settings: Seeds, trials, processes and time limit.
    """
    known = methods_of(name)
    taken = {m: one for m, one in known.items() if methods is None or m in methods or m == BASELINE}
    training = _QUICK_TRAINING if quick else _TRAINING
    return {
        "schemas": {"path": str(schema), "name": name, **training},
        "methods": taken,
        "baseline": BASELINE,
        **settings,
    }


def spent_s(cache: Path) -> float:
    """Processor seconds of all finished cells: processes have one thread each."""
    total = 0.0
    for path in cache.glob("*/cells/*.json"):
        cell = json.loads(path.read_text(encoding="utf-8"))
        total += float(cell["fit_s"] if "fit_s" in cell else cell["cost"]["fit_s"])
    return total


def correct_over_sets(contents: Mapping[str, Mapping[str, Any]]) -> None:
    """Correct the p-values of all sets together, in place, and say again what is beyond noise."""
    lines = [
        line
        for content in contents.values()
        for schema in content["schemas"].values()
        for task in schema["tasks"].values()
        for line in task["methods"].values()
        if line.get("p") is not None
    ]
    for line, p in zip(lines, holm([line["p"] for line in lines]), strict=True):
        line["p_holm"] = p
        line["verdict"] = "level" if p > _LEVEL else "better" if line["difference"] > 0 else "worse"


def table_of(name: str, content: Mapping[str, Any]) -> str:
    """A set as Markdown: each task's mean, difference, interval and corrected p; then rank and costs.

    Args:
        name: Of the set.
        content: Of ``compare.json``, corrected over all sets.
    """
    schema = content["schemas"][name]
    synthetic = ", synthetic" if schema["synthetic"] else ""
    heads = [f"{task}, {of['metric']}" for task, of in schema["tasks"].items()]
    head = ["method", *heads, "mean rank", "parameters", "rows/s", "ms for 1,000 candidates"]
    seeds = len(content["seeds"])
    out = [
        f"### {name} ({schema['rows']:,} test rows, {seeds} seed{'s' if seeds > 1 else ''}{synthetic})",
        "",
        f"| {' | '.join(head)} |",
        "|---" + "|---:" * (len(head) - 1) + "|",
    ]
    for method, cost in schema["costs"].items():
        cells = [_said(of["methods"].get(method, {})) for of in schema["tasks"].values()]
        rank = content["mean_rank"].get(method)
        cells += [
            "–" if rank is None else f"{rank:.1f}",
            f"{cost['parameters']:,.0f}",
            "–" if cost["rows_per_s"] is None else f"{cost['rows_per_s']:,.0f}",
            "–" if cost["latency_ms"] is None else f"{cost['latency_ms']:.1f}",
        ]
        out.append(f"| `{method}` | {' | '.join(cells)} |")
    return "\n".join([*out, "", *_sentences(schema, content)])


def _said(line: Mapping[str, Any]) -> str:
    if line.get("mean") is None:
        return "–"
    text = f"{line['mean']:.4f}"
    if line.get("interval") is not None and line.get("p_holm") is not None:
        low, high = line["interval"]
        text += f" {line['difference']:+.4f} [{low:+.4f}, {high:+.4f}] p {line['p_holm']:.2f}"
    return f"**{text} {line['verdict']}**" if line.get("verdict") in ("better", "worse") else text


def _sentences(schema: Mapping[str, Any], content: Mapping[str, Any]) -> Iterator[str]:
    for task, of in schema["tasks"].items():
        beyond = {
            verdict: [f"`{m}`" for m, line in of["methods"].items() if line.get("verdict") == verdict]
            for verdict in ("better", "worse")
        }
        parts = [f"{', '.join(names)} {verdict}" for verdict, names in beyond.items() if names]
        if not any(line.get("verdict") for line in of["methods"].values()):
            yield f"{task}: nothing can be compared."
        elif parts:
            yield f"{task}: {'; '.join(parts)} than `{BASELINE}`; no other method differs beyond noise."
        else:
            yield f"{task}: no method differs from `{BASELINE}` beyond noise."
    missing = [*content["unfinished"], *(f"{one['cell']} ({one['error']})" for one in content["failed"])]
    if missing:
        yield f"Not finished: {'; '.join(missing)}."


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the cells that are not kept yet, and print a table for each set."""
    asked = _parser().parse_args(arguments)
    seeds = asked.seeds or ([0, 1] if asked.quick else [0, 1, 2, 3, 4])
    trials = asked.trials if asked.trials is not None else 0 if asked.quick else 4
    contents: dict[str, dict[str, Any]] = {}
    for name in asked.sets or ZOO:
        left_s = 3600 * asked.hours - spent_s(asked.cache)
        if left_s <= 0:
            say(f"{name}: left out, the {asked.hours:g} hours are spent")
            continue
        rows = asked.rows or (_QUICK_ROWS if asked.quick else ZOO[name].rows)
        source = write_set(name, rows, asked.cache / "data")
        spec = spec_of(
            name,
            source / "schema.yaml",
            asked.methods,
            quick=asked.quick,
            seeds=seeds,
            trials=trials,
            processes=asked.processes,
            time_limit=left_s / asked.processes,
        )
        if len(spec["methods"]) < 2:
            say(f"{name}: left out, it has none of the methods that were named")
            continue
        say(f"{name}: {len(spec['methods'])} methods")
        contents[name] = compare_methods(spec, source, asked.cache / f"{name}-{rows}")
    correct_over_sets(contents)
    for name, content in contents.items():
        print(f"\n{table_of(name, content)}")
    hours = spent_s(asked.cache) / 3600
    print(f"\n{hours:.2f} processor-hours in all cells of {asked.cache}")
    if asked.json:
        asked.json.write_text(json.dumps(contents, indent=1), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", choices=[[], *ZOO], default=[])
    parser.add_argument("--methods", nargs="+", choices=[GATED, *ARCHITECTURES])
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--trials", type=int, help="settings tried for each method; 4, none with --quick")
    parser.add_argument("--hours", type=float, default=24.0, help="processor-hours of all cells in --cache")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--rows", type=int, help="rows of each set at most")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--cache", type=Path, default=Path("runs/zoo"))
    parser.add_argument("--json", type=Path)
    return parser


if __name__ == "__main__":
    main()
