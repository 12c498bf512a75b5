"""A real browser buys the right product, with and without scripts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from agentgym_hindsight.envs.webshop.library import open_library
from agentgym_hindsight.envs.webshop.oracle import plan
from agentgym_hindsight.envs.webshop.pages import LINK, OPTION
from agentgym_hindsight.envs.webshop.session import Session
from tests.envs.webshop.site_server import Server, served

pytestmark = pytest.mark.slow

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_GOALS = (12, 3, 40)
_PHONE, _DESK = {"width": 390, "height": 800}, {"width": 1100, "height": 800}


@pytest.fixture(scope="module")
def server(chromium: Any) -> Iterator[Server]:  # without a browser, no server is started
    with served("--set", "data=embedded") as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    driver = pytest.importorskip("playwright.sync_api", reason="no browser driver: pip install playwright")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium: apt-get install chromium, or name one in CHROMIUM")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@pytest.mark.parametrize("goal", _GOALS)
@pytest.mark.parametrize("scripts", [False, True], ids=["without scripts", "with scripts"])
@pytest.mark.parametrize("size", [_DESK, _PHONE], ids=["desk", "phone"])
def test_buys_the_right_product(server: Server, chromium: Any, goal: int, scripts: bool, size: Any) -> None:
    context = chromium.new_context(java_script_enabled=scripts, viewport=size)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    # The browser aborts pictures that are still loading when the next page is requested; this is no failure.
    page.on("requestfailed", lambda r: r.failure == "net::ERR_ABORTED" or wrong.append(f"{r.url} {r.failure}"))
    page.on("request", lambda request: None if request.url.startswith(server.base) else wrong.append(request.url))
    page.goto(f"{server.base}/test{scripts}{size['width']}-fixed_{goal}")
    shop = open_library("embedded").shop
    reference = Session(shop, shop.goals[goal])
    assert reference.goal.instruction in page.inner_text("#instruction-text h4")
    for action in plan(reference)[0]:
        name = action[action.index("[") + 1 : -1]
        target = reference.targets.get(name)
        if target is not None and target.role == OPTION:
            page.locator(f'input[type=radio][name="{target.axis}"][value="{target.value}"]').check()
        else:
            with page.expect_navigation():  # a click does not wait for the next page
                if action.startswith("search"):
                    page.fill("#search_input", name)
                    page.click(".btn:has-text('Search')")
                elif target is not None and target.role == LINK:
                    page.click(f"a.product-link:text-is('{name.upper()}')")
                else:
                    page.locator(".btn").filter(has_text=name).first.click()
        reference.act(action)
        if size is _PHONE and scripts:  # no element is wider than the window
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.inner_text("#reward pre") == "1.0"
    assert page.inner_text("#asin") == reference.goal.asin
    assert not wrong
    context.close()


def test_a_purchase_with_the_keyboard_only(server: Server, chromium: Any) -> None:
    page = chromium.new_page(viewport=_DESK)
    shop = open_library("embedded").shop
    goal = shop.goals[12]
    page.goto(f"{server.base}/keys-fixed_12", wait_until="load")
    page.keyboard.type(goal.instruction)  # the search bar has the focus
    page.keyboard.press("Enter")
    page.wait_for_url("**/search_results/**", wait_until="load")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the page"
    page.keyboard.press("Enter")
    _tab_to(page, "document.activeElement.matches('a.product-link')")
    while page.evaluate("document.activeElement.textContent") != goal.asin:
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/item_page/**", wait_until="load")
    for axis, value in sorted(goal.options, key=lambda option: list(shop.product(goal.asin).options).index(option[0])):
        _tab_to(page, f"document.activeElement.name === {axis!r}")
        for _ in range(40):
            if page.evaluate("document.activeElement.value") == value:
                break
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Space")
    _tab_to(page, "document.activeElement.value === 'buy now'")
    page.keyboard.press("Enter")
    page.wait_for_url("**/done/**")
    assert page.inner_text("#reward pre") == "1.0"
    page.go_back()  # leads to the last page again, because the purchase is final
    assert "/done/" in page.url
    page.close()


def _tab_to(page: Any, condition: str) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate(condition):
            return
    raise AssertionError(f"the keyboard does not reach {condition}")
