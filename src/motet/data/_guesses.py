"""What columns of a user's own files look like, by name and values, and what they are for: keys, labels, features."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from motet.data._prepare import looks_like_time
from motet.errors import SchemaError
from motet.schema import FEATURE_KINDS, expression_columns

__all__ = [
    "Column",
    "behaviours_of",
    "event_feature_of",
    "feature_of",
    "find_key",
    "free_name",
    "is_labelled_log",
    "is_scenario",
    "names_something",
    "positive_of",
    "quoted",
    "tasks_of",
]

_USER_WORDS = (
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
    "reviewer",
    "subscriber",
    "buyer",
    "shopper",
    "player",
    "listener",
    "student",
    "patient",
    "household",
)
_SESSION_WORDS = ("session", "device", "cookie")  # users of logs that know no users
_ITEM_WORDS = (
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
    "asin",
    "isbn",
    "business",
    "listing",
    "course",
    "anime",
    "beer",
    "wine",
    "podcast",
    "offer",
    "fund",
    "poi",
    "venue",
)
_KEY_WORDS = ("id", "no", "nr", "number", "key", "code", "ref", "sku")
_CATEGORY_WORDS = ("category", "genre", "type", "class", "brand", "seller", "shop", "store", "country", "city", "region", "state", "zip", "postcode", "language", "device", "browser", "os", "weather", "occupation", "segment", "cluster", "group")  # fmt: skip
_SCENARIO_WORDS = ("scenario", "placement", "channel", "surface", "section", "campaign", "slot", "page", "domain", "site")  # fmt: skip
_MOST_SCENARIOS = 20
_YES_WORDS = ("yes", "y", "true", "t")
_NO_WORDS = ("no", "n", "false", "f")
_TIME_WORDS = ("time", "date", "timestamp", "ts", "at", "when", "day")
_UNWANTED_WORDS = ("return", "returned", "skip", "skipped", "dislike", "disliked", "hide", "hidden", "refund", "cancelled", "complaint")  # fmt: skip
_AMOUNT_WORDS = ("count", "cnt", "quantity", "qty", "amount", "weight", "frequency", "freq", "duration", "dwell", "watch", "read", "play", "listen", "playtime")  # fmt: skip
_RATING_WORDS = ("rating", "stars", "score", "overall", "grade")
_LABEL_WORDS = (*_RATING_WORDS, *_AMOUNT_WORDS, "click", "like", "buy", "purchase", "order", "cart", "share", "label", "converted", "conversion", "recommended", "favorite", "favourite", "liked", "bought", "clicked", "finished", "skipped", "used", "target", "installed", "downloaded", "subscribed", "viewed", "watched", "played", "ordered", "saved", "shared")  # fmt: skip
_TARGETS = ("y", "label", "target")  # a table with one of them has one label
_OCCASION_WORDS = ("order", "basket", "transaction", "invoice", "receipt", "session", "visit", "request", "impression", "query", "search", "event", "log", "row", "index", "line", "trip")  # fmt: skip
_BEHAVIOUR_WORDS = ("behavior", "behaviour", "action", "event")
_MOST_BEHAVIOURS = 12
_MOST_GRADES = 11
_FEW_WORDS = 20
_MANY_WORDS = 100
_ENOUGH_WANTED = 0.01
_SKEWED = 2.0
_HARDLY_CHANCE = -20.0  # the logarithm of a probability
_LOOKING = ("view", "click", "visit", "impression", "read", "open", "pv", "play", "listen", "watch", "show")
"""Behaviours that say that a user looked at an item."""
_WANTING = ("cart", "buy", "purchase", "order", "transaction", "fav", "like", "star", "save", "share", "wish", "bookmark", "collect", "rate", "subscribe", "book", "download", "apply")  # fmt: skip
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
        and not column.has(_LABEL_WORDS)
    )


def _is_number_of(column: Column) -> bool:
    """Whether whole numbers are names of something, as those of an "order id" are; ages and times are not."""
    return column.values.dtype.is_integer() and names_something(column)


def names_something(column: Column) -> bool:
    """Whether a column is called an identifier, or after users or items."""
    return any(part in _KEY_WORDS or part.endswith("id") for part in column.parts) or (
        column.values.dtype == pl.String and column.has((*_USER_WORDS, *_ITEM_WORDS))
    )


def _is_category(column: Column) -> bool:
    """Whether its whole numbers are codes, as those of a "brand id" or a "country" are, whose order says nothing."""
    return column.values.dtype.is_integer() and (names_something(column) or column.has(_CATEGORY_WORDS))


def _is_occasion(column: Column) -> bool:
    """Whether it numbers what happened once and never again, as an "order id" or a "sessionId" does."""
    return column.has(_OCCASION_WORDS) and names_something(column)


def _text_kind(values: pl.Series, distinct: int, rows: int) -> dict[str, Any]:
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
    return _category(distinct)


def _category(distinct: int) -> dict[str, Any]:
    return {"kind": "categorical", "min_count": 2} if distinct > _MANY_WORDS else {"kind": "categorical"}


def quoted(name: str) -> str:
    """A column's name as an SQL expression."""
    try:
        if expression_columns(name) == [name]:
            return name
    except SchemaError:  # a word of SQL, or a name with spaces
        pass
    return '"' + name.replace('"', '""') + '"'


def is_labelled_log(columns: Sequence[Column]) -> bool:
    """Whether rows name a user and an item, and an outcome of theirs."""
    return all(any(c.has(words) for c in columns) for words in (_USER_WORDS, _ITEM_WORDS)) and any(
        c.has(_LABEL_WORDS) and _is_label(c) for c in columns
    )


def find_key(
    columns: Sequence[Column],
    entity: str,
    shared: Collection[str],
    taken: Collection[str],
    once: Callable[[Column], bool],
) -> str | None:
    """The column that names the user or the item of each row.

    Args:
        columns: Of the interactions.
        entity: ``user`` or ``item``.
        shared: Names of columns that other tables have, too.
        taken: Names that are keys already.
        once: Whether a column that has another value in every row of the sample has so in the whole table.

    Returns:
        Its name; None where none looks like it.
    """
    for words in (_USER_WORDS, _SESSION_WORDS) if entity == "user" else (_ITEM_WORDS,):
        fit = [
            c
            for c in columns
            if c.has(words) and c.name not in taken and not c.values.dtype.is_float() and not c.binary
        ]
        named = [c for c in fit if c.names_a_key]
        if entity == "user":  # who comes once has no history; an item that comes once may still have a text
            named = [c for c in named if not (c.distinguishes and once(c))]
        for choice in ([c for c in fit if c.name in shared], named):
            if choice:
                return choice[0].name
    return None


def behaviours_of(
    columns: Sequence[Column], keys: Collection[str], notes: list[str]
) -> tuple[str, str | None]:
    """The column that says what users did, and the condition of more than looking, where there is enough of it."""
    for column in columns:
        values = column.values
        if column.name in keys or not 1 < column.distinct <= _MOST_BEHAVIOURS:
            continue
        if values.dtype != pl.String:
            if values.dtype.is_integer() and not column.binary and column.has(_BEHAVIOUR_WORDS):
                notes.append(f"'{column.name}' says in numbers what users did: name those that count in tasks.next.positive")  # fmt: skip
                return column.name, None
            continue
        counts = values.alias("word").drop_nulls().value_counts(sort=True)
        words = counts["word"].to_list()
        if not all(any(verb in word.lower() for verb in (*_LOOKING, *_WANTING)) for word in words):
            continue
        strong = [word for word in words if any(verb in word.lower() for verb in _WANTING)]
        rows = counts.filter(pl.col("word").is_in(strong))["count"].sum()
        notes.append(f"'{column.name}' says what users did ({', '.join(words)})")
        if not strong or len(strong) == len(words) or rows < _ENOUGH_WANTED * len(values):
            return column.name, None
        listed = ", ".join("'" + word.replace("'", "''") + "'" for word in strong)
        return column.name, f"{quoted(column.name)} IN ({listed})"
    return "", None


def tasks_of(
    columns: Sequence[Column], keys: Mapping[str, str], behaviours: str, notes: list[str]
) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """The tasks, and the columns that their labels are read from.

    Args:
        columns: Of the interactions.
        keys: Column of each key.
        behaviours: Name of the column that says what users did; empty without one.
        notes: What was guessed is added.
    """
    taken = {*keys.values(), behaviours}
    asked = [c for c in columns if c.name not in taken and not c.time and _is_label(c)]
    if sum(c.name.lower() in _TARGETS for c in asked) == 1:
        asked = [c for c in asked if c.name.lower() in _TARGETS or c.has(_LABEL_WORDS)]
    found = {c.name: source for c in asked if (source := _source_of(c, columns, keys, taken)) is not None}
    left = [c for c in asked if c.name not in found] or [c for c in asked if c.has(_LABEL_WORDS)] or asked
    tasks: dict[str, dict[str, Any]] = {}
    for column in left:
        label, name = quoted(column.name), free_name(column.name, set(tasks))
        if column.binary:
            tasks[name] = {"kind": "binary", "label": label}
        elif (yes := column.positive_word) is not None:
            word = yes.replace("'", "''")
            tasks[name] = {"kind": "binary", "label": f"{label} = '{word}'"}
        elif _has_few_large(column):
            name = free_name(f"log_{column.name}", set(tasks))
            tasks[name] = {"kind": "regression", "label": f"LN({label} + 1)"}
            notes.append(f"{name}: a few values of '{column.name}' are far above the others, so its logarithm is predicted")  # fmt: skip
        else:
            tasks[name] = {"kind": "regression", "label": label}
            if column.distinct <= _MOST_GRADES:
                values = sorted(column.values.drop_nulls().unique().to_list())
                tasks[name]["range"] = [float(values[0]), float(values[-1])]
                if not column.has(_AMOUNT_WORDS):
                    middle = values[len(values) * 6 // 10]
                    high = free_name(f"{name}_high", set(tasks))
                    tasks[high] = {"kind": "binary", "label": f"{label} >= {middle:g}"}
                    notes.append(f"{name}_high: {label} >= {middle:g} is a guess at what counts as good")
    for column in asked:
        if column not in left:
            notes.append(f"'{column.name}' follows from '{found[column.name]}': a feature, not a task")
    return tasks, {c.name for c in left}


def positive_of(columns: Sequence[Column], labels: Sequence[str], behaviours: str | None) -> str:
    """The condition of the rows that lists are to predict: a label that says so, what users wanted, or any row.

    Args:
        columns: Of the interactions.
        labels: Expressions of the tasks of yes or no, in order.
        behaviours: The condition of more than looking, if there is one.
    """
    wanted = [quoted(c.name) for c in columns if c.has(_LABEL_WORDS) and not c.has(_UNWANTED_WORDS)]
    found = next((label for label in labels if any(label.startswith(name) for name in wanted)), behaviours)
    if found is None:
        for column in columns:  # no use of it at all
            values = column.values
            if column.has(_AMOUNT_WORDS) and values.dtype.is_numeric() and (values == 0).any():
                found = f"{quoted(column.name)} > 0"
                break
    return found or "true"


def _is_label(column: Column) -> bool:
    if column.values.drop_nulls().n_unique() < 2:
        return False
    if column.binary or column.positive_word is not None:
        return True
    return column.has(_LABEL_WORDS) and column.values.dtype.is_numeric() and not _is_number_of(column)


def _has_few_large(column: Column) -> bool:
    """Whether it is an amount, such as the number of plays, of which a few rows have most."""
    values = column.values.drop_nulls().cast(pl.Float64)
    mean, deviation, least = values.mean(), values.std(), values.min()
    if not column.has(_AMOUNT_WORDS) or mean is None or deviation is None or least is None:
        return False
    return float(least) >= 0 and float(deviation) > _SKEWED * float(mean)  # type: ignore[arg-type]


def _source_of(
    column: Column, columns: Sequence[Column], keys: Mapping[str, str], taken: Collection[str]
) -> str | None:
    """The name of the column whose value decides this one without exception, as a weekday decides whether it is the weekend.

    What follows from a user, an item or their circumstances is no outcome. What is called an outcome may follow from
    another outcome, so that only the keys are asked. Another column is passed over where chance alone could look like that:
    log Π_g Σ_v p_vⁿ over the values g of the other column, each with n rows, p_v the share of a value of this one.
    """
    of_key = [keys[name] for name in ("user", "item") if name in keys]
    known = column.values.is_not_null()
    values = column.values.filter(known).cast(pl.String).alias("value")
    shares = (values.value_counts(name="n")["n"] / max(1, len(values))).to_numpy()
    most = float(shares.max(initial=0.0))
    for other in columns:
        kind = other.values.dtype
        if other.name == column.name or not (kind.is_integer() or kind in (pl.String, pl.Boolean)):
            continue
        if other.name not in of_key and (
            column.has(_LABEL_WORDS) or other.has(_LABEL_WORDS) or other.time or other.name in taken
        ):
            continue
        table = pl.DataFrame({"by": other.values.filter(known), "value": values})
        groups = table.group_by("by").agg(pl.len().alias("n"), pl.col("value").n_unique().alias("values"))
        if groups["values"].max() != 1:
            continue
        by_chance = sum(
            many * (n * np.log(most) + np.log(((shares / most) ** n).sum()))
            for n, many in groups["n"].value_counts(name="many").iter_rows()
            if n > 1
        )
        if by_chance < _HARDLY_CHANCE:
            return other.name
    return None


def feature_of(column: Column, notes: list[str]) -> dict[str, Any] | None:
    """The feature that a column is, with its column; None, and a note why, where it is none."""
    values, rows = column.values, max(1, len(column.values))
    is_list = isinstance(values.dtype, pl.List | pl.Array)
    guesses = (known.guess(column.name, values) for known in FEATURE_KINDS.values())
    kind: dict[str, Any] | None = next((found for found in guesses if found is not None), None)
    if kind is not None:  # of a kind from elsewhere
        pass
    elif column.time:
        kind = {"kind": "time"}
    elif isinstance(values.dtype, pl.List | pl.Array):
        inner = values.dtype.inner
        kind = {"kind": "vector"} if inner is not None and inner.is_numeric() else {"kind": "tags"}
    elif _is_number_of(column) and column.distinguishes:
        kind = None
    elif values.dtype == pl.Boolean or _is_category(column) or (values.dtype.is_integer() and column.distinct <= _FEW_WORDS):  # fmt: skip
        kind = _category(column.distinct)
    elif values.dtype.is_numeric():
        kind = {"kind": "numeric"}
    elif values.dtype == pl.String:
        kind = _text_kind(values, column.distinct, rows)
        if FEATURE_KINDS[kind["kind"]].is_event and column.distinguishes:
            kind = None
    if kind is None or (column.distinct <= 1 and not is_list):
        notes.append(
            f"column '{column.name}' is left out: it is constant, differs in every row, or is of a kind motet does not read"
        )
        return None
    return {**kind, "column": column.name}


def event_feature_of(column: Column, notes: list[str]) -> dict[str, Any] | None:
    """The feature that a column of the interactions is; None, and a note why, where it is none."""
    if _is_occasion(column):
        notes.append(f"column '{column.name}' is left out: it numbers what does not happen again")
        return None
    return feature_of(column, notes)


def _plain_name(name: str) -> str:
    """A name of letters, digits and underscores."""
    return "_".join("".join(c.lower() if c.isalnum() else " " for c in name).split()) or "column"


def free_name(name: str, taken: set[str]) -> str:
    """A plain name that is not taken, which it is from now on."""
    name = _plain_name(name)
    while name in taken:
        name += "_2"
    taken.add(name)
    return name
