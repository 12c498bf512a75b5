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
from agentgym_hindsight.baselines.report.layout import card, grid
from agentgym_hindsight.baselines.report.metric_list import HEADINGS
from agentgym_hindsight.baselines.report.rollouts import colour_key, colour_scale
from agentgym_hindsight.baselines.report.runs import read_run
from agentgym_hindsight.baselines.report.viewer_links import rollout_path
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.markup import Html
from tests.baselines.report.faked import HOSTILE, fake_run, measured, write_lines


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


def test_charts_stand_under_headings(page: str) -> None:
    for view in page.split('class="view"')[1:]:
        headings = re.findall(r"<h4>([^<]+)</h4>", view.split('<section id="categories"')[0])
        assert headings[:5] == list(HEADINGS[:5])
        groups = dict(zip(headings, view.split("<h4>")[1:], strict=False))
        for heading, titles in {
            "Reward and success": ("Success in evaluation: greedy", "Return", "Score in training"),
            "Episodes and replies": ("Invalid actions", "Tokens per response"),
            "Loss and gradients": ("Gradient norm", "Entropy"),
            "Teacher and credit": ("λ", "Gap, absolute", "Weights at a bound"),
            "Time and memory": ("Seconds of rollouts", "Memory"),
        }.items():
            for title in titles:
                assert f"<b>{title}" in groups[heading]


def test_a_metric_of_a_method_of_ones_own_is_shown(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=1)
    name = "my metric <b>\x1b[31m"
    rows = [{"update": k, name: k / 2, "note": "text", "list": [1], "flag": True} for k in range(3)]
    write_lines(folder / "metrics.jsonl", rows)
    report = write_report([folder], tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<h4>Other metrics</h4>" in page
    assert "<b>my metric &lt;b&gt;\\x1b[31m</b>" in page
    assert "<b>note</b>" not in page
    assert not report.problems


@pytest.mark.parametrize(("count", "halves"), [(1, 0), (2, 0), (3, 0), (4, 4), (5, 0), (7, 4), (10, 4)])
def test_no_row_of_charts_ends_with_a_single_one(count: int, halves: int) -> None:
    html = grid([card("title", "note"), Html("")] * count)
    assert (html.count("<figure"), html.count('class="half"')) == (count, halves)
    assert grid([Html("")]) == ""


def test_the_legends_name_their_scale(page: str) -> None:
    legends = re.findall(r'<ul class="legend">(.*?)</ul>', page)
    assert len(legends) == 4
    assert all('class="soft scale">' in legend for legend in legends)
    assert "Not smoothed. Each chart has its own linear y axis" in legends[0]
    assert "Linear from 0% to 100%." in legends[1]
    assert "Heights are logarithmic, from 0.01% to 100%" in page


def test_the_colours_of_tokens_have_one_scale(page: str) -> None:
    key = re.search(r'<p class="soft key">(.*?)</p>', page)
    assert key is not None
    assert re.findall(r">([^<>]+)</span>", key[1]) == ["0.6 or less", "0.84", "1", "1.16", "1.4 or more"]
    assert "on a linear scale, the same in all rollouts" in key[1]
    samples = [{"steps": [{"weights": [1.0] * 50 + [1.1] * 30 + [9.0]}]}]
    assert colour_scale(samples) == pytest.approx(0.1)
    assert "All weights are 1" in colour_key(colour_scale([{"steps": [{"weights": [1.0]}, {}]}]))


def test_wide_tables_say_that_they_scroll(page: str) -> None:
    sheet = page.partition("<style>")[2].partition("</style>")[0]
    assert page.count('<p class="soft swipe">Scroll the table sideways') == page.count('class="wide"') == 2
    assert re.search(r"@media \(max-width: 62rem\) \{ \.swipe \{ display: block; \} \}", sheet)
    assert sheet.count("local") == 2, "the covers of the shadows move with the table"
    assert sheet.count("no-repeat scroll") == 2, "the shadows do not"


def test_rows_without_results_say_why(tmp_path: Path) -> None:
    fake_run(tmp_path / "runs" / "grpo", "grpo", updates=20)
    bare = fake_run(tmp_path / "runs" / "bare", "bare", updates=2)
    (bare / "eval.jsonl").unlink()
    write_lines(bare / "metrics.jsonl", [{"update": k, "success": 0.25} for k in range(3)])
    end = fake_run(tmp_path / "runs" / "end", "end", updates=20, model="other")
    write_lines(end / "eval.jsonl", [measured(20, 10, 0.5)])
    write_report([tmp_path / "runs"], tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    table = page.partition('id="results"')[2].partition("</table>")[0]
    assert "No evaluation recorded in eval.jsonl; success in training, last five updates: 25.0%" in table
    assert table.index("not evaluated</th>") > table.index("greedy · valid_unseen</th>")
    assert '<td class="soft">not evaluated before</td>' in table
    assert '<td class="soft">needs both</td>' in table
    times = page.partition('id="time"')[2].partition("</table>")[0]
    assert ">no times recorded</td>" in times
    for text in ("1×", "no GRPO run", "no teacher"):
        assert f"<td>{text}</td>" in times


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
    assert "\\ud83d" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_analyses_of_rollouts_are_shown_as_text(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=1)
    hint = {"kind": "hint", "text": HOSTILE, "analyser": "teacher"}
    step = {"tokens": ["look"], "weights": [1.0], "gaps": [0.0], "analyses": [hint, 3, {"kind": "hint"}]}
    sample = {"update": 0, "won": True, "goal": "a", "steps": [step], "analyses": [{**hint, "kind": "skill"}]}
    write_lines(folder / "samples.jsonl", [sample, {**sample, "won": False, "analyses": "broken"}])
    write_report([folder], tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page.count("hint by teacher") == 2
    assert page.count("skill by teacher") == 1
    assert HOSTILE not in page


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


def test_rollouts_name_the_viewer_and_their_permanent_link(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "my run", updates=2)
    write_report([folder], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"<code>agh view &#x27;{folder}&#x27;</code>" in page
    number = {(s["update"], s["won"]): s["line"] for s in read_run(folder).samples}
    assert len(number) == 4
    for line in number.values():
        assert f"<code>{rollout_path(folder, line)}</code>" in page.replace("&amp;", "&")


def test_of_many_recorded_rollouts_two_an_update_are_kept(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=2)
    file = folder / "samples.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines()
    wide = [json.dumps({**json.loads(line), "steps": [{"prompt": "p", "prompt_ids": [1] * 100}]}) for line in lines]
    write_lines(file, [json.loads(line) for line in wide * 50])
    samples = read_run(folder).samples
    assert [(s["update"], s["won"], s["line"]) for s in samples] == [
        (0, True, 1),
        (0, False, 2),
        (1, True, 3),
        (1, False, 4),
    ]
    assert samples[0]["steps"] == [{"prompt": "p"}]
    assert not read_run(folder, samples=False).samples
