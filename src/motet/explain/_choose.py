"""Which claims a reason is made of: strong ones that say different things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from motet.explain._claim import Claim

__all__ = ["choose"]

_LEAST = 0.2  # weaker claims are told only where there is nothing else
_FAMILY = {  # kinds that lean on single liked items say much the same
    "near": "items",
    "others": "items",
    "moved": "items",
    "fact": "items",
    "words": "items",
    "tags": "tags",
    "rate": "tags",
    "peers": "crowd",
    "popular": "crowd",
    "number": "number",
    "did": "item",
}
_SAME_FAMILY, _SAME_MENTION, _TWO_LISTS = 0.6, 0.5, 0.1
_TIRED = 0.65  # for each time that something was named higher up in the list
_MONOTONOUS, _MOST_TIMES = 0.88, 5  # for each time that something of its kind was told there


def choose(
    claims: Sequence[Claim], k: int, *, cautions: bool = False, told: Counter[str] | None = None
) -> list[Claim]:
    """Choose claims greedily: strength, less for each chosen claim of a like sort or about the same things.

    Args:
        claims: Any claims about one item and user.
        k: At the most, ≥ 1.
        cautions: Whether a claim against the item may stand at the end.
        told: How often each tag or item was named higher up in a list of reasons, and each kind of claim
            (``kind tags``) told; the chosen are added.

    Returns:
        The strongest first, what moved the score last; one that speaks against the item last.
    """
    told = Counter() if told is None else told
    fresh = {
        claim: claim.strength
        * _TIRED ** min(sum(told[mention.key] for mention in claim.mentions), _MOST_TIMES)
        * _MONOTONOUS ** min(told[f"kind {claim.kind}"], _MOST_TIMES)
        for claim in claims
    }
    rest = [claim for claim in claims if claim.polarity]
    chosen: list[Claim] = []
    against = [claim for claim in claims if not claim.polarity and claim.strength >= _LEAST]
    room = k - 1 if cautions and against and k > 1 else k
    while rest and len(chosen) < room:
        best = max(rest, key=lambda claim: (fresh[claim] * _novelty(claim, chosen), -rest.index(claim)))
        if chosen and fresh[best] * _novelty(best, chosen) < _LEAST:
            break
        chosen.append(best)
        rest = [claim for claim in rest if claim.kind != best.kind]
    chosen.sort(key=lambda claim: claim.kind == "moved")  # what only the model knows comes last
    if cautions and against:
        said = {mention for claim in chosen for mention in claim.of("tag")}
        new = [claim for claim in against if not set(claim.mentions) & said] or ([] if chosen else against)
        chosen += sorted(new, key=lambda claim: -claim.strength)[: max(0, k - len(chosen))][:1]
    told.update(mention.key for claim in chosen for mention in claim.mentions)
    told.update(f"kind {claim.kind}" for claim in chosen)
    return chosen


def _novelty(claim: Claim, chosen: Sequence[Claim]) -> float:
    worth = 1.0
    for other in chosen:
        if {other.kind, claim.kind} == {
            "near",
            "moved",
        }:  # two lists of liked items seem to contradict each other
            worth *= _TWO_LISTS
        elif _FAMILY.get(other.kind) == _FAMILY.get(claim.kind):
            worth *= _SAME_FAMILY
        if {(m.role, m.key) for m in claim.mentions} & {(m.role, m.key) for m in other.mentions}:
            worth *= _SAME_MENTION
    return worth
