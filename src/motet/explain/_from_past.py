"""What the user did with the item itself."""

from __future__ import annotations

from motet.explain._claim import Basis, Claim
from motet.explain._ground import Ground, Taste

__all__ = ["Did"]


class Did:
    """The user had this very item: what they gave it, liked it or not, and when."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        deed = ground.deed(taste.user, item)
        if deed is None:
            return []
        numbers: tuple[tuple[str, float], ...] = (("time_us", float(deed.time_us)),)
        if deed.kind == "gave":
            numbers = (("value", deed.value), *numbers)
        return [Claim("did", item, taste.user, deed.kind, True, (), numbers, 1.0, Basis((item,), 1))]

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        deed = ground.deed(claim.user, claim.item)
        return (
            deed is not None
            and claim.polarity
            and not claim.mentions
            and claim.relation == deed.kind
            and claim.number("time_us") == float(deed.time_us)
            and (deed.kind != "gave" or claim.number("value") == deed.value)
            and claim.support == Basis((claim.item,), 1)
        )
