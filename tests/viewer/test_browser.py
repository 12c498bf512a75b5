"""A real browser: keys, the live page, phone width, the exported file, and that nothing is loaded from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.baselines.report.viewer_links import source_slug
from agentgym_hindsight.hindsight import write_jsonl
from agentgym_hindsight.viewer.export import export_page
from agentgym_hindsight.viewer.sources import Sources
from tests.viewer.clicks import BrowserReader
from tests.viewer.five_tasks import TASKS, clicks_of_the_page, make_run
from tests.viewer.rollout_files import lost, make_files, won

pytestmark = pytest.mark.slow

_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_PHONE, _DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("viewed")
    make_files(path)
    return path


@pytest.fixture(scope="module")
def base(folder: Path, chromium: Any) -> Iterator[str]:  # without a browser no server is started
    command = [sys.executable, "-m", "agentgym_hindsight", "view", str(folder), "--port", "0"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "150"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
    assert process.stderr is not None
    found = re.search(r"http://[\d.]+:\d+", process.stderr.readline())
    assert found
    yield found[0]
    process.send_signal(signal.SIGINT)
    assert process.wait(30) in (0, 130)  # 130: interrupted before it listened
    process.stderr.close()


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


class Tab:
    """A page of the browser that notes errors, and requests that leave the server."""

    def __init__(self, chromium: Any, base: str, **options: Any) -> None:
        self.page = chromium.new_context(viewport=_DESK, **options).new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda r: None if r.url.startswith(base) else self.wrong.append(r.url))


def test_keys_lead_from_the_list_to_a_turn_and_back(base: str, folder: Path, chromium: Any) -> None:
    tab = Tab(chromium, base)
    page, slug = tab.page, source_slug(folder / "rollouts.jsonl")
    page.goto(f"{base}/s/{slug}?view=rollouts")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/rollout/2?turn=1")
    page.keyboard.press("j")
    page.wait_for_url("**/rollout/2?turn=2")
    assert page.inner_text("article h2").startswith("Turn 2 of 2")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**/rollout/2?turn=1")
    page.keyboard.press("n")
    page.wait_for_url("**/rollout/3?turn=1")
    page.keyboard.press("u")
    page.wait_for_url("**/task/9f")
    page.keyboard.press("u")
    page.wait_for_url(f"**/s/{slug}")
    page.keyboard.press("/")
    page.keyboard.type("garden")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=garden**")
    page.keyboard.press("?")
    assert page.is_visible("dialog")
    page.keyboard.press("Escape")
    assert not page.is_visible("dialog")
    assert not tab.wrong


@pytest.mark.parametrize("question", TASKS)
def test_clicks_to_an_answer(base: str, folder: Path, chromium: Any, question: str) -> None:
    home = folder / "serl"
    if not home.exists():
        home.mkdir()
        make_run(home)
    tab = Tab(chromium, base)
    reader = BrowserReader(tab.page, f"{base}/s/{source_slug(home)}")
    TASKS[question](reader)
    assert reader.clicks == clicks_of_the_page()[question]
    assert not tab.wrong


def test_the_live_page_shows_rollouts_as_they_are_written(base: str, folder: Path, chromium: Any) -> None:
    tab = Tab(chromium, base)
    file = folder / "growing.jsonl"
    write_jsonl(file, [won()])
    tab.page.goto(f"{base}/s/{source_slug(file)}?view=rollouts")
    assert "1 rollouts of" in tab.page.inner_text("main")
    tab.page.wait_for_timeout(1500)
    write_jsonl(file, [lost()], append=True)
    tab.page.wait_for_selector("text=2 rollouts of", timeout=15_000)
    assert not tab.wrong
    file.unlink()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_phone_width_and_contrast(base: str, folder: Path, chromium: Any, dark: bool) -> None:
    tab = Tab(chromium, base, color_scheme="dark" if dark else "light")
    slug, run = source_slug(folder / "rollouts.jsonl"), source_slug(folder / "run")
    for size in (_PHONE, _DESK):
        tab.page.set_viewport_size(size)
        for address in (
            "/?all=1", f"/s/{slug}", f"/s/{slug}/task/9f", f"/s/{slug}/rollout/4?turn=2", f"/s/{run}/rollout/1?turn=2",
            f"/difference?a={slug}:1&b={slug}:2", f"/compare?a={slug}&b={run}",
        ):  # fmt: skip
            tab.page.goto(base + address)
            assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
            low = tab.page.evaluate(_CONTRAST)
            assert not low, (address, low)
            unnamed = tab.page.evaluate(
                "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select')].filter(e => "
                "!(e.textContent.trim() || e.getAttribute('aria-label') || (e.labels && e.labels.length))).length"
            )
            assert not unnamed, address
    assert not tab.wrong


#: Texts whose colour is too close to that of the ground behind them (WCAG AA for normal text: 4.5).
_CONTRAST = """() => {
  const parts = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const linear = (v) => v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(linear)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parts(getComputedStyle(e).backgroundColor);
      if (c.length === 3) return c;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const e of document.querySelectorAll("p, li, dt, dd, a, th, td, h1, h2, h3, summary, code, .chip, label")) {
    if (!e.textContent.trim() || e.closest("svg") || e.offsetParent === null || e.closest(".off, del")) continue;
    const [a, b] = [light(parts(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(e.className + ": " + e.textContent.slice(0, 30));
  }
  return low.slice(0, 5);
}"""


def test_the_exported_file_works_alone(folder: Path, tmp_path: Path, chromium: Any) -> None:
    out = tmp_path / "page.html"
    sources = Sources([folder / "rollouts.jsonl", folder / "run"])
    sources.refresh()
    export_page(sources, out)
    for scripts in (True, False):
        tab = Tab(chromium, "file:", java_script_enabled=scripts)
        tab.page.goto(out.as_uri())
        assert tab.page.is_visible("#home h1")
        tab.page.locator("#home .list").nth(1).locator("tbody th a").first.click()
        assert tab.page.is_visible("#task-1 h1")
        assert not tab.page.is_visible("#home h1")
        tab.page.locator("#task-1 .list tbody th a").nth(1).click()
        assert tab.page.is_visible("#rollout-2 h1")
        assert not tab.wrong
