"""What notebooks show of rollouts: well-formed, escaped, of bounded size."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest

from agentgym_hindsight.hindsight import Group, Step, Trajectory
from tests.hindsight.rollouts import GROUP, WINNER

HOSTILE = "</td></table><script>alert(1)</script><img src=x onerror=alert(1)> $25.00 & $30 \x1b[2J\u202e\ud800"
ALLOWED = {"div", "b", "i", "code", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "p"}


class Checker(HTMLParser):
    """Checks that only harmless elements are there, and that all are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= {"style", "class", "colspan"}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(shown: Trajectory | Group) -> str:
    html = shown._repr_html_()
    checker = Checker()
    checker.feed(html)
    assert not checker.open
    assert "url(" not in html
    assert html.encode("utf-8")
    return checker.text


def long(turns: int, text: str = "word " * 4000) -> Trajectory:
    steps = tuple(
        Step(
            n,
            text,
            f"action {n} {text}",
            f"reply {n} {text}",
            text,
            (text,) * 50,
            prompt=text,
            response=text,
            detail=text,
        )
        for n in range(turns)
    )
    return Trajectory("1f" * 8, goal=text, steps=steps, extra={"note": text})


def test_a_trajectory_shows_its_turns() -> None:
    text = text_of(WINNER)
    for step in WINNER.steps:
        assert step.action in text
        assert step.feedback in text
    assert "won" in text
    assert WINNER.goal in text
    assert WINNER.task_id in text


def test_a_group_shows_every_rollout() -> None:
    text = text_of(GROUP)
    assert (text.count("won"), text.count("lost")) == (3, 1)  # "2 won" in the head
    assert "3 rollouts" in text


def test_invalid_actions_and_broken_rollouts_are_marked() -> None:
    step = Step(0, "A hall.", "fly", "Nothing happens.", "A hall.", action_valid=False, reward=-0.1, detail="No wings.")
    text = text_of(Trajectory("1f", steps=(step,), broken="OSError: no wings"))
    for shown in ("Task 1f", "invalid", "-0.1", "No wings.", "broken", "OSError: no wings"):
        assert shown in text
    assert "A garden." in text_of(Trajectory("1f", final_observation="A garden."))


def test_text_of_the_world_is_escaped() -> None:
    step = Step(
        0, HOSTILE, HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), detail=HOSTILE, prompt=HOSTILE, extra={HOSTILE: HOSTILE}
    )
    trajectory = Trajectory(HOSTILE, HOSTILE, HOSTILE, HOSTILE, steps=(step,), policy=HOSTILE, broken=HOSTILE)
    for shown in (trajectory, Group([trajectory])):
        text = text_of(shown)
        assert "<script>alert(1)</script>" in text
        assert "\\x1b[2J\\u202e\\ud800" in text
        assert not re.search("[\x00-\x08\x1b\u202e\ud800]", text)


def test_mathjax_leaves_dollars_alone() -> None:
    assert 'class="tex2jax_ignore mathjax_ignore"' in WINNER._repr_html_()
    assert 'class="tex2jax_ignore mathjax_ignore"' in GROUP._repr_html_()


def test_the_colours_work_on_light_and_dark_pages() -> None:
    html = GROUP._repr_html_()
    assert not re.search(r"(?<![-\w])color:|#[0-9a-f]{3,6}\b", html)
    assert all(float(alpha) <= 0.5 for alpha in re.findall(r"rgba\([^)]*, ([\d.]+)\)", html))


@pytest.mark.parametrize("turns", [1, 12, 60, 61, 500])
def test_the_size_is_bounded(turns: int) -> None:
    trajectory = long(turns)
    start = time.process_time()
    single, group = trajectory._repr_html_(), Group([trajectory] * 40)._repr_html_()
    assert time.process_time() - start < 5
    assert len(single) < 250_000
    assert len(group) < 700_000
    text = text_of(trajectory)
    assert "more characters" in text
    assert ("more steps" in text) == (turns > 60)
    assert f"action {turns - 1} " in text
    assert "16 more rollouts" in text_of(Group([trajectory] * 40))
