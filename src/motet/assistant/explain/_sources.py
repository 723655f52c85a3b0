"""Claims from the user's own history and the model, and the table of all sources: where claims come from, and what checks whether they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.assistant.explain._claim import (
    MOST_NAMED,
    PRIVACY,
    Basis,
    Claim,
    ClaimKind,
    Mention,
    Source,
    lift,
    surprise,
)
from motet.assistant.explain._evidence import EvidenceIndex, Taste
from motet.assistant.explain._sources_content import LikeNumbers, Properties, Rated, SharedTags, SharedWords
from motet.assistant.explain._sources_relations import (
    Facts,
    LikedByMany,
    Nearest,
    Others,
    SharedFacts,
    SimilarItems,
    near_claim,
)

__all__ = [
    "SOURCES",
    "Did",
    "Falls",
    "Moved",
    "Peers",
    "by_influence",
    "falls_of",
    "find_claims",
    "moved_claims",
    "verify",
]


class Did:
    """The user had this very item: what they gave it, liked it or not, and when."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        done = evidence.last_interaction(taste.user, item)
        if done is None:
            return []
        numbers: tuple[tuple[str, float], ...] = (("time_us", float(done.time_us)),)
        if done.kind == "gave":
            numbers = (("value", done.value), *numbers)
        return [Claim("did", item, taste.user, done.kind, True, (), numbers, 1.0, Basis((item,), 1))]

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        done = evidence.last_interaction(claim.user, claim.item)
        return (
            done is not None
            and claim.polarity
            and not claim.mentions
            and claim.relation == done.kind
            and claim.number("time_us") == float(done.time_us)
            and (done.kind != "gave" or claim.number("value") == done.value)
            and claim.support == Basis((claim.item,), 1)
        )


_FEWEST, _LEAST_LIFT = 20, 1.3


class Peers:
    """Of the n users with the same occupation, say, b liked it: more than usual."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        claims: list[Claim] = []
        likers = evidence.likers_of(item, but=taste.user)
        if taste.user < 0 or len(likers) < PRIVACY:
            return claims
        for feature in evidence.schema.explain.mention:
            codes = evidence.categories(feature)
            value = evidence.category(feature, taste.user)
            if codes is None or value is None:
                continue
            same = codes == codes[taste.user]
            same[taste.user] = False
            of, found = int(same.sum()), int(same[likers].sum())
            usual = len(likers) / (evidence.users - 1)
            times = lift(found, of, usual)
            if found < PRIVACY or of < _FEWEST or times < _LEAST_LIFT:
                continue
            claims.append(
                Claim(
                    "peers",
                    item,
                    taste.user,
                    "liked_by_peers",
                    True,
                    (Mention("category", value, feature),),
                    (("found", found), ("of", of), ("times", times)),
                    0.8 * surprise(found, of, usual),
                    Basis((), found),
                )
            )
        return claims

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        if len(claim.mentions) != 1 or not claim.polarity or claim.relation != "liked_by_peers":
            return False
        feature, value = claim.mentions[0].column, claim.mentions[0].key
        if feature not in evidence.schema.explain.mention or evidence.category(feature, taste.user) != value:
            return False
        peers = {user for user in range(evidence.users) if evidence.category(feature, user) == value} - {
            taste.user
        }
        likers = set(evidence.likers_of(claim.item).tolist()) - {taste.user}
        found = len(peers & likers)
        times = lift(found, len(peers), len(likers) / (evidence.users - 1))
        return (
            (found, len(peers), times) == (claim.number("found"), claim.number("of"), claim.number("times"))
            and found == claim.support.count >= PRIVACY
            and len(peers) >= _FEWEST
            and times >= _LEAST_LIFT
        )


_NAMED = 2
_MOST_ASKED = 100  # of the liked items, the latest
_LEAST_FALL = 1e-5  # smaller ones of a sum of members may be rounding


@dataclass(frozen=True, slots=True)
class Falls:
    """How far scores fall without each liked item; h liked items, m items.

    Attributes:
        items: Rows of the items that were scored, m of them.
        rows: Rows of the liked items, [h].
        values: Score as it is, less the score without the liked item, [h, m].
    """

    items: tuple[int, ...]
    rows: NDArray[np.int64]
    values: NDArray[np.float32]

    def of(self, place: int) -> dict[int, float]:
        """Fall of one item's score, by liked item."""
        return dict(zip(self.rows.tolist(), self.values[:, place].tolist(), strict=True))

    def usual(self, place: int) -> float:
        """Mean size of a fall of one item's score."""
        mine = self.values[self.rows != self.items[place], place]
        return max(float(np.abs(mine).mean()) if len(mine) else 0.0, 1e-9)


class Moved:
    """Of all liked items, these spoke for this one most: without each of them its score falls furthest."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        return moved_claims(evidence, taste, falls_of(evidence, taste, [item]))[0]

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        named = [mention.row for mention in claim.of("liked")]
        if not named or claim.relation != "raised_score" or not claim.polarity or claim.numbers:
            return False
        if any(mention.key != evidence.item_id(mention.row) for mention in claim.mentions):
            return False
        falls = falls_of(evidence, taste, [claim.item])
        if not set(named) <= set(falls.rows.tolist()) or claim.support.rows != tuple(named):
            return False
        fall = falls.of(0)
        rest = [value for row, value in fall.items() if row not in named]
        return (
            all(abs(fall[row] - w) < 1e-3 for row, w in zip(named, claim.support.weights, strict=True))
            and min(fall[row] for row in named) > 0
            and min(fall[row] for row in named) >= max(rest, default=-np.inf) - 1e-5
        )


def moved_claims(evidence: EvidenceIndex, taste: Taste, falls: Falls) -> list[list[Claim]]:
    """The claims of this kind for several items at once, which costs little more than for one."""
    found: list[list[Claim]] = [[] for _ in falls.items]
    least = _LEAST_FALL if evidence.probe.is_blended else 0.0
    for place, item in enumerate(falls.items):
        mine = falls.rows != item
        fall = np.where(mine, falls.values[:, place], -np.inf)
        if mine.sum() < 2:
            continue
        best = np.argsort(-fall, kind="stable")[:_NAMED]
        best = best[(fall[best] > least) & (fall[best] >= 0.5 * fall[best[0]])]
        if not len(best):
            continue
        rows = tuple(int(falls.rows[at]) for at in best)
        off = float(fall[best[0]] / falls.usual(place))
        found[place].append(
            Claim(
                "moved",
                item,
                taste.user,
                "raised_score",
                True,
                tuple(Mention("liked", evidence.item_id(row), row=row) for row in rows),
                (),
                off / (off + 4),
                Basis(rows, len(rows), tuple(round(float(fall[at]), 4) for at in best)),
            )
        )
    return found


def falls_of(evidence: EvidenceIndex, taste: Taste, items: Sequence[int]) -> Falls:
    """How far the served score of each item falls when a liked item is taken out of the history, one at a time.

    Where plain members rank or predict too, that is the score of all of them.

    Args:
        evidence: What is known.
        taste: What the user liked; the latest of it that the model sees is asked for.
        items: Rows of the items.
    """
    none = Falls(tuple(items), np.zeros(0, np.int64), np.zeros((0, len(items)), np.float32))
    if not len(taste.liked):
        return none
    history = evidence.history(taste.user)
    seen = {int(row) for rows in history.values() for row in rows}
    asked = np.array([row for row in taste.liked[::-1].tolist() if row in seen][:_MOST_ASKED], np.int64)
    if not len(asked):
        return none
    histories = [history, *({name: rows[rows != row] for name, rows in history.items()} for row in asked)]
    scores = evidence.probe.with_histories(taste.user, items, histories)
    return Falls(tuple(items), asked, scores[:1] - scores[1:])


def by_influence(evidence: EvidenceIndex, claim: Claim, falls: Falls, place: int) -> Claim | None:
    """A claim that leans on liked items, as strong as these moved the score; of near ones, those that did most.

    What is true and also moved the score comes before what is merely true. Where plain members rank or predict too,
    an item that is near by the network's vectors and did not raise the score that is served is not named at all, and
    None is returned where none of them did.
    """
    named, is_blended = claim.of("liked"), evidence.probe.is_blended
    if claim.kind == "moved" or not named:
        return claim
    if not len(falls.rows):
        return None if claim.kind == "near" and is_blended else claim
    fall, usual, least = falls.of(place), falls.usual(place), _LEAST_FALL if is_blended else 0.0
    if claim.kind == "near":
        weights = dict(zip(claim.support.rows, claim.support.weights, strict=True))
        best = sorted(claim.support.rows, key=lambda row: (-fall.get(row, 0.0), -weights[row]))
        kept = [row for row in best if fall.get(row, 0.0) > least][:MOST_NAMED]
        if not kept and is_blended:
            return None
        claim = near_claim(evidence, claim, [(row, weights[row]) for row in kept or best[:1]])
        named = claim.of("liked")
    share = max(0.0, float(np.mean([fall.get(mention.row, 0.0) for mention in named])) / usual)
    return replace(claim, strength=min(1.0, claim.strength * (0.7 + 0.6 * share / (1 + share))))


SOURCES: Final[dict[ClaimKind, Source]] = {
    "did": Did(),
    "tags": SharedTags(),
    "rate": Rated(),
    "near": Nearest(),
    "moved": Moved(),
    "others": Others(),
    "fact": SharedFacts(),
    "words": SharedWords(),
    "number": LikeNumbers(),
    "peers": Peers(),
    "popular": LikedByMany(),
    "is": Properties(),
    "says": Facts(),
    "similar": SimilarItems(),
}

OF_CATALOGUE: Final[tuple[ClaimKind, ...]] = ("is", "says")
ABOUT_ITEM: Final[tuple[ClaimKind, ...]] = (*OF_CATALOGUE, "similar", "popular")
# what moved the score is asked for whole lists of items, and not one by one
REASONS: Final[tuple[ClaimKind, ...]] = tuple(
    kind for kind in SOURCES if kind not in ("is", "says", "similar", "moved")
)


def find_claims(
    evidence: EvidenceIndex, taste: Taste, item: int, kinds: tuple[ClaimKind, ...] = REASONS
) -> list[Claim]:
    """Claims about an item for a user, the strongest first.

    Args:
        evidence: What is known.
        taste: What the user liked.
        item: Row of the item.
        kinds: Which sources are asked.
    """
    without = taste.without(item)
    claims = [claim for kind in kinds for claim in SOURCES[kind].find(evidence, without, item)]
    return sorted(claims, key=lambda claim: -claim.strength)


def verify(claim: Claim, evidence: EvidenceIndex) -> bool:
    """Whether a claim is true, derived again from the catalogue, the graph and what users did.

    Args:
        claim: Any claim, wherever it came from.
        evidence: What is known.

    Returns:
        False also for a claim that names what does not exist, or lacks a number of its kind.
    """
    if not 0 <= claim.item < evidence.items or claim.kind not in SOURCES or claim.user >= evidence.users:
        return False
    if any(not -1 <= mention.row < evidence.items for mention in claim.mentions):
        return False
    try:
        taste = evidence.taste(claim.user).without(claim.item)
        return SOURCES[claim.kind].holds(evidence, taste, claim) and _near_counts(evidence, claim)
    except (KeyError, ValueError):  # a number that its kind needs is not there, or lists do not fit together
        return False


def _near_counts(evidence: EvidenceIndex, claim: Claim) -> bool:
    """Whether liked items that are said to be near also raised the score that is served, where a blend is."""
    if claim.kind != "near" or not evidence.probe.is_blended:
        return True
    fall = falls_of(evidence, evidence.taste(claim.user), [claim.item]).of(0)
    return all(fall.get(mention.row, 0.0) > 0 for mention in claim.of("liked"))
