"""What the catalogue says of an item: its tags and its numbers."""

from __future__ import annotations

import math

from motet.explain._claim import Basis, Claim, Mention
from motet.explain._ground import Ground, Taste

__all__ = ["Properties"]

_TAGS, _PARTS = 4, 5


class Properties:
    """The item is of these kinds and of this year; each category and each other number is a claim of its own."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        catalogue = ground.catalogue
        kinds = tuple(
            Mention("tag", value, column)
            for column in catalogue.tags
            for value in catalogue.values(item, column)[:_TAGS]
        )
        numbers = [
            (column, value)
            for column in catalogue.numbers
            if (value := catalogue.number(item, column)) is not None and math.isfinite(value)
        ]
        years = [(column, value) for column, value in numbers if ground.is_year(column)][:1]
        parts: list[tuple[tuple[Mention, ...], tuple[tuple[str, float], ...]]] = []
        if kinds or years:
            parts.append((kinds, tuple(years)))
        for column in catalogue.categories:
            parts += [((Mention("tag", value, column),), ()) for value in catalogue.values(item, column)]
        parts += [((), (number,)) for number in numbers if number not in years]
        return [
            Claim("is", item, -1, "is", True, mentions, told, 0.05 - 0.001 * place, Basis())
            for place, (mentions, told) in enumerate(parts[:_PARTS])
        ]

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        catalogue = ground.catalogue
        return (
            claim.polarity
            and claim.relation == "is"
            and bool(claim.mentions or claim.numbers)
            and all(
                mention.column in (*catalogue.tags, *catalogue.categories)
                and mention.key in catalogue.values(claim.item, mention.column)
                for mention in claim.mentions
            )
            and all(
                column in catalogue.numbers and catalogue.number(claim.item, column) == value
                for column, value in claim.numbers
            )
        )
