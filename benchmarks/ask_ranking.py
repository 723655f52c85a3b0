"""What the ranking behind `ask` is worth on likes that were held out, on MovieLens-100K.

    python -m benchmarks.ask_ranking BUNDLE --data data/movielens-100k [--requests 600] [--seed 0]

Of each drawn user one liked film of the test rows is drawn, and a request is made of one or two of
its tags and its decade ("a comedy film from the nineties"); it counts if it leaves 30 unseen films or more. It is read and answered as `ask` does, from what the user did
before the test rows alone. What counts are all liked test films of the user that match the request.
The ways to rank differ only in the scores; intervals are 95 % bootstraps over requests, one a user,
and differences are paired.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.assistant import allowed, choose, standardised
from motet.assistant.understand import FastReader, Lexicon, Request
from motet.data import (
    SPLIT_CODES,
    Catalogue,
    Dataset,
    Ragged,
    behaviour_of,
    graph_features,
    known_items,
)
from motet.recommend import Recommender
from motet.text.encode import text_encoder
from motet.training import Bundle, load_bundle, load_data

__all__ = ["Asked", "main", "measured", "requests_of", "words_of"]

Floats = NDArray[np.float64]
K: Final = 10
FEWEST: Final = 3 * K  # films to choose from: of fewer, any ranking finds the wanted ones
OURS: Final = "next (as ask does)"
WAYS: Final = (OURS, "next + liked", "liked alone", "popularity", "random")
_DECADES: Final = {
    1920: "twenties", 1930: "thirties", 1940: "forties", 1950: "fifties", 1960: "sixties",
    1970: "seventies", 1980: "eighties", 1990: "nineties",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a user.

    Attributes:
        user: Row of the user.
        text: What is said.
        request: What is understood.
        wanted: Rows of the held-out liked films that match it.
    """

    user: int
    text: str
    request: Request
    wanted: frozenset[int]


def words_of(tags: Sequence[str], year: float) -> str:
    """A request for films like one, by its tags and decade.

    Example:
        >>> words_of(["Comedy", "Romance"], 1994)
        'a comedy romance film from the nineties'
    """
    decade = _DECADES[int(year) // 10 * 10]
    return f"a {' '.join(tag.lower() for tag in tags)} film from the {decade}"


def requests_of(data: Dataset, recommender: Recommender, most: int, rng: np.random.Generator) -> list[Asked]:
    """Requests of users with liked films among the test rows, one a user, in a drawn order."""
    reader = FastReader(Lexicon(_catalogue(data)))
    catalogue = _catalogue(data)
    task = list(data.encoder.interaction_tasks).index(str(data.schema.liking_task))
    kept = (data.split == SPLIT_CODES["test"]) & (data.labels[:, task] == 1)
    asked: list[Asked] = []
    for user in rng.permutation(np.unique(data.user_row[kept])):
        liked = data.item_row[kept & (data.user_row == user)]
        film = int(rng.choice(liked))
        tags, year = catalogue.values(film, "genres"), catalogue.number(film, "year")
        if not tags or year is None or int(year) // 10 * 10 not in _DECADES:
            continue
        some = sorted(rng.choice(tags, min(len(tags), int(rng.integers(1, 3))), replace=False))
        text = words_of(some, year)
        request = reader.read(text)
        may = allowed(request, catalogue)
        if not may[film] or request.unmet or request.wants:
            raise ValueError(f"'{text}' is not read as it is meant: {request}")
        left = may.copy()
        left[recommender.seen(str(data.user_ids[int(user)]))] = False
        if left.sum() < FEWEST:
            continue
        asked.append(Asked(int(user), text, request, frozenset(int(row) for row in liked if may[row])))
        if len(asked) == most:
            break
    return asked


def before_the_test(bundle: Bundle, data: Dataset) -> Bundle:
    """A bundle that knows nothing of the test rows."""
    past = behaviour_of(data, splits=("train", "validation"))
    rows = np.split(past.items.values, past.items.offsets[1:-1])
    seen = [np.unique(some) for some in rows]
    lengths = np.array([len(some) for some in seen], np.int64)
    return replace(
        bundle,
        data=replace(bundle.data, histories=data.histories),
        behaviour=past,
        seen=Ragged.from_lengths(np.concatenate(seen), lengths),
    )


def measured(
    asked: Sequence[Asked], recommender: Recommender, data: Dataset, rng: np.random.Generator
) -> dict[str, Floats]:
    """Recall@10 and NDCG@10 of each way for each request, [2, n]."""
    catalogue, task = _catalogue(data), str(data.schema.liking_task)
    train = data.split == SPLIT_CODES["train"]
    often = np.bincount(data.item_row[train], minlength=len(data.items)).astype(np.float32)
    every = np.ones(len(data.items), bool)
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for one in asked:
        user = str(data.user_ids[one.user])
        after = recommender.scores(user)
        logits = recommender.scores(user, by=task)
        liked = (1 / (1 + np.exp(-logits))).astype(np.float32)
        scores = dict(
            zip(
                WAYS,
                (
                    after,
                    standardised(after, every) + standardised(logits, every),
                    logits,
                    often,
                    rng.random(len(often), np.float32),
                ),
                strict=True,
            )
        )
        for way, score in scores.items():
            chosen = choose(one.request, catalogue, score, k=K, seen=recommender.seen(user), liked=liked)
            found[way].append(_worth(chosen.rows, one.wanted))
    return {way: np.array(values).T for way, values in found.items()}


def _worth(rows: NDArray[np.int64], wanted: frozenset[int]) -> tuple[float, float]:
    """Recall and NDCG of an answer."""
    discount = 1 / np.log2(np.arange(2, K + 2))
    hits = np.array([int(row) in wanted for row in rows] + [False] * (K - len(rows)))
    return float(hits.sum() / len(wanted)), float(hits @ discount / discount[: len(wanted)].sum())


def _catalogue(data: Dataset) -> Catalogue:
    if data.catalogue is None:
        raise ValueError("the data have no catalogue")
    return data.catalogue


def interval(values: Floats, rng: np.random.Generator) -> str:
    """Mean with a 95 % bootstrap interval."""
    draws = values[rng.integers(0, len(values), (2000, len(values)))].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{values.mean():+.4f} [{low:+.4f}, {high:+.4f}]"


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("bundle", type=Path)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--requests", type=int, default=600)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    bundle = load_bundle(given.bundle)
    vectors = known_items(bundle.data) if graph_features(bundle.schema) else None
    data = load_data(bundle.schema, given.data, encoder=bundle.data.encoder, item_vectors=vectors).data
    if not data.item_ids.equals(bundle.data.item_ids) or not data.user_ids.equals(bundle.data.user_ids):
        raise ValueError(f"{given.data} is not what {given.bundle} was trained on")
    recommender = Recommender(before_the_test(bundle, data), text_encoder(bundle.schema.language))
    rng = np.random.default_rng(given.seed)
    asked = requests_of(data, recommender, given.requests, rng)
    found = measured(asked, recommender, data, rng)
    print(
        f"{len(asked)} requests, {sum(len(one.wanted) for one in asked)} films wanted; e.g. {asked[0].text!r}"
    )
    for place, measure in enumerate((f"recall@{K}", f"NDCG@{K}")):
        print(f"\n{measure:22} mean [95 %]                     ask less this")
        for way, values in found.items():
            draws = np.random.default_rng(given.seed)
            less = "" if way == OURS else interval(found[OURS][place] - values[place], draws)
            print(f"{way:22} {interval(values[place], draws)}   {less}")


if __name__ == "__main__":
    main()
