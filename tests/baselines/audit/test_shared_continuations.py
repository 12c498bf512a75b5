"""Continuations that share turns end as those that are played one by one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial

import pytest

from agentgym_hindsight.baselines.audit.moments import PlayedGroup, play_groups
from agentgym_hindsight.baselines.audit.shared_continuations import SharedContinuations
from agentgym_hindsight.baselines.audit.truth import FIRST_CONTINUATION, Precision, measure, measure_groups
from agentgym_hindsight.baselines.policies import ExpertPolicy, TurnView
from agentgym_hindsight.baselines.policies.base import Policy
from agentgym_hindsight.baselines.rollout import Continuation, rollout
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import seeded_int
from agentgym_hindsight.vector import HindsightVectorEnv
from tests.baselines.audit.test_truth import Walker, corridor
from tests.toy import CorridorBackend


class Falling(Walker):
    """Breaks the env in some of the continuations."""

    def _one(self, turn: TurnView) -> str:
        falls = turn.sibling >= FIRST_CONTINUATION and seeded_int("fall", turn.sibling, turn.step) % 5 == 0
        return "crash" if falls else super()._one(turn)


def corridors(count: int, policy: Policy) -> list[PlayedGroup]:
    with closing(corridor()) as venv:
        return list(play_groups(venv, policy, [CorridorBackend().task("train", n) for n in range(count)], 4))


def starts_of(groups: Sequence[PlayedGroup], count: int) -> list[Continuation]:
    return [
        Continuation(snapshot, FIRST_CONTINUATION + number)
        for group in groups
        for snapshot in group.snapshots.values()
        for number in range(count)
    ]


@pytest.mark.parametrize(("envs", "at_once"), [(64, None), (3, None), (3, 50), (64, 7)])
@pytest.mark.parametrize("policy", [Walker(), Falling()])
def test_the_same_outcomes_from_fewer_turns(policy: Policy, envs: int, at_once: int | None) -> None:
    groups = corridors(3, policy)
    starts = starts_of(groups, 6)
    turns, alone = 0, 0

    def count(number: int) -> None:
        nonlocal turns
        turns += number

    with closing(corridor(envs)) as venv:
        expected = [(each.won, bool(each.broken)) for each in rollout(venv, policy, starts, on_turns=count)]
        alone, turns = turns, 0
        shared = SharedContinuations(venv, policy, groups, at_once)
        assert [(each.won, bool(each.broken)) for each in shared.play(starts, count)] == expected
        assert turns == shared.turns < alone
        assert shared.steps < shared.turns
        # What is known is not played again, unless it broke.
        before = shared.steps
        assert [(each.won, bool(each.broken)) for each in shared.play(starts)] == expected
        assert (shared.steps == before) is not any(broken for _, broken in expected)
    assert any(broken for _, broken in expected) == isinstance(policy, Falling)
    assert len(set(expected)) > 1


@pytest.mark.parametrize("protocol", ["brief", "verl-agent-2025"])
@pytest.mark.parametrize("history", [None, "conversation"])
def test_the_same_in_a_world_with_prompts(protocol: str, history: str | None) -> None:
    settings = {"data": "embedded", "difficulty": "bare", "max_steps": 6, "task_types": ["look_at_obj_in_light"]}
    stage = Stage(settings=settings, protocol=protocol, history=history)  # type: ignore[arg-type]

    class Watching:
        """The expert with noise, which notes what it is shown."""

        name = "watching"

        def __init__(self) -> None:
            self.expert = ExpertPolicy(0, 0.5)
            self.shown: dict[tuple[str, int, int], tuple[object, ...]] = {}

        def act(self, turns: Sequence[TurnView]) -> list[str]:
            for turn in turns:
                place = turn.task_id, turn.sibling, turn.step
                self.shown.setdefault(place, (turn.observation, turn.messages, turn.info["expert_action"]))
            return [f"<action>{action}</action>" for action in self.expert.act(turns)]

    with closing(stage.vector(8, expert=True)) as venv:
        groups = list(play_groups(venv, Watching(), list(stage.panel("train", 2, seed=0)), 3))
        starts = starts_of(groups, 3)
        alone, together = Watching(), Watching()
        # One start for each random number: then every turn of a continuation has its own place in what is shown.
        for number in range(3):
            some = [start for start in starts if start.sibling == FIRST_CONTINUATION + number][:6]
            expected = [(each.won, each.broken) for each in rollout(venv, alone, some)]
            found = [tuple(each) for each in SharedContinuations(venv, together, groups).play(some)]
            assert found == expected
        same = together.shown.keys() & alone.shown.keys()
        assert len(same) > 10
        assert all(together.shown[place] == alone.shown[place] for place in together.shown)


def test_the_truth_of_several_groups_is_that_of_each() -> None:
    groups, precision = corridors(4, Walker()), Precision(6, 24, 0.2)
    with closing(corridor(16)) as venv:
        play = partial(rollout, venv, Walker())
        expected = {(g.task.id, turn): each for g in groups for turn, each in measure(g, g.turns, play, precision)}
        shared = SharedContinuations(venv, Walker(), groups, 40)
        found = measure_groups([(group, group.turns) for group in groups], shared.play, precision)
        assert {(group.task.id, turn): each for group, turn, each in found} == expected


def test_other_continuations_and_vector_envs_are_refused() -> None:
    (group,) = corridors(1, Walker())
    snapshot = next(iter(group.snapshots.values()))
    with closing(corridor(2)) as venv:
        shared = SharedContinuations(venv, Walker(), [group])
        for start in (Continuation(snapshot, action="east"), Continuation(snapshot.replace())):
            with pytest.raises(UsageError, match=r"group\.snapshots"):
                list(shared.play([start]))
    grouped = HindsightVectorEnv("ALFWorld-Hindsight-v0", 2, group_size=2, data="embedded")
    with closing(grouped), pytest.raises(UsageError, match="group_size=1"):
        SharedContinuations(grouped, Walker(), [group])
