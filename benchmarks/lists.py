"""Lists under limits: kept, proven impossible, how near the best, how fast; and what complements are worth.

    python -m benchmarks.lists [--bundle DIR] [--lists 200] [--exact 60] [--seed 0] [--peer] [--json FILE]

On MovieLens-100K (years and genres; --bundle names one trained on it, else one is trained) and on a
synthetic shop of motet.datasets (invented prices, categories and purchases; a short training). Each
limit set is drawn at random. What is reported as kept is checked here again, limit by limit, from the
catalogue; what is reported as impossible is checked by trying every set where there are at most
300,000, else by limits that already exclude it alone (too few items, a budget below the k cheapest),
else it counts as claimed by the solver only. Every conflict is checked for minimality. With --peer
(``pip install "ortools>=9.12,<10"`` into an environment of its own: its protobuf is an older one) every
limit set is also solved and explained with OR-Tools CP-SAT in the place of HiGHS; see docs/adr/0019.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import motet
from benchmarks._complements import complement_lift
from motet.assistant import (
    ConflictExplainer,
    ItemRelations,
    ListAnswer,
    ListLimit,
    ListLimits,
    ListPool,
    Quota,
    limits_of,
    make_list,
    mine_relations,
    search_list,
    solve_list,
    solve_list_exactly,
    tag_matrix,
)
from motet.assistant.understand import Range, Request, Tag
from motet.data import Catalogue
from motet.datasets import SyntheticWorld, fetch, generate
from motet.recommend import Recommender
from motet.schema import Schema
from motet.training import load_data, train

Drawn = tuple[Request, ListLimits]
_TRIED = 300_000  # sets of items that are all tried


def say(what: str) -> None:
    """Progress, on standard error."""
    print(what, file=sys.stderr, flush=True)


# -- limit sets ----------------------------------------------------------------------------------


def draw(rng: np.random.Generator, catalogue: Catalogue, column: str, number: str, *, sums: bool) -> Drawn:
    """A random limit set, from easy to impossible."""
    cells = catalogue.frame[column]
    values = sorted((cells.explode() if cells.dtype.is_nested() else cells).drop_nulls().unique())
    numbers = catalogue.frame[number].drop_nulls().to_numpy()

    def tag() -> Tag:
        return Tag(column=column, value=str(rng.choice(values)))

    count = int(rng.integers(2, 9))
    must = (tag(),) if rng.random() < 0.3 else ()
    must_not = tuple(t for t in {tag(), tag()} if t not in must) if rng.random() < 0.5 else ()
    ranges: tuple[Range, ...] = ()
    total: tuple[Range, ...] = ()
    if rng.random() < 0.5:
        low, high = np.sort(rng.choice(numbers, 2))
        ranges = (Range(column=number, low=float(low), high=float(high)),)
    if sums and rng.random() < 0.7:
        each = float(np.quantile(numbers, rng.uniform(0.0, 0.5)))
        total = (Range(column=number, high=round(each * count, 2)),)
    quotas: list[Quota] = []
    if rng.random() < 0.4:
        chosen = tag()
        quotas.append(Quota(column=column, value=chosen.value, low=int(rng.integers(1, 4))))
    if rng.random() < 0.3:
        quotas.append(Quota(column=column, high=int(rng.integers(1, 3))))
    request = Request(count=count, must=must, must_not=must_not, ranges=ranges, total=total)
    alike = float(rng.choice([0.3, 0.5])) if rng.random() < 0.2 else None
    return request, ListLimits(quotas=tuple(quotas), alike=alike)


# -- checks that share nothing with the solver ---------------------------------------------------


def keeps(limits: Sequence[ListLimit], chosen: Sequence[int], relations: ItemRelations) -> bool:
    """Whether some items keep every limit, looked at one by one."""
    for limit in limits:
        if limit.keeps is not None and not all(limit.keeps[item] for item in chosen):
            return False
        if not all(row.holds(chosen) for row in limit.sums):
            return False
        for a, b in itertools.combinations(chosen, 2):
            if limit.kind == "duplicates" and relations.duplicates[a, b]:
                return False
            if limit.kind == "alike" and limit.high is not None:
                between = relations.likeness.between(np.array([a]), np.array([b]))[0, 0]
                if between > limit.high + 1e-6:
                    return False
    return True


def impossible(limits: Sequence[ListLimit], relations: ItemRelations) -> str | None:
    """How it is certain, without the solver, that no list keeps the limits; None where it is not."""
    count = next(limit for limit in limits if limit.kind == "count")
    size = int(count.low or 1)
    kept = np.ones(len(relations), bool)
    for limit in limits:
        kept = kept & limit.keeps if limit.keeps is not None else kept
    rows = np.flatnonzero(kept)
    if len(rows) < size:
        return "too few items"
    for row in (row for limit in limits for row in limit.sums):
        weights = np.sort(row.weights[rows])
        if row.high is not None and weights[:size].sum() > row.high + 1e-6:
            return "a sum alone"
        if row.low is not None and weights[-size:].sum() < row.low - 1e-6:
            return "a sum alone"
    if math.comb(len(rows), size) <= _TRIED:
        tried = (keeps(limits, chosen, relations) for chosen in itertools.combinations(rows.tolist(), size))
        return None if any(tried) else "every set tried"
    return "the solver only"


# -- one world -----------------------------------------------------------------------------------


def lists_in(
    name: str, recommender: Recommender, column: str, number: str, *, sums: bool, lists: int, exact: int, seed: int
) -> dict[str, Any]:  # fmt: skip
    """Make lists under random limits and check them."""
    data = recommender.bundle.data
    catalogue = data.catalogue
    assert catalogue is not None
    relations = mine_relations(data, recommender.bundle.behaviour)
    rng = np.random.default_rng(seed)
    users = [str(user) for user in rng.choice(data.user_ids.to_numpy(), lists)]
    found: dict[str, Any] = {"name": name, "items": len(catalogue), "lists": lists, "status": {}, "certain_by": {}, "method": {}}  # fmt: skip
    kept = wrong = minimal = nearest = conflicts = 0
    elapsed_ms: list[float] = []
    explained_ms: list[float] = []
    gaps: dict[str, list[float]] = {
        "search": [],
        "kernel of 50": [],
        "kernel of 150": [],
        "kernel of 300": [],
    }
    stated: list[float] = []
    for place, user in enumerate(users):
        request, wishes = draw(rng, catalogue, column, number, sums=sums)
        began = time.perf_counter()
        answer = make_list(recommender, user, request, relations, limits=wishes)
        (elapsed_ms if answer.status == "complete" else explained_ms).append(
            1000 * (time.perf_counter() - began)
        )
        limits, _ = limits_of(request, wishes, catalogue, recommender.seen(user))
        count(found["status"], answer.status)
        if answer.status == "complete":
            count(found["method"], f"{answer.method}, {'proven' if answer.proven else 'gap stated'}")
            if not answer.proven and answer.gap is not None:
                stated.append(answer.gap)
            good = keeps(limits, _rows(answer, catalogue), relations)
            kept += good
            wrong += not good
            if place < exact:
                _gaps(recommender, user, relations, wishes, limits, gaps)
        elif answer.status == "infeasible":
            conflicts += 1
            certain = impossible(limits, relations)
            count(found["certain_by"], certain or "WRONG: there is a list")
            minimal += _is_minimal(answer, limits, recommender, user, relations)
            nearest += answer.nearest is not None
        if (place + 1) % 20 == 0:
            say(f"{name}: {place + 1} of {lists}")
    found |= {"kept": kept, "wrong": wrong, "conflicts": conflicts, "minimal": minimal, "nearest": nearest}
    found["ms"] = {"median": _quantile(elapsed_ms, 0.5), "p95": _quantile(elapsed_ms, 0.95)}
    found["explained_ms"] = {"median": _quantile(explained_ms, 0.5), "p95": _quantile(explained_ms, 0.95)}
    found["stated_gap"] = {"median": _quantile(stated, 0.5), "max": _quantile(stated, 1.0)}
    found["gaps"] = {m: {"n": len(g), "mean": float(np.mean(g)) if g else None, "max": _quantile(g, 1.0), "best": float(np.mean(np.asarray(g) < 1e-6)) if g else None} for m, g in gaps.items()}  # fmt: skip
    return found


def count(table: dict[str, int], key: str) -> None:
    """One more."""
    table[key] = table.get(key, 0) + 1


def _quantile(values: Sequence[float], at: float) -> float | None:
    return float(np.quantile(values, at)) if values else None


def _rows(answer: ListAnswer, catalogue: Catalogue) -> list[int]:
    known = {str(name): row for row, name in enumerate(catalogue.frame["id"])}
    return [known[item.id] for item in answer.items]


def _gaps(
    recommender: Recommender,
    user: str,
    relations: ItemRelations,
    wishes: ListLimits,
    limits: Sequence[ListLimit],
    gaps: dict[str, list[float]],
) -> None:
    """The gap of each method to the best list of the 300 best candidates, where that is proven."""
    catalogue = recommender.bundle.data.catalogue
    assert catalogue is not None
    scores = recommender.scores(user).astype(np.float64)
    pool = ListPool(scores, relations, wishes, tag_matrix(catalogue), ())
    rows = pool.candidates(limits)
    rows = np.sort(rows[np.argsort(-scores[rows], kind="stable")[:300]])
    problem = pool.problem(limits, rows)
    best = solve_list(problem, time_limit_s=20)
    if not best.proven or best.chosen is None:
        return
    quick = search_list(problem, time_limit_s=2)
    gaps["search"].append(1 - quick.objective / best.objective if quick.chosen is not None else 1.0)
    for size in (50, 150, 300):
        if len(problem) > size or size == 300:
            kernel = solve_list(problem, time_limit_s=3, exact_up_to=size)
            part = 1 - kernel.objective / best.objective if kernel.chosen is not None else 1.0
            gaps[f"kernel of {size}"].append(part)


def _is_minimal(
    answer: ListAnswer,
    limits: Sequence[ListLimit],
    recommender: Recommender,
    user: str,
    relations: ItemRelations,
) -> bool:
    """Whether without any one of the blamed limits a list keeps the others, checked limit by limit."""
    assert answer.conflict is not None
    catalogue = recommender.bundle.data.catalogue
    assert catalogue is not None
    pool = ListPool(recommender.scores(user).astype(np.float64), relations, ListLimits(together=0, variety=0), tag_matrix(catalogue), ())  # fmt: skip
    blamed = [limit for limit in limits if limit.words in answer.conflict.limits]
    for limit in blamed:
        rest = [other for other in blamed if other is not limit]
        rows = pool.candidates(rest)
        found = solve_list(pool.problem(rest, rows), time_limit_s=5)
        if limit.kind == "count" and not rest:
            continue
        if found.chosen is None or not keeps(rest, [int(rows[p]) for p in found.chosen], relations):
            return False
    return True


def beside_cp_sat(
    recommender: Recommender, column: str, number: str, *, sums: bool, lists: int, seed: int
) -> dict[str, Any]:
    """Each limit set solved and, where there is no list, explained with either exact solver, alternately."""
    from benchmarks._list_peer import conflict_by_cp_sat, solve_by_cp_sat  # noqa: PLC0415

    catalogue = recommender.bundle.data.catalogue
    assert catalogue is not None
    relations = mine_relations(recommender.bundle.data, recommender.bundle.behaviour)
    rng = np.random.default_rng(seed)
    users = [str(user) for user in rng.choice(recommender.bundle.data.user_ids.to_numpy(), lists)]
    solvers = {"HiGHS": solve_list_exactly, "CP-SAT": solve_by_cp_sat}
    found: dict[str, dict[str, Any]] = {
        name: {"ms": [], "lists": 0, "best": 0, "proven": 0, "impossible": 0, "explain_ms": [], "minimal": 0}
        for name in solvers
    }
    cores: dict[str, Any] = {"conflicts": 0, "minimal": 0, "ms": []}
    for user in users:
        request, wishes = draw(rng, catalogue, column, number, sums=sums)
        limits, _ = limits_of(request, wishes, catalogue, recommender.seen(user))
        pool = ListPool(
            recommender.scores(user).astype(np.float64), relations, wishes, tag_matrix(catalogue), ()
        )
        problem = pool.problem(limits, pool.compared(pool.candidates(limits), limits))
        solutions = {}
        for name, exact in solvers.items():
            with patch("motet.assistant._list_solve.solve_list_exactly", exact):
                began = time.perf_counter()
                solutions[name] = solve_list(problem, time_limit_s=3.0)
                found[name]["ms"].append(1000 * (time.perf_counter() - began))
        best = max(one.objective for one in solutions.values())
        for name, one in solutions.items():
            found[name]["lists"] += one.chosen is not None
            found[name]["best"] += one.chosen is not None and one.objective >= best - 1e-4
            found[name]["proven"] += one.proven
            found[name]["impossible"] += one.chosen is None and one.proven
        if not any(one.chosen is None and one.proven for one in solutions.values()):
            continue
        blamed = 0
        for name, exact in solvers.items():
            with patch("motet.assistant._list_solve.solve_list_exactly", exact):
                began = time.perf_counter()
                explained = ConflictExplainer(pool, catalogue, "en", time.monotonic() + 3).explain(limits)
                found[name]["explain_ms"].append(1000 * (time.perf_counter() - began))
            found[name]["minimal"] += explained.conflict.minimal and explained.nearest is not None
            blamed = blamed or len(explained.conflict.limits)
        began = time.perf_counter()
        core, proven = conflict_by_cp_sat(pool, limits, time_limit_s=3.0)
        cores["ms"].append(1000 * (time.perf_counter() - began))
        cores["conflicts"] += 1
        cores["minimal"] += proven and len(core) == blamed
    for figures in found.values():
        for key in ("ms", "explain_ms"):
            figures[key] = {"median": _quantile(figures[key], 0.5), "p95": _quantile(figures[key], 0.95)}
    cores["ms"] = {"median": _quantile(cores["ms"], 0.5), "p95": _quantile(cores["ms"], 0.95)}
    return {**found, "assumptions of CP-SAT": cores}


# -- worlds --------------------------------------------------------------------------------------


def movielens(bundle: Path | None, place: Path) -> tuple[Recommender, Schema, Path]:
    """The bundle named, or one trained now."""
    files = fetch("movielens-100k")
    schema = Schema.load(files / "schema.yaml")
    if bundle is None:
        bundle = place / "movielens"
        say("training on MovieLens-100K")
        train(schema, files, bundle)
    return motet.load(bundle).recommender, schema, files


def shop(place: Path, seed: int) -> tuple[Recommender, Schema, Path]:
    """A synthetic shop, and a model trained on it for two epochs."""
    files = generate(SyntheticWorld(users=2_000, items=800, interactions=150_000, seed=seed), place / "shop")
    schema = Schema.load(files / "schema.yaml", ["training.epochs=2"])
    say("training on the synthetic shop")
    train(schema, files, place / "shop-bundle")
    return motet.load(place / "shop-bundle").recommender, schema, files


def report(found: dict[str, Any]) -> None:
    """Markdown of one world."""
    status, conflicts = found["status"], found["conflicts"]
    certain = ", ".join(f"{name}: {n}" for name, n in sorted(found["certain_by"].items()))
    methods = ", ".join(f"{name}: {n}" for name, n in sorted(found["method"].items()))
    print(f"### {found['name']}: {found['items']:,} items, {found['lists']} random limit sets\n")
    print("| what | figure |\n|---|---:|")
    print(f"| lists made | {status.get('complete', 0)} |")
    print(f"| … of which keep every limit, checked again | {found['kept']} |")
    print(f"| … of which break one | {found['wrong']} |")
    print(f"| reported impossible | {status.get('infeasible', 0)} |")
    print(f"| … and how that is certain | {certain or '–'} |")
    print(f"| … conflicts that are minimal, checked again | {found['minimal']} of {conflicts} |")
    print(f"| … with a nearest list | {found['nearest']} of {conflicts} |")
    print(f"| undecided in the time given | {status.get('undecided', 0)} |")
    print(f"| method | {methods} |")
    if found["stated_gap"]["median"] is not None:
        print(f"| gap that is stated where not proven, median and largest | {found['stated_gap']['median']:.1%}, {found['stated_gap']['max']:.1%} |")  # fmt: skip
    for name, part in (("a list", found["ms"]), ("an explanation", found["explained_ms"])):
        if part["median"] is not None:
            print(
                f"| milliseconds {name}, median and 95th percentile | {part['median']:.0f}, {part['p95']:.0f} |"
            )
    print(
        "\n| method beside the proven best of 300 candidates | lists | mean gap | largest gap | is the best |"
    )
    print("|---|---:|---:|---:|---:|")
    for method, gap in found["gaps"].items():
        if gap["n"]:
            print(f"| {method} | {gap['n']} | {gap['mean']:.2%} | {gap['max']:.2%} | {gap['best']:.0%} |")
    print()


def main() -> None:
    """Measure both worlds and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--bundle", type=Path, help="trained on movielens-100k with its own schema")
    parser.add_argument("--lists", type=int, default=200, help="random limit sets a world")
    parser.add_argument(
        "--exact", type=int, default=60, help="of which so many are solved to the proven best"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peer", action="store_true", help="beside OR-Tools CP-SAT")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    everything: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="motet-lists-") as temporary:
        place = Path(temporary)
        worlds: list[tuple[str, Callable[[], tuple[Recommender, Schema, Path]], str, str, bool, str]] = [
            ("MovieLens-100K", lambda: movielens(arguments.bundle, place), "genres", "year", False, "like"),
            ("synthetic shop", lambda: shop(place, arguments.seed), "category", "price", True, "click"),
        ]
        for name, opened, column, number, sums, task in worlds:
            recommender, schema, files = opened()
            found = lists_in(name, recommender, column, number, sums=sums, lists=arguments.lists, exact=arguments.exact, seed=arguments.seed)  # fmt: skip
            report(found)
            if arguments.peer:
                found["peer"] = beside_cp_sat(recommender, column, number, sums=sums, lists=arguments.lists, seed=arguments.seed)  # fmt: skip
                for solver, values in found["peer"].items():
                    print(f"{solver}: {json.dumps(values)}")
            data = load_data(schema, files, encoder=recommender.bundle.data.encoder).data
            lifts = complement_lift(data, task, 10, arguments.seed)
            print(f"Ten items beside each that a user took ({task}) in the training rows; what of them it took later:\n")  # fmt: skip
            print("| rule | pairs | taken later | lift beside the item's own rate |\n|---|---:|---:|---:|")
            for rule, lift in lifts.items():
                value = f"{lift.rate:.2%} | {lift.lift:.2f} [{lift.low:.2f}, {lift.high:.2f}]"
                print(f"| {rule} | {lift.pairs:,} | {value if lift.pairs else 'none were mined | –'} |")
            print(flush=True)
            found["lift"] = {r: [v.pairs, v.rate, v.lift, v.low, v.high] for r, v in lifts.items()}
            everything.append(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
