"""Operation on the pages: models, keys; and forms of other sites."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI

from motet.service import web as pages

if TYPE_CHECKING:
    from tests.service.web.conftest import Service, Tab


def test_models_are_activated_and_rolled_back(open_tab: Callable[..., Tab], service: Service) -> None:
    tab = open_tab().go("/operate")
    first = tab.page.locator(".is-active .name").inner_text()
    tab.page.click(".load summary")
    tab.page.fill("#load-path", str(service.bundles[1]))
    tab.page.click("button[value=load]")
    tab.page.wait_for_url("**done=load")
    second = tab.page.locator(".is-loaded .name").inner_text()
    tab.page.click(f"button[value='activate:{second}']")
    tab.page.wait_for_url("**done=activate")
    assert tab.page.locator(".is-active .name").inner_text() == second
    assert second in tab.page.locator(".toast").inner_text()
    tab.page.click("button[value=rollback]")
    tab.page.wait_for_url("**done=rollback")
    assert tab.page.locator(".is-active .name").inner_text() == first

    tab.go("/judge")
    frame = tab.page.frame_locator("iframe")
    assert frame.locator("h1").count() == 1
    chooser = tab.page.locator("select[name=right]")
    chooser.focus()
    tab.page.keyboard.press("ArrowDown")  # by keyboard one passes every choice: none of them is taken at once
    chooser.select_option(second)
    assert tab.page.url.endswith("/judge")
    tab.page.click(".pair button")
    tab.page.wait_for_selector(".metrics")
    assert tab.page.locator("iframe").count() == 2
    assert {"Like", "Stars"} <= set(tab.page.locator(".metrics .begins th").all_inner_texts())


def test_a_bundle_that_is_none_is_refused(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/operate")
    tab.page.click(".load summary")
    tab.page.fill("#load-path", "/no/such/place")
    tab.page.click("button[value=load]")
    assert "/no/such/place" in tab.page.locator(".load .problem").inner_text()
    tab.wrong.clear()  # the console says that the answer was a refusal


def test_operate_counts_what_happens(open_tab: Callable[..., Tab], service: Service) -> None:
    with service.api() as api:
        for user in ("u1", "u2", "u3"):
            api.post("/v1/recommend", json={"user": user})
        api.post("/v1/events", json={"events": [{"type": "like", "user": "u1", "item": "3"}]})
    tab = open_tab().go("/operate")
    row = tab.page.locator("tr", has_text="/v1/recommend")
    row = row.and_(tab.page.locator("section[aria-labelledby=traffic] tr"))
    assert int(row.locator("td").nth(1).inner_text()) >= 3
    assert row.locator("polyline").count() == 1
    assert "Like" in tab.page.locator("section[aria-labelledby=feedback]").inner_text()


def test_a_key_is_asked_for_once(open_tab: Callable[..., Tab], locked: Service) -> None:
    tab = open_tab(locked).go("/operate")
    assert "asks for a key" in tab.page.locator("h1").inner_text()
    tab.page.fill("#key", "wrong")
    tab.page.click("main button")
    tab.page.wait_for_selector(".problem")
    tab.page.fill("#key", str(locked.key))
    tab.page.click("main button")
    tab.page.wait_for_selector("#list")
    assert tab.titles()
    (cookie,) = [one for one in tab.context.cookies() if one.get("name") == "motet_key"]
    assert cookie.get("httpOnly") is True
    assert cookie.get("sameSite") == "Strict"
    assert str(locked.key) not in tab.page.content()
    tab.page.click("button[name=out]")
    tab.page.wait_for_selector("#key")
    tab.wrong.clear()  # the console says that pages were refused


def test_a_key_that_may_only_read_sees_and_changes_nothing(
    open_tab: Callable[..., Tab], locked: Service
) -> None:
    reader, _ = locked.store.keys.create({"read"}, "a reader")
    tab = open_tab(locked).go("/")
    tab.page.fill("#key", reader)
    tab.page.click("main button")
    tab.page.wait_for_selector("#list")
    before = tab.titles()
    tab.page.locator(".item .like").first.click()
    tab.page.wait_for_selector("#list .problem")
    assert "write" in tab.page.locator("#list .problem").inner_text()
    assert tab.titles() == before
    tab.page.locator(".star").nth(3).click()
    tab.page.wait_for_selector("[data-rate] .problem")
    tab.page.locator("#list > .problem a").click()
    tab.page.fill("#key", str(locked.key))
    tab.page.click("main button")
    tab.page.wait_for_selector("#list")
    tab.parts(tab.page.locator(".item .like").first.click)
    assert tab.page.locator(".problem").count() == 0
    tab.wrong.clear()  # the console says that pages were refused


def test_a_service_that_stops_is_reported(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/operate?lang=zh")
    tab.page.route("**/pages/**", lambda route: route.abort())
    tab.page.click(".load summary")
    tab.page.fill("#load-path", "/some/place")
    tab.page.click("button[value=load]")
    tab.page.wait_for_selector(".load .problem")
    assert "服务没有应答" in tab.page.locator(".load .problem").inner_text()
    tab.wrong.clear()  # the console says that nothing was answered


def test_operate_follows_until_it_is_paused_and_leaves_the_place_as_it_was(
    open_tab: Callable[..., Tab], service: Service
) -> None:
    with service.api() as api:
        api.post("/v1/recommend", json={"user": "u1"})
    tab = open_tab(width=360)
    tab.page.clock.install()
    tab.go("/operate")
    tab.page.evaluate("document.styleSheets[0].insertRule('.scroll table { min-width: 60rem }')")
    region = tab.page.locator("section[aria-labelledby=traffic] .scroll")
    region.focus()
    region.evaluate("one => { one.scrollLeft = 40; one.dataset.old = '' }")
    with tab.page.expect_response(lambda answer: "x-part" in answer.request.headers):
        tab.page.clock.fast_forward(10_500)
    tab.page.locator(".scroll[data-old]").wait_for(state="detached")
    assert tab.page.evaluate("document.activeElement.className") == "scroll"
    assert region.evaluate("one => one.scrollLeft") == 40
    asked: list[str] = []
    tab.page.on("request", lambda one: asked.append(one.url))
    pause = tab.page.locator("[data-pausing] button")
    pause.click()
    assert pause.inner_text() == "Resume"
    tab.page.clock.fast_forward(30_500)
    tab.page.wait_for_timeout(300)
    assert asked == []
    pause.click()
    assert pause.inner_text() == "Pause"
    with tab.page.expect_response(lambda answer: "x-part" in answer.request.headers):
        tab.page.clock.fast_forward(10_500)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {},
    ],
)
@pytest.mark.parametrize("where", ["act", "rate", "model", "key"])
def test_forms_of_other_sites_are_refused(service: Service, where: str, headers: dict[str, str]) -> None:
    said = [
        ["act", "like:1"],
        ["user", "u30"],
        ["do", "rollback"],
        ["stars", "5"],
        ["list_id", "x"],
        ["key", "k"],
    ]
    with service.api() as api:
        answer = api.post(f"/pages/{where}", json=said, headers=headers)
        assert answer.status_code in (400, 403)  # by the page, or at the door
        assert [e for e in api.get("/v1/users/u30/history").json()["events"] if e["source"] == "store"] == []


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[1]",
        '[["a"]]',
        '[["a", 1]]',
        "[" * 20,
        '[["act", "explode:1"]]',
        json.dumps([["a", "b"]] * 500),
    ],
)
def test_broken_forms_are_refused(service: Service, content: str) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    answer = httpx.post(f"{service.url}/pages/act", content=content, headers=headers, trust_env=False)
    assert 400 <= answer.status_code < 500


def test_a_service_that_does_not_answer_is_reported(
    run_app: Callable[[FastAPI, socket.socket], AbstractContextManager[str]],
) -> None:
    app = FastAPI()
    with socket.socket() as unused, socket.socket() as listening:
        unused.bind(("127.0.0.1", 0))  # bound, but not listening
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        pages.mount(app, f"http://127.0.0.1:{unused.getsockname()[1]}")
        with run_app(app, listening) as url:
            answer = httpx.get(url, trust_env=False)
    assert answer.status_code == 503
    assert re.search("does not answer", answer.text)


def test_the_description_of_the_api_does_not_name_pages(service: Service) -> None:
    with service.api() as api:
        named = api.get("/openapi.json").json()["paths"]
    assert [where for where in named if not where.startswith(("/v1", "/api", "/metrics"))] == []
