"""Lists and conflicts by OR-Tools CP-SAT, to be timed beside motet's own; see docs/adr/0019.

CP-SAT computes with whole numbers. Worth is rounded to millionths; a limited sum whose numbers end after at
most four decimals is scaled to whole numbers and exact, any other is rounded to a millionth of its largest
number, inwards, so that what is found keeps the limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import scipy.sparse as sp
from ortools.sat.python import cp_model

from motet.assistant import ListLimit, ListPool, ListProblem, Solution, SumLimit

__all__ = ["conflict_by_cp_sat", "solve_by_cp_sat"]

_UNIT = 1_000_000
_STATUS = {cp_model.OPTIMAL: True, cp_model.INFEASIBLE: True}


def solve_by_cp_sat(problem: ListProblem, *, time_limit_s: float, any_list: bool = False) -> Solution:
    """As :func:`motet.assistant.solve_list_exactly`, with one worker and a fixed seed."""
    if any_list:
        n = len(problem)
        none, bare = sp.csr_array((n, n)), sp.csr_array((n, 0))
        problem = ListProblem(np.full(n, -1.0), none, bare, 0.0, problem.sums, problem.apart, problem.most)
    model = cp_model.CpModel()
    x = [model.new_bool_var("") for _ in range(len(problem))]
    terms = [round(float(value) * _UNIT) * one for value, one in zip(problem.value, x, strict=True)]
    upper = sp.coo_array(sp.triu(problem.together, 1))
    for a, b, bonus in zip(upper.row, upper.col, upper.data, strict=True):
        both = model.new_bool_var("")
        model.add_implication(both, x[a])
        model.add_implication(both, x[b])
        terms.append(round(float(bonus) * _UNIT) * both)
    covers = sp.csc_array(problem.covers)
    for tag in range(covers.shape[1]):
        covered = model.new_bool_var("")
        having = covers.indices[covers.indptr[tag] : covers.indptr[tag + 1]]
        model.add_bool_or([*(x[item] for item in having), ~covered])
        terms.append(round(problem.variety * _UNIT) * covered)
    for limit in problem.sums:
        _add_sum(model, x, limit)
    for a, b in zip(*sp.triu(problem.apart, 1).nonzero(), strict=True):
        model.add_at_most_one(x[a], x[b])
    model.maximize(sum(terms))
    solver = _solver(time_limit_s)
    status = solver.solve(model)
    proven = _STATUS.get(status, False)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Solution(None, -math.inf, math.inf, proven, "exact")
    chosen = tuple(place for place, one in enumerate(x) if solver.boolean_value(one))
    worth = problem.objective(chosen)
    return Solution(chosen, worth, max(worth, solver.best_objective_bound / _UNIT), proven, "exact")


def conflict_by_cp_sat(
    pool: ListPool, limits: Sequence[ListLimit], *, time_limit_s: float
) -> tuple[list[ListLimit], bool]:
    """Limits that suffice for there being no list, by assumptions, and whether that is proven."""
    rows = np.flatnonzero(np.isfinite(pool.scores))
    model = cp_model.CpModel()
    x = [model.new_bool_var("") for _ in rows]
    by_index = {}
    for limit in limits:
        asked = model.new_bool_var(limit.words)
        by_index[asked.index] = limit
        if limit.keeps is not None:
            for place in np.flatnonzero(~limit.keeps[rows]):
                model.add_implication(asked, ~x[place])
        for row in limit.sums:
            _add_sum(model, x, SumLimit(row.name, row.weights[rows], row.low, row.high), asked)
        if limit.kind in ("duplicates", "alike"):
            apart = pool.problem([limit], rows.astype(np.intp), np.zeros(len(pool.scores))).apart
            for a, b in zip(*sp.triu(apart, 1).nonzero(), strict=True):
                model.add_bool_or(~x[a], ~x[b], ~asked)
        model.add_assumption(asked)
    solver = _solver(time_limit_s)
    if solver.solve(model) != cp_model.INFEASIBLE:
        return list(limits), False
    return [by_index[place] for place in solver.sufficient_assumptions_for_infeasibility()], True


def _solver(time_limit_s: float) -> cp_model.CpSolver:
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_time_in_seconds = time_limit_s
    return solver


def _add_sum(
    model: cp_model.CpModel,
    x: Sequence[cp_model.IntVar],
    limit: SumLimit,
    asked: cp_model.IntVar | None = None,
) -> None:
    unit = next(
        (
            10**places
            for places in range(5)
            if np.allclose(
                limit.weights * 10**places, np.round(limit.weights * 10**places), rtol=1e-9, atol=0
            )
        ),
        None,
    )
    exact = unit is not None
    scale = unit if unit is not None else _UNIT / max(float(np.abs(limit.weights).max(initial=0)), 1e-9)
    total = sum(round(float(w) * scale) * one for w, one in zip(limit.weights, x, strict=True))
    slack = 0 if exact else 100  # a list of up to 100 items rounds by half a unit each
    ends = []
    if limit.low is not None:
        ends.append(total >= math.ceil(Fraction(repr(float(limit.low))) * Fraction(scale)) + slack)
    if limit.high is not None:
        ends.append(total <= math.floor(Fraction(repr(float(limit.high))) * Fraction(scale)) - slack)
    for end in ends:
        row = model.add(end)
        if asked is not None:
            row.only_enforce_if(asked)
