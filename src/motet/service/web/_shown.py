"""Formatting for pages: charts, bars, numbers, names and facts."""

from __future__ import annotations

import asyncio
import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from babel.numbers import format_currency, format_decimal

from motet.errors import RequestError
from motet.messages import say
from motet.service.web._client import Caller, path
from motet.service.web._visit import Visit

__all__ = [
    "Area",
    "Bar",
    "DisplayedFact",
    "Pictures",
    "are_pictured",
    "area",
    "bars",
    "facts",
    "field_name",
    "initials",
    "labels_shown",
    "name_of",
    "number",
    "price",
    "rankable",
    "task_label",
    "task_name",
    "understood",
    "value_name",
    "voice_of",
]

WIDTH: Final = 240
HEIGHT: Final = 48
_MARGIN: Final = 2


@dataclass(frozen=True, slots=True)
class Area:
    """A line with the area below it, as attributes of an SVG picture of 240 by 48.

    Attributes:
        line: Points of the line; empty where there is nothing to draw.
        fill: The same, closed at the foot.
        top: The largest value.
        last: The latest value.
    """

    line: str
    fill: str
    top: float
    last: float


def area(values: Sequence[float], *, top: float | None = None) -> Area:
    """A chart of some values, oldest first.

    Args:
        values: Not negative.
        top: Value at the upper edge; the largest of them where left out.

    Example:
        >>> area([0, 2]).line
        '0.0,46.0 240.0,2.0'
    """
    if len(values) < 2:
        return Area("", "", max(values, default=0), values[-1] if values else 0)
    high = max(top if top is not None else 0, *values) or 1
    step = WIDTH / (len(values) - 1)
    points = [
        f"{place * step:.1f},{HEIGHT - _MARGIN - value / high * (HEIGHT - 2 * _MARGIN):.1f}"
        for place, value in enumerate(values)
    ]
    line = " ".join(points)
    return Area(line, f"0,{HEIGHT} {line} {WIDTH},{HEIGHT}", max(values), values[-1])


# -- names, numbers and bars --------------------------------------------------------------------

_LONGEST_TEXT: Final = 220


@dataclass(frozen=True, slots=True)
class Bar:
    """One prediction as a labelled bar.

    Attributes:
        task: Its name in the schema.
        label: Its displayed name.
        share: Length of the bar, 0 to 1.
        text: The prediction in figures.
        voice: Place of the task in the schema, which gives its colour.
    """

    task: str
    label: str
    share: float
    text: str
    voice: int


def number(value: Any) -> str:
    """Format a number for display.

    Example:
        >>> number(1977.0), number(4.2567), number(12000)
        ('1977', '4.26', '12,000')
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value)}" if 1000 <= abs(value) < 10_000 else f"{int(value):,}"  # years have no comma
    return f"{value:.3g}" if abs(value) < 1 else f"{value:,.2f}"


def name_of(kind: str, name: str, language: str) -> str:
    """Displayed name of a column or source: translated if known, else made readable.

    Example:
        >>> name_of("field", "release_year", "en"), name_of("field", "year", "zh")
        ('Release year', '年份')
    """
    with suppress(KeyError):
        return say(f"{kind}.{name}", language)
    words = name.replace("_", " ").strip() or name
    return words[:1].upper() + words[1:]


def field_name(field: Mapping[str, Any], language: str) -> str:
    """Displayed name of a column, from the schema if it has one."""
    title = (field.get("title") or {}).get(language)
    if not title or title == field["name"]:
        return name_of("field", field["name"], language)
    return str(title)[:1].upper() + str(title)[1:]


def value_name(field: Mapping[str, Any], value: object, language: str) -> str:
    """Displayed name of a value of a column, from the schema if it has one."""
    return str(((field.get("words") or {}).get(str(value)) or {}).get(language, value))


def rankable(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Tasks with one number per item, which can be weighted."""
    known = schema.get("objective") or {}
    found = [task for task in schema["tasks"] if task.get("in_objective", task["display"] != "names")]
    return sorted(found, key=lambda task: task["name"] not in known)


def task_label(task: Mapping[str, Any], language: str, schema: Mapping[str, Any]) -> str:
    """Displayed name of a task: its prediction, or the best match."""
    if task["display"] == "order" and sum(one["display"] == "order" for one in schema["tasks"]) == 1:
        return say("task.match", language)
    return name_of("task", task["name"], language)


def task_name(name: str, language: str, schema: Mapping[str, Any]) -> str:
    """Displayed name of a task by its name; an unknown one keeps it."""
    found = next((task for task in schema["tasks"] if task["name"] == name), None)
    return task_label(found, language, schema) if found is not None else name_of("task", name, language)


def bars(items: Sequence[Mapping[str, Any]], schema: Mapping[str, Any], language: str) -> list[list[Bar]]:
    """Bars of each item of a list.

    The length is the probability, or the number within its range; without a range, within the values of the list.

    Args:
        items: With ``predictions``.
        schema: Names the tasks.
        language: Of the labels.
    """
    made: list[list[Bar]] = [[] for _ in items]
    for voice, task in enumerate(schema["tasks"]):
        name, display = task["name"], task["display"]
        values = [item.get("predictions", {}).get(name) for item in items]
        if display == "names":
            continue
        numbers = [float(v) for v in values if isinstance(v, int | float)]
        is_scaled = (display == "number" and task.get("range") is not None) or display == "chance"
        if not numbers or (len(items) == 1 and not is_scaled):
            continue  # one number without a scale is meaningless
        low, high = _span(display, task.get("range"), numbers)
        for row, value in zip(made, values, strict=True):
            if isinstance(value, int | float):
                share = min(1.0, max(0.0, (float(value) - low) / (high - low)))
                is_share = display != "number" and low >= 0 and high <= 1
                text = (
                    f"{100 * value:.0f} %"
                    if display == "chance" and is_share
                    else number(round(float(value), 2))
                )
                if display == "order":
                    text = ""  # only the order is meaningful
                row.append(Bar(name, task_label(task, language, schema), share, text, voice % 6))
    return made


def labels_shown(labels: Mapping[str, float] | None, schema: Mapping[str, Any], language: str) -> list[str]:
    """Labels of an event for display: numbers, and binary labels if positive.

    Example:
        >>> tasks = [{"name": "like", "display": "chance"}, {"name": "rating", "display": "number"}]
        >>> labels_shown({"like": 0.0, "rating": 2.0}, {"tasks": tasks}, "en")
        ['Rating 2']
    """
    found = []
    for task in schema["tasks"]:
        value = (labels or {}).get(task["name"])
        if value is None or task["display"] not in ("chance", "number"):
            continue
        if task["display"] == "number":
            found.append(f"{task_label(task, language, schema)} {number(value)}")
        elif value > 0:
            found.append(task_label(task, language, schema))
    return found


def _span(display: str, given: Sequence[float] | None, numbers: Sequence[float]) -> tuple[float, float]:
    if given is not None and len(given) == 2 and given[0] < given[1]:
        return float(given[0]), float(given[1])
    if display == "chance" and min(numbers) >= 0 and max(numbers) <= 1:
        return 0.0, 1.0
    low, high = min(numbers), max(numbers)
    if high - low < 1e-12:
        return low - 1.0, high
    return low - 0.15 * (high - low), high  # the last of a list has a bar too


@dataclass(frozen=True, slots=True)
class DisplayedFact:
    """One column of an item.

    Attributes:
        name: Its displayed name.
        field: Its name in the catalogue.
        kind: ``number``, ``tags`` or ``text``.
        values: Displayed values.
    """

    name: str
    field: str
    kind: str
    values: tuple[str, ...]


def facts(
    item: Mapping[str, Any], language: str, schema: Mapping[str, Any], *, whole: bool = False
) -> list[DisplayedFact]:
    """Facts of an item, short ones first.

    Args:
        item: With ``fields`` and ``title``.
        language: Of the names.
        schema: Names the columns.
        whole: Whether long texts are shown in full.
    """
    fields = {field["name"]: field for field in schema.get("fields", ())}
    places = {schema.get("image"), schema.get("price")} - {None}  # they are shown in places of their own
    found: list[DisplayedFact] = []
    for name, value in (item.get("fields") or {}).items():
        if value is None or value in ([], "") or value == item.get("title") or name in places:
            continue
        field = fields.get(name, {"name": name})
        title = field_name(field, language)
        if isinstance(value, list):
            found.append(
                DisplayedFact(title, name, "tags", tuple(value_name(field, one, language) for one in value))
            )
        elif isinstance(value, bool) or not isinstance(value, int | float):
            text = str(value)
            if field.get("kind") == "category":
                text = value_name(field, text, language)
            short = (
                text if whole or len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT].rsplit(" ", 1)[0] + "…"
            )
            found.append(DisplayedFact(title, name, "text" if len(text) > 40 else "tags", (short,)))
        else:
            found.append(DisplayedFact(title, name, "number", (number(value),)))
    return sorted(found, key=lambda fact: ("number", "tags", "text").index(fact.kind))


# -- pictures and prices -------------------------------------------------------------------------

_LONGEST_ADDRESS: Final = 2_000
_SITE: Final = re.compile(r"https?://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?")
_UNFIT: Final = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True, slots=True)
class Pictures:
    """Where pictures of items may come from.

    Attributes:
        folder: A folder of picture files, which the pages serve; None for none.
        sites: Other sites, each a scheme and a host, such as ``https://images.example.com``.

    Raises:
        RequestError: If the folder is none, or a site is not one.
    """

    folder: Path | None = None
    sites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.folder is not None and not self.folder.is_dir():
            raise RequestError(f"the folder of pictures {self.folder} is not there", "name a folder that is")
        for site in self.sites:
            if not _SITE.fullmatch(site):
                raise RequestError(
                    f"the site of pictures {site[:80]!r} is no site",
                    "write it as https://images.example.com, in lower case and without a path",
                )

    def source(self, value: object) -> str | None:
        """The address of a picture as a page may name it; None for one that must not be loaded.

        Args:
            value: What the catalogue has: an address of one of the sites, or the name of a file in the folder.

        Example:
            >>> pictures = Pictures(Path("."), ("https://cdn.example",))
            >>> pictures.source("https://cdn.example/a.jpg"), pictures.source("https://evil.example/a.jpg")
            ('https://cdn.example/a.jpg', None)
            >>> pictures.source("posters/a b.jpg"), pictures.source("../a.jpg"), pictures.source("//evil/a.jpg")
            ('/pages/pictures/posters/a%20b.jpg', None, None)
        """
        if not isinstance(value, str) or not 0 < len(value := value.strip()) <= _LONGEST_ADDRESS:
            return None
        if ":" in value or value.startswith("/"):
            is_fit = not _UNFIT.search(value) and any(value.startswith(f"{site}/") for site in self.sites)
            return value if is_fit else None
        parts = value.split("/")
        if self.folder is None or "\\" in value or not value.isprintable() or {"", ".", ".."} & set(parts):
            return None
        return path("pages", "pictures", *parts)


def are_pictured(items: Iterable[Mapping[str, Any]], schema: Mapping[str, Any]) -> bool:
    """Whether the catalogue has a picture of at least one of some items."""
    column = schema.get("image")
    return column is not None and any((item.get("fields") or {}).get(column) for item in items)


def price(item: Mapping[str, Any], schema: Mapping[str, Any], language: str) -> str:
    """The price of an item as its readers write it; empty where it has none.

    Example:
        >>> schema = {"price": "cost", "currency": "EUR"}
        >>> price({"fields": {"cost": 1234.5}}, schema, "en"), price({"fields": {"cost": 8}}, {"price": "cost"}, "zh")
        ('€1,234.50', '8')
    """
    column = schema.get("price")
    value = (item.get("fields") or {}).get(column) if column else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return ""
    locale = "zh_Hans" if language == "zh" else "en"
    if currency := schema.get("currency"):
        return format_currency(value, currency, locale=locale)
    return format_decimal(round(value, 2), locale=locale)


def initials(title: str) -> str:
    """One or two letters that stand for a title where there is no picture.

    Example:
        >>> initials("The Long Night"), initials("流浪地球"), initials("?!")
        ('TL', '流', '·')
    """
    words = ["".join(filter(str.isalnum, word)) for word in str(title).split()]
    first = "".join(word[0] for word in words if word)
    return (first[0] if first and not first[0].isascii() else first[:2].upper()) or "·"


def voice_of(id: str) -> int:
    """A number of a colour that is always the same for an id.

    Example:
        >>> voice_of("7") == voice_of("7") in range(6)
        True
    """
    return zlib.crc32(str(id).encode("utf-8", "replace")) % 6


# -- the understood request ---------------------------------------------------------------------


async def understood(
    request: Mapping[str, Any], visit: Visit, caller: Caller, schema: Mapping[str, Any]
) -> list[str]:
    """The understood request as short phrases.

    Args:
        request: The understood request, as in the answer of the API.
        visit: Its language.
        caller: Knows the titles of items.
        schema: Names columns and their values.
    """
    t = visit.t
    fields = {field["name"]: field for field in schema.get("fields", ())}

    def value(tag: Mapping[str, Any]) -> str:
        return value_name(fields.get(tag["column"], {}), tag["value"], visit.language)

    found = [value(tag) for tag in (*request.get("must", ()), *request.get("prefer", ()))]
    found += [t("not_tag", value=value(tag)) for tag in request.get("must_not", ())]
    found += [str(fact.get("words") or fact["entity"]) for fact in request.get("facts", ())]
    found += [
        t("not_tag", value=fact.get("words") or fact["entity"]) for fact in request.get("facts_not", ())
    ]
    found += [_range(one, visit) for one in request.get("ranges", ())]
    found += [_total(one, visit) for one in request.get("total", ())]
    if alike := list(request.get("like", ()))[:5]:
        views = await asyncio.gather(*(caller.maybe(path("v1", "items", item)) for item in alike))
        found += [
            t("like_this", title=(view or {}).get("title", item))
            for item, view in zip(alike, views, strict=True)
        ]
    if words := request.get("wants"):
        found.append(t("about", words=words))
    if count := request.get("count"):
        found.append(t("count_of", n=count))
    if request.get("scenario"):
        found.append(name_of("scenario", request["scenario"], visit.language))
    found += [t("cannot", words=words) for words in request.get("unmet", ())]
    return list(dict.fromkeys(found))


def _range(one: Mapping[str, Any], visit: Visit) -> str:
    name = name_of("field", one["column"], visit.language)
    low, high = one.get("low"), one.get("high")
    if low is None:
        return visit.t("range_to", name=name, high=number(high))
    if high is None:
        return visit.t("range_from", name=name, low=number(low))
    if low == high:
        return f"{name} {number(low)}"
    return visit.t("range", name=name, low=number(low), high=number(high))


def _total(one: Mapping[str, Any], visit: Visit) -> str:
    name, high = name_of("field", one["column"], visit.language), one.get("high")
    if high is not None:
        return visit.t("total_to", name=name, high=number(high))
    return visit.t("total_from", name=name, low=number(one.get("low")))
