"""The clicks that ``docs/viewer.md`` states, followed link by link. ``test_browser.py`` does the same in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgym_hindsight.baselines.report.viewer_links import source_slug
from agentgym_hindsight.viewer.app import create_app
from agentgym_hindsight.viewer.sources import Sources
from tests.viewer.clicks import HtmlReader
from tests.viewer.five_tasks import TASKS, clicks_of_the_page, make_run


def test_the_page_lists_every_task() -> None:
    assert set(clicks_of_the_page()) == set(TASKS)


@pytest.mark.parametrize("question", TASKS)
def test_clicks(question: str, tmp_path: Path) -> None:
    sources = Sources([make_run(tmp_path)])
    reader = HtmlReader(create_app(sources).test_client(), f"/s/{source_slug(tmp_path)}")
    TASKS[question](reader)
    assert reader.clicks == clicks_of_the_page()[question]
