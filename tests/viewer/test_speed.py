"""Pages over a file of 100,000 turns. Processor time is measured, because the machine may be busy."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from agentgym_hindsight.baselines.report.viewer_links import source_slug
from agentgym_hindsight.hindsight.codec import dump_trajectory
from agentgym_hindsight.viewer.app import create_app
from agentgym_hindsight.viewer.sources import Sources
from tests.viewer.rollout_files import lost, won

pytestmark = pytest.mark.slow

_TURNS, _PER_ROLLOUT = 100_000, 13


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "many.jsonl"
    patterns = [json.loads(dump_trajectory(make(number))) for number, make in enumerate((won, lost, won, lost))]
    for pattern in patterns:
        steps = [pattern["steps"][number % 2] for number in range(_PER_ROLLOUT)]
        pattern["steps"] = [{**step, "index": place, "prompt": "p" * 1500} for place, step in enumerate(steps)]
    with path.open("w") as opened:
        for number in range(_TURNS // _PER_ROLLOUT + 1):
            opened.write(json.dumps({**patterns[number % 4], "task_id": f"t{number // 4}"}) + "\n")
    return path


def test_pages_over_100_000_turns(file: Path) -> None:
    started = time.process_time()
    sources = Sources([file])
    client = create_app(sources).test_client()
    slug = source_slug(file)
    assert client.get(f"/s/{slug}").status_code == 200
    assert time.process_time() - started < 1.0  # the first page does not wait for the index
    sources.refresh()
    assert time.process_time() - started < 20.0
    addresses = (
        f"/s/{slug}", f"/s/{slug}?view=rollouts&page=100", f"/s/{slug}?outcome=won&sort=turns", f"/s/{slug}?q=garden",
        f"/s/{slug}?q=nowhere", f"/s/{slug}?source=success", f"/s/{slug}/rollout/7000?turn=3", f"/s/{slug}/task/t1700",
    )  # fmt: skip
    for address in addresses:
        client.get(address)  # templates and methods are imported at the first use
        started = time.process_time()
        answer = client.get(address)
        seconds = time.process_time() - started
        assert answer.status_code == 200
        assert seconds < 0.5, f"{address}: {seconds:.2f} s"  # measured: at most 0.09 s
