"""What an experiment is: variants, traffic, metrics, guardrails, how long."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, Strict, ValidationError, model_validator

from motet.errors import RequestError
from motet.recommend import Objective, RequestPart, known_keys
from motet.recommend.rerank import AnyRule, Diversity, Explore
from motet.schema import nearest
from motet.service.experiments._assignment import Namespace, TrafficSplit

__all__ = [
    "ExperimentSettings",
    "GuardrailSettings",
    "MetricSettings",
    "NamespaceSettings",
    "VariantSettings",
    "read_experiment",
]

_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Name = Annotated[str, Field(pattern=_NAME, description="Letters, digits, point, dash, underscore.")]


class VariantSettings(RequestPart):
    """One way of making a list; what is left out stays as the request has it."""

    name: Name
    weight: Annotated[float, Strict()] = Field(1.0, gt=0, le=1e6, description="Of its share of the users.")
    model: str | None = Field(None, min_length=1, max_length=512, description="A version of the model.")
    objective: Objective | None = Field(None, description="In place of that of the request.")
    diversity: Diversity | None = Field(None, description="In place of that of the request.")
    explore: Explore | None = Field(None, description="In place of that of the request.")
    rules: tuple[AnyRule, ...] = Field(
        (), max_length=50, fail_fast=True, description="Added to those of the request."
    )

    changed: ClassVar[tuple[str, ...]] = ("model", "objective", "diversity", "explore", "rules")
    """What a variant may change."""

    @property
    def changes(self) -> dict[str, Any]:
        """What it changes, by name."""
        found = {name: getattr(self, name) for name in self.changed}
        return {name: value for name, value in found.items() if value}


class MetricSettings(RequestPart):
    """A number about each user, from what they did after they first got their variant."""

    name: Name
    kind: Literal["share", "count", "sum", "ratio"] = Field(
        "share",
        description="share: users who did it at all; count: how often a user did; sum: total of the values; "
        "ratio: how often for each list, or for each event of the types in per.",
    )
    events: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        min_length=1, max_length=20, fail_fast=True, description="Types of events that count."
    )
    at_least: Annotated[float, Strict()] | None = Field(None, description="Least value that counts.")
    per: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        (), max_length=20, fail_fast=True, description="For a ratio; lists that were shown when left out."
    )
    higher_is_better: Annotated[bool, Strict()] = True

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.per and self.kind != "ratio":
            raise ValueError(f"per belongs to a ratio, and the metric is a {self.kind}")
        return self


class GuardrailSettings(MetricSettings):
    """A metric that must not get worse."""

    margin: Annotated[float, Strict()] = Field(
        0.0, ge=0, le=1, description="Relative loss that would be accepted."
    )


class NamespaceSettings(RequestPart):
    """A part of all users; experiments in disjoint parts of one namespace have no user in common."""

    name: Name
    start: Annotated[float, Strict()] = Field(ge=0, le=1)
    end: Annotated[float, Strict()] = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError("the namespace ends where it starts or before")
        return self


class ExperimentSettings(RequestPart):
    """An experiment; it cannot be changed once it runs."""

    key: Name
    hypothesis: str = Field(
        min_length=1, max_length=2_000, description="What is expected to change, and why."
    )
    kind: Literal["groups", "interleaving"] = Field(
        "groups",
        description="groups: each user gets one variant; interleaving: each list is made of the rankings of two, and a "
        "variant wins a list where more of its items are taken.",
    )
    variants: tuple[VariantSettings, ...] = Field(
        min_length=2, max_length=10, fail_fast=True, description="The first is the baseline."
    )
    metric: MetricSettings = Field(description="The one that decides.")
    more_metrics: tuple[MetricSettings, ...] = Field((), max_length=10, fail_fast=True)
    guardrails: tuple[GuardrailSettings, ...] = Field((), max_length=10, fail_fast=True)
    planned_users: Annotated[int, Strict()] = Field(
        ge=100,
        le=1_000_000_000,
        description="In all variants together, chosen before the start: see motet experiments plan.",
    )
    coverage: Annotated[float, Strict()] = Field(1.0, gt=0, le=1, description="Share of users taken in.")
    namespace: NamespaceSettings | None = None
    scenarios: tuple[Annotated[str, Field(max_length=512)], ...] = Field(
        (), max_length=100, fail_fast=True, description="Only lists for these; for all when left out."
    )
    window_hours: Annotated[float, Strict()] = Field(
        168.0, gt=0, le=8_760, description="How long after the first list of a user an event counts."
    )
    before_hours: Annotated[float, Strict()] = Field(
        672.0,
        ge=0,
        le=8_760,
        description="How long before it the same events are counted, to take out what differed already; 0 for not at all.",
    )
    level: Annotated[float, Strict()] = Field(
        0.95, ge=0.5, le=0.999, description="Coverage of the intervals."
    )
    seed: str | None = Field(
        None, min_length=1, max_length=200, description="Of the assignment; the key when left out."
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for what, names in (
            ("variants", [one.name for one in self.variants]),
            ("metrics", [one.name for one in self.metrics]),
        ):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"two of the {what} are called '{twice}'")
        if self.kind == "interleaving":
            for is_wrong, why in (
                (len(self.variants) != 2, "has two variants"),
                (len({one.weight for one in self.variants}) > 1, "has variants of equal weights"),
                (
                    self.more_metrics or self.guardrails,
                    "has one metric and no guardrails: all users get the same lists",
                ),
                (self.metric.kind not in ("share", "count"), "has a metric of the kind share or count"),
                (not self.metric.higher_is_better, "counts what is good: higher_is_better is true"),
            ):
                if is_wrong:
                    raise ValueError(f"an experiment of the kind interleaving {why}")
        return self

    @property
    def metrics(self) -> tuple[MetricSettings, ...]:
        """All metrics: the one that decides, the others, the guardrails."""
        return (self.metric, *self.more_metrics, *self.guardrails)

    @property
    def traffic(self) -> TrafficSplit:
        """Who gets which variant."""
        total = sum(one.weight for one in self.variants)
        part = self.namespace
        return TrafficSplit(
            key=self.key,
            variations=tuple(one.name for one in self.variants),
            weights=tuple(one.weight / total for one in self.variants),
            coverage=self.coverage,
            seed=self.seed,
            namespace=Namespace(part.name, part.start, part.end) if part is not None else None,
        )

    @property
    def window(self) -> timedelta:
        """How long after the first list of a user an event counts."""
        return timedelta(hours=self.window_hours)

    def clashes_with(self, other: ExperimentSettings) -> str | None:
        """What both change for the same users and scenarios, if there is anything."""
        mine, theirs = self.namespace, other.namespace
        if mine is not None and theirs is not None and mine.name == theirs.name and (mine.end <= theirs.start or theirs.end <= mine.start):  # fmt: skip
            return None
        if self.scenarios and other.scenarios and not set(self.scenarios) & set(other.scenarios):
            return None
        if self.kind == other.kind == "interleaving":
            return "places of lists"
        both = [{name for one in some.variants for name in one.changes} for some in (self, other)]
        return next((name for name in VariantSettings.changed if name in both[0] & both[1]), None)


def read_experiment(content: Mapping[str, Any]) -> ExperimentSettings:
    """Read an experiment from plain values, as they come in YAML or JSON.

    Raises:
        RequestError: Naming the part that is wrong and, for one that is not known, the nearest right one.

    Example:
        >>> read_experiment({"key": "x", "hypotesis": "it is better"})
        Traceback (most recent call last):
        motet.errors.RequestError: the experiment has no part 'hypotesis'. Cure: did you mean 'hypothesis'?
        >>> read_experiment({"key": "x", "metric": {"name": "likers", "evnts": ["like"]}})
        Traceback (most recent call last):
        motet.errors.RequestError: the experiment has no part 'metric.evnts'. Cure: did you mean 'events'?
    """
    try:
        return ExperimentSettings.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False)
        unknown = [one for one in found if one["type"] == "extra_forbidden"]
        first = (unknown or found)[0]
        where = ".".join(str(part) for part in first["loc"])
        if unknown:
            *place, key = first["loc"]
            cure = nearest(str(key)[:80], known_keys(ExperimentSettings, place))
            raise RequestError(f"the experiment has no part '{where[:200]}'", cure) from None
        said = f"at '{where[:200]}'" if where else "as a whole"
        raise RequestError(
            f"the experiment is wrong {said}: {first['msg']}", "correct that part; docs/guide/experiments.md"
        ) from None
