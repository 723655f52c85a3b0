"""Statistics of experiments and off-policy estimates on synthetic worlds with a known truth, and on Open Bandit.

    python -m benchmarks.experiments [false_positives] [power] [mismatch] [interleaving] [canary] [bandits] [open_bandit]

false_positives  A/A tests that are looked at after every event: how many ever show a difference that is not there
power            the same with an effect that a test with a single look finds in 80 % of cases: how many find it by 1.6 times its sample
mismatch         the check of the numbers of users, looked at after every user, in sound and in broken experiments
interleaving     team draft of two equal rankings, and of a better one, beside an A/B test on as many lists
canary           a new model that answers some users, looked at 30 times: how often it is dropped, by users and list by list
bandits          how often the 95 % intervals of IPS, SNIPS and DR hold the true value of a policy, and their errors
open_bandit      values of a policy from the other policy's log, beside the mean of its own log

Everything but the last part is synthetic. One thread; all parts take some minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special, stats

from motet.datasets import fetch_asset
from motet.evaluation import cross_fitted_rewards, off_policy_values
from motet.service.experiments import (
    UserTotals,
    effect_of,
    interleaving_preference,
    sample_ratio,
    sequential_radius,
    team_draft,
)
from motet.service.learner import Success, users_fell

Array: TypeAlias = NDArray[np.float64]
Rng: TypeAlias = np.random.Generator

AT_ONCE: Final = 50  # experiments beside each other in memory
FEWEST, FEWEST_NONZERO = 50, 5  # as effect_of holds back


# -- A/A and A/B, looked at after every event --------------------------------------------------


@dataclass(frozen=True, slots=True)
class Looks:
    """Estimates after each event of some experiments, [M, events] each.

    Attributes:
        z: Difference by its standard error.
        fraction: Share of the planned users.
        counted: Whether there are enough users and outcomes for an interval.
    """

    z: Array
    fraction: Array
    counted: NDArray[np.bool_]

    def found(self) -> NDArray[np.bool_]:
        """At which looks the always-valid interval leaves zero out."""
        if (self.fraction == self.fraction[:1]).all():
            radius = sequential_radius(self.fraction[0])[None]
        else:
            steps = np.geomspace(1e-4, 10, 4000)  # conservative by less than 0.1 %
            radius = np.interp(self.fraction, steps, sequential_radius(steps))
        return np.asarray(self.counted & (np.abs(self.z) > radius))

    def fixed(self) -> NDArray[np.bool_]:
        """At which looks the interval for a single look leaves zero out."""
        return np.asarray(self.counted & (np.abs(self.z) > stats.norm.ppf(0.975)))


def one_outcome_each(rng: Rng, m: int, users: int, planned: int, draw: Callable[[Rng, NDArray[np.bool_]], Array]) -> Looks:  # fmt: skip
    """Every user has one outcome, at once; ``draw`` gives the outcomes from who has the variant."""
    variant = rng.random((m, users)) < 0.5
    y = draw(rng, variant)
    sums = {}
    for arm, mine in ((0, ~variant), (1, variant)):
        n, s = np.cumsum(mine, 1), np.cumsum(np.where(mine, y, 0), 1)
        q, some = np.cumsum(np.where(mine, y * y, 0), 1), np.cumsum(mine & (y != 0), 1)
        sums[arm] = (n, s, q, some)
    fraction = np.broadcast_to(np.arange(1, users + 1) / planned, (m, users))
    return looks(sums, fraction)


def looks(sums: Mapping[int, tuple[Any, ...]], fraction: Array) -> Looks:
    """From users, totals, squares and users with an outcome of both arms."""
    mean: list[Any] = []
    error: Any = 0.0
    counted: Any = True
    with np.errstate(divide="ignore", invalid="ignore"):
        for n, s, q, some in sums.values():
            mean.append(s / n)
            error = error + (q - s * s / n) / (n * (n - 1))
            counted = counted & (n >= FEWEST) & (some >= FEWEST_NONZERO)
        z = (mean[1] - mean[0]) / np.sqrt(error)
    counted &= np.isfinite(z)
    return Looks(np.where(counted, z, 0.0), fraction, counted)


def adjusted(rng: Rng, m: int, users: int, planned: int, effect: float = 0.0) -> Looks:
    """CUPED: an outcome that correlates by 0.7 with what was known before; its own θ at every look."""
    variant = rng.random((m, users)) < 0.5
    x = rng.standard_normal((m, users))
    y = 0.7 * x + np.sqrt(1 - 0.49) * rng.standard_normal((m, users)) + effect * variant
    part: dict[int, dict[str, Array]] = {}
    for arm, mine in ((0, ~variant), (1, variant)):
        cells = {"n": mine * 1.0, "y": mine * y, "x": mine * x, "yy": mine * y * y, "xx": mine * x * x, "xy": mine * x * y}  # fmt: skip
        part[arm] = {name: np.cumsum(values, 1) for name, values in cells.items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        centred = [{key: p[key] - p[key[0]] * p[key[1]] / p["n"] for key in ("yy", "xx", "xy")} for p in part.values()]  # fmt: skip
        theta = sum(c["xy"] for c in centred) / sum(c["xx"] for c in centred)
        mean = [(p["y"] - theta * p["x"]) / p["n"] for p in part.values()]
        error = sum(
            (c["yy"] - 2 * theta * c["xy"] + theta**2 * c["xx"]) / (p["n"] * (p["n"] - 1))
            for c, p in zip(centred, part.values(), strict=True)
        )
        z = (mean[1] - mean[0]) / np.sqrt(error)
    counted = (part[0]["n"] >= FEWEST) & (part[1]["n"] >= FEWEST) & np.isfinite(z)
    fraction = np.broadcast_to(np.arange(1, users + 1) / planned, (m, users))
    return Looks(np.where(counted, z, 0.0), fraction, counted)


def returning(rng: Rng, m: int, users: int, events: int, *, ratio: bool, window: int) -> Looks:
    """Users come again: events of a user count within a window after the first, and users differ.

    Without ``ratio`` the metric is the mean number of clicks a user, otherwise clicks by lists over users.
    """
    activity = rng.gamma(2.0, size=(m, users))
    rate = rng.beta(2, 8, (m, users))
    arm_of = rng.random((m, users)) < 0.5
    chance = np.cumsum(activity, 1) / activity.sum(1, keepdims=True)
    who = np.stack([np.searchsorted(c, rng.random(events)) for c in chance]).clip(0, users - 1)  # [M, events]
    rows = np.arange(m)[:, None]
    click = (rng.random((m, events)) < rate[rows, who]) * 1.0
    first = np.full((m, users), events)
    np.minimum.at(first, (np.broadcast_to(rows, who.shape), who), np.arange(events))
    since = np.arange(events) - first[rows, who]
    inside = since < window
    clicks, lists = before(who, click * inside), before(who, inside * 1.0)
    new, arm = since == 0, arm_of[rows, who]
    exposed = np.cumsum(new, 1)
    late = np.concatenate([np.zeros((m, window)), exposed[:, :-window]], 1) if window < events else 0 * exposed  # fmt: skip
    fraction = np.maximum(np.cumsum(exposed - late, 1) / window, 1e-4) / users
    sums: dict[int, tuple[Any, ...]] = {}
    parts = []
    now = click * inside
    for a in (False, True):
        mine = arm == a
        n = np.cumsum(mine & new, 1)
        s, d = np.cumsum(mine * now, 1), np.cumsum(mine * inside, 1)
        ss = np.cumsum(mine * now * (2 * clicks + 1), 1)  # (c + 1)² − c²
        dd = np.cumsum(mine * inside * (2 * lists + 1), 1)
        sd = np.cumsum(mine * ((clicks + now) * (lists + inside) - clicks * lists), 1)
        some = np.cumsum(mine & (now > 0) & (clicks == 0), 1)
        sums[int(a)] = (n, s, ss, some)
        parts.append((n, s, d, ss, dd, sd, some))
    if not ratio:
        return looks(sums, fraction)
    value: list[Any] = []
    error: Any = 0.0
    counted: Any = True
    with np.errstate(divide="ignore", invalid="ignore"):
        for n, s, d, ss, dd, sd, some in parts:
            r = s / d
            value.append(r)
            error = error + (ss - 2 * r * sd + r * r * dd) / (n * (n - 1)) / (d / n) ** 2
            counted = counted & (n >= FEWEST) & (some >= FEWEST_NONZERO)
        z = (value[1] - value[0]) / np.sqrt(error)
    counted &= np.isfinite(z)
    return Looks(np.where(counted, z, 0.0), fraction, counted)


def before(who: NDArray[np.int64], amount: Array) -> Array:
    """Total of the same user before each event, [M, events]."""
    m, events = who.shape
    key = (who + np.arange(m)[:, None] * (who.max() + 1)).ravel()
    order = np.argsort(key, kind="stable")
    values, keys = amount.ravel()[order], key[order]
    total = np.cumsum(values) - values
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    of_start = np.repeat(total[starts], np.diff(np.r_[starts, len(keys)]))
    found = np.empty(len(keys))
    found[order] = total - of_start
    return found.reshape(m, events)


def bernoulli(rate: float, lift: float = 0.0) -> Callable[[Rng, NDArray[np.bool_]], Array]:
    """A click or none, by rate and what the variant adds."""
    return lambda rng, variant: np.asarray((rng.random(variant.shape) < rate + lift * variant) * 1.0)


def spending(rng: Rng, variant: NDArray[np.bool_]) -> Array:
    """Nine of ten spend nothing, the others a log-normal amount."""
    amount = rng.lognormal(0.0, 1.0, variant.shape)
    return np.asarray(amount * (rng.random(variant.shape) < 0.1))


def aa_tests(users: int) -> dict[str, Callable[[Rng, int], Looks]]:
    """A/A tests by name; each makes some experiments at once."""

    def outcomes(
        draw: Callable[[Rng, NDArray[np.bool_]], Array], times: int = 1
    ) -> Callable[[Rng, int], Looks]:
        return lambda rng, m: one_outcome_each(rng, m, users, users // times, draw)

    def again(share: int, window: int, ratio: bool) -> Callable[[Rng, int], Looks]:
        return lambda rng, m: returning(rng, m, users // share, users, ratio=ratio, window=window)

    return {
        "a click or none, 10 %": outcomes(bernoulli(0.1)),
        "a click or none, 1 %": outcomes(bernoulli(0.01)),
        "amounts, nine of ten zero": outcomes(spending),
        "run to 4 times the planned users": outcomes(bernoulli(0.1), 4),
        "adjusted by what was before": lambda rng, m: adjusted(rng, m, users, users),
        "users come again, mean": again(5, users // 4, False),
        "users come again, ratio": again(5, users // 4, True),
        "all come at once, mean": again(20, users, False),
        "all come at once, ratio": again(20, users, True),
    }


def share_found(make: Callable[[Rng, int], Looks], experiments: int, seed: int = 0) -> tuple[float, float]:
    """Share of experiments that at any look find a difference: by always-valid intervals, and by those of one look."""
    rng = np.random.default_rng(seed)
    found, naive = 0, 0
    for m in batches(experiments):
        made = make(rng, m)
        found += int(made.found().any(1).sum())
        naive += int(made.fixed().any(1).sum())
    return found / experiments, naive / experiments


def batches(total: int) -> Iterator[int]:
    """Numbers of experiments that fit into memory beside each other."""
    for start in range(0, total, AT_ONCE):
        yield min(AT_ONCE, total - start)


def false_positives(experiments: int = 2_000, users: int = 10_000) -> None:
    """Print how often A/A tests find something."""
    print(f"\n{experiments} A/A tests of {users} users or events, looked at after each (synthetic)")
    print("| outcomes | always valid | intervals of one look |\n|---|---|---|")
    for name, make in aa_tests(users).items():
        ours, naive = share_found(make, experiments)
        low, high = exact(round(ours * experiments), experiments)
        print(f"| {name} | {ours:.2%} [{low:.2%}, {high:.2%}] | {naive:.1%} |", flush=True)


def exact(k: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Clopper & Pearson 1934)."""
    low = float(stats.beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    return low, float(stats.beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0


def power_of(kind: str, experiments: int, fixed: int, seed: int = 1) -> tuple[float, float, float, float]:
    """Power at 1.6 times the sample of one look; the share found by one look at that sample; mean and 80 % point of the sample used, as multiples of it."""
    planned, users = round(1.5 * fixed), round(1.6 * fixed)
    z = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
    variance = 1 - 0.49 if kind == "adjusted" else 0.09
    effect = z * np.sqrt(variance * 4 / fixed)
    rng = np.random.default_rng(seed)
    ends, single = [], 0
    for m in batches(experiments):
        if kind == "adjusted":
            made = adjusted(rng, m, users, planned, effect)
        else:
            # rates around 10 % so that the mean variance is that of the formula
            made = one_outcome_each(rng, m, users, planned, bernoulli(0.1 - effect / 2, effect))
        found = made.found()
        ends.append(np.where(found.any(1), found.argmax(1) + 1, 10 * users) / fixed)
        single += int(made.fixed()[:, fixed - 1].sum())
    end = np.concatenate(ends)
    power = float((end <= 1.6).mean())
    used = np.minimum(end, 1.6)
    return power, single / experiments, float(used.mean()), float(np.quantile(end, 0.8, method="inverted_cdf"))  # fmt: skip


def power(experiments: int = 2_000, fixed: int = 8_000) -> None:
    """Print how often an effect is found."""
    print(f"\nPower, {experiments} experiments, sample of one look for 80 %: {fixed} users (synthetic)")
    print(
        "| outcomes | found by 1.6 × | one look at 1 × | mean sample | sample for 80 % |\n|---|---|---|---|---|"
    )
    for kind in ("click", "adjusted"):
        found, single, mean, most = power_of(kind, experiments, fixed)
        low, high = exact(round(found * experiments), experiments)
        print(f"| {kind} | {found:.1%} [{low:.1%}, {high:.1%}] | {single:.1%} | {mean:.2f} × | {most:.2f} × |", flush=True)  # fmt: skip


# -- numbers of users --------------------------------------------------------------------------


def mismatches(share: float, experiments: int, users: int, seed: int = 2) -> tuple[float, float, float]:
    """Share of experiments that fail the check at any look; that chi-square alone fails at any look; at the last look."""
    rng = np.random.default_rng(seed)
    ever = chi_ever = last = 0
    at = np.arange(1, users + 1)
    limit = stats.chi2.isf(0.001, 1)
    tables = np.arange(users + 1)
    half = special.gammaln(50 + tables) - special.gammaln(50)
    whole = special.gammaln(100 + tables) - special.gammaln(100)
    for m in batches(experiments):
        n1 = np.cumsum(rng.random((m, users)) < share, 1)
        n0 = at - n1
        chi = (n1 - n0) ** 2 / at > limit
        factor = half[n1] + half[n0] - whole[at] + at * np.log(2)
        failed = chi & (factor > -np.log(0.01))
        check = sample_ratio([int(n0[0, -1]), int(n1[0, -1])], [0.5, 0.5])
        assert check.passed == (not failed[0, -1])  # the vectorised form is that of the package
        ever += int(failed.any(1).sum())
        chi_ever += int(chi.any(1).sum())
        last += int(failed[:, -1].sum())
    return ever / experiments, chi_ever / experiments, last / experiments


def mismatch(experiments: int = 2_000, users: int = 10_000) -> None:
    """Print how often the check fails."""
    print(f"\nNumbers of users, {experiments} experiments of {users} users, planned 50 : 50 (synthetic)")
    print("| true share | check fails at any look | chi-square alone, p < 0.001, at any look | check fails at the last look |\n|---|---|---|---|")  # fmt: skip
    for share in (0.5, 0.51, 0.52, 0.53):
        ever, chi, last = mismatches(share, experiments, users)
        print(f"| {share:.0%} | {ever:.2%} | {chi:.2%} | {last:.2%} |", flush=True)


# -- interleaving ------------------------------------------------------------------------------


def interleaved(better: float, experiments: int, lists: int, seed: int = 3) -> tuple[float, float]:
    """Share of experiments that find a preference, and that an A/B test on as many lists finds a difference.

    Ten items a ranking of thirty; item i is clicked with probability relevance_i / (1 + place); the second ranking orders by
    relevance with less noise where ``better`` is above 0. A user has one to four lists.
    """
    rng = np.random.default_rng(seed)
    items = [str(i) for i in range(30)]
    found = ab = 0
    seen = 1 / (1 + np.arange(10))
    for _ in range(experiments):
        users = np.repeat(np.arange(lists), rng.integers(1, 5, lists))[:lists]
        variant = rng.random(lists) < 0.5
        credit = np.zeros((lists, 2))
        clicks = np.zeros(lists)
        relevance = rng.beta(1, 3, (lists, 30))
        noise = rng.normal(0, 0.5, (2, lists, 30)) * np.array([1, 1 - better])[:, None, None]
        order = np.argsort(-(relevance + noise), axis=2)[:, :, :10]  # [2, L, 10]
        draws, plain = rng.random((lists, 10)), rng.random((lists, 10))
        for at in range(lists):
            first, second = ([items[i] for i in order[side, at]] for side in (0, 1))
            shown, teams = team_draft(first, second, 10, rng)
            hit = draws[at, : len(shown)] < relevance[at, [int(one) for one in shown]] * seen[: len(shown)]
            for team in (0, 1):
                credit[at, team] = sum(h for h, t in zip(hit, teams, strict=True) if t == team)
        own = order[variant[users].astype(int), np.arange(lists)]  # each user's own ranking, in the A/B test
        clicks = (plain < np.take_along_axis(relevance, own, 1) * seen).sum(1).astype(float)
        p = interleaving_preference(credit[:, 0], credit[:, 1], users, 1.0).p
        found += p is not None and p < 0.05
        arms = [(variant[users] == side) for side in (False, True)]
        totals = [UserTotals(np.bincount(users[a], clicks[a])[np.unique(users[a])], np.bincount(users[a])[np.unique(users[a])] * 1.0) for a in arms]  # fmt: skip
        p = effect_of(totals[0], totals[1], 1.0).p
        ab += p is not None and p < 0.05
    return found / experiments, ab / experiments


def interleaving(experiments: int = 200, lists: int = 1_000) -> None:
    """Print how often a preference is found."""
    print(f"\nInterleaving, {experiments} experiments of {lists} lists, one look (synthetic)")
    print("| second ranking's noise | preference found | A/B test on as many lists |\n|---|---|---|")
    for better in (0.0, 0.3, 0.6):
        ours, ab = interleaved(better, experiments, lists)
        print(f"| {1 - better:.0%} of the first's | {ours:.1%} | {ab:.1%} |", flush=True)


# -- off-policy --------------------------------------------------------------------------------

METHODS: Final = ("ips", "snips", "dr")


def bandit_runs(bandits: int, rows: int, *, clip: float | None = None, users: bool = False, seed: int = 4) -> dict[str, Array]:  # fmt: skip
    """Estimates less truth, and whether the interval holds the truth, of random bandits: [bandits, 2] by method."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in METHODS}
    for at in range(bandits):
        rng = np.random.default_rng([seed, at])
        pool, actions, width = 60, int(rng.integers(3, 11)), 4
        x = rng.standard_normal((pool, width))
        rate = special.expit(x @ rng.standard_normal((width, actions)) * 0.7 + rng.normal(-1.5, 0.5, actions))
        logging = special.softmax(x @ rng.standard_normal((width, actions)) * 0.4, 1)
        target = special.softmax(2.0 * rate / rate.std() * 0.5 + rng.normal(0, 0.3, (1, actions)), 1)
        truth = float((target * rate).sum(1).mean())
        if users:  # five choices each, of a user whose rewards are alike
            who = np.repeat(np.arange(rows // 5), 5)
            context = rng.integers(pool, size=rows // 5)[who]
            liking = rng.uniform(0.5, 1.5, rows // 5)[who]
        else:
            who, context, liking = None, rng.integers(pool, size=rows), np.ones(rows)
        action = (rng.random((rows, 1)) > np.cumsum(logging[context], 1)).sum(1).clip(0, actions - 1)
        mean = np.minimum(1, liking * rate[context, action])
        if users:  # the cap above moves the truth a little
            grid = np.linspace(0.5, 1.5, 401)
            truth = float((target[..., None] * np.minimum(1, grid * rate[..., None])).mean(2).sum(1).mean())
        reward = (rng.random(rows) < mean) * 1.0
        fitted = cross_fitted_rewards(x[context], action, reward, target[context], users=who, seed=at)
        values = off_policy_values(
            reward,
            logging[context, action],
            target[context, action],
            predicted=fitted.predicted,
            expected=fitted.expected,
            users=who,
            clip=clip,
        )
        for name in METHODS:
            low, high = values[name].interval
            found[name].append((values[name].value - truth, float(low <= truth <= high)))
    return {name: np.array(rows_) for name, rows_ in found.items()}


def bandits(number: int = 1_000, rows: int = 2_000) -> None:
    """Print coverage and errors."""
    print(f"\n{number} bandits of {rows} choices, 3 to 10 actions (synthetic)")
    print("| choices | method | intervals hold the truth | RMSE | bias |\n|---|---|---|---|---|")
    for label, clip, users in (("independent", None, False), ("five a user", None, True), ("independent, weights clipped at 5", 5.0, False)):  # fmt: skip
        for name, found in bandit_runs(number, rows, clip=clip, users=users).items():
            low, high = exact(int(found[:, 1].sum()), number)
            rmse = float(np.sqrt((found[:, 0] ** 2).mean()))
            print(f"| {label} | {name} | {found[:, 1].mean():.1%} [{low:.1%}, {high:.1%}] | {rmse:.5f} | {found[:, 0].mean():+.5f} |", flush=True)  # fmt: skip


def open_bandit() -> None:
    """Open Bandit, small version: 10,000 choices a log.

    The log of Bernoulli Thompson sampling (`bts`) holds the propensity of the shown item alone, the policy changes all
    the time, and its parameters are not in the data. So the probability with which it would have shown the item of a row
    of the random log is not known; here it is the item's share among the choices of `bts` at the same position on the
    same day, which stands for it in the mean over that day. The other direction, the random policy's value from the log of `bts`, needs nothing that is
    not there.
    """
    files = fetch_asset("open-bandit")
    print("\nOpen Bandit, small version; clicks in 1,000 choices, 95 % intervals")
    print("| campaign | policy | its own log | IPS | SNIPS | DR | effective choices |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for campaign in ("all", "men", "women"):
        logs = {policy: pl.read_csv(files / policy / campaign / f"{campaign}.csv") for policy in ("random", "bts")}  # fmt: skip
        cells = {name: cells_of(log) for name, log in logs.items()}
        actions = max(int(action.max()) for action, *_ in cells.values()) + 1
        # bts from the random log
        action, place, day, click, propensity = cells["random"]
        shares = np.full((max(int(c[2].max()) for c in cells.values()) + 1, 3, actions), 1e-9)
        np.add.at(shares, (cells["bts"][2], cells["bts"][1], cells["bts"][0]), 1)
        shares /= shares.sum(2, keepdims=True)
        say(campaign, "bts", cells["bts"][3], action, place, click, propensity, shares[day, place], day)
        # random from the log of bts
        action, place, day, click, propensity = cells["bts"]
        policy = np.full((len(action), actions), 1 / actions)
        say(campaign, "random", cells["random"][3], action, place, click, propensity, policy, day)


def cells_of(log: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Array, Array]:  # fmt: skip
    """Item, position from 0, day from 0, click and propensity of each row."""
    day = log["timestamp"].str.slice(0, 10).str.to_date().dt.epoch("d").to_numpy()
    first = 18_224  # 24 November 2019, when the logs begin
    integers = (log["item_id"].to_numpy(), log["position"].to_numpy() - 1, day - first)
    item, place, day = (one.astype(np.int64) for one in integers)
    return item, place, day, log["click"].to_numpy().astype(float), log["propensity_score"].to_numpy()


def say(campaign: str, policy: str, own: Array, action: NDArray[np.int64], place: NDArray[np.int64], click: Array, propensity: Array, target: Array, day: NDArray[np.int64]) -> None:  # fmt: skip
    """Print a row of the table."""
    context = np.eye(3)[place]
    fitted = cross_fitted_rewards(context, action, click, target)
    rows = np.arange(len(action))
    found = off_policy_values(
        click, propensity, target[rows, action], predicted=fitted.predicted, expected=fitted.expected
    )
    low, high = exact(int(own.sum()), len(own))
    cells = [f"{1000 * own.mean():.1f} [{1000 * low:.1f}, {1000 * high:.1f}]"]
    for name in METHODS:
        one = found[name]
        cells.append(f"{1000 * one.value:.1f} [{1000 * one.interval[0]:.1f}, {1000 * one.interval[1]:.1f}]")
    print(
        f"| {campaign} | {policy} | {' | '.join(cells)} | {found['ips'].effective_choices:.0f} |", flush=True
    )


def canary() -> None:
    """How often a new model is dropped for what its lists lead to: by :func:`users_fell`, and list by list as if looked at once.

    Users take an item up of a share of their lists that is drawn from Beta(1, 4), of 2 and more lists each; nine of ten users
    have the active model. The test is computed for all worlds at once, and compared with the function in some.
    """
    worlds, looks, least = 2_000, 30, 0.1
    rng = np.random.default_rng(0)
    print("\nA new model dropped, 2,000 worlds, 30 looks")
    print("| its users | lists lead to less by | dropped | list by list, z > 2.33 |\n|---|---|---|---|")
    for users in (100, 300):
        for effect in (0.0, 0.3, 0.5, 0.7):
            arms = []
            for n, scale in ((9 * users, 1.0), (users, 1 - effect)):
                lists = 1 + rng.geometric(0.3, (worlds, n))
                arms.append((lists, rng.binomial(lists, scale * rng.beta(1, 4, (worlds, n)))))
            by_users, by_lists = np.zeros(worlds, bool), np.zeros(worlds, bool)
            for look in range(1, looks + 1):
                seen = [(lists[:, : lists.shape[1] * look // looks], hits[:, : lists.shape[1] * look // looks]) for lists, hits in arms]  # fmt: skip
                n, m = (lists.shape[1] for lists, _ in seen)
                if m < 50:
                    continue
                totals = [(lists.sum(1), hits.sum(1)) for lists, hits in seen]
                (first, taken), (second, other) = totals
                rate = (taken + other) / (first + second)
                squares = sum(((hits - rate[:, None] * lists) ** 2).sum(1) / lists.mean(1) ** 2 for lists, hits in seen)  # fmt: skip
                fall = taken / first - other / second
                is_large = other / second <= (1 - least) * taken / first
                error = np.sqrt(squares / (n + m) * (1 / n + 1 / m))
                dropped = is_large & (fall > error * float(sequential_radius(m / 200)))
                plain = np.sqrt(rate * (1 - rate) * (1 / first + 1 / second))
                by_users |= dropped
                by_lists |= is_large & (fall > 2.33 * plain)
            for at in range(3):
                both = [[Success(int(x), int(y)) for x, y in zip(lists[at], hits[at], strict=True)] for lists, hits in seen]  # fmt: skip
                assert users_fell(*both, fewest=50, least=least) == bool(dropped[at])
            cells = []
            for found in (by_users, by_lists):
                low, high = exact(int(found.sum()), worlds)
                cells.append(f"{found.mean():.2%} [{low:.2%}, {high:.2%}]")
            print(f"| {users} | {effect:.0%} | {' | '.join(cells)} |", flush=True)


PARTS: dict[str, Callable[[], None]] = {
    "false_positives": false_positives,
    "power": power,
    "mismatch": mismatch,
    "interleaving": interleaving,
    "canary": canary,
    "bandits": bandits,
    "open_bandit": open_bandit,
}


def main() -> None:
    """Run the parts that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    named = parser.parse_args().parts
    for part in named or PARTS:
        began_s = time.perf_counter()
        PARTS[part]()
        print(f"({part}: {time.perf_counter() - began_s:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
