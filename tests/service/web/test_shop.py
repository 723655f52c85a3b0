"""What a visitor does in the shop, and what follows at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Route
    from tests.service.web.conftest import Service, Tab


HOSTILE = "<img src=x onerror=\"document.title='taken'\"> & <b>bold</b>"
CLEANED = "& bold"  # markup is removed from titles


def test_a_like_changes_the_list_and_is_reported(open_tab: Callable[..., Tab], service: Service) -> None:
    tab = open_tab().go("/?user=u10")
    before = tab.titles()
    tab.parts(tab.page.locator(".item .like").nth(1).click)
    after = tab.titles()
    assert before[1] not in after
    assert len(after) == len(before)
    assert before[1] in tab.page.locator(".toast").inner_text()
    assert tab.page.locator(".moved.new").count() >= 1
    with service.api() as api:
        (latest, *_) = api.get("/v1/users/u10/history").json()["events"]
    assert (latest["type"], latest["title"], latest["source"]) == ("like", before[1], "store")


def test_what_is_hidden_does_not_come_back(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/?user=u11")
    first = tab.titles()[0]
    tab.parts(tab.page.locator(".item .hide").first.click)
    assert first not in tab.titles()
    tab.go("/?user=u11")
    assert first not in tab.titles()


def test_quick_actions_are_all_reported(open_tab: Callable[..., Tab]) -> None:
    """The previous answer holds the likes of a new user, so each action waits for it; a slider does not cancel it."""
    tab = open_tab().go("/?user=")

    def late(route: Route) -> None:
        tab.page.wait_for_timeout(200)
        route.continue_()

    tab.page.route("**/pages/act", late)
    ids = tab.page.locator(".item").evaluate_all("all => all.map((one) => one.dataset.id)")
    tab.page.evaluate("""() => {
        const [first, second, third] = document.querySelectorAll(".item");
        first.querySelector(".like").click();
        second.querySelector(".like").click();
        third.querySelector(".hide").click();
        const slider = document.querySelector("input[name='w.stars']");
        slider.value = 1;
        slider.dispatchEvent(new Event("input", { bubbles: true }));
    }""")
    tab.page.wait_for_url(re.compile(r"w\.stars=1"))
    tab.page.locator("#list[aria-busy=true]").wait_for(state="detached")
    said = parse_qs(urlsplit(tab.page.url).query)
    assert (said["h"], said["x"]) == (ids[:2], ids[2:3])


def test_a_new_list_is_announced_in_one_line(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/?user=u25")
    line = tab.page.locator("[data-updated]")
    assert line.inner_text() == ""
    tab.parts(lambda: tab.page.locator(".chip", has_text="Horror").click())
    recorded = tab.page.locator("[data-updated]", has_text="The list is up to date.")
    recorded.wait_for(state="attached")
    first = tab.titles()[0]
    tab.parts(tab.page.locator(".item .hide").first.click)
    tab.page.locator("[data-updated]", has_text=first).wait_for(state="attached")


def test_a_request_that_is_offered_is_asked(open_tab: Callable[..., Tab]) -> None:
    for script in (True, False):
        tab = open_tab(script=script).go("/?user=u26")
        offered = tab.page.locator(".try").first
        words = offered.inner_text()
        offered.click()
        tab.page.wait_for_selector(".said")
        assert tab.page.locator(".said li").all_inner_texts() == [words]
        assert tab.page.locator("[data-theme-switch]").is_visible() == script


def test_focus_stays_in_the_list(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/?user=u12")
    tab.page.locator(".item .like").nth(2).focus()
    tab.parts(lambda: tab.page.keyboard.press("Enter"))
    assert tab.page.evaluate("document.activeElement.closest('.item')?.dataset.rank") == "3"


def test_a_slider_changes_the_order(open_tab: Callable[..., Tab], service: Service) -> None:
    tab = open_tab().go("/?user=u13")
    before = tab.titles()
    slider = tab.page.locator("input[name='w.stars']")
    slider.focus()
    tab.parts(lambda: tab.page.keyboard.press("End"))
    tab.page.locator("input[name='w.next']").focus()
    tab.parts(lambda: tab.page.keyboard.press("Home"))
    after = tab.titles()
    assert after != before
    with service.api() as api:
        wanted = api.post(
            "/v1/recommend", json={"user": "u13", "objective": {"weights": {"stars": 1.0}}}
        ).json()
    assert after == [item["title"] for item in wanted["items"]]
    assert "w.stars=1" in tab.page.url
    tab.page.reload()
    assert tab.titles() == after


def test_a_request_is_refined(open_tab: Callable[..., Tab], service: Service) -> None:
    tab = open_tab().go("/?user=u14")
    tab.say("comedies after 1980")
    first = tab.titles()
    understood = tab.page.locator(".understood .tag").all_inner_texts()
    assert "Comedy" in understood
    assert "Comedy" in tab.page.locator(".item .meta").first.inner_text()
    tab.say("no horror")
    assert tab.page.locator(".said li").all_inner_texts() == ["comedies after 1980", "no horror"]
    second = tab.titles()
    assert second
    assert second != first
    for words in tab.page.locator(".item .meta").all_inner_texts():
        assert "Comedy" in words
        assert "Horror" not in words
    tab.page.reload()
    assert tab.titles() == second
    tab.parts(lambda: tab.page.click("button[name=over]"))
    assert tab.page.locator(".said").count() == 0


def test_sliders_weigh_what_was_found(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/?user=u15&t=comedies")
    before = tab.titles()
    tab.page.locator("input[name='w.stars']").focus()
    tab.parts(lambda: tab.page.keyboard.press("End"))
    tab.page.locator("input[name='w.next']").focus()
    tab.parts(lambda: tab.page.keyboard.press("Home"))
    assert sorted(tab.titles()) == sorted(before)
    assert tab.titles() != before
    shares = [float(one) for one in tab.page.locator(".item .voice1 .figure").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)


def test_all_sliders_at_zero_mean_the_usual(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/?user=u16")
    before = tab.titles()
    tab.page.locator("input[name='w.next']").focus()
    tab.parts(lambda: tab.page.keyboard.press("Home"))
    assert tab.titles() == before
    assert "zero" in tab.page.locator(".note").inner_text()


def test_filters_hold(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/?user=u17")
    tab.parts(lambda: tab.page.locator(".chip", has_text="Horror").click())
    tab.parts(lambda: tab.page.fill("input[name='f.year.low']", "1990"))
    for words in tab.page.locator(".item .meta").all_inner_texts():
        assert "Horror" in words
        assert int(words.removeprefix("Year ").split()[0]) >= 1990


def test_somebody_new_is_followed_too(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/?user=u18")
    tab.parts(lambda: tab.page.locator(".chip", has_text="Someone new").click())
    assert tab.page.locator("h1").inner_text() == "For someone new"
    before = tab.titles()
    tab.parts(tab.page.locator(".item .like").first.click)
    assert before[0] not in tab.titles()
    assert "h=" in tab.page.url
    tab.parts(tab.page.locator(".item .hide").first.click)
    assert "x=" in tab.page.url
    tab.page.fill("input[name=me]", "loves horror")
    tab.page.wait_for_url(re.compile("[?&]me="))


def test_another_user_by_id(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/")
    tab.page.fill("input[name=other]", "u19")
    tab.page.press("input[name=other]", "Enter")
    tab.page.wait_for_url("**user=u19*")
    assert tab.page.locator("h1").inner_text() == "For user u19"


def test_a_list_is_built(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/?user=u20")
    tab.say("three comedies", "build")
    assert tab.page.locator("h1").inner_text() == "Your list"
    assert len(tab.titles()) == 3
    assert tab.page.locator(".limits .broken").count() == 0


def test_a_list_is_rated(open_tab: Callable[..., Tab], service: Service) -> None:
    tab = open_tab().go("/?user=u21")
    tab.page.locator(".star").nth(3).focus()
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("[data-rate] [role=status]")
    assert tab.page.evaluate("document.activeElement.textContent") == "Thank you, noted."
    with service.api() as api:
        days = api.get("/v1/satisfaction").json()
    assert sum(day["count"] for day in days) == 1
    assert days[0]["mean"] == 4


def test_words_of_strangers_stay_words(open_tab: Callable[..., Tab], service: Service) -> None:
    with service.api() as api:
        fields = {"name": HOSTILE, "kinds": ["Comedy"], "year": 2001}
        assert api.post("/v1/items", json={"items": [{"id": "evil", "fields": fields}]}).is_success
    tab = open_tab().go("/item/evil?user=u22")
    assert tab.page.locator("h1").inner_text() == CLEANED
    tab.go("/?user=u22&f.year.low=2001&f.year.high=2001")
    tab.parts(lambda: tab.page.fill("input[name='f.year.high']", "2002"))
    assert CLEANED in tab.titles()
    place = tab.titles().index(CLEANED)
    tab.parts(tab.page.locator(".item .like").nth(place).click)
    assert CLEANED in tab.page.locator(".toast").inner_text()
    tab.say(HOSTILE)
    assert tab.page.locator(".said li").inner_text() == HOSTILE
    tab.go("/user/u22")
    assert CLEANED in tab.page.locator(".history a").all_inner_texts()
    assert tab.page.locator("main img, main b").count() == 0
    assert "taken" not in tab.page.title()


def test_asking_works_without_script(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(script=False).go("/?user=u23")
    tab.page.fill("#ask", "comedies")
    tab.page.press("#ask", "Enter")
    assert tab.page.locator(".said li").inner_text() == "comedies"
    assert tab.titles()


def test_refused_wishes_are_told_and_the_list_stays(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/?user=u24")
    before = tab.titles()
    tab.page.evaluate("document.querySelector('input[name=scenario][value=home]').value = 'moon'")
    with tab.page.expect_response(lambda answer: "x-part" in answer.request.headers):
        tab.page.locator(".chip", has_text="Home").click()
    tab.page.wait_for_selector("#list .problem")
    assert "moon" in tab.page.locator("#list .problem").inner_text()
    assert tab.titles() == before
    tab.wrong.clear()  # the console says that the answer was a refusal
