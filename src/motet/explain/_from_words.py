"""Words that the item's title or text shares with those of liked items, weighed by TF-IDF."""

from __future__ import annotations

from motet.explain._claim import Basis, Claim, Mention
from motet.explain._ground import Ground, Taste
from motet.explain._source import LEAST_COSINE, MOST_NAMED
from motet.explain._word_table import words_of

__all__ = ["SharedWords"]

_RARE = 0.02  # share of the catalogue that may have a word that is told
_WORDS = 2  # that one claim names
# "Seven" and "The Magnificent Seven" have nothing in common
_COUNTS = frozenset("one two three four five six seven eight nine ten first second third last new".split())  # noqa: SIM905
_TITLE_ROWS, _TEXT_ROWS = 1, 2  # liked items that must share it


class SharedWords:
    """A rare word stands in the item's text and in those of liked items."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        claims: list[Claim] = []
        for column, fewest in _columns(ground) if len(taste.liked) else ():
            table = ground.words(column)
            shared: list[tuple[float, str, tuple[int, ...]]] = []
            liked = set(taste.liked.tolist())
            for word in words_of(ground.text(item, column)):
                having = table.rows.get(word, ())
                if len(having) > max(fewest + 1, _RARE * ground.items):
                    continue
                rows = tuple(row for row in having if row in liked)
                if len(rows) >= fewest:
                    shared.append((table.weight(word, ground.items), word, rows))
            if not shared:
                continue
            shared.sort(key=lambda one: (-one[0], one[1]))
            # words that stand together in the same items are told together: "Star" and "Trek"
            weight, _, rows = shared[0]
            told = [word for _, word, others in shared if set(others) == set(rows)][:_WORDS]
            having_it = set(rows)
            if column == ground.catalogue.title and len(told) == 1:
                # "Batman" says something, "Mighty Aphrodite" and "Mighty Morphin Power Rangers" have nothing in common
                alike = ground.vectors[list(rows)] @ ground.vectors[item] >= LEAST_COSINE
                having_it = {row for row, is_alike in zip(rows, alike, strict=True) if is_alike}
            latest = tuple(row for row in taste.liked[::-1].tolist() if row in having_it)[:MOST_NAMED]
            if not latest or (len(latest) == len(told) == 1 and told[0] in _COUNTS):
                continue
            strength = min(0.8, 0.12 * weight / 2 + 0.1 * len(rows) + 0.1 * (len(told) - 1))
            claims.append(
                Claim(
                    "words",
                    item,
                    taste.user,
                    f"words_of_{column}",
                    True,
                    tuple(Mention("word", word, column) for word in told)
                    + tuple(Mention("liked", ground.item_id(row), row=row) for row in latest),
                    (("found", len(rows)),),
                    strength,
                    Basis(latest, len(rows), (round(weight, 4),)),
                )
            )
        return claims

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        column = claim.relation.removeprefix("words_of_")
        fewest = dict(_columns(ground)).get(column)
        words = {mention.key for mention in claim.of("word")}
        named = claim.of("liked")
        if fewest is None or not words or not named or not claim.polarity:
            return False

        def has(row: int) -> bool:
            return words <= set(words_of(ground.text(row, column)))

        rows = [int(row) for row in taste.liked if has(int(row))]
        everyone = sum(has(row) for row in range(ground.items))
        return (
            has(claim.item)
            and fewest <= len(rows) == claim.number("found") == claim.support.count
            and {mention.row for mention in named} <= set(rows)
            and all(mention.key == ground.item_id(mention.row) for mention in named)
            and everyone <= max(fewest + 1, _RARE * ground.items)
        )


def _columns(ground: Ground) -> list[tuple[str, int]]:
    """Columns of words, and how many liked items must share a word of each."""
    title = [(ground.catalogue.title, _TITLE_ROWS)] if ground.catalogue.title else []
    return [*title, *((column, _TEXT_ROWS) for column in ground.catalogue.texts)]
