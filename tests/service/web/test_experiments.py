"""The pages of experiments, in a browser and without scripts, in both languages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from motet.messages import say
from motet.service.store import Event, ExposedUser, Shown, ShownItem

if TYPE_CHECKING:
    from tests.service.web.conftest import Service, Tab

CHINESE = re.compile("[\u4e00-\u9fff]")
DEFINITION: dict[str, Any] = {
    "key": "varied-lists",
    "hypothesis": "more varied lists find more likes",
    "variants": [{"name": "as-it-is"}, {"name": "varied", "diversity": {"strength": 0.5}}],
    "metric": {"name": "likers", "events": ["like"]},
    "guardrails": [{"name": "likes", "kind": "count", "events": ["like"], "margin": 0.1}],
    "planned_users": 800,
    "window_hours": 1,
}


def with_users(
    service: Service,
    key: str,
    users: int = 800,
    effect: float = 0.3,
    share: float = 0.5,
    apart_s: float = 30.0,
) -> None:
    """Let users of a day ago be in a running experiment."""
    rng = np.random.default_rng(0)
    seq, start = service.store.events.last(), datetime.now(UTC) - timedelta(days=1)
    exposed, events = [], []
    for at in range(users):
        arm, began = int(rng.random() >= share), start + timedelta(seconds=apart_s * at)
        exposed.append(ExposedUser(key, f"{key}{at}", ("as-it-is", "varied")[arm], seq, began))
        if rng.random() < 0.2 + effect * arm:
            events.append(Event("like", f"{key}{at}", "3", time=began + timedelta(minutes=2)))
    service.store.experiments.expose(exposed)
    service.store.events.add(events)


def test_from_a_draft_to_a_result(open_tab: Callable[..., Tab], service: Service) -> None:
    with service.api() as api:
        assert api.post("/v1/experiments", json=DEFINITION).status_code == 201
    tab = open_tab().go("/experiments")
    tab.page.click("text=varied-lists")
    assert "not been started" in tab.page.locator(".decision").inner_text()
    tab.page.click("button:has-text('Start')")
    tab.page.wait_for_selector("button:has-text('Stop')")
    assert "Nothing can be said" in tab.page.locator(".decision").inner_text()
    with_users(service, "varied-lists")
    tab.go("/experiment/varied-lists")
    assert "Better" in tab.page.locator(".decision").inner_text()
    assert "varied" in tab.page.locator(".decision").inner_text()
    assert tab.page.locator(".course polygon").get_attribute("points")
    assert tab.page.locator(".course .axis-y span").count() >= 3
    assert "kept" in tab.page.locator("section[aria-labelledby=effects]").inner_text()
    tab.page.set_viewport_size({"width": 360, "height": 740})
    wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert tab.page.evaluate(wide) <= 0
    tab.go("/experiment/varied-lists")
    assert tab.page.locator(".decision").inner_text().endswith("varied: Better, and every guardrail is kept.")
    lines = "all => all.map((one) => one.getBoundingClientRect().height / parseFloat(getComputedStyle(one).lineHeight))"
    cells = tab.page.locator("section[aria-labelledby=effects] th, section[aria-labelledby=effects] td")
    assert max(cells.evaluate_all(lines)) < 2.5, "a word stands letter by letter"
    assert tab.page.locator(".course .axis-x text").count() >= 2
    assert "UTC" in tab.page.locator(".course figcaption").inner_text()
    tab.go("/experiment/varied-lists?lang=zh")
    words = tab.page.locator("main h2, main .decision, main th").all_inner_texts()
    assert any(CHINESE.search(one) for one in words)
    tab.go("/experiment/varied-lists?lang=en")
    tab.page.click("button:has-text('Stop')")
    tab.page.wait_for_selector("button:has-text('Stop')", state="detached")
    with service.api() as api:
        assert api.get("/v1/experiments/varied-lists").json()["state"] == "stopped"


def test_without_scripts_the_same_words_are_there(service: Service) -> None:
    key = "no-scripts"
    with service.api() as api:
        api.post("/v1/experiments", json={**DEFINITION, "key": key}).raise_for_status()
        api.post(f"/v1/experiments/{key}/start").raise_for_status()
    with_users(service, key, share=0.8)
    for language in ("en", "zh"):
        page = httpx.get(f"{service.url}/experiment/{key}?lang={language}", trust_env=False, timeout=30).text
        assert say("decision.mismatch", language) in page
        assert say("effects", language) not in page  # nothing is shown before the numbers of users fit
        assert " style=" not in page
    with service.api() as api:
        api.post(f"/v1/experiments/{key}/stop").raise_for_status()


def test_lists_of_two_rankings_say_who_won(service: Service) -> None:
    """Synthetic lists: the second variant wins three of four."""
    key, names = "two-in-one", ("as-it-is", "varied")
    definition = {name: one for name, one in DEFINITION.items() if name != "guardrails"}
    with service.api() as api:
        made = {**definition, "key": key, "kind": "interleaving"}
        api.post("/v1/experiments", json=made).raise_for_status()
        api.post(f"/v1/experiments/{key}/start").raise_for_status()
    start, seq = datetime.now(UTC) - timedelta(days=1), service.store.events.last()
    exposed, lists, events = [], [], []
    for at in range(400):
        user, began, first = f"{key}{at}", start + timedelta(seconds=30 * at), names[at % 2]
        exposed.append(ExposedUser(key, user, first, seq, began))
        items = tuple(ShownItem(str(k), variant=f"{key}:{one}") for k, one in enumerate(names))
        lists.append(Shown(items, user=user, time=began))
        events.append(Event("like", user, str(int(at % 8 > 1)), time=began + timedelta(minutes=2)))
    service.store.experiments.expose(exposed)
    service.store.shown.add(lists)
    service.store.events.add(events)
    for language, won in (
        ("en", "Lists won: as-it-is 100, varied 300; neither 0 of 400."),
        ("zh", "胜出的列表：as-it-is 100，varied 300；400 个中持平 0。"),
    ):
        page = httpx.get(f"{service.url}/experiment/{key}?lang={language}", trust_env=False, timeout=30).text
        for words in (won, say("first_places_hint", language), say("decision.preferred", language)):
            assert words.replace("'", "&#39;") in page
    with service.api() as api:
        api.post(f"/v1/experiments/{key}/stop").raise_for_status()


def test_the_course_of_a_few_seconds_has_a_time_axis(open_tab: Callable[..., Tab], service: Service) -> None:
    key = "just-begun"
    with service.api() as api:
        api.post("/v1/experiments", json={**DEFINITION, "key": key}).raise_for_status()
        api.post(f"/v1/experiments/{key}/start").raise_for_status()
    with_users(service, key, apart_s=0.02)
    tab = open_tab().go(f"/experiment/{key}")
    marks = tab.page.locator(".course .axis-x text").all_text_contents()
    assert len(marks) >= 2
    assert all(re.fullmatch(r"\d\d:\d\d(:\d\d)?", mark) for mark in marks)
    with service.api() as api:
        api.post(f"/v1/experiments/{key}/stop").raise_for_status()


def test_an_experiment_that_is_not_there(service: Service) -> None:
    assert httpx.get(f"{service.url}/experiment/nothing", trust_env=False).status_code == 404
