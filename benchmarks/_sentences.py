"""New users, and sentences made from what they liked first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import Catalogue

__all__ = ["FIRST", "VARIANTS", "NewUser", "masks", "new_users", "sentence"]

FIRST = 5  # likes that a sentence is made from
VARIANTS = ("titles", "tags", "words")

# What one might say who does not know the names of the genres; none of it stands in the catalogue's words.
_SAID = {
    "Action": "chases, fights and explosions",
    "Adventure": "long journeys into unknown lands",
    "Animation": "drawn figures that come alive",
    "Children's": "stories to see together with my little daughter",
    "Comedy": "something that makes me giggle",
    "Crime": "clever robbers and the police after them",
    "Documentary": "true reports about real people",
    "Drama": "serious stories about hard lives",
    "Fantasy": "wizards, dragons and enchanted worlds",
    "Film-Noir": "gloomy streets, cynical men and dangerous women",
    "Horror": "monsters and blood that give me nightmares",
    "Musical": "songs and dancing on a stage",
    "Mystery": "riddles that are solved only at the end",
    "Romance": "two people who fall for each other",
    "Sci-Fi": "robots, other planets and the day after tomorrow",
    "Thriller": "tension that keeps me on the edge of my seat",
    "War": "soldiers in battle",
    "Western": "gunmen and horses on the prairie",
}
_ERAS = {
    1930: "very old ones",
    1940: "ones as old as my grandparents",
    1950: "ones from after the war",
    1960: "ones from the sixties",
    1970: "ones from the seventies",
    1980: "ones from the eighties",
    1990: "new ones",
}


@dataclass(frozen=True)
class NewUser:
    """Somebody held out: the id, rows of the first likes, of all items met until then, and of the later likes."""

    id: int
    first: list[int]
    met: list[int]
    later: list[int]


def new_users(ratings: pl.DataFrame, users: NDArray[np.int64], item_ids: pl.Series) -> list[NewUser]:
    """Users with five likes and a later one, among some; items the model does not know are left out."""
    row_of = {item: row for row, item in enumerate(item_ids.cast(pl.Int64).to_list())}
    found = []
    chosen = ratings.filter(pl.col("user_id").is_in(users.tolist())).sort("user_id", "timestamp", "item_id")
    for (user,), mine in chosen.group_by("user_id", maintain_order=True):
        events = [
            (row_of[i], stars >= 4)
            for i, stars in mine.select("item_id", "rating").iter_rows()
            if i in row_of
        ]
        likes = [place for place, (_, liked) in enumerate(events) if liked]
        if len(likes) > FIRST:
            cut = likes[FIRST - 1] + 1
            found.append(
                NewUser(
                    int(str(user)),
                    [events[place][0] for place in likes[:FIRST]],
                    [item for item, _ in events[:cut]],
                    [events[place][0] for place in likes[FIRST:]],
                )
            )
    return found


def masks(users: list[NewUser], items: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Later likes, and items met before, [U, I] each."""
    wanted, out = np.zeros((len(users), items), bool), np.zeros((len(users), items), bool)
    for row, user in enumerate(users):
        wanted[row, user.later] = True
        out[row, user.met] = True
    return wanted, out


def sentence(catalogue: Catalogue, liked: Sequence[int], variant: str) -> str:
    """What somebody says who liked some items.

    Args:
        catalogue: Of MovieLens.
        liked: Rows of items, in the order of liking.
        variant: ``titles`` names them; ``tags`` names the three commonest genres among them;
            ``words`` says the same genres, and the commonest decade, without a word of the catalogue.
    """
    if variant == "titles":
        return f"I liked {_listed([_spoken(catalogue.name(row)) for row in liked])}."
    genres = [
        g for g, _ in Counter(g for row in liked for g in catalogue.values(row, "genres")).most_common(3)
    ]
    if variant == "tags":
        return f"I like {_listed(genres)} films." if genres else "I like films."
    years = [int(year // 10 * 10) for row in liked if (year := catalogue.number(row, "year")) is not None]
    said = [_SAID[genre] for genre in genres]
    era = f", rather {_ERAS[max(1930, Counter(years).most_common(1)[0][0])]}" if years else ""
    return f"I enjoy {_listed(said)}{era}." if said else "I enjoy going to the cinema."


def _spoken(title: str) -> str:
    """A title as people say it: "Godfather, The" becomes "The Godfather"."""
    name, comma, article = title.rpartition(", ")
    return f"{article} {name}" if comma and article in ("The", "A", "An") else title


def _listed(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
