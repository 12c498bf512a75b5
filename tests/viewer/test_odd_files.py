"""Files that no program of ours wrote: odd values give a page with a reason, never an error of the server."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.baselines.report.viewer_links import source_slug
from agentgym_hindsight.viewer.app import create_app
from agentgym_hindsight.viewer.export import export_page
from agentgym_hindsight.viewer.sources import Sources
from tests.viewer.rollout_files import lost, sample, won

NESTED = json.loads("[" * 400 + "]" * 400)


def changed(place: tuple[str | int, ...], value: object) -> dict[str, Any]:
    document = sample(lost(), text="go")
    holder: Any = document
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return document


def links_of(page: str) -> set[str]:
    return {unescape(address) for address in re.findall(r'href="(/[^"]*)"', page)}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((("update",), value) for value in (10**30, 2**53, -5)),
        *((("task_id",), value) for value in ("\ud800", "a\x00b", "..", ".", "/a", "a//b", "", "x" * 3000, "?#&=%")),
        (("steps", 0, "index"), 10**30),
        (("steps", 0, "reward"), 1e308),
        (("steps", 0, "tokens"), NESTED),
        (("steps", 0, "anchor"), "\ud800"),
        (("steps",), []),
        (("origin",), {"task_id": "x"}),
        (("goal",), 5),
    ],
)
def test_every_page_and_every_link_to_a_task_works(place: tuple[str | int, ...], value: object, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    odd = json.dumps(changed(place, value))
    file.write_text(f"{json.dumps(sample(won()))}\n{odd}\n{odd}\n")
    sources, slug = Sources([file]), source_slug(file)
    client = create_app(sources).test_client()
    for address in (
        f"/s/{slug}", f"/s/{slug}?view=rollouts&q=go", f"/s/{slug}/rollout/2", f"/s/{slug}/rollout/3?turn=2&tokens=raw",
        f"/difference?a={slug}:1&b={slug}:2", f"/compare?a={slug}&b={slug}",
    ):  # fmt: skip
        answer = client.get(address)
        assert answer.status_code == 200, address
        for link in links_of(answer.text):
            if "/task" in link:
                assert client.get(link).status_code == 200, link
    assert export_page(sources, tmp_path / "page.html").rollouts == 3


def test_siblings_are_found_whatever_their_task_is_called(tmp_path: Path) -> None:
    """Ids that the index stores in a shorter form stay different."""
    file, slug = tmp_path / "a.jsonl", source_slug(tmp_path / "a.jsonl")
    ids = ["x" * 3000, "x" * 3000, "x" * 3001, "\ud800", "\ud801"]
    file.write_text("".join(json.dumps(sample(won(task=task, sibling=n))) + "\n" for n, task in enumerate(ids)))
    client = create_app(Sources([file])).test_client()
    assert "5 rollouts of 4 tasks" in client.get(f"/s/{slug}").text
    assert 'aria-label="Siblings"' in client.get(f"/s/{slug}/rollout/1").text
    assert 'aria-label="Siblings"' not in client.get(f"/s/{slug}/rollout/3").text


@pytest.mark.parametrize("tokens", [5, True, {"a": 1}, [[["x"]], 3, None], NESTED])
def test_odd_tokens_of_a_turn_without_words(tokens: object, tmp_path: Path) -> None:
    file, document = tmp_path / "a.jsonl", changed(("steps", 0, "tokens"), tokens)
    document["steps"][0] |= {"action": "", "response": ""}
    file.write_text(f"{json.dumps(document)}\n{json.dumps(sample(won()))}\n")
    client = create_app(Sources([file])).test_client()
    assert "2 rollouts of 1 tasks" in client.get(f"/s/{source_slug(file)}").text
    assert client.get(f"/s/{source_slug(file)}/rollout/1").status_code == 200


def test_a_file_that_was_deleted_gives_a_page(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(sample(won())) + "\n")
    slug = source_slug(file)
    client = create_app(Sources([tmp_path])).test_client()
    assert client.get(f"/s/{slug}").status_code == 200
    file.unlink()
    assert client.get(f"/s/{slug}").status_code == 200
    assert client.get("/?all=1").status_code == 200
    answer = client.get(f"/s/{slug}/rollout/1")
    assert answer.status_code == 404
    assert "no longer" in answer.text
    assert client.get(f"/s/{slug}/task/9f").status_code == 404
