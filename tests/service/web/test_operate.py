"""The page of operators: charts over time, errors by cause, jobs and candidates, in a browser and in both languages."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import httpx
import pytest

from motet.messages import say

if TYPE_CHECKING:
    from tests.service.web.conftest import Service, Tab

CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("window", ["15m", "1h", "24h", "7d", "30d"])
def test_windows_are_chosen_by_keyboard(
    open_tab: Callable[..., Tab], service: Service, window: str, language: str
) -> None:
    with service.api() as api:
        api.post("/v1/recommend", json={"user": "u1"})
    tab = open_tab(width=1280 if language == "en" else 360).go(f"/operate?lang={language}")
    link = tab.page.locator(".windows a", has_text=say(f"window.{window}", language))
    link.focus()
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url(f"**window={window}")
    assert tab.page.locator(".windows [aria-current]").inner_text() == say(f"window.{window}", language)
    charts = tab.page.locator("section[aria-labelledby=course] .plot")
    assert charts.count() >= 3
    for at in range(3):
        one = charts.nth(at)
        assert one.locator("polyline").count() >= 1
        marks, heights = one.locator(".axis-x text"), one.locator(".axis-y span")
        assert 2 <= marks.count() <= 8
        assert heights.last.inner_text() == "0"
        boxes = marks.evaluate_all("all => all.map((one) => one.getBoundingClientRect().toJSON())")
        assert all(a["right"] <= b["left"] for a, b in pairwise(boxes)), "marks overlap"
        assert all(box["height"] >= 9 for box in boxes), "marks are too small to read"
    said = tab.page.locator("section[aria-labelledby=course] .hint").inner_text()
    assert "UTC" in said
    assert (CHINESE.search(said) is not None) == (language == "zh")
    # the process has just begun: what was before is not shown as nothing
    assert say("counted_not_before", language) in said
    assert charts.first.locator("rect.unknown").count() == 1


def test_requests_and_errors_of_the_chart_are_those_that_were_made(
    open_tab: Callable[..., Tab], service: Service
) -> None:
    tab = open_tab()
    with service.api() as api:
        before = api.get("/v1/stats/timeline?minutes=15").json()
        for _ in range(5):
            api.post("/v1/recommend", json={"user": "u1"})
        for _ in range(3):
            assert api.post("/v1/recommend", json={"k": 0}).status_code == 422
        assert api.get("/v1/items/no-such").status_code == 404
        assert api.post("/v1/models/none/activate").status_code == 404
        after = api.get("/v1/stats/timeline?minutes=15").json()

    def total(of: dict[str, list[dict[str, int]]], name: str) -> int:
        return sum(step[name] or 0 for step in of["steps"])

    assert total(after, "requests") - total(before, "requests") == 11
    assert total(after, "errors") - total(before, "errors") == 5
    assert total(after, "lists") >= 5
    tab.go("/operate?window=15m")
    row = tab.page.locator("section[aria-labelledby=failures] tr", has_text="POST /v1/recommend")
    assert row.locator("td").all_inner_texts()[:3] == ["422", "a part of the request is wrong", "3"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row.locator("td").nth(3).inner_text())
    known = tab.page.locator("section[aria-labelledby=failures] tr", has_text="GET /v1/items/{id}")
    assert known.locator("td").nth(1).inner_text() == "not known"
    tab.go("/operate?window=15m&lang=zh")
    row = tab.page.locator("section[aria-labelledby=failures] tr", has_text="POST /v1/recommend")
    assert row.locator("td").nth(1).inner_text() == say("failure.invalid_request", "zh")
    tab.page.locator(".numbers summary").first.click()
    assert tab.page.locator(".numbers").first.locator("tbody tr").count() >= 1


def test_imports_and_changes_of_models_are_jobs(open_tab: Callable[..., Tab], service: Service) -> None:
    kind = {"Content-Type": "application/x-ndjson"}
    with service.api() as api:
        assert api.post("/v1/import/users", content=b'{"id":"bo"}\n{"id":"bea"}\n', headers=kind).is_success
        assert api.post("/v1/import/users", content=b'{"id":1}\n', headers=kind).status_code == 422
        assert api.post("/v1/models", json={"path": "/no/such/place"}).status_code == 422
        jobs = api.get("/v1/jobs").json()
    assert [(one["kind"], one["state"]) for one in jobs[:3]] == [("load", "failed"), ("import", "failed"), ("import", "done")]  # fmt: skip
    assert "/no/such" not in jobs[0]["reason"]
    assert jobs[2]["details"] == {"rows": 2, "new": 2}
    tab = open_tab(width=360).go("/operate")
    rows = tab.page.locator("section[aria-labelledby=jobs] tbody tr")
    assert "2 rows, 2 new" in rows.nth(2).inner_text()
    assert "user.id is 1" in rows.nth(1).inner_text()
    tab.go("/operate?lang=zh")
    assert say("job_kind.import", "zh") in rows.nth(2).inner_text()
    assert say("job_state.failed", "zh") in rows.nth(1).inner_text()


def test_trainings_are_jobs_and_take_as_long_as_they_took(
    open_tab: Callable[..., Tab], service: Service
) -> None:
    learner = service.store.learner
    first = learner.begin("first", 100, 110).number
    learner.change(first, "active", model="m1")
    done = learner.latest(1)[0]
    assert done.ended is not None
    time.sleep(1.2)  # until the next one begins
    second = learner.begin("growth", 100, 110).number
    learner.change(first, "replaced")
    with service.api() as api:
        jobs = api.get("/v1/jobs?n=2").json()
    assert [(one["kind"], one["what"], one["state"]) for one in jobs] == [
        ("training", str(second), "ended"),  # no learner is there
        ("training", str(first), "done"),
    ]
    assert jobs[0]["ended"] is None
    assert datetime.fromisoformat(jobs[1]["ended"]) == done.ended
    assert jobs[1]["details"]["outcome"] == "replaced"
    learner.hold("elsewhere:1:2", 600.0)
    with service.api() as api:
        assert api.get("/v1/jobs?n=1").json()[0]["state"] == "running"
    tab = open_tab().go("/operate")
    rows = tab.page.locator("section[aria-labelledby=jobs] tbody tr")
    assert "replaced by a later one" in rows.nth(1).inner_text()
    took_s = (done.ended - done.began).total_seconds()
    assert float(rows.nth(1).locator("td").nth(2).inner_text().removesuffix(" s")) == pytest.approx(
        took_s, abs=0.06
    )
    learner.change(second, "failed")


def test_candidates_say_why_they_were_accepted_or_refused(
    open_tab: Callable[..., Tab], service: Service
) -> None:
    hostile = "<img src=x onerror=\"document.title='taken'\">"
    judged = {"events": 400, "ndcg": 0.0534, "active_ndcg": 0.1011, "median_ms": 14.2}
    lower = "NDCG@10 on 400 next events is 0.0534, that of the active model 0.1011: lower by more than 0.01"
    learner = service.store.learner
    for state, details in (
        ("active", {"judged": {**judged, "ndcg": 0.1234, "problem": ""}, "events": 4_100}),
        ("kept", {"judged": {**judged, "problem": lower}, "reason": lower}),
        ("failed", {"reason": f"DataError: {hostile}"}),
    ):
        number = learner.begin("growth", 100, 110).number
        learner.change(number, state, **details)  # type: ignore[arg-type]
    service.store.values.put("learner.settings", {"every_s": 3600.0})
    learner.hold("elsewhere:1:2", 600.0)
    tab = open_tab().go("/operate")
    assert (
        "The next training waits for 2" in tab.page.locator("section[aria-labelledby=learner]").inner_text()
    )
    shown = tab.page.locator(".candidates li")
    failed, kept, active = (shown.nth(at).inner_text() for at in range(3))
    assert hostile in failed
    assert tab.page.title() != "taken"
    assert "Refused" in kept
    assert "0.053, lower than the 0.101" in kept
    assert "Accepted" in active
    assert "0.123" in active
    tab.go("/operate?lang=zh")
    assert "下次训练在等待：到 2" in tab.page.locator("section[aria-labelledby=learner]").inner_text()
    assert "未通过" in shown.nth(1).inner_text()
    assert "通过" in shown.nth(2).inner_text()
    # a new model that answers a share of the users says how it does, and an operator may end that
    arms = {"new": {"judged": 40, "hits": 3}, "active": {"judged": 400, "hits": 80}}
    canary = {"share": 0.1, "for_s": 900.0, "watched_s": 300.0, **arms}
    number = learner.begin("growth", 100, 110).number
    learner.change(number, "canary", model="m9", canary=canary)
    for language, words, ends in (
        ("en", "10 % of the users, 5 of 15 minutes", "End the canary of m9"),
        ("zh", "10 % 的用户，已进行 5 / 15 分钟", "结束 m9 的灰度"),
    ):
        tab.go(f"/operate?lang={language}")
        assert words in shown.nth(0).inner_text()
        assert "7.5 %" in shown.nth(0).inner_text()
        assert tab.page.locator(f"button:has-text('{ends}')").count() == 1
    tab.go("/operate?lang=en")
    tab.page.click("button:has-text('End the canary of m9')")
    tab.page.wait_for_selector("button:has-text('End the canary')", state="detached")
    assert learner.latest(1)[0].state == "kept"
    assert "an operator ended its canary" in shown.nth(0).inner_text()
    learner.change(number, "kept", canary={**canary, "problem": "success"})
    tab.go("/operate")
    assert "Refused in its canary: of 40 lists 7.5 % led to an event" in shown.nth(0).inner_text()


def test_what_was_opened_stays_open_when_numbers_are_fresh(
    open_tab: Callable[..., Tab], service: Service
) -> None:
    with service.api() as api:
        api.post("/v1/recommend", json={"user": "u1"})
    tab = open_tab()
    tab.page.clock.install()
    tab.go("/operate?window=24h")
    opened = tab.page.locator("details[data-keep=requests]")
    opened.locator("summary").click()
    tab.page.locator("h1").click()
    tab.page.evaluate("document.activeElement.blur()")
    opened.evaluate("one => { one.dataset.old = '' }")
    with tab.page.expect_response(lambda answer: "x-part" in answer.request.headers) as recorded:
        tab.page.clock.fast_forward(10_500)
    assert "window=24h" in recorded.value.url
    tab.page.locator("details[data-old]").wait_for(state="detached")
    assert opened.get_attribute("open") is not None


@pytest.mark.parametrize("language", ["en", "zh"])
def test_numbers_that_are_not_fresh_say_so(open_tab: Callable[..., Tab], language: str) -> None:
    tab = open_tab()
    tab.page.clock.install()
    tab.go(f"/operate?lang={language}")
    stale = tab.page.locator("[data-stale]")
    assert stale.inner_text() == ""
    tab.page.route("**/operate?*", lambda route: route.abort())
    with tab.page.expect_event("requestfailed"):
        tab.page.clock.fast_forward(10_500)
    tab.page.locator("[data-stale]", has_text=say("stale", language)).wait_for()
    tab.page.unroute("**/operate?*")
    with tab.page.expect_response(lambda answer: "x-part" in answer.request.headers):
        tab.page.clock.fast_forward(10_500)
    tab.page.locator("[data-stale]:empty").wait_for(state="attached")
    tab.wrong.clear()  # the console says that nothing was answered


def test_time_before_the_process_is_not_counted_as_nothing(service: Service) -> None:
    watch = service.app.state.context.engine.watch
    began = watch.since
    try:
        watch.since = began - timedelta(minutes=5)
        steps = httpx.get(f"{service.url}/v1/stats/timeline?minutes=60", trust_env=False).json()["steps"]
        assert [step["requests"] for step in steps[:50]] == [None] * 50
        assert all(step["requests"] is not None for step in steps[-5:])
        assert all(step["events"] is not None for step in steps)
    finally:
        watch.since = began
