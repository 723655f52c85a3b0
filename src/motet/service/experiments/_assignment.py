"""Who gets which variant: GrowthBook's rules, so that its SDKs assign the same users to the same variants.

The rules are those that GrowthBook publishes for SDKs (specification 0.7.1): hash, bucket ranges, namespaces, sticky buckets.
Targeting by attributes, forced variations and filters are not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from motet.errors import RequestError

__all__ = [
    "Assignment",
    "Namespace",
    "TrafficSplit",
    "assign",
    "bucket_hash",
    "bucket_ranges",
    "choose_variation",
    "equal_weights",
    "in_namespace",
]

_OFFSET: Final = 0x811C9DC5
_PRIME: Final = 0x01000193
_MASK: Final = 0xFFFFFFFF
_SLACK: Final = 0.01  # by which weights may miss 1, as published


def _fnv1a(text: str) -> int:
    """FNV-1a with 32 bits, of the bytes in UTF-8."""
    found = _OFFSET
    for byte in text.encode("utf-8", "surrogatepass"):
        found = ((found ^ byte) * _PRIME) & _MASK
    return found


def bucket_hash(seed: str, value: str, version: int = 2) -> float | None:
    """A number in [0, 1) that depends on the seed and the value alone.

    Version 2 is fnv(str(fnv(seed + value))) mod 10,000 / 10,000, version 1 is fnv(value + seed) mod 1,000 / 1,000.
    Version 1 is there for namespaces, which use it; in an experiment it would correlate with others of a like seed.
    Outside ASCII the SDKs of GrowthBook disagree among each other; here the bytes in UTF-8 are hashed.

    Args:
        seed: Usually the name of the experiment.
        value: Usually the id of the user.
        version: 1 or 2.

    Returns:
        None for another version.

    Example:
        >>> bucket_hash("seed", "a"), bucket_hash("", "a", 1)
        (0.0505, 0.22)
    """
    if version == 2:
        return _fnv1a(str(_fnv1a(seed + value))) % 10_000 / 10_000
    if version == 1:
        return _fnv1a(value + seed) % 1_000 / 1_000
    return None


def equal_weights(variations: int) -> list[float]:
    """The same weight for each of some variations; they sum to 1."""
    return [1 / variations] * variations if variations > 0 else []


def bucket_ranges(
    variations: int, coverage: float = 1.0, weights: Sequence[float] | None = None
) -> list[tuple[float, float]]:
    """The part of [0, 1) whose users get each variation.

    A variation of weight w that starts at the sum s of the weights before it has [s, s + coverage · w): raising the
    coverage takes in further users and moves none to another variation.

    Args:
        variations: How many.
        coverage: Share of all users, in [0, 1]; values beyond are taken as the nearest.
        weights: Of each variation; equal ones if their number is wrong or they do not sum to about 1.

    Example:
        >>> bucket_ranges(2, 0.5)
        [(0.0, 0.25), (0.5, 0.75)]
    """
    coverage = min(max(coverage, 0.0), 1.0)
    if weights is None or len(weights) != variations or abs(sum(weights) - 1) > _SLACK:
        weights = equal_weights(variations)
    ranges, start = [], 0.0
    for weight in weights:
        ranges.append((start, start + coverage * weight))
        start += weight
    return ranges


def choose_variation(bucket: float, ranges: Sequence[tuple[float, float]]) -> int:
    """Index of the range that a bucket is in; -1 if it is in none."""
    return next((at for at, (low, high) in enumerate(ranges) if low <= bucket < high), -1)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A part of all users; experiments in disjoint parts of one namespace have no user in common.

    Attributes:
        name: Of the namespace.
        start: In [0, 1].
        end: In [start, 1]; it is outside.
    """

    name: str
    start: float
    end: float

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end <= 1:
            raise RequestError(
                f"the namespace {self.name[:80]!r} goes from {self.start:g} to {self.end:g}",
                "take a start and an end with 0 <= start <= end <= 1",
            )


def in_namespace(user: str, namespace: Namespace) -> bool:
    """Whether a user is in a part of a namespace."""
    bucket = bucket_hash(f"__{namespace.name}", user, 1)
    return bucket is not None and namespace.start <= bucket < namespace.end


@dataclass(frozen=True, slots=True)
class TrafficSplit:
    """Which users an experiment takes in, and how it divides them.

    Attributes:
        key: Name of the experiment.
        variations: Names of the variations, at least two, the baseline first.
        weights: Of each; equal when left out.
        coverage: Share of users that are taken in, in [0, 1].
        seed: Of the hash; the key when left out. A new seed divides the users anew.
        namespace: Only users in it.
        ranges: In place of weights and coverage.
        hash_version: 2, or 1 for an experiment that was begun elsewhere with it.
        version: Of the division: raised, users who had a variation are divided anew.
        oldest: Users who had a variation by an older version than this are left out altogether.
    """

    key: str
    variations: tuple[str, ...]
    weights: tuple[float, ...] | None = None
    coverage: float = 1.0
    seed: str | None = None
    namespace: Namespace | None = None
    ranges: tuple[tuple[float, float], ...] | None = None
    hash_version: int = 2
    version: int = 0
    oldest: int = 0

    def bucket(self, user: str) -> float | None:
        """Where a user is, in [0, 1)."""
        return bucket_hash(self.key if self.seed is None else self.seed, user, self.hash_version)

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the users of the experiment that each variation has; they sum to 1."""
        widths = [max(0.0, high - low) for low, high in self.parts]
        total = sum(widths)
        return tuple(one / total if total else 0.0 for one in widths)

    @property
    def parts(self) -> Sequence[tuple[float, float]]:
        """The part of [0, 1) of each variation."""
        return self.ranges or bucket_ranges(len(self.variations), self.coverage, self.weights)


@dataclass(frozen=True, slots=True)
class Assignment:
    """The variation of a user.

    Attributes:
        variation: Its index.
        user: The id that it belongs to.
        bucket: Where the user is, in [0, 1).
        remembered: Whether it is that of before, whatever the hash says now.
    """

    variation: int
    user: str
    bucket: float
    remembered: bool


def assign(
    traffic: TrafficSplit,
    user: str | None,
    *,
    fallback: str | None = None,
    remembered: Mapping[str, Mapping[str, str]] | None = None,
) -> Assignment | None:
    """The variation of a user; None for one who is not in the experiment.

    Whoever had a variation before keeps it, even where weights, coverage or namespace have changed since: a user who
    sees another variant in the middle of an experiment spoils it.

    Args:
        traffic: Of the experiment.
        user: Id of the user; None or empty if unknown.
        fallback: An id to go by where the user is unknown, such as one of a device.
        remembered: Variations of before: by id, the name of the variation by ``KEY__VERSION``.

    Example:
        >>> traffic = TrafficSplit("new-ranking", ("old", "new"), coverage=0.0)
        >>> assign(traffic, "ann") is None
        True
        >>> found = assign(traffic, "ann", remembered={"ann": {"new-ranking__0": "new"}})
        >>> found.variation, found.remembered
        (1, True)
    """
    own = user or fallback
    if not own or len(traffic.variations) < 2:
        return None
    bucket = traffic.bucket(own)
    if bucket is None:
        return None
    before: dict[str, str] = {}
    for id in (fallback, user):  # what is remembered of the user comes before what is remembered of a device
        before.update((remembered or {}).get(id or "", {}))
    if any(f"{traffic.key}__{version}" in before for version in range(traffic.oldest)):
        return None
    kept = before.get(f"{traffic.key}__{traffic.version}")
    if kept in traffic.variations:
        return Assignment(traffic.variations.index(str(kept)), own, bucket, True)
    if traffic.namespace is not None and not in_namespace(own, traffic.namespace):
        return None
    variation = choose_variation(bucket, traffic.parts)
    return Assignment(variation, own, bucket, False) if variation >= 0 else None
