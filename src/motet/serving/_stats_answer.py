"""What ``/v1/stats`` answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["DaySatisfaction", "StatsAnswer"]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Traffic(_Told):
    """One minute."""

    minute: int = Field(description="When it began, seconds since 1970.")
    routes: dict[str, int] = Field(description="Requests of each route.")


class Latency(_Told):
    """How long a route takes, in milliseconds."""

    n: int = Field(description="Requests.")
    p50: float
    p90: float
    p99: float


class DaySatisfaction(_Told):
    """What people said of lists on a day."""

    day: str = Field(examples=["2026-01-31"])
    scenario: str
    count: int
    mean: float | None


class Drifted(_Told):
    """How far those who ask lie from those whom the model was trained with, in one feature."""

    feature: str = Field(examples=["user.age"])
    psi: float = Field(description="Population stability index.")
    level: Literal["none", "some", "much"] = Field(description="Some from 0.1, much from 0.25.")
    n: int = Field(description="Requests or items that were looked at.")
    expected: list[float] = Field(description="Shares of the feature's bins in training.")
    found: list[float] = Field(description="The same of those who ask.")


class Quality(_Told):
    """Something that is not as it should be."""

    check: str
    count: int
    of: int | None = Field(description="What it is counted over; null where there is no such number.")
    share: float | None


class Shadowed(_Told):
    """Predictions of shown lists beside what came of them, of one day, task and scenario."""

    day: str = Field(examples=["2026-01-31"])
    task: str
    scenario: str
    n: int
    auc: float | None = Field(description="Null for numbers, and where too few answers are there.")
    calibration: float | None = Field(description="Mean prediction over mean outcome.")
    rmse: float | None = Field(None, description="Of numbers alone.")


class StoreNumbers(_Told):
    """How the store does."""

    can_read: bool
    store_transactions: int
    store_rows: int
    store_failed: int
    store_refused: int
    store_waiting: int
    shown_waiting: int
    shown_lost: int
    work_waiting: int


class StatsAnswer(_Told):
    """Traffic, times, errors, feedback, drift, quality and shadow evaluation."""

    traffic: list[Traffic] = Field(
        description="The last minutes, oldest first; those without requests are left out."
    )
    latency_ms: dict[str, Latency] = Field(description="Of each route.")
    errors: dict[str, int] = Field(description="Answers of each status from 400.")
    served_by: dict[str, int] = Field(description="Lists by what served them.")
    told: dict[str, int] = Field(description="Events of each type, of the last minutes.")
    feedback: dict[str, int] = Field(description="Events of each type that the store holds.")
    satisfaction: list[DaySatisfaction]
    drift: list[Drifted] = Field(description="The largest first; features seen too seldom are left out.")
    data_quality: list[Quality]
    shadow: list[Shadowed]
    store: StoreNumbers
    model: str | None = Field(description="The active version.")
