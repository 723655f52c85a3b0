"""The table of baselines, and all of them on one data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, Final, TypeVar, cast

from motet.data import Dataset
from motet.errors import DataError
from motet.evaluation import evaluate
from motet.models.baselines._als import Als
from motet.models.baselines._baseline import Baseline
from motet.models.baselines._ease import Ease
from motet.models.baselines._hybrid_mf import HybridFactors, HybridMf
from motet.models.baselines._item_knn import ItemKnn
from motet.models.baselines._lightgbm import BoostedTrees, LightGBM
from motet.models.baselines._like_ratio import Biases, LikeRatio
from motet.models.baselines._linear import LinearBaseline, Tfidf
from motet.models.baselines._pairs import PairMember
from motet.models.baselines._popularity import Popularity
from motet.models.baselines._ranking import RankingBaseline
from motet.models.baselines._recent_popularity import RecentPopularity
from motet.models.baselines._text_neighbours import TextNeighbours
from motet.models.baselines._words import WordModels
from motet.schema import Registry, require_known

__all__ = ["BASELINES", "MEMBERS", "PAIR_MEMBERS", "register_baseline", "run_baselines"]

C = TypeVar("C", bound=type[Baseline])

BASELINES: Final[Registry[type[Baseline]]] = Registry(
    "baseline",
    {
        "popularity": Popularity,
        "recent_popularity": RecentPopularity,
        "like_ratio": LikeRatio,
        "item_knn": ItemKnn,
        "ease": Ease,
        "als": Als,
        "text_neighbours": TextNeighbours,
        "linear": LinearBaseline,
        "tfidf": Tfidf,
        "lightgbm": LightGBM,
        "hybrid_mf": HybridMf,
        # trained by the loop of networks, which stands above this package
        "fm": "motet.training._fm_baseline:FmBaseline",
    },
    error=DataError,
)
"""Every baseline by name, plainest first."""

MEMBERS: Final[dict[str, type[RankingBaseline]]] = {
    "ease": Ease,
    "item_knn": ItemKnn,
    "als": Als,
    "text_neighbours": TextNeighbours,
    "recent_popularity": RecentPopularity,
}
"""Plain methods that may rank beside the network of a bundle, by name."""

PAIR_MEMBERS: Final[dict[str, type[PairMember]]] = {
    "like_ratio": Biases,
    "lightgbm": BoostedTrees,
    "tfidf": WordModels,
    "hybrid_mf": HybridFactors,
}
"""Plain methods that may predict tasks on interactions beside the network of a bundle, by name."""


def register_baseline(name: str) -> Callable[[C], C]:
    """Add a baseline, which evaluations then measure like those of motet; a decorator of its class.

    Raises:
        DataError: If another baseline has the name.
    """
    return cast("Callable[[C], C]", BASELINES.adder(name))


def run_baselines(
    dataset: Dataset,
    split: str = "test",
    names: Iterable[str] | None = None,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Fit baselines and evaluate each as the model is evaluated.

    Settings are chosen on validation rows. For the test, they are then fitted with these settings on training and
    validation rows, as the plain members of a bundle are (``training.refit``).

    Args:
        dataset: The data set.
        split: Rows to measure on.
        names: Which baselines; all of :data:`BASELINES` when left out.
        seed: Seed of folds, samples and intervals.
        progress: Called with a baseline's name and the share of baselines that are done.

    Returns:
        By baseline, what :func:`~motet.evaluation.evaluate` gives, with ``elapsed_s``; or
        ``{"skipped": why}`` for one that has nothing to say here.

    Raises:
        DataError: If a name is not known.
    """
    wanted = list(BASELINES) if names is None else list(names)
    for name in wanted:
        require_known(name, BASELINES, "the baseline", DataError)
    results: dict[str, dict[str, Any]] = {}
    for done, name in enumerate(wanted):
        if progress is not None:
            progress(name, done / len(wanted))
        reason = BASELINES[name].steps_aside(dataset)
        if reason is not None:
            results[name] = {"skipped": reason}
            continue
        started = perf_counter()
        refit = split == "test" and dataset.schema.training.refit
        baseline = BASELINES[name].fit(
            dataset,
            splits=("train", "validation") if refit else ("train",),
            known="train" if split == "validation" else "validation",
            seed=seed,
        )
        results[name] = evaluate(dataset, baseline, split, seed=seed)
        results[name]["elapsed_s"] = perf_counter() - started
    if progress is not None and wanted:
        progress(wanted[-1], 1.0)
    return results
