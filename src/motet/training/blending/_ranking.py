"""What a bundle ranks by: the network's retrieval score and plain members, standardised and weighed.

Legend of shapes: U users, I items, D width of the retrieval vectors, n items of one user.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset, Ragged
from motet.models.baselines import (
    MEMBERS,
    ItemPrior,
    ItemScores,
    ItemToItem,
    ItemVectors,
    ranking_queries,
    read_scores,
)
from motet.schema import Progress, silent
from motet.training.blending._members import (
    LEAST_DEVIATION,
    NETWORK,
    Members,
    NetworkMoments,
    fit_each,
    joined,
    of_member,
    read_members,
    standard,
    standardised,
    write_members,
)
from motet.training.blending._weights import (
    EarlierLists,
    halves_of_users,
    is_over,
    quality_of_weights,
    weigh_members,
)

__all__ = [
    "NETWORK",
    "NetworkMoments",
    "RankingBlend",
    "RankingNetwork",
    "fit_blend",
    "fit_members",
    "read_blend",
    "write_blend",
]

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

_SEARCH_CELLS: Final = 20_000_000
_TIE: Final = 0.001  # the network orders items that plain members hold to be alike
_FEW: Final = 20_000  # items all of which are scored in a request
_NEAREST: Final = 500  # items that a member with vectors gives for a request
_CELLS: Final = 2_000_000  # of vectors, that are looked through for that where another member gives some too
_LATEST: Final = 64  # histories whose scores are kept
_STEM: Final = "members"


class RankingBlend:
    """Scores the catalogue by all members that help.

    s(u, i) = Σ_m w_m · (s_m(u, i) − mean_m(u)) / deviation_m(u), mean and deviation over the items that
    occur in training, for each user alone: members differ in scale, and some of them from user to user.

    Args:
        members: Plain members by name.
        weights: Of the members and of :data:`NETWORK`.
        occurs: Items that occur in training, [I].
        report: What each adds and costs, plain values.
        lists: What updates since the last training in full weigh by; None before the first.
    """

    def __init__(
        self,
        members: Mapping[str, ItemScores],
        weights: Mapping[str, float],
        occurs: NDArray[np.bool_],
        report: Mapping[str, Any],
        lists: EarlierLists | None = None,
    ) -> None:
        self.members, self.weights, self.occurs, self.report = members, weights, occurs, report
        self.lists = lists
        self._moments: dict[str, NetworkMoments] = {}
        self._occurring = max(int(np.count_nonzero(occurs)), 1)
        self._every: dict[bytes, tuple[Floats, NDArray[np.int64]]] = {}
        self._latest: dict[tuple[str, bytes], tuple[NDArray[np.int64], Floats, float, float]] = {}
        self._profiles: dict[tuple[str, bytes], Floats] = {}
        self._priors: dict[str, tuple[float, float, NDArray[np.int64]]] = {}

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
        total = np.float32(self.weights[NETWORK]) * standard(network, mean, deviation)
        return total + self.of_members(had, rows)

    def of_members(self, had: NDArray[np.int32], rows: NDArray[np.int64]) -> Floats:
        """The part of the plain members in the score of some items for one user, [n]."""
        size = len(self.occurs)
        if size <= _FEW:
            of_all: Floats = self._of_every_item(had)[0][np.minimum(rows, size)]
            return of_all
        total, known = np.zeros(len(rows), np.float32), rows < size
        for name, member in self.members.items():
            found = np.zeros(len(rows), np.float32)
            if isinstance(member, ItemVectors):
                profile = self._profile(name, member, had)
                found[known] = member.vectors[rows[known]] @ profile
                mean, deviation = self.moments_of(name, member).of(profile)
            elif isinstance(member, ItemPrior):
                found[known] = member.values[rows[known]]
                mean, deviation, _ = self._of_prior(name, member)
            else:
                columns, values, mean, deviation = self._of_items(name, had)
                if len(columns):
                    at = np.minimum(np.searchsorted(columns, rows), len(columns) - 1)
                    found = np.where(columns[at] == rows, values[at], np.float32(0))
            total += np.float32(self.weights[name]) * standard(found, mean, deviation)
        return total

    def _of_every_item(self, had: NDArray[np.int32]) -> tuple[Floats, NDArray[np.int64]]:
        """:meth:`of_members` of every item, and at the end of one that no member knows, [I + 1]; :meth:`touched`."""
        key = had.tobytes()  # a request asks several times
        kept = self._every.get(key)
        if kept is not None:
            return kept
        size = len(self.occurs)
        total, there = np.zeros(size + 1, np.float32), np.zeros(size, bool)
        for name, member in self.members.items():
            found = np.zeros(size + 1, np.float32)
            if isinstance(member, ItemVectors):
                there[:] = True
                profile = member.profiles(self._history(had))[0]
                np.matmul(member.vectors, profile, out=found[:-1])
                mean, deviation = self.moments_of(name, member).of(profile)
            elif isinstance(member, ItemPrior):
                found[:-1] = member.values
                mean, deviation, first = self._of_prior(name, member)
                there[first] = True
            else:
                columns, values, mean, deviation = self._of_items(name, had)
                found[columns] = values
                there[columns] = True
            if deviation > LEAST_DEVIATION:
                found -= np.float32(mean)
                found *= np.float32(self.weights[name] / deviation)
                total += found
        if len(self._every) >= _LATEST:
            self._every = {}
        self._every[key] = made = total, np.flatnonzero(there)
        return made

    def weighed(self, name: str, scores: Floats, mean: Any, deviation: Any) -> Floats:
        """What a member adds to the score: its own scores less their mean, over their deviation, times its weight.

        Args:
            name: Of the member, or :data:`NETWORK`.
            scores: Any shape; mean and deviation fit it.
            mean: Of the member's scores over the items that occur.
            deviation: Likewise; where it is 0 the member adds nothing.
        """
        return np.float32(self.weights[name]) * standard(scores, mean, deviation)

    def touched(self, had: NDArray[np.int32]) -> NDArray[np.int64]:
        """Items that some item-item member scores for a user, the nearest by vectors, those of late, rising."""
        if len(self.occurs) <= _FEW:
            return self._of_every_item(had)[1]
        found: list[NDArray[np.int64]] = []
        for name, member in self.members.items():
            if isinstance(member, ItemToItem):
                found.append(self._of_items(name, had)[0])
            elif isinstance(member, ItemVectors) and (
                len(self.members) == 1 or member.vectors.size <= _CELLS
            ):
                scores = member.vectors @ self._profile(name, member, had)
                found.append(np.argpartition(-scores, min(_NEAREST, len(scores)) - 1)[:_NEAREST])
            elif isinstance(member, ItemPrior):
                found.append(self._of_prior(name, member)[2])
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

    def _of_prior(self, name: str, member: ItemPrior) -> tuple[float, float, NDArray[np.int64]]:
        """Mean and deviation of a member that scores all users alike, and its first items."""
        if name not in self._priors:
            values = member.values[self.occurs].astype(np.float64)
            first = np.argpartition(-member.values, min(_NEAREST, len(member.values)) - 1)[:_NEAREST]
            self._priors[name] = float(values.mean()), float(values.std()), first
        return self._priors[name]

    def moments_of(self, name: str, member: ItemVectors) -> NetworkMoments:
        """Moments of the vectors of a member over the items that occur."""
        if name not in self._moments:
            self._moments[name] = NetworkMoments(
                member.vectors, np.zeros(len(member.vectors), np.float32), self.occurs
            )
        return self._moments[name]


class RankingNetwork(Protocol):
    """What is known of the network while it is weighed against plain members."""

    def score_items(self, users: Rows) -> Floats | None:
        """Scores of all items for users as they stand at the end of training, [U, I]."""

    def score_events(self, rows: Rows) -> Floats | None:
        """Scores of all items for the users of some interactions as they stood before each, [E, I]."""


def fit_members(
    data: Dataset,
    names: tuple[str, ...] | None = None,
    *,
    limit_s: float = 0.0,
    progress: Progress = silent,
) -> Members[ItemScores]:
    """Fit the plain members that may rank beside the network.

    Args:
        data: The data set; nothing is fitted without a retrieval task or without validation rows to weigh by.
        names: Members; all of :data:`~motet.models.baselines.MEMBERS` when left out.
        limit_s: Of the whole run, 0 for none; see :func:`fit_each`.
        progress: Progress callback.
    """
    if data.schema.retrieval_task is None or not len(data.rows("validation")):
        return Members()
    wanted = [
        name
        for name, member in MEMBERS.items()
        if (names is None or name in names) and member.steps_aside(data) is None
    ]

    def fit(name: str, until_s: float | None) -> tuple[Any, ItemScores]:
        settings = MEMBERS[name].choose(data, until_s)
        return settings, MEMBERS[name].fit_scores(data, settings)

    return fit_each(wanted, fit, limit_s=limit_s, progress=progress)


def fit_blend(
    data: Dataset,
    members: Members[ItemScores],
    network: RankingNetwork,
    progress: Progress = silent,
    *,
    until_s: float | None = None,
) -> RankingBlend | None:
    """Weigh the network and plain members by NDCG@10 on validation rows.

    Once the weights stand, the members that help are fitted again with the same settings on training and validation
    rows (``training.refit``): what happened last says most about what comes next.

    Args:
        data: The data set.
        members: From :func:`fit_members`.
        network: The network, which looks at training rows only.
        progress: Progress callback.
        until_s: Reading of :func:`time.monotonic` after which no other weights are tried, and nothing is fitted again.

    Returns:
        None without members or validation users, or if no member helps.
    """
    queries = ranking_queries(data, _SEARCH_CELLS, seed=1) if members.fitted else None
    if queries is None:
        return None
    progress("weighing the network and plain members", 0, 1)
    occurs = _occurs(data, data.rows("train"))
    parts = {
        name: standardised(member.scores(queries.had), occurs) for name, member in members.fitted.items()
    }
    of_users, of_events = network.score_items(queries.users), network.score_events(queries.events)
    if of_users is not None and of_events is not None:
        parts = {NETWORK: standardised(np.concatenate([of_users, of_events]), occurs)} | parts

    quality = quality_of_weights(queries, parts)
    of = np.concatenate([queries.users, data.user_row[queries.events]])
    weights = weigh_members(list(parts), quality, halves_of_users(of), until_s)
    helping = [name for name in members.fitted if name in weights]
    if not helping:
        return None
    report = {
        "ndcg@10": quality(weights),
        "members": {
            name: {
                "weight": weights.get(name, 0.0),
                "alone": quality({name: 1.0}),
                "without": quality({n: w for n, w in weights.items() if n != name}),
                **members.facts(name),
            }
            for name in parts
        },
    }
    weights = {NETWORK: weights.get(NETWORK, _TIE)} | {name: weights[name] for name in helping}
    if not data.schema.training.refit or is_over(until_s):
        return RankingBlend({name: members.fitted[name] for name in helping}, weights, occurs, report)
    both = ("train", "validation")
    again = {}
    for done, name in enumerate(helping):
        progress(f"fitting {name} again, with the validation rows", done, len(helping))
        again[name] = MEMBERS[name].fit_scores(data, members.settings[name], both)
    rows = np.concatenate([data.rows(split) for split in both])
    return RankingBlend(again, weights, _occurs(data, rows), report)


def _occurs(data: Dataset, rows: Rows) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.bincount(data.item_row[rows], minlength=len(data.items)) > 0
    return found


# Written into a bundle and read from it.


def write_blend(directory: Path, blend: RankingBlend) -> None:
    """Write ``members.json`` and ``members.safetensors``."""
    arrays = joined({name: member.arrays() for name, member in blend.members.items()})
    content: dict[str, Any] = {
        "weights": dict(blend.weights),
        "members": {name: {"kind": m.kind, "decay": m.decay} for name, m in blend.members.items()},
        "report": blend.report,
    }
    if blend.lists is not None:
        arrays, content["lists"] = arrays | {"lists": blend.lists.scores}, list(blend.lists.names)
    write_members(directory, _STEM, arrays | {"occurs": blend.occurs}, content)


def read_blend(directory: Path) -> RankingBlend | None:
    """Read what :func:`write_blend` wrote; None where the network ranks alone."""
    found = read_members(directory, _STEM)
    if found is None:
        return None
    arrays, content = found
    members = {
        name: read_scores(of["kind"], of["decay"], of_member(arrays, name))
        for name, of in content["members"].items()
    }
    lists = EarlierLists(tuple(content["lists"]), arrays["lists"]) if "lists" in content else None
    return RankingBlend(members, content["weights"], arrays["occurs"], content["report"], lists)
