"""What a bundle ranks by: the network's retrieval score and plain members, standardised and weighed.

Legend of shapes: U users, I items, D width of the retrieval vectors, n items of one user.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from motet.data import Dataset, Ragged
from motet.evaluation import CatalogueTask, catalogue_task, rank_catalogue
from motet.models.baselines import MEMBERS, ItemScores, ItemToItem, ItemVectors, had_items, read_scores
from motet.schema import Progress, silent

__all__ = [
    "NETWORK",
    "Members",
    "NetworkMoments",
    "RankingBlend",
    "fit_blend",
    "fit_members",
    "read_blend",
    "write_blend",
]

NETWORK: Final = "network"
"""The network's name among the members."""

Floats = NDArray[np.float32]

_WEIGHTS: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.5, 5.0)
_ROUNDS: Final = 3
_SEARCH_USERS: Final = 2000
_SEARCH_CELLS: Final = 20_000_000
_LEAST_GAIN: Final = 0.002  # a member that adds less than so much of the score is not worth its cost
_TIE: Final = 0.001  # the network orders items that plain members hold to be alike
_NEAREST: Final = 500  # items that a member with vectors gives for a request
_CELLS: Final = 2_000_000  # of vectors, that are looked through for that where another member gives some too
_LATEST: Final = 64  # histories whose scores are kept
_LIMIT_SHARE: Final = 0.2  # of a time limit may go into members


class RankingBlend:
    """Scores the catalogue by all members that help.

    s(u, i) = Σ_m w_m · (s_m(u, i) − mean_m(u)) / deviation_m(u), mean and deviation over the items that
    occur in training, for each user alone: members differ in scale, and some of them from user to user.

    Args:
        members: Plain members by name.
        weights: Of the members and of :data:`NETWORK`.
        occurs: Items that occur in training, [I].
        report: What each adds and costs, plain values.
    """

    def __init__(
        self,
        members: Mapping[str, ItemScores],
        weights: Mapping[str, float],
        occurs: NDArray[np.bool_],
        report: Mapping[str, Any],
    ) -> None:
        self.members, self.weights, self.occurs, self.report = members, weights, occurs, report
        self._moments: dict[str, NetworkMoments] = {}
        self._occurring = max(int(np.count_nonzero(occurs)), 1)
        self._latest: dict[tuple[str, bytes], tuple[NDArray[np.int64], Floats, float, float]] = {}
        self._profiles: dict[tuple[str, bytes], Floats] = {}

    def scores(self, network: Floats, had: Ragged) -> Floats:
        """Score of every item for each user, [U, I].

        Args:
            network: Scores of the network, [U, I].
            had: Items of the users, oldest first, [U].
        """
        total = np.float32(self.weights[NETWORK]) * standardised(network, self.occurs)
        for name, member in self.members.items():
            total += np.float32(self.weights[name]) * standardised(member.scores(had), self.occurs)
        return total

    def of_user(
        self, network: Floats, moments: tuple[float, float], had: NDArray[np.int32], rows: NDArray[np.int64]
    ) -> Floats:
        """Score of some items for one user, [n].

        Args:
            network: Scores of the network, [n].
            moments: Mean and deviation of the network's scores over the items that occur.
            had: Items of the user, oldest first.
            rows: Items; those from I on are new, and no plain member knows them, [n].
        """
        mean, deviation = moments
        total = np.float32(self.weights[NETWORK]) * _apart(network, mean, deviation)
        return total + self.of_members(had, rows)

    def of_members(self, had: NDArray[np.int32], rows: NDArray[np.int64]) -> Floats:
        """The part of the plain members in the score of some items for one user, [n]."""
        size, total = len(self.occurs), np.zeros(len(rows), np.float32)
        known = rows < size
        for name, member in self.members.items():
            found = np.zeros(len(rows), np.float32)
            if isinstance(member, ItemVectors):
                profile = self._profile(name, member, had)
                found[known] = member.vectors[rows[known]] @ profile
                mean, deviation = self._moments_of(name, member).of(profile)
            else:
                columns, values, mean, deviation = self._of_items(name, had)
                if len(columns):
                    at = np.minimum(np.searchsorted(columns, rows), len(columns) - 1)
                    found = np.where(columns[at] == rows, values[at], np.float32(0))
            total += np.float32(self.weights[name]) * _apart(found, mean, deviation)
        return total

    def touched(self, had: NDArray[np.int32]) -> NDArray[np.int64]:
        """Items that some item-item member scores for a user, and the nearest by vectors, rising."""
        found: list[NDArray[np.int64]] = []
        for name, member in self.members.items():
            if isinstance(member, ItemToItem):
                found.append(self._of_items(name, had)[0])
            elif isinstance(member, ItemVectors) and (
                len(self.members) == 1 or member.vectors.size <= _CELLS
            ):
                scores = member.vectors @ self._profile(name, member, had)
                found.append(np.argpartition(-scores, min(_NEAREST, len(scores)) - 1)[:_NEAREST])
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)

    def _history(self, had: NDArray[np.int32]) -> Ragged:
        kept = had[had < len(self.occurs)]
        return Ragged(kept, np.array([0, len(kept)], np.int64))

    def _profile(self, name: str, member: ItemVectors, had: NDArray[np.int32]) -> Floats:
        """Vector of a user by a member with vectors, [D]."""
        key = (name, had.tobytes())  # a request asks several times
        found = self._profiles.get(key)
        if found is None:
            if len(self._profiles) >= _LATEST:
                self._profiles = {}
            self._profiles[key] = found = member.profiles(self._history(had))[0]
        return found

    def _of_items(self, name: str, had: NDArray[np.int32]) -> tuple[NDArray[np.int64], Floats, float, float]:
        """Items that an item-item member scores for a user, rising, with the scores, their mean and deviation."""
        key = (name, had.tobytes())  # a request asks several times
        kept = self._latest.get(key)
        if kept is not None:
            return kept
        member = self.members[name]
        assert isinstance(member, ItemToItem)  # noqa: S101 (there are two kinds of members)
        columns, values = member.touched(had)
        # all that is touched occurs in training, and what is not touched scores 0
        mean = float(values.sum(dtype=np.float64)) / self._occurring
        square = float((values.astype(np.float64) ** 2).sum()) / self._occurring
        found = columns, values, mean, max(square - mean**2, 0.0) ** 0.5
        if len(self._latest) >= _LATEST:
            self._latest = {}
        self._latest[key] = found
        return found

    def _moments_of(self, name: str, member: ItemVectors) -> NetworkMoments:
        if name not in self._moments:
            self._moments[name] = NetworkMoments(
                member.vectors, np.zeros(len(member.vectors), np.float32), self.occurs
            )
        return self._moments[name]


class NetworkMoments:
    """Mean and deviation of the network's scores over the items that occur, from moments of their vectors.

    Args:
        vectors: Retrieval vectors of the items, [I, D].
        bias: [I].
        occurs: [I].
    """

    def __init__(self, vectors: Floats, bias: Floats, occurs: NDArray[np.bool_]) -> None:
        items = np.column_stack([vectors[occurs], bias[occurs]]).astype(np.float64)
        self._mean = items.mean(axis=0) if len(items) else np.zeros(items.shape[1])
        centred = items - self._mean
        self._covariance = centred.T @ centred / max(len(items), 1)

    def of(self, query: Floats) -> tuple[float, float]:
        """For one user's vector, [D]."""
        q = np.append(query.astype(np.float64), 1.0)
        return float(q @ self._mean), float(np.sqrt(max(q @ self._covariance @ q, 0.0)))


def standardised(scores: Floats, occurs: NDArray[np.bool_]) -> Floats:
    """Scores less their mean over some items, over their deviation, for each user; 0 where all are alike, [U, I]."""
    some = scores[:, occurs].astype(np.float64)
    mean, deviation = some.mean(axis=1, keepdims=True), some.std(axis=1, keepdims=True)
    return _apart(scores, mean, deviation)


def _apart(scores: Floats, mean: Any, deviation: Any) -> Floats:
    found: Floats = ((scores - mean) / np.where(np.asarray(deviation) > 1e-9, deviation, np.inf)).astype(
        np.float32
    )
    return found


class Members:
    """Plain members, fitted on training rows.

    Attributes:
        scores: By name.
        seconds: That fitting took, by name.
    """

    def __init__(self) -> None:
        self.scores: dict[str, ItemScores] = {}
        self.seconds: dict[str, float] = {}


def fit_members(
    data: Dataset,
    names: tuple[str, ...] | None = None,
    *,
    limit_s: float = 0.0,
    progress: Progress = silent,
) -> Members:
    """Fit the plain members that may rank beside the network.

    Args:
        data: The data set; nothing is fitted without a retrieval task or without validation rows to weigh by.
        names: Members; all of :data:`~motet.models.baselines.MEMBERS` when left out.
        limit_s: Of the whole run, 0 for none: once a fifth of it is spent here, the others are left out.
        progress: Progress callback.
    """
    members, began_s = Members(), time.monotonic()
    if data.schema.retrieval_task is None or not len(data.rows("validation")):
        return members
    wanted = [name for name in MEMBERS if names is None or name in names]
    for done, name in enumerate(wanted):
        late = limit_s and time.monotonic() - began_s > _LIMIT_SHARE * limit_s
        if late or MEMBERS[name].steps_aside(data) is not None:
            continue
        progress(f"fitting {name}", done, len(wanted))
        start_s = time.perf_counter()
        members.scores[name] = MEMBERS[name].fit_scores(data)
        members.seconds[name] = time.perf_counter() - start_s
    return members


def fit_blend(
    data: Dataset,
    members: Members,
    network: Callable[[NDArray[np.int64]], Floats | None],
    progress: Progress = silent,
) -> RankingBlend | None:
    """Weigh the network and plain members by NDCG@10 on validation rows.

    Args:
        data: The data set.
        members: From :func:`fit_members`.
        network: Scores of the network for some users, which looks at training rows only.
        progress: Progress callback.

    Returns:
        None without members or validation users, or if no member helps.
    """
    task = catalogue_task(data, "validation") if members.scores else None
    if task is None or not len(task.users):
        return None
    most = max(1, min(_SEARCH_USERS, _SEARCH_CELLS // max(len(data.items), 1)))
    if len(task.users) > most:
        chosen = np.sort(np.random.default_rng(1).choice(len(task.users), most, replace=False))
        task = CatalogueTask(task.users[chosen], task.relevant[chosen], task.seen[chosen])
    progress("weighing the network and plain members", 0, 1)
    rows = data.rows("train")
    had, occurs = (
        had_items(data, rows).take(task.users),
        np.bincount(data.item_row[rows], minlength=len(data.items)) > 0,
    )
    found = network(task.users)
    parts = {} if found is None else {NETWORK: standardised(found, occurs)}
    parts |= {name: standardised(member.scores(had), occurs) for name, member in members.scores.items()}
    place = np.zeros(len(data.users), np.int64)
    place[task.users] = np.arange(len(task.users))

    def quality(weights: Mapping[str, float]) -> float:
        total = np.zeros((len(task.users), len(data.items)), np.float32)
        for name, weight in weights.items():
            total += np.float32(weight) * parts[name]
        ranked = rank_catalogue(task, lambda users: total[place[users]])
        return 0.0 if ranked is None else float(ranked.ndcg.mean())

    alone = {name: quality({name: 1.0}) for name in parts}
    weights, value = _weigh(alone, quality)
    helping = {name: member for name, member in members.scores.items() if name in weights}
    if not helping:
        return None
    report = {
        "ndcg@10": value,
        "members": {
            name: {
                "weight": weights.get(name, 0.0),
                "alone": alone[name],
                "without": quality({n: w for n, w in weights.items() if n != name}),
                "fit_s": members.seconds.get(name),
            }
            for name in parts
        },
    }
    weights = {NETWORK: weights.get(NETWORK, _TIE)} | {name: weights[name] for name in helping}
    return RankingBlend(helping, weights, occurs, report)


def _weigh(
    alone: Mapping[str, float], quality: Callable[[Mapping[str, float]], float]
) -> tuple[dict[str, float], float]:
    """Weights by coordinate ascent from the best member alone; one is let in only if it adds enough."""
    best = max(alone, key=lambda name: alone[name])
    weights, value = {best: 1.0}, alone[best]
    for _ in range(_ROUNDS):
        before = value
        for name in sorted(alone, key=lambda name: -alone[name]):
            least = value if name in weights else value * (1 + _LEAST_GAIN)
            for weight in _WEIGHTS:
                tried = {n: w for n, w in {**weights, name: weight}.items() if w}
                if (
                    tried
                    and weight != weights.get(name, 0.0)
                    and (found := quality(tried)) > max(value, least)
                ):
                    weights, value = tried, found
        if value == before:
            break
    return weights, value


# Written into a bundle and read from it.

MEMBERS_FILES: Final = ("members.json", "members.safetensors")


def write_blend(directory: Path, blend: RankingBlend) -> None:
    """Write ``members.json`` and ``members.safetensors``."""
    arrays: dict[str, NDArray[Any]] = {"occurs": blend.occurs}
    for name, member in blend.members.items():
        arrays |= {f"{name}.{part}": np.ascontiguousarray(array) for part, array in member.arrays().items()}
    save_file(arrays, str(directory / MEMBERS_FILES[1]))
    content = {
        "weights": dict(blend.weights),
        "members": {name: {"kind": m.kind, "decay": m.decay} for name, m in blend.members.items()},
        "report": blend.report,
    }
    (directory / MEMBERS_FILES[0]).write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_blend(directory: Path) -> RankingBlend | None:
    """Read what :func:`write_blend` wrote; None where the network ranks alone."""
    if not (directory / MEMBERS_FILES[0]).is_file():
        return None
    content = json.loads((directory / MEMBERS_FILES[0]).read_text(encoding="utf-8"))
    arrays = load_file(str(directory / MEMBERS_FILES[1]))
    members = {}
    for name, of in content["members"].items():
        parts = {key.removeprefix(f"{name}."): a for key, a in arrays.items() if key.startswith(f"{name}.")}
        members[name] = read_scores(of["kind"], of["decay"], parts)
    return RankingBlend(members, content["weights"], arrays["occurs"], content["report"])
