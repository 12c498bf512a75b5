"""The Python code of the documentation is executed, and its links are followed.

Every block of README.md runs on its own, so that each can be copied alone. The blocks of a page under docs/ run in
order in one namespace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted([README, *(ROOT / "docs").rglob("*.md")])
#: Pages whose code is executed. docs/generate.py copies the ``*.notes.md`` fragments into the env pages, where their
#: code runs; tests/test_docs_generated.py compares both.
EXECUTED = [page for page in PAGES if page != README and not page.name.endswith(".notes.md")]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
#: A Python block of the README and the output below it, if the README shows one.
_WITH_OUTPUT = re.compile(r"^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def _blocks(page: Path) -> list[tuple[int, str]]:
    """The line before each Python block of a page, and the block."""
    text = page.read_text(encoding="utf-8")
    return [(text[: match.start()].count("\n") + 1, match.group(1)) for match in _BLOCK.finditer(text)]


def _run(page: Path, line: int, block: str, names: dict[str, Any]) -> None:
    """Execute a block so that a traceback shows the line of the page; skip where an extra is missing."""
    try:
        exec(compile("\n" * line + block, str(page), "exec"), names)
    except ImportError as error:
        if find_spec("torch") is None:
            pytest.skip(f"needs the extra [train]: {error}")
        raise


@pytest.fixture(scope="module", autouse=True)
def _one_torch_thread() -> Iterator[None]:
    """Run the tiny models of the pages on one thread: with more, threads that wait take most of the time."""
    if find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _empty_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder without official data: the pages describe the embedded default."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    monkeypatch.delenv("WEBSHOP_DATA", raising=False)


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_of_a_page_runs_in_one_namespace(page: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for line, block in _blocks(page):
        _run(page, line, block, names)


@pytest.mark.parametrize("number", range(len(_blocks(README))))
def test_each_block_of_the_readme_runs_alone_and_prints_what_is_shown(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    line, block = _blocks(README)[number]
    _run(README, line, block, {"__name__": "__main__"})
    shown = _WITH_OUTPUT.findall(README.read_text(encoding="utf-8"))[number][1]
    printed = [each.rstrip() for each in capsys.readouterr().out.splitlines()]
    assert printed == shown.splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page}: {target} does not exist"


def test_no_page_contains_a_path_of_one_machine() -> None:
    for page in PAGES:
        assert not re.search(r"/(home|root|Users|work)/", page.read_text(encoding="utf-8")), page
