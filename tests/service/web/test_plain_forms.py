"""Every button works without script; forms of other sites are refused; each visitor has a rate of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.service.web.conftest import Service, Tab

SENT = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}


def test_every_button_works_without_script(open_tab: Callable[..., Tab], service: Service) -> None:
    tab = open_tab(script=False).go("/?user=u27")
    first = tab.page.locator(".item .like").first
    item = str(first.get_attribute("value")).partition(":")[2]
    first.click()
    assert "user=u27" in tab.page.url
    assert "title%3A" not in tab.page.url
    with service.api() as api:
        recorded = api.get("/v1/users/u27/history").json()["events"][0]
        assert (recorded["source"], recorded["item"]) == ("store", item)
        tab.page.locator(".star").nth(3).click()
        tab.page.wait_for_url("**user=u27*")
        assert [one["count"] for one in api.get("/v1/satisfaction").json()] != []
    tab.go("/operate")
    tab.page.click(".load summary")
    tab.page.fill("#load-path", "/no/such/place")
    tab.page.click("button[value=load]")
    assert "/no/such/place" in tab.page.locator("main").inner_text()
    tab.wrong.clear()  # the console says that the answer was a refusal


@pytest.mark.parametrize("where", ["act", "rate", "model", "key"])
def test_plain_forms_of_other_sites_are_refused(service: Service, where: str) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}, {}):
        sent = {"Content-Type": SENT["Content-Type"], **headers}
        answer = httpx.post(f"{service.url}/pages/{where}", content="act=like:1&user=u30&do=rollback&stars=5&key=k", headers=sent, trust_env=False)  # fmt: skip
        assert answer.status_code in (400, 403)  # by the page, or at the door


def test_plain_forms_are_for_pages_alone_and_small(service: Service) -> None:
    for path in ("/v1/events", "/v1/models/rollback", "/api/feedback"):
        answer = httpx.post(service.url + path, content="a=b", headers=SENT, trust_env=False)
        assert answer.status_code == 415
    large = httpx.post(
        f"{service.url}/pages/act", content="a=" + "b" * 200_000, headers=SENT, trust_env=False
    )
    assert large.status_code == 400
    many = httpx.post(f"{service.url}/pages/act", content="a=b&" * 1_000, headers=SENT, trust_env=False)
    assert many.status_code == 400


def test_each_visitor_has_a_rate_of_their_own(limited: Service) -> None:
    """Two addresses of the loopback network are two visitors; no other client can claim their addresses."""
    first, second = (
        httpx.Client(base_url=limited.url, transport=httpx.HTTPTransport(local_address=one), timeout=30)
        for one in ("127.0.0.1", "127.0.0.2")
    )
    with first, second:
        answers = [first.get("/").status_code for _ in range(12)]
        assert (answers[0], answers[-1]) == (200, 429)
        assert second.get("/").status_code == 200
        for relay in ("", "guessed"):
            recorded = {"X-Motet-Relay": relay, "X-Motet-Visitor": "10.1.2.3"}
            assert first.get("/v1/schema", headers=recorded).status_code == 429
