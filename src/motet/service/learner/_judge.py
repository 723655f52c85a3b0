"""A new model and the active one on the same events, each event first predicted and then learned of."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from motet.errors import MotetError
from motet.recommend import Query
from motet.service.engine import ServedModel, live_event
from motet.service.store import Event, Store

__all__ = ["Judgement", "judge"]

_K: Final = 10
_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """What two models got on the same events.

    Attributes:
        events: Events that were judged.
        ndcg: Mean NDCG@10 of the next event of the new model, 0 to 1.
        active_ndcg: Of the active one.
        spread: Standard error of the mean of the differences.
        median_ms: Median time of a list of the new model, in milliseconds.
        problem: Why the new model is not to be activated; empty where it is.
    """

    events: int
    ndcg: float
    active_ndcg: float
    spread: float
    median_ms: float
    problem: str = ""

    def plain(self) -> dict[str, Any]:
        """Plain values, rounded."""
        return {name: round(v, 5) if isinstance(v, float) else v for name, v in asdict(self).items()}


def judge(
    new: ServedModel,
    active: ServedModel,
    store: Store,
    until: int,
    *,
    most: int = 400,
    tolerance: float = 0.01,
    most_ms: float = 500.0,
) -> Judgement:
    """Judge a new model on the events that neither learned from, as the service would have served them.

    In the order of the events each model makes a list of ten for the user of an event before either sees it:
    NDCG@10 = 1/log2(1 + rank) of the item, 0 where it is not in the list. Then both see the event. Events that turn
    an item down, and repeated ones unless the schema offers items again, are seen and not judged.

    Args:
        new: The new model, which has ingested the events before those it is judged on.
        active: The active one, likewise.
        store: Holds the events.
        until: ``seq`` of the last event.
        most: Most events that are judged, evenly spaced; all are ingested.
        tolerance: How much lower NDCG@10 may be, absolute.
        most_ms: Longest median time of a list, in milliseconds.
    """
    events = _events(store, new.seq, until)
    wanted = _judged(new, events, most)
    gains: list[tuple[float, float]] = []
    times_ms: list[float] = []
    problem, told = "", 0
    for at in wanted:
        for model in (new, active):
            _tell(model, events[told:at])
        told, event = at, events[at]
        began_s = time.perf_counter()
        try:
            found = _gain(new, event)
        except Exception as error:
            what = error.problem if isinstance(error, MotetError) else f"{type(error).__name__}: {error}"
            problem = f"a list failed: {what[:200]}"
            break
        times_ms.append((time.perf_counter() - began_s) * 1e3)
        if found is None:
            problem = "a list was empty, or a value was not a number"
            break
        gains.append((found, _gain(active, event) or 0.0))
    pairs = np.array(gains).reshape(-1, 2)
    differences = pairs[:, 0] - pairs[:, 1]
    n = len(pairs)
    mean, active_mean = (pairs.mean(0) if n else np.zeros(2)).tolist()
    spread = float(differences.std(ddof=1) / math.sqrt(n)) if n > 1 else 0.0
    median_ms = float(np.median(times_ms)) if times_ms else 0.0
    if not problem and median_ms > most_ms:
        problem = f"a list takes {median_ms:.0f} ms, the limit is {most_ms:g} ms"
    if not problem and mean < active_mean - tolerance:
        problem = (
            f"NDCG@10 on {n} next events is {mean:.4f}, that of the active model {active_mean:.4f}: lower by more than "
            f"{tolerance:g}"
        )
    return Judgement(n, mean, active_mean, spread, median_ms, problem)


def _events(store: Store, seq: int, until: int) -> list[Event]:
    found: list[Event] = []
    while some := [one for one in store.events.after(seq, _AT_ONCE) if one.seq <= until]:
        found += some
        seq = some[-1].seq
    return found


def _judged(model: ServedModel, events: Sequence[Event], most: int) -> list[int]:
    """Places of the events that are judged."""
    live = model.parts.live
    offers_again = any(model.schema.tasks[name].offers_again for name in model.schema.default_objective())
    seen: set[tuple[str, str]] = set()
    found = []
    for at, event in enumerate(events):
        pair = (event.user, event.item)
        row = live.items.now.first_rows.get(event.item, -1)
        new = row >= 0 and pair not in seen and row not in live.history.of(event.user, live.items.now).seen
        seen.add(pair)
        if (new or (offers_again and row >= 0)) and _is_positive(model, event):
            found.append(at)
    step = max(1.0, len(found) / max(most, 1))
    return [found[int(k * step)] for k in range(min(len(found), most))]


def _is_positive(model: ServedModel, event: Event) -> bool:
    try:
        return model.parts.live.history.reader.read([live_event(event, event.user)])[0].liked is not False
    except MotetError:
        return False


def _tell(model: ServedModel, events: Sequence[Event]) -> None:
    if events:
        model.catch_up(until=events[-1].seq)
    model.parts.live.refresh()  # else a judgement would depend on how fast the machine is


def _gain(model: ServedModel, event: Event) -> float | None:
    """NDCG@10 of an event; None where the list is empty or holds what is no number."""
    ranked = model.parts.live.recommend(Query(user=model.known_as(event.user), k=_K))
    if (
        not ranked.items
        or "model" in ranked.left_out
        or not all(math.isfinite(one.value) for one in ranked.items)
    ):
        return None
    rank = next((one.rank for one in ranked.items if one.item == event.item), None)
    return 0.0 if rank is None else 1.0 / math.log2(1 + rank)
