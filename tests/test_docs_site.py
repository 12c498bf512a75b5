"""The documentation site: it builds without a warning, has every page, and loads nothing from other hosts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if not page.name.endswith(".notes.md"))

pytestmark = pytest.mark.skipif(
    find_spec("mkdocs") is None or find_spec("material") is None,
    reason="MkDocs Material is not installed; pip install '.[docs]'",
)

#: Attributes that make a browser load something when it opens a page.
_LOADED = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("img", "srcset"),
    ("source", "src"),
    ("source", "srcset"),
    ("iframe", "src"),
    ("embed", "src"),
    ("object", "data"),
    ("video", "src"),
    ("audio", "src"),
}
_CSS_LOADED = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")


class _Page(HTMLParser):
    """What a built page loads, where it links to, and the text of its paragraphs."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.paragraphs: list[str] = []
        self._open: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.add(tag)
        if tag == "p":
            self.paragraphs.append("")
        for name, value in attrs:
            if (tag, name) in _LOADED:
                self.loaded.append(value or "")
            elif (tag, name) == ("a", "href"):
                self.links.append(value or "")
            elif name == "style":
                self.loaded += _css(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._open.discard(tag)

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.loaded += _css(data)
        elif "p" in self._open:
            self.paragraphs[-1] += data


def _css(text: str) -> list[str]:
    """The addresses that a style sheet loads."""
    return [first or second for first, second in _CSS_LOADED.findall(text)]


def _on_another_host(address: str) -> bool:
    return bool(urlsplit(address).netloc)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site; a warning fails the build (with ``--quiet`` it would not)."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def built(site: Path) -> dict[str, _Page]:
    """The built pages, by their path in the site; the error page of a web server is not one."""
    pages = {path.relative_to(site).as_posix(): _Page(path) for path in site.rglob("*.html")}
    del pages["404.html"]
    return pages


def _navigation(entries: Any) -> list[str]:
    """The pages of a navigation, in order."""
    if isinstance(entries, str):
        return [entries]
    children = entries.values() if isinstance(entries, dict) else entries
    return [page for child in children for page in _navigation(child)]


def test_the_navigation_names_every_page_once() -> None:
    from mkdocs.config import load_config

    assert sorted(_navigation(load_config(str(ROOT / "mkdocs.yml")).nav)) == PAGES


@pytest.mark.slow
def test_every_page_is_built_and_nothing_else(site: Path, built: dict[str, _Page]) -> None:
    assert sorted(built) == [page.removesuffix(".md") + ".html" for page in PAGES]
    assert not [path for path in site.rglob("*") if path.suffix in (".py", ".md")]


def test_every_page_is_reachable_from_the_first_one(built: dict[str, _Page]) -> None:
    assert built.keys() <= {urlsplit(link).path for link in built["index.html"].links}


def test_the_search_index_holds_every_page(site: Path) -> None:
    text = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    entries = json.loads(text)["docs"]
    assert {urlsplit(entry["location"]).path for entry in entries} == {
        page.removesuffix(".md") + ".html" for page in PAGES
    }
    found = {urlsplit(entry["location"]).path for entry in entries if "ALFWorld-Hindsight-v0" in entry["title"]}
    assert found == {"envs/alfworld.html"}
    # The copy that a browser can read from the disk.
    assert (site / "search" / "search_index.js").read_text(encoding="utf-8") == f"var __index = {text}"


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    for path in sorted(site.rglob("*.html")):
        assert not [address for address in _Page(path).loaded if _on_another_host(address)], path
    for path in sorted(site.rglob("*.css")):
        assert not [address for address in _css(path.read_text(encoding="utf-8")) if _on_another_host(address)], path


def test_no_page_has_a_diagram_that_material_would_load_a_script_for(site: Path) -> None:
    for path in sorted(site.rglob("*.html")):
        assert 'class="mermaid"' not in path.read_text(encoding="utf-8"), path


def test_links_and_loaded_files_exist_on_the_disk(site: Path, built: dict[str, _Page]) -> None:
    for name, page in built.items():
        for address in [*page.links, *page.loaded]:
            parts = urlsplit(address)
            if parts.path and not parts.scheme and not parts.netloc:
                assert (site / name).parent.joinpath(unquote(parts.path)).is_file(), f"{name}: {address}"


def test_no_list_or_table_is_shown_as_a_paragraph(built: dict[str, _Page]) -> None:
    """Python-Markdown wants an empty line before a list, and four blanks before what belongs to an item."""
    for name, page in built.items():
        for text in page.paragraphs:
            assert not re.search(r"^\s*([*-] |\d+\. |\| |```)", text, re.MULTILINE), f"{name}: {text}"


def test_code_in_tables_shows_no_backslash_before_a_bar(site: Path) -> None:
    for path in sorted(site.rglob("*.html")):
        for code in re.findall(r"<td>.*?</td>", path.read_text(encoding="utf-8"), re.DOTALL):
            assert "\\|" not in code, f"{path}: {code}"
