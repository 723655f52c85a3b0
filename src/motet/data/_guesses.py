"""What a column looks like, by its name and its values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from motet.data._prepare import looks_like_time
from motet.errors import SchemaError
from motet.schema import expression_columns

__all__ = [
    "ITEM_WORDS",
    "LABEL_WORDS",
    "LOOKING",
    "UNWANTED_WORDS",
    "USER_WORDS",
    "WANTING",
    "Column",
    "follows_from",
    "is_category",
    "is_number_of",
    "is_scenario",
    "names_something",
    "quoted",
    "text_kind",
]

USER_WORDS = (
    "user",
    "customer",
    "member",
    "visitor",
    "client",
    "person",
    "account",
    "reader",
    "viewer",
    "uid",
)
ITEM_WORDS = (
    "item",
    "product",
    "movie",
    "film",
    "article",
    "book",
    "song",
    "track",
    "video",
    "ad",
    "news",
    "sku",
    "iid",
    "artist",
    "game",
    "app",
    "recipe",
    "restaurant",
    "hotel",
    "place",
    "post",
    "job",
)
_KEY_WORDS = ("id", "no", "nr", "number", "key", "code", "ref", "sku")
_CATEGORY_WORDS = ("category", "genre", "type", "class", "brand", "seller", "shop", "store", "country", "city", "region", "state", "zip", "postcode", "language", "device", "browser", "os", "weather", "occupation", "segment", "cluster", "group")  # fmt: skip
_SCENARIO_WORDS = ("scenario", "placement", "channel", "surface", "section", "campaign", "slot", "page", "domain", "site")  # fmt: skip
_MOST_SCENARIOS = 20
_HARDLY_CHANCE = -20.0  # the logarithm of a probability
_YES_WORDS = ("yes", "y", "true", "t")
_NO_WORDS = ("no", "n", "false", "f")
_TIME_WORDS = ("time", "date", "timestamp", "ts", "at", "when", "day")
UNWANTED_WORDS = ("return", "returned", "skip", "skipped", "dislike", "disliked", "hide", "hidden", "refund", "cancelled", "complaint")  # fmt: skip
LABEL_WORDS = ("click", "like", "buy", "purchase", "order", "cart", "rating", "stars", "score", "dwell", "watch", "read", "share", "label", "converted", "conversion", "recommended", "favorite", "favourite", "liked", "bought", "clicked", "finished", "skipped", "play", "count", "listen", "weight", "quantity", "duration", "amount", "used", "target", "installed", "downloaded", "subscribed", "viewed", "watched", "played", "ordered", "saved", "shared")  # fmt: skip
LOOKING = ("view", "click", "visit", "impression", "read", "open", "pv", "play", "listen", "watch", "show")
"""Behaviours that say that a user looked at an item."""
WANTING = ("cart", "buy", "purchase", "order", "transaction", "fav", "like", "star", "save", "share", "wish", "bookmark", "collect", "rate", "subscribe", "book", "download", "apply")  # fmt: skip
"""Behaviours that say that a user wants it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table without a schema.

    Attributes:
        name: As the file has it.
        values: A sample of its rows.
        distinct: How many different values are in the sample; 0 for lists.
    """

    name: str
    values: pl.Series
    distinct: int

    @property
    def parts(self) -> list[str]:
        """The words of its name: "Customer ID", "customer_id" and "customerId" are two words each."""
        spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", self.name)
        return "".join(c.lower() if c.isalnum() else " " for c in spaced).split()

    def has(self, words: Sequence[str]) -> bool:
        """Whether one of the words is in its name."""
        return any(
            word in (part, part.removesuffix("s"), part.removesuffix("id"))
            for part in self.parts
            for word in words
        )

    @property
    def names_a_key(self) -> bool:
        """Whether its name is that of an identifier: "user", "user id", "userid", "product no"."""
        return len(self.parts) == 1 or any(p in _KEY_WORDS or p.endswith("id") for p in self.parts)

    @property
    def distinguishes(self) -> bool:
        """Whether it has another value in (almost) every row, as the number of an order has."""
        filled = len(self.values) - self.values.null_count()
        return filled > 20 and self.distinct > 0.98 * filled

    @property
    def binary(self) -> bool:
        """Whether it holds 0 and 1, or true and false, alone."""
        if self.values.dtype == pl.Boolean:
            return True
        found = set(self.values.drop_nulls().unique().to_list()) if self.distinct <= 3 else {None}
        return self.values.dtype.is_numeric() and found <= {0, 1}

    @property
    def positive_word(self) -> str | None:
        """The word that means yes in a column of two words, such as "Y" and "N"."""
        if self.values.dtype != pl.String or self.distinct > 3:
            return None
        found = self.values.drop_nulls().unique().to_list()
        yes = [word for word in found if word.strip().lower() in _YES_WORDS]
        no = [word for word in found if word.strip().lower() in _NO_WORDS]
        return str(yes[0]) if len(found) == 2 and len(yes) == len(no) == 1 else None

    @property
    def time(self) -> bool:
        """Whether it holds times."""
        return looks_like_time(self.values, named=self.has(_TIME_WORDS))


def is_scenario(column: Column) -> bool:
    """Whether it looks like the placement that something was shown in."""
    kind = column.values.dtype
    return (
        column.has(_SCENARIO_WORDS)
        and (kind == pl.String or kind.is_integer())
        and 1 < column.distinct <= _MOST_SCENARIOS
        and column.positive_word is None
        and not column.binary
        and not column.has(LABEL_WORDS)
    )


def is_number_of(column: Column) -> bool:
    """Whether whole numbers are names of something, as those of an "order id" are; ages and times are not."""
    return column.values.dtype.is_integer() and names_something(column)


def names_something(column: Column) -> bool:
    """Whether a column is called an identifier, or after users or items."""
    return any(part in _KEY_WORDS or part.endswith("id") for part in column.parts) or (
        column.values.dtype == pl.String and column.has((*USER_WORDS, *ITEM_WORDS))
    )


def is_category(column: Column) -> bool:
    """Whether its whole numbers are codes, as those of a "brand id" or a "country" are, whose order says nothing."""
    return column.values.dtype.is_integer() and (names_something(column) or column.has(_CATEGORY_WORDS))


def follows_from(column: Column, others: Sequence[Column]) -> str | None:
    """The column whose value decides a column of 0 and 1 without exception, as a weekday decides whether it is the weekend.

    What follows from a user, an item or their circumstances is no outcome. A column is passed over where chance alone could
    look like that: log Π (pⁿ + (1 − p)ⁿ) over its values, each with n rows, p the share of ones.

    Args:
        column: Of yes or no.
        others: Those it may follow from.

    Returns:
        The name of the first of them; None without one.
    """
    known = column.values.is_not_null()
    label = column.values.filter(known).cast(pl.Float64)
    share = float(label.sum()) / max(1, len(label))
    for other in others:
        kind = other.values.dtype
        if other.name == column.name or not (kind.is_integer() or kind in (pl.String, pl.Boolean)):
            continue
        table = pl.DataFrame({"by": other.values.filter(known), "label": label})
        groups = table.group_by("by").agg(pl.len().alias("n"), pl.col("label").n_unique().alias("labels"))
        n = pl.col("n").cast(pl.Float64)
        by_chance = groups.select((share**n + (1 - share) ** n).log().sum()).item()
        if groups["labels"].max() == 1 and by_chance < _HARDLY_CHANCE:
            return other.name
    return None


def text_kind(values: pl.Series, distinct: int, rows: int) -> dict[str, Any]:
    """The feature that a column of words is: tags, text or a category."""
    filled = values.drop_nulls()
    words = float(filled.str.count_matches(r"\s+").mean() or 0) + 1  # type: ignore[arg-type]
    for separator in ("|", ";", ","):
        lists = filled.str.split(separator)
        parts = lists.explode(empty_as_null=True).drop_nulls()
        several = float(lists.list.len().mean() or 0) > 1.3  # type: ignore[arg-type]
        # tags are short and come again; clauses of prose are long and do not
        short = float(parts.str.strip_chars().str.count_matches(r"\s+").mean() or 0) < 2  # type: ignore[arg-type]
        if several and short and parts.n_unique() < max(20, len(parts) / 2):
            return {"kind": "tags", "separator": separator}
    if words >= 3 and distinct > 0.3 * rows:
        return {"kind": "text"}
    if distinct > 0.5 * rows and words >= 1.5:
        return {"kind": "text"}
    return {"kind": "categorical", "min_count": 2} if distinct > 100 else {"kind": "categorical"}


def quoted(name: str) -> str:
    """A column's name as an SQL expression."""
    try:
        if expression_columns(name) == [name]:
            return name
    except SchemaError:  # a word of SQL, or a name with spaces
        pass
    return '"' + name.replace('"', '""') + '"'
