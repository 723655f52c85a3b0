"""Cold start by text, and what mined interests are worth, on MovieLens-100K.

    python -m benchmarks.profiles [cold] [mined] [--seeds 0 1 2] [--set training.epochs=4] [--json FILE]

cold   20 % of the users are held out of training, with all they did; a sentence made from the first
       five likes of each is answered, and measured on the later likes (all that the user did up to
       the fifth like is left out of the ranking). Beside it: popularity, the model for somebody
       unknown, the model given the five likes as a past, and item-item on the five likes. The
       weights of the sentence are fitted on another 10 % of the users, held out likewise.
mined  do the weights of profiles of the first 90 % of each user's events order the last 10 % by
       liking, with several half-lives, beside popularity (the share of the profile in a sum with it
       is chosen on validation rows); and do two halves of a user's events give the same interests?

Intervals are 95 % bootstraps over users.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks._sentences import FIRST, VARIANTS, NewUser, masks, new_users, sentence
from motet.bundle import load_bundle, save_bundle
from motet.data import Behaviour, Dataset, Ragged, TextToVectors, behaviour_of
from motet.datasets import fetch
from motet.evaluation import rank_users
from motet.explain import Profiler, ProfileSettings
from motet.recommend import Recommender, Signals, TextRecommender, TextWeights, fit_text_weights
from motet.schema import Schema
from motet.training import train_model
from motet.workflow import load_data, text_encoder

Floats = NDArray[np.float64]
_HALF_LIVES = (None, 180.0, 30.0, 7.0, 1.0)
_SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)


def say(what: str) -> None:
    """Progress, on standard error."""
    print(what, file=sys.stderr, flush=True)


# -- cold start ----------------------------------------------------------------------------------


def cold(seeds: Sequence[int], overrides: Sequence[str]) -> dict[str, Any]:
    """NDCG@10 and recall@10 of every way to answer a new user."""
    place = fetch("movielens-100k")
    ratings = pl.read_parquet(place / "ratings.parquet")
    values: dict[str, list[Floats]] = {}
    whose: list[int] = []
    weights: dict[str, list[dict[str, float]]] = {}
    for seed in seeds:
        users = np.random.default_rng(seed).permutation(ratings["user_id"].unique().sort().to_numpy())
        held, chosen = users[: len(users) // 5], users[len(users) // 5 : 3 * len(users) // 10]
        say(f"seed {seed}: training without {len(held)} + {len(chosen)} users")
        with tempfile.TemporaryDirectory() as temporary:
            known = ratings.filter(~pl.col("user_id").is_in([*held.tolist(), *chosen.tolist()]))
            recommender, data, encode = trained(place, known, Path(temporary), seed, overrides)
            text = TextRecommender(recommender, encode)
            items = data.item_ids
            asked = new_users(ratings, held, items)
            found, fitted = answers(text, data, asked, new_users(ratings, chosen, items))
            whose += [user.id for user in asked]
        for name, value in found.items():
            values.setdefault(name, []).append(value)
        for name, weight in fitted.items():
            weights.setdefault(name, []).append(asdict(weight))
    return {
        "values": {name: np.concatenate(parts, axis=1) for name, parts in values.items()},
        "whose": np.array(whose),
        "weights": weights,
    }


def trained(
    place: Path, ratings: pl.DataFrame, temporary: Path, seed: int, overrides: Sequence[str]
) -> tuple[Recommender, Dataset, TextToVectors]:
    """A model that has seen some ratings only."""
    schema = Schema.load(place / "schema.yaml", [f"training.seed={seed}", *overrides])
    shutil.copytree(place, temporary, dirs_exist_ok=True)
    ratings.write_parquet(temporary / "ratings.parquet")
    data = load_data(schema, temporary).data
    save_bundle(temporary / "bundle", model=train_model(data).model, data=data, metrics={})
    encode = remembered(text_encoder(schema.language))
    return Recommender(load_bundle(temporary / "bundle"), encode), data, encode


def remembered(encode: TextToVectors) -> TextToVectors:
    """An encoder that does not start anew for every sentence."""
    known: dict[str, NDArray[np.float32]] = {}

    def run(texts: Sequence[str]) -> NDArray[np.float32]:
        missing = list(dict.fromkeys(text for text in texts if text not in known))
        known.update(zip(missing, encode(missing), strict=True) if missing else ())
        return np.stack([known[text] for text in texts])

    return run


def answers(
    text: TextRecommender, data: Dataset, held: list[NewUser], chosen: list[NewUser]
) -> tuple[dict[str, Floats], dict[str, TextWeights]]:
    """NDCG@10 and recall@10 of each held-out user, [2, U], for each way; and the weights that were fitted."""
    fit_on = {variant: signals_of(text, data, chosen, variant) for variant in VARIANTS}
    wanted, out = masks(chosen, len(data.items))
    named = fit_text_weights(fit_on["titles"], wanted, out)
    twice = np.concatenate([wanted, wanted]), np.concatenate([out, out])
    unnamed = fit_text_weights([*fit_on["tags"], *fit_on["words"]], *twice)
    wanted, out = masks(held, len(data.items))

    def measured(scores: Floats) -> Floats:
        ranked = rank_users(np.where(out, -np.inf, scores), wanted & ~out, 10)
        return np.stack([ranked.ndcg, ranked.recall])

    signals = {variant: signals_of(text, data, held, variant) for variant in VARIANTS}
    nobody = text.signals("")
    ways = {
        "popularity": np.tile(nobody.popularity, (len(held), 1)),
        "model, somebody unknown": np.tile(nobody.model, (len(held), 1)),
        "item-item on the five likes": item_item(data, held),
        "model, five likes as a past": np.stack([text.model_scores(user.first) for user in held]),
    }
    for variant in VARIANTS:
        weights = named if variant == "titles" else unnamed
        ways[f"by text, {variant}"] = np.stack([s.score(weights) for s in signals[variant]])
    for variant in VARIANTS:
        ways[f"meaning alone, {variant}"] = np.stack([s.meaning for s in signals[variant]])
    return {name: measured(scores) for name, scores in ways.items()}, {"named": named, "unnamed": unnamed}


def signals_of(text: TextRecommender, data: Dataset, users: list[NewUser], variant: str) -> list[Signals]:
    """What speaks for each item, of each user's sentence."""
    assert data.catalogue is not None  # MovieLens has one
    sentences = [sentence(data.catalogue, user.first, variant) for user in users]
    text.encode(sentences)
    if variant == "titles":
        read = [
            len(set(text.reader.read(s).liked) & set(u.first)) for s, u in zip(sentences, users, strict=True)
        ]
        say(f"  titles read back: {sum(read)} of {FIRST * len(users)}")
    return [text.signals(said) for said in sentences]


def item_item(data: Dataset, users: list[NewUser]) -> Floats:
    """Sum of cosines to the five likes over the known users' likes; popularity breaks ties."""
    rows = np.flatnonzero(data.label("like", np.arange(len(data))) > 0)
    shape = (len(data.users), len(data.items))
    liked = sp.csr_array((np.ones(len(rows)), (data.user_row[rows], data.item_row[rows])), shape=shape)
    count = np.asarray(liked.sum(axis=0)).ravel()
    unit = liked @ sp.diags_array(1 / np.sqrt(np.maximum(count, 1)))
    cosine = (unit.T @ unit).toarray()
    scores: Floats = np.stack([cosine[user.first].sum(0) for user in users]) + 1e-6 * count / count.max()
    return scores


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
    """For each user, how far interests of two halves agree, and with a half of somebody else."""
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
        found[f"top 5, {name}, somebody else"] = overlap(tops[0], tops[1][other])
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
            found[f"'{certainty}' holds in the other half, {name}, somebody else"] = else_
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


def print_cold(found: dict[str, Any]) -> dict[str, Any]:
    """Print the table of cold start, and every loss to a control."""
    values, whose = found["values"], found["whose"]
    control = values["popularity"]
    print(f"\nCold start by text: {len(set(whose.tolist())):,} held-out users, all seeds together\n")
    print("| | NDCG@10 | recall@10 | NDCG@10 less popularity |\n|---|---:|---:|---:|")
    for name, value in values.items():
        cells = (value[0], value[1], value[0] - control[0])
        print(f"| {name} | {' | '.join(interval(cell, whose) for cell in cells)} |")
    for variant in VARIANTS:
        for other in (
            "popularity",
            "model, somebody unknown",
            "item-item on the five likes",
            "model, five likes as a past",
        ):
            gaps = values[f"by text, {variant}"].mean(1) - values[other].mean(1)
            for metric, gap in zip(("NDCG@10", "recall@10"), gaps, strict=True):
                if gap < 0:
                    print(f"by text, {variant}, LOSES to {other} by {-gap:.4f} {metric}")
    print(f"\nweights fitted on validation users: {json.dumps(found['weights'])}")
    return {
        "means": {name: value.mean(1).tolist() for name, value in values.items()},
        "weights": found["weights"],
    }


def print_mined(found: dict[str, Any]) -> dict[str, Any]:
    """Print what profiles are worth."""
    auc = found["auc"]
    control = auc["like rate of the item"]
    print(
        f"\nMined interests: AUC within {np.isfinite(control).sum()} users of liking among their test rows\n"
    )
    print("| | mean AUC | less the item's like rate |\n|---|---:|---:|")
    for name, value in auc.items():
        print(f"| {name} | {interval(value)} | {interval(value - control)} |")
    for name, value in auc.items():
        if np.nanmean(value) < np.nanmean(control):
            print(f"{name} LOSES to the item's like rate by {np.nanmean(control - value):.4f} AUC")
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


PARTS: dict[str, tuple[Callable[..., dict[str, Any]], Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "cold": (cold, print_cold),
    "mined": (mined, print_mined),
}


def main() -> None:
    """Run the parts asked for and print their tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="overrides", nargs="*", default=[], help="changes of the schema")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    everything = {}
    for name in arguments.parts:
        measure, show = PARTS[name]
        everything[name] = show(measure(arguments.seeds, arguments.overrides))
    if arguments.json:
        arguments.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
