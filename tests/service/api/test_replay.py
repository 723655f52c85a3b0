"""Replaying a policy on the recommendation log: exact where it is the policy of the log, and right where it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.service.api.conftest import open_parts

from motet.cli import main
from motet.errors import DataError
from motet.service.engine import Engine, RecommendRequest, ServedModel, replay
from motet.service.experiments import VariantSettings
from motet.service.store import Event, Store

LISTS = 250
UNIFORM = {"method": "epsilon", "epsilon": 1.0, "pool": 30}
SOFT = {"method": "plackett_luce", "temperature": 0.5, "pool": 30}


def chance_of(item: str) -> float:
    return 0.6 if int(item) % 3 == 0 else 0.1


def serve_lists(engine: Engine, explore: dict[str, Any], k: int, **more: Any) -> float:
    """Serve lists to users who like items by their number; returns the expected likes a list."""
    rng, expected, events = np.random.default_rng(0), 0.0, []
    for at in range(LISTS):
        user = f"u{at % 40}"
        request = RecommendRequest.model_validate(
            {"user": user, "k": k, "include_seen": True, "explore": explore, "seed": at, **more}
        )
        answer = engine.recommend(request)
        for item in answer.items:
            expected += chance_of(item.id)
            if rng.random() < chance_of(item.id):
                events.append((user, item.id, answer.list_id))
    assert engine.shown_log.flush(30)
    # after all lists, so that no list depends on them
    late = engine.store.shown.get(answer.list_id)
    assert late is not None
    engine.add_events(
        [
            Event("praise", user, item, list_id=of, time=late.time + timedelta(hours=1))
            for user, item, of in events
        ]
    )
    return expected / LISTS


def policy(**content: Any) -> VariantSettings:
    return VariantSettings.model_validate({"name": "policy", **content})


def opened(store: Store, films: Path) -> ServedModel:
    return ServedModel("replayed", films, open_parts, store)


def test_the_policy_of_the_log_earned_what_it_earned(
    start: Callable[..., Engine], store: Store, films: Path
) -> None:
    engine = start(store)
    rng = np.random.default_rng(1)
    liked = []
    for at in range(120):
        request = {"user": f"new{at}", "k": 3, "explore": SOFT, "seed": at}
        answer = engine.recommend(RecommendRequest.model_validate(request))
        liked += [
            (f"new{at}", one.id, answer.list_id) for one in answer.items if rng.random() < chance_of(one.id)
        ]
        if at % 10 == 0:  # what is known of users changes while lists are made
            engine.add_events([Event("liked", f"new{at + 1}", str(at % 30))])
    assert engine.shown_log.flush(30)
    engine.add_events([Event("praise", user, item, list_id=of) for user, item, of in liked])
    found = replay(store, opened(store, films), policy(explore=SOFT), ["praise"], depth=3)
    assert (found.lists, found.skipped) == (120, 0)
    assert found.mean_weight == pytest.approx((1.0, 1.0, 1.0), abs=1e-6)
    assert found.effective == pytest.approx((120, 120, 120), rel=1e-6)
    for one in found.values.values():
        assert one.value == pytest.approx(found.logged.value, abs=0.05)
    assert found.values["ips"].value == pytest.approx(found.logged.value, rel=1e-6)
    assert found.logged.value == pytest.approx(len(liked) / 120)


def test_another_policy_is_judged_from_uniform_lists(
    start: Callable[..., Engine], tmp_path: Path, films: Path
) -> None:
    better = {"objective": {"weights": {"stars": -1.0}}}
    with Store(tmp_path / "log.sqlite") as log, Store(tmp_path / "truth.sqlite") as other:
        engine = start(log)
        logged = serve_lists(engine, UNIFORM, 1)
        truth = serve_lists(start(other), {**SOFT, "temperature": 2.0}, 1, **better)
        target = policy(explore={**SOFT, "temperature": 2.0}, **better)
        found = replay(log, opened(log, films), target, ["praise"])
        for one in found.values.values():
            low, high = one.interval
            assert low - 0.1 < truth < high + 0.1
            assert high - low < 0.8
        assert found.logged.value == pytest.approx(logged, abs=0.12)
        assert 0.4 < found.mean_weight[0] < 1.6
        assert 10 < found.effective[0] < LISTS
        engine.close()


def test_a_log_without_chance_says_nothing(start: Callable[..., Engine], store: Store, films: Path) -> None:
    engine = start(store)
    for at in range(3):
        engine.recommend(RecommendRequest(user=f"u{at}"))
    assert engine.shown_log.flush(30)
    with pytest.raises(DataError, match="0 of 3 logged lists") as caught:
        replay(store, opened(store, films), policy(), ["praise"])
    assert '"explore": {"method": "epsilon"' in caught.value.cure


def test_the_command(
    start: Callable[..., Engine],
    store: Store,
    films: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = start(store)
    for at in range(110):
        request = {"user": f"n{at}", "k": 2, "explore": SOFT, "seed": at}
        engine.recommend(RecommendRequest.model_validate(request))
    assert engine.shown_log.flush(30)
    place = str(tmp_path / "store.sqlite")
    (tmp_path / "policy.yaml").write_text(f"bundle: {films}\nexplore: {json.dumps(SOFT)}\n", encoding="utf-8")
    command = ["replay", str(tmp_path / "policy.yaml"), "--store", place, "--reward", "praise"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean_weight"] == pytest.approx([1.0])
    assert main(["replay", str(films), "--store", place, "--reward", "praise", "--depth", "2"]) == 0
    assert "effective lists" in capsys.readouterr().out
    (tmp_path / "policy.yaml").write_text("objective: {weights: {like: 1}}\n", encoding="utf-8")
    assert main(command) == 2
    assert "names no bundle" in capsys.readouterr().err
    (tmp_path / "policy.yaml").write_text(f"bundle: {films}\nexplor: 1\n", encoding="utf-8")
    assert main(command) == 2
    assert "explor" in capsys.readouterr().err
