"""The page: self-contained, complete, and safe against text of agents."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agentgym_hindsight.baselines.report import write_report
from agentgym_hindsight.errors import UsageError
from tests.baselines.report.faked import HOSTILE, fake_run, write_lines


class Structure(HTMLParser):
    """Collects elements, ids and addresses that would be loaded; checks that all elements are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"a handler in <{tag}>"
            if name in {"src", "href", "action"}:
                self.loads.append(str(value))
            if name == "id":
                self.ids.append(str(value))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page") / "new" / "report.html"
    report = write_report([runs], out, title=f"Mine {HOSTILE}")
    assert len(report.lines) == 3
    return out.read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_loads_nothing(page: str) -> None:
    structure = Structure()
    structure.feed(page)
    assert structure.open == []
    assert structure.loads == []
    assert structure.seen.count("script") == 1
    assert "img" not in structure.seen
    assert not re.search(r"@import|url\(|https?://", page)
    assert len(structure.ids) == len(set(structure.ids))
    assert page.startswith("<!doctype html>")


def test_text_of_agents_is_escaped(page: str) -> None:
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&#x27;owned&#x27;)" in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_every_section_is_there(page: str) -> None:
    structure = Structure()
    structure.feed(page)
    for name in ("results", "curves", "categories", "weights", "time", "rollouts", "provenance"):
        assert name in structure.ids
    for text in ("λ", "Entropy", "Gradient norm", "Over env turns", "Over updates", "successful_trajectory", "× GRPO"):
        assert text in page
    assert "not the benchmark&#x27;s games" in page
    assert 'class="w ' in page
    assert "agh train serl --seed 0" in page


def test_the_page_does_not_depend_on_the_order_of_the_runs(runs: Path, tmp_path: Path) -> None:
    write_report([runs], tmp_path / "a.html")
    write_report([runs / "wide", *sorted(runs.glob("serl-*")), runs / "deeper"], tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_metrics_of_wrong_types_do_not_stop_the_page(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=2)
    odd = [
        {"update": 0},
        {"update": 1, "weights": {"edges": [1, 0], "counts": [1]}, "gap_by_source": {"a": 3, "b": {"mean": "x"}}},
        {"update": 2, "weights": [1], "gap_by_source": [], "loss": "x", "turns": None},
        {"update": 3, "weights": {"edges": [0, 1], "counts": [0]}, "gap_by_source": {"c": {"mean": 1.0}}},
    ]
    write_lines(folder / "metrics.jsonl", odd)
    write_lines(folder / "samples.jsonl", [{"update": 0, "steps": []}, {"update": 1, "steps": [{"tokens": 3}]}])
    about = json.loads((folder / "run.json").read_text())
    about |= {"model": "plain", "versions": None, "settings": [], "command": None}
    (folder / "run.json").write_text(json.dumps(about))
    report = write_report([folder], tmp_path / "r.html")
    assert report.lines[0].name == "serl"
    Structure().feed((tmp_path / "r.html").read_text(encoding="utf-8"))


def test_lone_surrogates_do_not_stop_the_page(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=1)
    step = '{"tokens": ["\\ud83d"], "weights": [1.5], "gaps": [1], "prompt": "\\udc00"}'
    (folder / "samples.jsonl").write_text(f'{{"update": 0, "won": true, "goal": "\\ud800", "steps": [{step}]}}\n')
    write_report([folder], tmp_path / "r.html")
    assert "\ufffd" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_page_lists_what_was_skipped(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=1)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"update": 1, "lo')
    report = write_report([folder], tmp_path / "r.html")
    assert len(report.problems) == 1
    assert "1 item could not be read" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_duplicate_seeds_and_different_panels_are_noted(tmp_path: Path) -> None:
    fake_run(tmp_path / "a", updates=1, backend="genuine/official")
    other = fake_run(tmp_path / "b", updates=1, backend="genuine/official")
    text = (other / "eval.jsonl").read_text().replace("a1b2c3", "ffffff")
    (other / "eval.jsonl").write_text(text)
    notes = " ".join(write_report([tmp_path], tmp_path / "r.html").notes)
    assert "has seed 0 more than once" in notes
    assert "2 different panels" in notes
    assert "embedded" not in notes


def test_wrong_arguments_are_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one run folder"):
        write_report([], tmp_path / "r.html")
    with pytest.raises(UsageError, match="try --out"):
        write_report([runs], tmp_path)


def test_the_report_imports_no_training_library() -> None:
    code = "import sys, agentgym_hindsight.baselines.report; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(loaded) & {"torch", "transformers", "trl", "matplotlib", "scipy"}
