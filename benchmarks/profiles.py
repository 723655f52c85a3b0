"""What mined interests are worth, on MovieLens-100K.

    python -m benchmarks.profiles [--seeds 0 1 2] [--set training.epochs=4] [--json FILE]

Do the weights of profiles of the first 90 % of each user's events order the last 10 % by liking, with
several half-lives, beside popularity (the share of the profile in a sum with it is chosen on validation
rows); and do two halves of a user's events give the same interests? Intervals are 95 % bootstraps over users.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from motet.assistant.explain import Profiler, ProfileSettings
from motet.data import Behaviour, Dataset, Ragged, behaviour_of
from motet.datasets import fetch
from motet.schema import Schema
from motet.training import load_data

Floats = NDArray[np.float64]
_HALF_LIVES = (None, 180.0, 30.0, 7.0, 1.0)
_SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)


# -- mined interests -----------------------------------------------------------------------------


def mined(seeds: Sequence[int], overrides: Sequence[str]) -> dict[str, Any]:
    """Mean AUC within users of the test rows, and how far two halves agree."""
    place = fetch("movielens-100k")
    data = load_data(Schema.load(place / "schema.yaml", list(overrides)), place).data
    share, number = item_popularity(data)
    past = {
        "validation": behaviour_of(data, splits=("train",)),
        "test": behaviour_of(data, splits=("train", "validation")),
    }

    def auc(split: str, table: Floats) -> Floats:
        at = data.rows(split)
        scores = table[data.item_row[at]] if table.ndim == 1 else table[data.user_row[at], data.item_row[at]]
        return auc_within(data.user_row[at], data.label("like", at) > 0, scores)

    found = {"number of likes of the item": auc("test", number), "like rate of the item": auc("test", share)}
    for half_life in _HALF_LIVES:
        name = "no decay" if half_life is None else f"half-life {half_life:g} d"
        outcomes: dict[str, Floats] = {}
        for split, events in past.items():
            profiler = Profiler(data, events, ProfileSettings(half_life_days=half_life))
            tastes = profiler.tastes(np.arange(len(data.users)))
            assert tastes.outcome is not None  # ratings below 4 are no likes
            outcomes[split] = profiler.item_scores(tastes.outcome.value)
            if split == "test":
                odds = {"liking": tastes.liking, "choice": tastes.choice, "outcome": tastes.outcome}
                for part, log_odds in odds.items():
                    found[f"profile, {part}, {name}"] = auc(split, profiler.item_scores(log_odds.value))
        on_validation = [np.nanmean(auc("validation", share + c * outcomes["validation"])) for c in _SHARES]
        best = _SHARES[int(np.argmax(on_validation))]
        found[f"like rate + {best:g} · outcome, {name}"] = auc("test", share + best * outcomes["test"])
    return {"auc": found, "halves": [halves(data, past["test"], seed) for seed in seeds]}


def item_popularity(data: Dataset) -> tuple[Floats, Floats]:
    """Log-odds of each item's smoothed like rate, and its number of likes, of training rows."""
    rows = data.rows("train")
    liked = data.label("like", rows) > 0
    n = np.bincount(data.item_row[rows], minlength=len(data.items))
    k = np.bincount(data.item_row[rows], liked, minlength=len(data.items))
    rate = (k + 10 * liked.mean()) / (n + 10)
    return np.log(rate / (1 - rate)), k.astype(np.float64)


def auc_within(users: NDArray[np.int32], liked: NDArray[np.bool_], scores: Floats) -> Floats:
    """AUC of each user with both classes, NaN for the others."""
    found = np.full(int(users.max()) + 1, np.nan)
    for user in np.unique(users):
        mine = users == user
        positive = int(liked[mine].sum())
        negative = int(mine.sum()) - positive
        if positive and negative:
            ranks = rankdata(scores[mine])[liked[mine]].sum()
            found[user] = (ranks - positive * (positive + 1) / 2) / (positive * negative)
    return found


def halves(data: Dataset, events: Behaviour, seed: int) -> dict[str, Floats]:
    """For each user, how far interests of two halves agree, and with a half of another user."""
    rng = np.random.default_rng(seed)
    lengths = events.items.lengths()
    user = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(user)) - events.items.offsets[:-1][user]
    shuffled = np.lexsort((rng.random(len(user)), user))
    other = rng.permutation(len(lengths))
    other = np.where(other == np.arange(len(other)), (other + 1) % len(other), other)
    found: dict[str, Floats] = {}
    for name, first in {
        "at random": (place % 2 == 0)[np.argsort(shuffled)],
        "earlier and later": place < lengths[user] / 2,
    }.items():
        settings = ProfileSettings(title_words=True)
        one, two = (
            Profiler(data, part(events, user, mask, len(lengths)), settings) for mask in (first, ~first)
        )
        a, b = (p.tastes(np.arange(len(lengths))) for p in (one, two))
        kept = ~one.traits.kinds("word")
        tops = [top(t.liking.value, t.likes, kept) for t in (a, b)]
        found[f"top 5, {name}, own halves"] = overlap(tops[0], tops[1])
        found[f"top 5, {name}, another user"] = overlap(tops[0], tops[1][other])
        column = {(t.column, t.value): v for v, t in enumerate(two.traits.traits)}
        for certainty in ("sure", "fairly sure", "a hint", "word of a title"):
            own, else_ = np.full(len(lengths), np.nan), np.full(len(lengths), np.nan)
            for row, profile in enumerate(one.profiles()):
                at = [
                    column[i.trait.column, i.trait.value]
                    for i in profile.of("likes")
                    if certainty == ("word of a title" if i.trait.kind == "word" else i.certainty)
                ]
                if at:
                    own[row] = (b.liking.value[row, at] > 0).mean()
                    else_[row] = (b.liking.value[other[row], at] > 0).mean()
            found[f"'{certainty}' holds in the other half, {name}, own"] = own
            found[f"'{certainty}' holds in the other half, {name}, another user"] = else_
    return found


def part(events: Behaviour, user: NDArray[np.int64], mask: NDArray[np.bool_], users: int) -> Behaviour:
    """Some of the events."""
    lengths = np.bincount(user[mask], minlength=users)
    items = Ragged.from_lengths(events.items.values[mask], lengths)
    return Behaviour(items, events.time[mask], events.labels[mask], events.tasks)


def top(values: Floats, likes: Floats, kept: NDArray[np.bool_], n: int = 5) -> NDArray[np.bool_]:
    """The n traits of the largest weight with two likes, [U, V]."""
    ranked = np.where(kept & (likes >= 2), values, -np.inf)
    order = np.argsort(-ranked, axis=1)[:, :n]
    found = np.zeros(values.shape, bool)
    np.put_along_axis(found, order, np.isfinite(np.take_along_axis(ranked, order, 1)), 1)
    return found


def overlap(one: NDArray[np.bool_], two: NDArray[np.bool_]) -> Floats:
    """Jaccard overlap of two sets of traits, by user."""
    both = (one | two).sum(1)
    return np.where(both > 0, (one & two).sum(1) / np.maximum(both, 1), np.nan)


# -- output --------------------------------------------------------------------------------------


def interval(values: Floats, whose: NDArray[np.int64] | None = None, seed: int = 0) -> str:
    """Mean with a 95 % bootstrap interval over users, who are drawn with all their values."""
    kept = ~np.isnan(values)
    _, user = np.unique((np.arange(len(values)) if whose is None else whose)[kept], return_inverse=True)
    sums, counts = np.bincount(user, values[kept]), np.bincount(user)
    draws = np.random.default_rng(seed).integers(len(sums), size=(1000, len(sums)))
    low, high = np.quantile(sums[draws].sum(1) / counts[draws].sum(1), [0.025, 0.975])
    return f"{values[kept].mean():.4f} [{low:.4f}, {high:.4f}]"


def print_mined(found: dict[str, Any]) -> dict[str, Any]:
    """Print what profiles are worth."""
    auc = found["auc"]
    baseline = auc["like rate of the item"]
    print(
        f"\nMined interests: AUC within {np.isfinite(baseline).sum()} users of liking among their test rows\n"
    )
    print("| | mean AUC | less the item's like rate |\n|---|---:|---:|")
    for name, value in auc.items():
        print(f"| {name} | {interval(value)} | {interval(value - baseline)} |")
    for name, value in auc.items():
        if np.nanmean(value) < np.nanmean(baseline):
            print(f"{name} LOSES to the item's like rate by {np.nanmean(baseline - value):.4f} AUC")
    print("\nTwo halves of a user's events, mean over users and seeds\n\n| | |\n|---|---:|")
    parts = found["halves"]
    merged = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    whose = np.tile(np.arange(len(next(iter(parts[0].values())))), len(parts))
    for name, value in merged.items():
        print(f"| {name} | {interval(value, whose)} |")
    return {
        "auc": {name: float(np.nanmean(value)) for name, value in auc.items()},
        "halves": {name: float(np.nanmean(value)) for name, value in merged.items()},
    }


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="overrides", nargs="*", default=[], help="changes of the schema")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = print_mined(mined(arguments.seeds, arguments.overrides))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
