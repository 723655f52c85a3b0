"""Golden requests: what a model must answer before anybody else may ask it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from motet.errors import BundleError, MotetError
from motet.recommend import Query, Ranked
from motet.schema import Schema
from motet.serving._served import ServedModel

__all__ = ["check_golden"]

_USERS: Final = 8
_K: Final = 10
_SLACK: Final = 1e-3


def check_golden(served: ServedModel) -> None:
    """Ask a model what it must be able to answer; this warms it as well.

    Some known users and an unknown one get full lists of different items with finite predictions in their tasks'
    ranges, each item can be ranked and compared, and the lists can be given reasons.

    Raises:
        BundleError: Saying which request was answered wrongly, and how.
    """
    try:
        _check(served)
    except BundleError:
        raise
    except MotetError as error:
        raise BundleError(f"a golden request failed: {error.problem}", error.cure) from None
    except Exception as error:
        raise BundleError(
            f"a golden request failed ({type(error).__name__}: {str(error)[:200]})", "train anew"
        ) from error


def _check(served: ServedModel) -> None:
    live = served.parts.live
    if not live.items.now.shown.any():
        raise BundleError("the bundle has no items that may be shown", "train with items")
    users = served.bundle.data.user_ids
    some = [str(users[at]) for at in np.unique(np.linspace(0, len(users) - 1, _USERS).astype(int)).tolist()] if len(users) else []  # fmt: skip
    for user in [*some, None]:
        who = "nobody in particular" if user is None else "a user of the bundle"
        ranked = live.recommend(Query(user=user, k=_K))
        _look(ranked, min(_K, _left_for(served, user)), served.schema, who)
    items = [one.item for one in ranked.items]
    again = live.rank(Query(user=some[0] if some else None), items)
    if again.unknown or len(again.items) != len(items):
        raise BundleError("ranking leaves out items that were recommended", "train anew")
    _predictions([one.predictions for one in again.items], served.schema, "ranked items")
    live.similar(items[0], _K)
    known = [item for item in items if served.is_item_of_bundle(item)]
    if some and known:
        reasons = served.parts.explainer.reason(some[0], known)
        if len(reasons) != len(known):
            raise BundleError(f"{len(known)} items were given {len(reasons)} reasons", "train anew")
        if not any(reason.text for reason in reasons):
            raise BundleError("no item was given a reason", "train with a catalogue or with more events")


def _left_for(served: ServedModel, user: str | None) -> int:
    """How many items there are that a user had nothing to do with; 1 where there is none, as some are shown again."""
    live = served.parts.live
    now = live.items.now
    seen = live.history.of(user, now).seen if user is not None else np.zeros(0, np.int32)
    unseen = now.shown.copy()
    unseen[now.now(seen)] = False
    return max(1, int(np.count_nonzero(unseen)))


def _look(ranked: Ranked, fewest: int, schema: Schema, who: str) -> None:
    if "model" in ranked.left_out:
        raise BundleError(f"for {who} the model {ranked.left_out['model']}", "train anew")
    items = [one.item for one in ranked.items]
    if len(items) < fewest:
        raise BundleError(f"{who} was recommended {len(items)} items instead of {fewest}", "train anew")
    if len(set(items)) != len(items):
        raise BundleError(f"{who} was recommended an item twice", "train anew")
    if not all(math.isfinite(one.value) for one in ranked.items):
        raise BundleError(f"for {who} an item has a value that is no number", "train anew")
    _predictions([one.predictions for one in ranked.items], schema, f"for {who}")


def _predictions(found: Sequence[Mapping[str, Any]], schema: Schema, where: str) -> None:
    for predictions in found:
        for name, value in predictions.items():
            task = schema.tasks[name]
            if not isinstance(value, float | int):
                continue
            low, high = task.bounds or (-math.inf, math.inf)
            if not math.isfinite(value) or not low - _SLACK <= value <= high + _SLACK:
                raise BundleError(
                    f"{where}: '{name}' is predicted as {value}, which is no number from {low:g} to {high:g}",
                    "train anew",
                )
