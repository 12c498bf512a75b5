"""The charts are well-formed SVG with the right content, for all kinds of values."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from importlib.resources import files
from pathlib import Path

import pytest

from agentgym_hindsight.baselines.report.bars import Bar, Stack, bar_chart, histogram, stack_chart
from agentgym_hindsight.baselines.report.curves import PALETTE, Point, Trace, colour_class, curve_chart
from agentgym_hindsight.baselines.report.lines import group_runs
from agentgym_hindsight.baselines.report.mechanics import matching_grpo, step_seconds
from agentgym_hindsight.baselines.report.rollouts import token_html
from agentgym_hindsight.baselines.report.runs import read_runs
from agentgym_hindsight.baselines.report.scales import Scale, figure, percent, span, ticks
from agentgym_hindsight.baselines.report.statistics import Estimate


def trace(*values: float, seeds: int = 1) -> Trace:
    return Trace("a & b", 0, tuple(Point(float(x), Estimate(y), seeds) for x, y in enumerate(values)))


def within(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for shape in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert -1 <= float(shape.attrib.get(name, 0)) <= width + 1
        for name in ("y", "y1", "y2", "cy"):
            assert -1 <= float(shape.attrib.get(name, 0)) <= height + 1
    assert "nan" not in svg
    assert "inf" not in svg
    return root


@pytest.mark.parametrize("values", [(1.0,), (2.0, 2.0), (0.0, 0.0), (-1e9, 1e9), (1e-9, 2e-9), (0.1, 0.5, 0.3)])
@pytest.mark.parametrize("share", [False, True])
def test_curves_of_unusual_values_are_well_formed(values: tuple[float, ...], share: bool) -> None:
    within(curve_chart("x < y", [trace(*values)], "updates", share))


def test_the_title_of_a_curve_has_its_last_value() -> None:
    root = within(curve_chart("Success", [trace(0.1, 0.5)], "updates", True))
    assert root.find("title") is not None
    assert root.findtext("title") == "Success over updates: a & b ends at 50%"


def test_a_curve_is_dashed_where_seeds_are_missing() -> None:
    points = tuple(Point(float(x), Estimate(0.5, 0.4, 0.6), seeds) for x, seeds in enumerate((3, 3, 2, 2)))
    root = within(curve_chart("Success", [Trace("a", 1, points)], "updates", True))
    lines = list(root.iter("polyline"))
    assert [line.attrib.get("class") for line in lines] == [None, "thin"]
    assert lines[0].attrib["points"].split()[-1] == lines[1].attrib["points"].split()[0]
    assert len(list(root.iter("polygon"))) == 1


def test_a_wide_band_does_not_flatten_the_curve() -> None:
    points = (Point(0.0, Estimate(1.0, -99.0, 101.0), 2), Point(1.0, Estimate(2.0, -98.0, 102.0), 2))
    root = within(curve_chart("Return", [Trace("a", 0, points)], "updates"))
    heights = [float(circle.attrib["cy"]) for circle in root.iter("circle")]
    assert max(heights) - min(heights) > 60


def test_bars_of_both_signs_and_stacks() -> None:
    bars = [Bar("a", 0, Estimate(-0.5, -0.6, -0.4), "n=3"), Bar("b", 1, Estimate(0.25))]
    root = within(bar_chart("Gap", [("future <", bars)], -0.6, 0.25, figure))
    assert [title.text for title in root.iter("title")][1] == "a, future <: −0.5 [−0.6, −0.4] n=3"
    within(stack_chart("Time", ("x", "y"), [Stack("a", (1.0, 0.0)), Stack("b", (0.0, 0.0))], "s"))
    within(stack_chart("Time", ("x", "y"), [], "s"))


def test_a_histogram_has_a_colour_on_each_side_of_its_mark() -> None:
    root = within(histogram("weights", [0.5, 0.9, 1.1, 1.5], [0.2, 0.0, 0.8], 1.0))
    assert [group.attrib["class"] for group in root.iter("g")] == ["bin down", "bin up"]


def tick_texts(svg: str) -> tuple[list[str], list[str]]:
    """The labels of the y axis and of the x axis."""
    ticks = [
        (text.attrib["class"], text.text or "") for text in within(svg).iter("text") if "tick" in text.attrib["class"]
    ]
    x_labels = [text for kind, text in ticks if kind == "tick mid"]
    y_labels = [text for kind, text in ticks if kind == "tick end"][:-1]  # the last one is the name of the x axis
    return y_labels, x_labels


@pytest.mark.parametrize(
    "values",
    [
        (1.0,), (1e-20, 2e-20), (12345.0, 12347.0), (7e6, 7e6 + 1), (1e15, 1e15 + 4), (-1e100, 1e100), (1e-100, 0.0),
        (0.12345, 0.12346), (-1e99, -1e99 + 1e90), (1.0, 1.0 + 1e-15), (999.0, 1001.0), (0.0, 5e-324),
        (1e9, 1e9 + 1e-3), (5e-324, 5e-324),
    ],
)  # fmt: skip
def test_no_axis_has_a_label_twice(values: tuple[float, ...]) -> None:
    for start in (0.0, 1e7, 1e15):
        points = tuple(Point(start + place, Estimate(y), 1) for place, y in enumerate(values))
        for labels in tick_texts(curve_chart("x", [Trace("a", 0, points)], "updates")):
            assert len(set(labels)) == len(labels)
            assert max(map(len, labels), default=0) <= 9
    for share in (0.0, 0.01, 0.04, 0.06, 0.3, 1.0):
        y_labels, _ = tick_texts(curve_chart("x", [trace(0.0, share)], "updates", True))
        assert len(set(y_labels)) == len(y_labels) > 2


def test_ticks_close_together_are_distances_from_the_first() -> None:
    svg = curve_chart("x", [trace(7e6, 7e6 + 0.5)], "updates")
    y_labels, _ = tick_texts(svg)
    assert y_labels == ["+0", "+0.1", "+0.2", "+0.3", "+0.4", "+0.5"]
    assert ">7M +</text>" in svg


def test_a_single_update_has_no_negative_ticks() -> None:
    _, x_labels = tick_texts(curve_chart("x", [trace(0.5)], "updates"))
    assert x_labels == ["0", "1"]


def test_a_histogram_has_no_label_twice() -> None:
    edges = [1.0 + 1e-7 * place for place in range(21)]
    texts = [text.text for text in within(histogram("w", edges, [0.05] * 20, 1.0)).iter("text")]
    assert len(set(texts)) == len(texts)


def test_scales() -> None:
    assert Scale(0, 1, 0, 10)(7.0) == 10.0
    assert span([3.0, 1.0]) == (1.0, 3.0)
    assert ticks(0.0, 0.3, 3) == [0.0, 0.1, 0.2, 0.3]
    assert [figure(v) for v in (0.0001, 123.4, 9999, 1e6, 2e9)] == ["1e−4", "123", "9999", "1M", "2G"]
    assert percent(-0.05) == "−5%"


def test_tokens_are_coloured_by_their_weight() -> None:
    html = token_html(["<a>", "b", "c", "d"], [0.5, 1.0, 1.25, float("nan")], [-1, 0, 0.5, 2], 0.5)
    assert '<span class="w down5" title="weight 0.5, gap −1">&lt;a&gt;</span>b' in html
    assert 'class="w up2" title="weight 1.25, gap 0.5"' in html
    assert 'title="weight unknown, gap 2"' in html


@pytest.mark.parametrize("weights", [None, "abc", 3, {}, [], [1.5, 1.5, 1.5]])
def test_tokens_without_usable_weights_are_shown(weights: object) -> None:
    html = token_html(["a", "b"], weights, None, 0.5)
    assert "a" in html
    assert "b" in html


def test_time_is_compared_with_grpo_in_the_same_world(runs: Path) -> None:
    lines = group_runs(read_runs([runs])[0])
    grpo, serl = lines[0], lines[1]
    assert matching_grpo(serl, lines) is grpo
    assert matching_grpo(serl, lines[1:]) is None
    seconds = step_seconds(grpo)
    assert seconds is not None
    assert seconds[0] == pytest.approx(38, abs=1)  # without the first update and its 40 s of warming up
    assert seconds[1] == 0.0


def test_each_line_of_the_largest_comparison_has_its_own_colour() -> None:
    pytest.importorskip("torch", reason="needs the extra [train]")
    from agentgym_hindsight.cli.compare_command import SETS

    sheet = files("agentgym_hindsight.baselines.report").joinpath("page.css").read_text(encoding="utf-8")
    classes = {colour_class(colour) for colour in range(len(SETS["sources"]))}
    assert len(classes) == len(SETS["sources"]) <= PALETTE
    light, dark = re.search(r":root \{(.*?)\}", sheet, re.S), re.search(r"dark\) \{\s*:root \{(.*?)\}", sheet, re.S)
    assert light is not None
    assert dark is not None
    for theme in (light[1], dark[1]):
        colours = re.findall(r"--k\d+: (#\w+);", theme)
        assert len(colours) == len(set(colours)) == PALETTE
    assert all(f".{name} {{ --c: var(--k{name[1:]}); }}" in sheet for name in classes)
