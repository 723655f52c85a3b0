"""Surveys and ratings of items on the pages, with and without script, in both languages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.service.web.conftest import Service, Tab

HOSTILE = "<img src=x onerror=\"document.title='taken'\">"


@pytest.fixture
def survey(service: Service) -> Iterator[Callable[..., Any]]:
    """Opens a survey for one scenario of the shop, so that other tests meet no question; closes it afterwards."""
    opened: list[str] = []

    def create(key: str, kind: str, **more: Any) -> Callable[[], Any]:
        body = {
            "key": key,
            "question": {"en": f"Good? {HOSTILE}", "zh": "好吗？"},
            "kind": kind,
            "scenarios": ["search"],
            **more,
        }
        with service.api() as api:
            assert api.post("/v1/surveys", json=body).status_code == 201
        opened.append(key)
        return lambda: httpx.get(f"{service.url}/v1/surveys/{key}", trust_env=False).json()["total"]

    yield create
    with service.api() as api:
        for key in opened:
            api.post(f"/v1/surveys/{key}/close")


def test_a_question_stays_until_it_is_answered_and_then_does_not_come_back(
    open_tab: Callable[..., Tab], survey: Callable[..., Any]
) -> None:
    total = survey("stay", "stars")
    tab = open_tab().go("/?user=u31&scenario=search")
    question = tab.page.locator(".survey")
    assert question.locator("span").first.inner_text() == f"Good? {HOSTILE}"
    assert tab.page.title() != "taken"
    tab.parts(tab.page.locator(".item .like").first.click)  # the list follows, the question stays
    assert question.locator(".star").count() == 5
    question.locator(".star").nth(3).click()
    tab.page.wait_for_selector(".survey [role=status]")
    assert (total()["asked"], total()["answered"], total()["mean"]) == (1, 1, 4.0)
    tab.parts(tab.page.locator(".item .like").first.click)
    assert question.count() == 0
    assert tab.go("/?user=u31&scenario=search").page.locator(".survey").count() == 0


def test_without_script_and_in_chinese(open_tab: Callable[..., Tab], survey: Callable[..., Any]) -> None:
    total = survey("plain", "yes_no")
    tab = open_tab(script=False).go("/?user=u32&scenario=search&lang=zh")
    assert tab.page.locator(".survey span").first.inner_text() == "好吗？"
    assert tab.page.locator(".survey button").all_inner_texts() == ["是", "否"]
    tab.page.locator(".survey button").nth(1).click()
    assert "user=u32" in tab.page.url
    assert tab.page.locator(".survey").count() == 0
    assert total()["counts"] == {"0": 1, "1": 0}


def test_choices_and_the_section_for_operators(
    open_tab: Callable[..., Tab], survey: Callable[..., Any]
) -> None:
    total = survey("pick", "choice", choices=[{"en": HOSTILE, "zh": "旧"}, {"en": "sad", "zh": "悲"}])
    tab = open_tab().go("/?user=u33&scenario=search")
    tab.page.locator(".survey button").nth(1).click()
    tab.page.wait_for_selector(".survey [role=status]")
    assert total()["counts"] == {"0": 0, "1": 1}
    text = tab.go("/operate").page.locator("section[aria-labelledby=surveys]").inner_text()
    assert f"{HOSTILE} 0 · sad 1" in text
    assert tab.page.title() != "taken"
    chinese = tab.go("/operate?lang=zh").page.locator("section[aria-labelledby=surveys]").inner_text()
    assert "悲 1" in chinese
    assert "好吗？" in chinese


@pytest.mark.parametrize("script", [True, False])
def test_an_item_is_rated_on_its_page(open_tab: Callable[..., Tab], service: Service, script: bool) -> None:
    user = "u34" if script else "u35"
    tab = open_tab(script=script).go(f"/item/7?user={user}")
    tab.page.locator(".rate .star").nth(1).click()
    tab.page.wait_for_url("**rated=2*")
    assert tab.page.locator(".rate [role=status]").inner_text() == "Rated 2."
    with service.api() as api:
        (latest, *_) = api.get(f"/v1/users/{user}/history").json()["events"]
    assert (latest["type"], latest["item"], latest["value"]) == ("stars", "7", 2.0)


@pytest.mark.parametrize("where", ["answer", "rate-item"])
def test_answers_of_other_sites_and_wrong_ones_are_refused(service: Service, where: str) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    content = "q=none&answer=4&user=u30&item=7&stars=5"
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}, {}):
        answer = httpx.post(f"{service.url}/pages/{where}", content=content, headers={**kind, **headers}, trust_env=False)  # fmt: skip
        assert answer.status_code in (400, 403)
    own = {**kind, "Sec-Fetch-Site": "same-origin"}
    for wrong in ("q=none&answer=4", "q=none&answer=x", "user=u30&item=7&stars=9"):
        answer = httpx.post(f"{service.url}/pages/{where}", content=wrong, headers=own, trust_env=False)
        assert answer.status_code in (404, 422)
