"""Scripted policies."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from agentgym_hindsight.baselines.policies import ExpertPolicy, RandomPolicy, ReplayPolicy, TurnView, scripted_policy
from agentgym_hindsight.baselines.rollout import assignments, rollout
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.jsonl import write_jsonl
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.stage import Stage


def view(step: int = 0, sibling: int = 0, task: str = "1f", advised: str = "east") -> TurnView:
    return TurnView(task, sibling, step, "", {"admissible_actions": ("a", "b", "c", "d"), "expert_action": advised})


def test_random_depends_on_the_turn_and_not_on_the_batch() -> None:
    policy = RandomPolicy(seed=4)
    turns = [view(step, sibling) for step in range(50) for sibling in range(8)]
    together = policy.act(turns)
    assert together == [policy.act([turn])[0] for turn in turns]
    assert together != RandomPolicy(seed=5).act(turns)
    assert min(Counter(together).values()) > 70  # 100 expected of each


def test_random_needs_admissible_actions() -> None:
    with pytest.raises(UsageError, match="admissible"):
        RandomPolicy().act([TurnView("1f", 0, 0, "", {"admissible_actions": ()})])


@pytest.mark.parametrize("name", ["random", "expert:0.9"])
@pytest.mark.parametrize("env", ["WebShop-Hindsight-v0", "AppWorld-Hindsight-v0"])
def test_random_actions_where_the_set_of_actions_is_open(env: str, name: str) -> None:
    settings = {"data": "embedded", "products": 100} if env.startswith("WebShop") else {"templates": ["set_alarm"]}
    stage = Stage(env, {**settings, "max_steps": 4, "expert": True}, protocol="plain")
    panel = stage.panel("train", 3, seed=1)
    with closing(stage.vector(3)) as venv:
        played = list(rollout(venv, scripted_policy(name, seed=2), assignments(panel)))
        again = list(rollout(venv, scripted_policy(name, seed=2), assignments(panel)))
    assert [each.actions for each in played] == [each.actions for each in again]
    assert not any(each.broken for each in played)
    assert all(step.action_valid for each in played for step in each.steps)
    if name == "random" and env.startswith("WebShop"):
        for each in played:
            assert each.actions[0].startswith("search[")
            words = set(each.goal.lower().translate(str.maketrans(",:", "  ")).split())
            assert set(each.actions[0][7:-1].split()) <= words


def test_the_expert_plays_random_actions_with_probability_noise() -> None:
    turns = [view(step) for step in range(2000)]
    taken = ExpertPolicy(noise=0.25).act(turns)
    assert 0.20 < sum(action != "east" for action in taken) / len(taken) < 0.30
    assert set(ExpertPolicy().act(turns)) == {"east"}
    assert ExpertPolicy().act([view(advised="")]) == ["a"]
    assert ExpertPolicy().act([TurnView("1f", 0, 0, "", {"admissible_actions": (), "expert_action": ""})]) == ["look"]


def test_replay_prefers_the_same_sibling() -> None:
    def played(sibling: int, *actions: str) -> Trajectory:
        steps = tuple(Step(i, "", action, "", "") for i, action in enumerate(actions))
        return Trajectory("1f", sibling=sibling, steps=steps)

    policy = ReplayPolicy([played(0, "x", "y"), played(1, "z")])
    assert policy.act([view(1, 0), view(0, 1), view(0, 7), view(1, 1)]) == ["y", "z", "x", "look"]
    with pytest.raises(UsageError, match="2e"):
        policy.act([view(task="2e")])


def test_policies_by_name(tmp_path: Path) -> None:
    assert scripted_policy("expert:0.2").name == "expert:0.2"
    assert scripted_policy("random", seed=3).name == "random"
    path = tmp_path / "rollouts.jsonl"
    write_jsonl(path, [Trajectory("1f")])
    assert scripted_policy(f"replay:{path}").name == "replay"
    with pytest.raises(UnknownNameError, match="did you mean 'expert'"):
        scripted_policy("exprt")
    with pytest.raises(UsageError, match=r"expert:0\.2"):
        scripted_policy("expert:much")
    with pytest.raises(UsageError, match="between 0 and 1"):
        scripted_policy("expert:2")
