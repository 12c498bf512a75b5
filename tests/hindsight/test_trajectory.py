from __future__ import annotations

import pickle

import pytest

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory, group_by_task, render_steps
from tests.hindsight.rollouts import GROUP, LOSER, SECOND_WINNER, WINNER


def test_trajectory() -> None:
    assert WINNER.total_reward == 10.0
    assert LOSER.actions == ("look", "go west", "no tag here")
    assert len(LOSER) == 3
    assert Trajectory("1f").total_reward == 0
    changed = WINNER.replace(sibling=4)
    assert (changed.sibling, changed.steps) == (4, WINNER.steps)
    with pytest.raises(AttributeError):
        WINNER.won = False  # type: ignore[misc]


def test_a_group_is_a_sequence_of_rollouts_of_one_task() -> None:
    assert len(GROUP) == 3
    assert GROUP[1] is LOSER
    assert GROUP[1:] == (LOSER, SECOND_WINNER)
    assert list(GROUP) == [WINNER, LOSER, SECOND_WINNER]
    assert GROUP.task_id == "lamp"
    assert GROUP.success_rate == pytest.approx(2 / 3)
    assert repr(GROUP) == "Group(lamp, 3 rollouts, 2 won)"
    assert Group(list(GROUP)) == GROUP
    assert hash(Group(list(GROUP))) == hash(GROUP)
    assert Group([LOSER]) != GROUP
    assert pickle.loads(pickle.dumps(GROUP)) == GROUP


def test_reprs_are_one_short_line() -> None:
    assert repr(WINNER).startswith("Trajectory('lamp', ")
    text = "\x1b[2J long\n" * 5000
    step = Step(
        3, text, text, text, text, (text,) * 99, text, text, -0.5, 1.0, False, text, text, text, (0, 3), {"a": text}
    )
    trajectory = Trajectory(text, text, text, text, text, text, 7, 2, (step,) * 500, broken=text, extra={"a": text})
    for value in (step, trajectory, Group([trajectory]), [trajectory][0].replace(task_id="")):
        assert len(repr(value)) < 300
        assert repr(value).isprintable()
        assert "\n" not in str(value)
    assert repr(Step(0, "", "go", "A garden.", "")) == "Step(0, 'go' -> 'A garden.')"
    assert repr(step).endswith("invalid, reward=-0.5)")
    assert repr(trajectory.replace(task_id="1f", goal="Go.")) == (
        "Trajectory('1f', 'Go.', 500 steps, broken, score=0, seed=7, sibling=2)"
    )
    odd = Trajectory("1f", score="high", seed=1.5)  # type: ignore[arg-type]  # a repr must not fail in an error message
    assert repr(odd) == "Trajectory('1f', 0 steps, lost, score='high', seed=1.5)"


def test_the_outcome_of_a_rollout() -> None:
    lost = Trajectory("1f")
    assert [lost.outcome, lost.replace(truncated=True).outcome] == ["lost", "truncated"]
    assert [lost.replace(won=True, truncated=True).outcome, lost.replace(won=True, broken="x").outcome] == [
        "won",
        "broken",
    ]


def test_a_group_of_several_tasks_or_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"got 2 tasks \(1f, lamp\); try group_by_task"):
        Group([WINNER, Trajectory("1f")])
    with pytest.raises(UsageError, match="at least one rollout"):
        Group([])


def test_success_for() -> None:
    assert [GROUP.success_for(member) for member in range(3)] == [SECOND_WINNER, WINNER, WINNER]
    assert GROUP.success_for(0, own=True) is WINNER
    assert Group([WINNER, LOSER]).success_for(0) is None
    assert Group([WINNER.replace(broken="crash"), SECOND_WINNER]).success_for(1) is None


def test_group_by_task_keeps_the_order() -> None:
    a, b, c = Trajectory("b", sibling=0), Trajectory("a", sibling=0), Trajectory("b", sibling=1)
    assert group_by_task([a, b, c]) == (Group([a, c]), Group([b]))
    assert group_by_task([]) == ()


def test_render_steps() -> None:
    steps = [Step(0, "A hall.", "go east", "", "", prompt="P"), Step(1, "A room.", "look", "", "", response="<r>")]
    assert render_steps(steps) == (
        "Step 1\nObservation: A hall.\nAction: go east\n\nStep 2\nObservation: A room.\nAction: look"
    )
    with_reply = [steps[0], Step(1, "A room.", "look", "A chair.", "")]
    assert render_steps(with_reply).endswith("Action: look\n\nStep 3\nObservation: A chair."), "the outcome is included"
    assert render_steps(steps, "response") == "Step 1\nResponse: go east\n\nStep 2\nResponse: <r>"
    assert render_steps(steps, prompts=True).startswith("Step 1\nObservation: P\nAction: go east")
    assert render_steps(steps, limit=1).endswith("Action: go east\n\n(1 more steps omitted)")
    assert render_steps([]) == ""
