"""Rollouts that a policy plays on from snapshots."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from agentgym_hindsight.baselines.policies import ExpertPolicy, RandomPolicy, TurnView
from agentgym_hindsight.baselines.rollout import Continuation, Episode, assignments, play, rollout
from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.vector import HindsightVectorEnv


def made(envs: int, workers: int = 0, **more: Any) -> HindsightVectorEnv:
    arguments = {"data": "embedded", "max_steps": 12, "expert": True, "workers": workers, **more}
    return HindsightVectorEnv("ALFWorld-Hindsight-v0", envs, **arguments)


@pytest.fixture(scope="module")
def moments() -> list[Snapshot]:
    """Three moments of each of four rollouts."""
    with closing(made(4)) as venv:
        _, infos = venv.reset(seed=0)
        values = []
        for _ in range(3):
            *_, infos = venv.step(infos["expert_action"])
            values += venv.snapshots()
    return values


def continued(envs: int, starts: list[Continuation], workers: int = 0, policy: Any = None) -> list[Episode]:
    with closing(made(envs, workers)) as venv:
        return list(play(venv, policy or RandomPolicy(3), starts))


def test_continuations_do_not_depend_on_the_number_of_envs_and_workers(moments: list[Snapshot]) -> None:
    starts = [Continuation(value, sibling) for value in moments for sibling in range(2)]
    one = continued(1, starts)
    assert len(one) == len(starts)
    assert continued(5, starts) == one
    assert continued(6, starts, workers=2) == one
    for start, (trajectory, replies) in zip(starts, one, strict=True):
        assert (trajectory.task_id, trajectory.sibling) == (start.snapshot.task.id, start.sibling)
        assert trajectory.steps[: start.snapshot.step] == start.snapshot.steps
        assert trajectory.origin is not None
        assert trajectory.origin.step == start.snapshot.step
        assert [step.action for step in trajectory.steps[start.snapshot.step :]] == [reply.text for reply in replies]
        assert trajectory.policy == "random"


def test_a_continuation_is_what_the_rollout_would_have_been(moments: list[Snapshot]) -> None:
    with closing(made(4)) as venv:
        tasks = list({value.task.id: value.task for value in moments}.values())
        whole = {t.task_id: t for t in rollout(venv, ExpertPolicy(), assignments(tasks))}
    for trajectory, _ in continued(3, [Continuation(value) for value in moments], policy=ExpertPolicy()):
        same = whole[trajectory.task_id]
        assert trajectory.steps == same.steps
        assert trajectory.won
        assert same.won


def test_a_first_action_can_be_prescribed(moments: list[Snapshot]) -> None:
    asked: list[TurnView] = []

    class Watching(ExpertPolicy):
        def act(self, turns: Any) -> list[str]:
            asked.extend(turns)
            return super().act(turns)

    start = Continuation(moments[0], action="inventory")
    ((trajectory, replies),) = continued(2, [start], policy=Watching())
    assert trajectory.steps[1].action == replies[0].text == "inventory"
    assert trajectory.origin is not None
    assert (trajectory.origin.how, trajectory.origin.action) == ("action", "inventory")
    assert [turn.step for turn in asked] == list(range(2, len(trajectory.steps)))


def test_a_continuation_of_an_ended_rollout_is_over_at_once() -> None:
    with closing(made(1, max_steps=1)) as venv:
        venv.reset(seed=0)
        venv.step(["look"])
        value = venv.snapshot(0)
        ((trajectory, replies),) = play(venv, RandomPolicy(0), [Continuation(value)])
    assert (len(trajectory), replies) == (1, ())


def test_a_rollout_that_breaks_is_data(moments: list[Snapshot], monkeypatch: pytest.MonkeyPatch) -> None:
    from agentgym_hindsight.envs.alfworld.backend import NativeBackend

    act = NativeBackend.act

    def failing(self: Any, action: str) -> Any:
        if action == "crash":
            raise RuntimeError("the house burned down")
        return act(self, action)

    monkeypatch.setattr(NativeBackend, "act", failing)
    starts = [Continuation(moments[0], action="crash"), Continuation(moments[1])]
    broken, whole = continued(2, starts, policy=ExpertPolicy())
    assert "burned down" in broken.trajectory.broken
    assert broken.trajectory.steps == moments[0].steps
    assert broken.replies == ()
    assert whole.trajectory.won


def test_calls_that_cannot_work_say_why(moments: list[Snapshot]) -> None:
    with closing(made(2)) as venv, pytest.raises(UsageError, match="either tasks or continuations"):
        list(play(venv, RandomPolicy(0), [Continuation(moments[0]), (moments[0].task, 0)]))  # type: ignore[list-item]
    with closing(made(2, group_size=2)) as venv, pytest.raises(UsageError, match="group_size=1"):
        list(play(venv, RandomPolicy(0), [Continuation(moments[0])]))


def test_rollouts_of_an_earlier_call_do_not_disturb(moments: list[Snapshot]) -> None:
    with closing(made(3)) as venv:
        venv.reset(seed=1)
        assert len(list(play(venv, RandomPolicy(0), [Continuation(moments[0])]))) == 1


def test_a_conversation_is_continued_with_its_earlier_messages() -> None:
    asked: list[TurnView] = []

    class Watching(ExpertPolicy):
        def act(self, turns: Any) -> list[str]:
            asked.extend(turns)
            return [f"<think>so</think><action>{action}</action>" for action in super().act(turns)]

    stage = Stage(settings={"data": "embedded", "max_steps": 12, "expert": True}, history="conversation")
    with closing(stage.vector(1, "train")) as venv:
        observations, infos = venv.reset(seed=0)
        said = []
        for _ in range(2):
            reply = f"<think>so</think><action>{infos['expert_action'][0]}</action>"
            said += [observations[0], reply]
            observations, *_, infos = venv.step([reply])
        (moment,) = venv.snapshots()
        ((trajectory, replies),) = play(venv, Watching(), [Continuation(moment)])
    assert trajectory.won
    assert len(replies) == len(asked) == len(trajectory) - 2
    chats = [[message["content"] for message in turn.messages] for turn in asked]
    assert chats[0] == [*said, observations[0]]
    assert chats[1][:-1] == [*chats[0], replies[0].text]
    assert [message["role"] for message in asked[1].messages] == ["user", "assistant"] * 3 + ["user"]
