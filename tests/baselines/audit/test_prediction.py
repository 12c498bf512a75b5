"""The figure that compares agreement with the truth and gain in training, with made-up data; charts as files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from agentgym_hindsight.baselines.audit.forest import Line, forest_plot
from agentgym_hindsight.baselines.audit.prediction import TrainedMethod, predict, read_trained
from agentgym_hindsight.baselines.audit.scatter import ScatterPoint, scatter_plot
from agentgym_hindsight.baselines.audit.several import NamedAudit, charts_of
from agentgym_hindsight.baselines.audit.summary import Figure, summarise
from agentgym_hindsight.baselines.audit.svg_file import is_svg_of_audit, svg_file, write_charts
from agentgym_hindsight.baselines.audit.turn_table import SAYS, TurnTable
from agentgym_hindsight.cli import main
from agentgym_hindsight.errors import DamagedDataError, UsageError

QUALITY = {"grpo": 0.2, "gigpo@observation": 0.5, "crbc@observation": 0.8, "crbc@state": 0.95, "serl": 0.25}


def made_up(tasks: int = 12, turns: int = 10, seed: int = 0) -> TurnTable:
    """Turns whose columns agree with the truth as ``QUALITY`` says."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for task in range(tasks):
        for member in range(2):
            for step in range(turns):
                value = float(rng.normal()) / 3
                row: dict[str, Any] = {
                    "task": f"t{task}", "category": "", "goal": "g", "seen": "s", "action": "a", "feedback": "f",
                    "won": member == 0, "valid": True, "member": member, "step": step, "turns": turns,
                    "reward": 0.0, "total_reward": 1.0 - member, "executed": step % 3,
                    **{kind + end: step for kind in ("state", "observation", "augmented") for end in ("", "_after")},
                    "advantage": value, "low": value - 0.2, "high": value + 0.2, "q": 0.5, "v": 0.5, "pairs": 20,
                    "first": value + float(rng.normal()) / 9, "second": value + float(rng.normal()) / 9,
                }  # fmt: skip
                for name, quality in QUALITY.items():
                    row[SAYS + name] = quality * 3 * value + (1 - quality) * float(rng.normal())
                rows.append(row)
    return TurnTable(tuple(rows))


def make_run(runs: Path, name: str, recipe: str, seed: int, before: int, after: int, **method: str) -> Path:
    folder = runs / f"{name}-seed{seed}"
    (folder / "policy").mkdir(parents=True)
    document = {"schema": "agentgym-hindsight/run", "version": 1, "recipe": recipe, "env": "e", "backend": "b"}
    settings = {"method": {"anchor": "observation", **method}}
    (folder / "run.json").write_text(json.dumps({**document, "seed": seed, "settings": settings}))
    lines = []
    for update, won in ((0, before), (20, after)):
        for label, count in (("greedy", won), ("T=0.4", won + 1)):
            whole = {"name": "all", "rollouts": 100, "won": count, "score": 0.0, "turns": 8.0, "invalid": 0.0}
            evaluation = {"micro": {**whole, "broken": 0}, "macro": 0.0, "categories": []}
            lines.append({"update": update, "turns": 1, "label": label, "evaluation": evaluation})
    (folder / "eval.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    gains = {"grpo": 5, "gigpo": 12, "crbc": 20, "serl": 6}
    for name, gain in gains.items():
        for seed in range(3):
            make_run(tmp_path / "runs", name, name, seed, 10 + seed, 10 + seed + gain + seed)
    for seed in range(3):
        make_run(tmp_path / "runs", "crbc_anchor=state", "crbc", seed, 10, 35 + seed, anchor="state")
        make_run(tmp_path / "runs", "serl_what=next", "serl", seed, 10, 90, what="next")
    (make_run(tmp_path / "runs", "rloo", "rloo", 0, 1, 2) / "policy").rmdir()  # not finished
    return tmp_path / "runs"


def test_runs_are_paired_with_their_columns(runs: Path) -> None:
    trained, decoding = read_trained(runs, list(QUALITY))
    assert decoding == "greedy"
    found = {each.name: each for each in trained}
    assert {name: each.column for name, each in found.items()} == {
        "crbc": "crbc@observation",
        "crbc_anchor=state": "crbc@state",
        "gigpo": "gigpo@observation",
        "grpo": "grpo",
        "serl": "serl",
        "serl_what=next": "",  # another method than the column "serl"
    }
    assert found["gigpo"].gains == pytest.approx({0: 0.12, 1: 0.13, 2: 0.14})
    assert read_trained(runs, list(QUALITY), "t=0.4")[1] == "T=0.4"
    with pytest.raises(UsageError, match="decoding"):
        read_trained(runs, list(QUALITY), "T=9")
    with pytest.raises(UsageError, match="agh compare"):
        read_trained(runs / "grpo-seed0", list(QUALITY))


@pytest.mark.parametrize("line", ['{"update": 0}', "[1]", '{"label": "greedy", "update": null}'])
def test_damaged_evaluations_are_named(runs: Path, line: str) -> None:
    with (runs / "grpo-seed1" / "eval.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DamagedDataError, match=r"grpo-seed1.eval\.jsonl.*try moving this run"):
        read_trained(runs, list(QUALITY))


@pytest.mark.slow
def test_charts_whose_names_lose_letters_do_not_replace_each_other() -> None:
    table = made_up(tasks=3)
    names = ("x-", "x--2", "x\N{LATIN SMALL LETTER E WITH ACUTE}")
    audits = [NamedAudit(name, summarise(table), {}) for name in names]
    assert len(charts_of(audits)) == 3


def test_the_rank_correlation_of_agreement_and_gain(runs: Path) -> None:
    trained, decoding = read_trained(runs, list(QUALITY))
    table = made_up()
    found = predict(table, trained, decoding, samples=100)
    assert [each.name for each in found.points][:3] == ["crbc_anchor=state", "crbc", "gigpo"]
    assert found.left_out == ("serl_what=next",)
    expected = {each.name: each.spearman for each in summarise(table, samples=100).scores}
    for point in found.points:
        assert point.agreement.value == pytest.approx(expected[point.column].value)
        assert point.agreement.low < point.agreement.value < point.agreement.high
        assert point.gain.low < point.gain.value < point.gain.high
        assert point.seeds == 3
    assert found.correlation.value == pytest.approx(1.0)
    assert 0.5 < found.correlation.low <= found.correlation.high <= 1.0
    # The other way round: what agrees best gains least.
    turned = [TrainedMethod(each.name, each.column, {s: -g for s, g in each.gains.items()}) for each in trained]
    assert predict(table, turned, samples=50).correlation.value == pytest.approx(-1.0)


def test_few_methods_and_seeds_have_no_interval() -> None:
    table = made_up(3)
    one = [TrainedMethod("grpo", "grpo", {0: 0.1}), TrainedMethod("serl", "serl", {0: 0.2})]
    found = predict(table, one, samples=20)
    assert np.isnan(found.correlation.value)
    assert np.isnan(found.points[0].gain.low)
    assert json.dumps(found.as_dict(), allow_nan=False)
    with pytest.raises(UsageError, match="columns of the audit"):
        predict(table, [TrainedMethod("rloo", "", {0: 0.1})])


def test_the_command(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_up().save(tmp_path / "turns.jsonl")
    words = ["audit", "predict", str(tmp_path / "turns.jsonl"), "--runs", str(runs)]
    out = ["--images", str(tmp_path / "images"), "--markdown", str(tmp_path / "predicts.md")]
    assert main([*words, *out]) == 0
    printed = capsys.readouterr().out
    assert "Rank correlation of agreement and gain over 5 methods: 1.00" in " ".join(printed.split())
    text = (tmp_path / "predicts.md").read_text()
    assert "| crbc_anchor=state | crbc@state | 3 |" in text
    assert "![Does the audit predict training?](audit-predicts-training.svg)" in text
    chart = tmp_path / "images" / "audit-predicts-training.svg"
    assert is_svg_of_audit(chart)
    assert {"crbc", "grpo", "gigpo"} <= {element.text for element in ElementTree.parse(chart).iter() if element.text}
    assert main([*words, *out, "--json"]) == 0, "its own files are written again"
    assert json.loads(capsys.readouterr().out)["correlation"]["value"] == pytest.approx(1.0)
    chart.write_text("<svg>mine</svg>")
    assert main([*words, *out]) == 2
    assert chart.read_text() == "<svg>mine</svg>"
    assert main(words[:3]) == 2
    assert "--runs" in capsys.readouterr().err


@pytest.mark.slow
def test_a_page_of_several_audits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "warm").mkdir()
    made_up(4, seed=1).save(tmp_path / "warm" / "turns.jsonl")
    made_up(4, seed=2).save(tmp_path / "later.jsonl")
    words = ["audit", "page", str(tmp_path / "warm" / "turns.jsonl"), f"After <b>={tmp_path / 'later.jsonl'}"]
    out = ["--images", str(tmp_path), "--markdown", str(tmp_path / "p.md"), "--out", str(tmp_path / "p.html")]
    assert main([*words, *out]) == 0
    page, text = (tmp_path / "p.html").read_text(), (tmp_path / "p.md").read_text()
    assert "<b>" not in re.sub(r"<b>[^<]*</b>", "", page)
    assert "warm: Spearman" in page
    assert "After &lt;b&gt;: Spearman" in page
    assert re.search(r"\| crbc@state \| \d\.\d\d \[0\.\d\d, ", text)
    assert "By group size: warm" in text
    assert (tmp_path / "forest-warm.svg").exists()
    assert (tmp_path / "forest-After--b-.svg").exists()
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"warm", "After <b>"}
    assert main([*words, words[2]]) == 2
    assert "different name" in capsys.readouterr().err


def test_charts_are_whole_files_in_light_and_dark(tmp_path: Path) -> None:
    name = "a<script>&\x1b[31m"
    chart = forest_plot("Spearman", [Line(name, 0.5, 0.4, 0.6, 2), Line("none", float("nan"), 0, 0)])
    (file,) = write_charts(tmp_path / "new", {"forest": chart, "empty": forest_plot("x", [])})
    text = file.read_text()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "<script>" not in text
    assert "\x1b" not in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"(href|src|url\()", text), "it loads nothing"
    # Every colour that the chart uses is set, in both.
    for variable in set(re.findall(r"var\((--\w+)\)", text)) - {"--c"}:
        assert text.count(f"{variable}:") == 2, variable


def test_labels_do_not_cover_each_other() -> None:
    rng = np.random.default_rng(3)
    points = [
        ScatterPoint(f"method-{n}", Figure(x, x - 0.1, x + 0.1), Figure(y, y - 0.05, y + 0.05), n)
        for n, (x, y) in enumerate(rng.uniform(0.2, 0.6, (10, 2)))
    ]
    root = ElementTree.fromstring(svg_file(scatter_plot("name", points, "x", "y")))
    labels = [
        (float(each.attrib["x"]), float(each.attrib["y"]), 6.6 * len(each.text or ""))
        for each in root.iter()
        if each.attrib.get("class") == "label"
    ]
    assert len(labels) == 10
    covered = [
        (a, b)
        for n, a in enumerate(labels)
        for b in labels[n + 1 :]
        if abs(a[1] - b[1]) < 12 and a[0] < b[0] + b[2] and b[0] < a[0] + a[2]
    ]
    assert not covered
    assert all(x >= 0 and x + width <= 640 for x, _, width in labels)
    assert scatter_plot("none", [], "x", "y") == ""
