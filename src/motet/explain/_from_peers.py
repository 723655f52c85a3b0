"""How many users of the same category liked it; only where the schema lets reasons speak of that category."""

from __future__ import annotations

from motet.explain._claim import Basis, Claim, Mention
from motet.explain._ground import Ground, Taste
from motet.explain._source import PRIVACY, lift, surprise

__all__ = ["Peers"]

_FEWEST, _LEAST_LIFT = 20, 1.3


class Peers:
    """Of the n users with the same occupation, say, b liked it: more than usual."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        claims: list[Claim] = []
        likers = ground.likers_of(item, but=taste.user)
        if taste.user < 0 or len(likers) < PRIVACY:
            return claims
        for feature in ground.schema.explain.mention:
            codes = ground.categories(feature)
            value = ground.category(feature, taste.user)
            if codes is None or value is None:
                continue
            same = codes == codes[taste.user]
            same[taste.user] = False
            of, found = int(same.sum()), int(same[likers].sum())
            usual = len(likers) / (ground.users - 1)
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

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        if len(claim.mentions) != 1 or not claim.polarity or claim.relation != "liked_by_peers":
            return False
        feature, value = claim.mentions[0].column, claim.mentions[0].key
        if feature not in ground.schema.explain.mention or ground.category(feature, taste.user) != value:
            return False
        peers = {user for user in range(ground.users) if ground.category(feature, user) == value} - {
            taste.user
        }
        likers = set(ground.likers_of(claim.item).tolist()) - {taste.user}
        found = len(peers & likers)
        times = lift(found, len(peers), len(likers) / (ground.users - 1))
        return (
            (found, len(peers), times) == (claim.number("found"), claim.number("of"), claim.number("times"))
            and found == claim.support.count >= PRIVACY
            and len(peers) >= _FEWEST
            and times >= _LEAST_LIFT
        )
