# SPDX-License-Identifier: Apache-2.0
"""The operators' page in a real browser: found, opened, explained; by keyboard, light and dark."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from attest.service.access import Right
from tests.attest.page_fleet import CHROMIUM, Fleet, populate
from tests.attest.running_service import Home, RunningService

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# What waits for a slow machine; nothing measures speed here.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    home = Home.make(tmp_path_factory.mktemp("page"))
    with RunningService(home) as service:
        yield populate(home, service)
    home.inventory.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Chromium's own sandbox cannot be used by root; the page is ours.
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=alone)
        yield chromium
        chromium.close()


@contextmanager
def open_page(
    browser: Browser,
    fleet: Fleet,
    *,
    scheme: str = "light",
    size: dict[str, int] | None = None,
    missing: bool = False,
) -> Iterator[Page]:
    """A page that is signed in; every word of the browser's console fails the test.

    `missing`: the test opens a page that is not there.
    """
    context = browser.new_context(
        viewport=size or WIDE,  # type: ignore[arg-type]
        color_scheme=scheme,  # type: ignore[arg-type]
        base_url=fleet.service.url,
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/")
    page.get_by_label("Access key").fill(fleet.service.home.everything)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Fleet")).to_be_visible()
    page.wait_for_load_state()  # the page hears no key before its script runs
    yield page
    assert [each for each in complaints if not (missing and "404" in each)] == []
    context.close()


def test_an_untrusted_device_is_found_opened_and_explained_in_three_clicks(
    browser: Browser, fleet: Fleet
) -> None:
    with open_page(browser, fleet) as page:
        clicks = 0

        def click(role: str, name: str) -> None:
            nonlocal clicks
            page.get_by_role(role, name=name).click()  # type: ignore[arg-type]
            clicks += 1

        row = page.get_by_role("row").filter(has_text="kitchen")
        expect(row).to_contain_text("Not trusted")
        click("link", "kitchen")
        expect(page.get_by_role("heading", name="Why it is not trusted")).to_be_visible()
        # The worst one is open already: what was expected, what was found, what to do.
        reason = page.locator(".reasons details").filter(has_text="Flow policy")
        expect(reason).to_contain_text("may pass on other data, or to others, than it should")
        expect(reason).to_contain_text("alice/health")  # which flow changed
        expect(reason.get_by_text("What to do")).to_be_visible()
        expect(reason.get_by_text("flash the bundle that is right")).to_be_visible()
        page.locator(".reasons summary").filter(has_text="Appliance image").click()
        clicks += 1
        expect(page.locator(".reasons").get_by_text("slot A or slot B.")).to_be_visible()
        assert clicks <= 3


def test_the_device_page_tells_the_whole_story(browser: Browser, fleet: Fleet) -> None:
    with open_page(browser, fleet) as page:
        page.get_by_role("link", name="kitchen").click()
        device = fleet.devices["kitchen"].identity_facts.instance_id.hex()
        expect(page.get_by_text(device)).to_be_visible()
        claims = page.get_by_role("table", name="Every claim that was checked")
        assert claims.get_by_role("row").count() > 10
        expect(claims.get_by_role("row").filter(has_text="Flow policy")).to_contain_text("wrong")
        flows = page.get_by_role("region", name="What may leave this device")
        expect(flows).to_contain_text("only as coach.weekly")
        expect(flows).to_contain_text("It runs other flows than its bundle says")
        picture = flows.get_by_role("img")
        assert picture.evaluate("image => image.naturalWidth") > 300
        history = page.get_by_role("region", name="History")
        assert history.locator(".strip a").count() == 3
        expect(history.locator(".changes li")).to_have_count(2)
        history.locator(".strip a").first.click()
        expect(page.get_by_role("heading", name="Report")).to_be_visible()
        expect(page.locator(".badge")).to_have_text("Trusted")


def test_it_is_used_with_the_keyboard_alone(browser: Browser, fleet: Fleet) -> None:
    with open_page(browser, fleet) as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type("kit")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Found: kit")).to_be_visible()
        page.wait_for_load_state()
        page.keyboard.press("j")
        expect(page.get_by_role("link", name="kitchen")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="kitchen")).to_be_visible()
        summaries = page.locator(".reasons summary")
        summaries.nth(1).focus()
        page.keyboard.press("Enter")
        expect(page.locator(".reasons details").nth(1)).to_have_attribute("open", "")


@pytest.mark.parametrize(
    ("scheme", "size"),
    [
        ("light", WIDE),
        ("dark", NARROW),
        pytest.param("dark", WIDE, marks=pytest.mark.all),
        pytest.param("light", NARROW, marks=pytest.mark.all),
    ],
)
def test_it_is_accessible_in_every_form(
    browser: Browser, fleet: Fleet, scheme: str, size: dict[str, int]
) -> None:
    """axe-core: contrast, names, roles, landmarks, order."""
    with open_page(browser, fleet, scheme=scheme, size=size) as page:
        device = fleet.devices["kitchen"].identity_facts.instance_id.hex()
        for path in ("/", "/?group=all", f"/devices/{device}", "/references"):
            page.goto(path)
            page.wait_for_load_state("networkidle")
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            overflow = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert overflow <= 0, f"{path} scrolls sideways"


def test_the_theme_can_be_chosen_and_stays(browser: Browser, fleet: Fleet) -> None:
    def paper(page: Page) -> str:
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return colour

    with open_page(browser, fleet) as page:
        light = paper(page)
        button = page.get_by_role("button", name="Theme")
        button.click()
        assert paper(page) == light
        button.click()
        dark = paper(page)
        assert dark != light
        page.reload()
        assert paper(page) == dark


def test_its_figures_renew_themselves(browser: Browser, fleet: Fleet) -> None:
    with open_page(browser, fleet) as page:
        page.evaluate("document.querySelector('.number').textContent = 'old'")
        page.evaluate("renew()")
        expect(page.locator(".number").first).to_have_text("2")


def test_nothing_is_shown_without_a_key_that_may_read(fleet: Fleet) -> None:
    home = fleet.service.home
    blind = home.access("blind", Right.ATTEST)
    with httpx.Client(base_url=fleet.service.url) as client:
        for path in ("/", "/devices/kitchen", "/references", "/results/1"):
            answer = client.get(path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/sign-in?then=")
        assert client.get(f"/policies/{'0' * 64}.svg").status_code == 401
        for key in (blind, "nonsense", ""):
            answer = client.post("/sign-in", data={"key": key})
            assert answer.status_code in (400, 403)
            assert "set-cookie" not in answer.headers
        signed = client.post("/sign-in", data={"key": home.everything, "then": "//evil"})
        assert signed.headers["location"] == "/"
        cookie = signed.headers["set-cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=strict"))
        assert home.everything not in cookie
        client.cookies.clear()
        session = cookie.split(";")[0].partition("=")[2]
        # Not the last character: its lowest bits stand for nothing.
        altered = session[:-2] + ("A" if session[-2] != "A" else "B") + session[-1]
        for forged in ("x", "a.b.c", altered):
            again = client.get("/", headers={"Cookie": f"coffret_session={forged}"})
            assert again.status_code == 303


def test_the_policy_of_the_page_lets_nothing_foreign_in(fleet: Fleet) -> None:
    with httpx.Client(base_url=fleet.service.url) as client:
        client.post("/sign-in", data={"key": fleet.service.home.everything})
        for path in ("/", "/sign-in", "/devices/kitchen", "/devices/none", "/v1/fleet"):
            policy = client.get(path).headers["content-security-policy"]
            assert policy.startswith("default-src 'none';")
            assert "unsafe" not in policy
            assert "http" not in policy
        page = client.get("/devices/kitchen").text
    assert "<style" not in page
    assert "style=" not in page
    assert not re.search(r"\son\w+\s*=", page), "a handler in the markup"


def test_what_a_device_says_stays_text(browser: Browser, fleet: Fleet) -> None:
    """Whatever comes from outside is shown and not obeyed."""
    with open_page(browser, fleet, missing=True) as page:
        page.goto("/?search=%3Cscript%3Ealert(1)%3C/script%3E")
        expect(page.locator(".empty")).to_contain_text("<script>alert(1)</script>")
        page.goto("/devices/%3Cimg%20src=x%20onerror=alert(1)%3E")
        expect(page.locator("main")).to_contain_text("<img src=x onerror=alert(1)>")
        page.wait_for_timeout(100)
