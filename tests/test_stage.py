"""A stage: env, prompt, parser and reward."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import Any

import pytest

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.baselines.evaluation.panels import evaluate_policy
from agentgym_hindsight.baselines.policies import ExpertPolicy
from agentgym_hindsight.errors import HindsightError, UnknownNameError, UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers import PROTOCOLS
from tests.wrappers import stack

EASY = {"data": "embedded", "difficulty": "easy", "max_steps": 12}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_expert_wins_under_every_protocol(protocol: str) -> None:
    stage = Stage(settings=EASY, protocol=protocol)
    assert stage.parser == PROTOCOLS[protocol].parser
    panel = stage.panel("train", 2)
    found, played = evaluate_policy(ExpertPolicy(), stage, panel)
    assert found.micro.success == 1.0
    for trajectory in played:
        assert trajectory.total_reward == 10.0, "10 on the step that wins"
        assert [step.reward for step in trajectory.steps[:-1]] == [0.0] * (len(trajectory) - 1)
        assert all(step.action_valid and step.prompt and step.response for step in trajectory.steps)


def test_a_single_env_and_a_vector_env_show_the_same_prompt() -> None:
    stage = Stage(settings=EASY, protocol="brief")
    (task,) = stage.panel("train", 1)
    env = stage.make("train")
    alone, _ = env.reset(seed=0, options={"task": task})
    env.close()
    with closing(stage.vector(2, "train")) as venv:
        observations, _ = venv.reset(seed=0, tasks=[task, task])
    assert list(observations) == [alone, alone]
    assert alone.startswith("Task: ")


def test_history_and_native_reward() -> None:
    stage = Stage("WrappedCorridor-v0", protocol="brief", history=1, reward="native")
    (task,) = stage.panel("valid", 1)
    env = stage.make("valid")
    env.reset(options={"task": task})
    rewards = []
    for _ in range(int(task.category.removeprefix("rooms"))):
        observation, reward, *_ = env.step("<action>east</action>")
        rewards.append(reward)
    env.close()
    assert "Done: east\n" in observation
    assert "east; east" not in observation
    assert rewards[-1] == 1.0
    assert stack.ENV_ID == "WrappedCorridor-v0"


def test_a_setting_of_the_stage_may_be_given_again() -> None:
    """A training run whose environments record the expert's actions plays the expert for its warm start."""
    stage = Stage(settings={"data": "embedded", "expert": True})
    (task,) = stage.panel("train", 1)
    with closing(stage.vector(1, expert=True)) as venv:
        venv.reset(seed=0, tasks=[task])
    with closing(stage.make("train", expert=False)) as env:
        _, info = env.reset(seed=0)
        assert not info["expert_action"]


def test_panels() -> None:
    # Few small houses: listing a split generates all of its houses.
    stage = Stage(settings={**EASY, "difficulty": "bare", "task_types": ["look_at_obj_in_light"]})
    whole = stage.panel("valid_unseen")
    assert whole.name == "valid_unseen"
    assert len({*whole.ids}) == len(whole) > 100
    some = stage.panel("valid_unseen", 7, seed=3)
    assert some.ids == stage.panel("valid_unseen", 7, seed=3).ids == stage.panel("valid_unseen", 9, seed=3).ids[:7]
    assert some.ids != stage.panel("valid_unseen", 7, seed=4).ids
    assert {*some.ids} <= {*whole.ids}
    assert sorted(stage.panel("valid_unseen", len(whole), seed=1).ids) == sorted(whole.ids)
    assert not {*whole.ids} & {*stage.panel("train").ids}, "evaluation tasks are not training tasks"
    for n in (-1, len(whole) + 1):
        with pytest.raises(UsageError, match=f"got {n}"):
            stage.panel("valid_unseen", n)
    with pytest.raises(HindsightError, match="valid_unsen"):
        stage.panel("valid_unsen", 3)


def test_the_backend_is_named() -> None:
    assert Stage(settings=EASY).backend() == "native/embedded"


def test_the_held_out_split() -> None:
    assert Stage(settings=EASY).held_out == "valid_unseen"
    assert Stage("WebShop-Hindsight-v0", settings={"data": "embedded"}).held_out == "test"
    with pytest.raises(UsageError, match=r"evaluation\.split"):
        _ = Stage("WrappedCorridor-v0").held_out


def test_a_stage_survives_asdict() -> None:
    stage = Stage(settings=EASY, protocol="brief", history=3, reward="native", workers=2)
    assert Stage(**asdict(stage)) == stage


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"env": "ALFWorld-Hindsigt-v0"}, UnknownNameError, "ALFWorld-Hindsight-v0"),
        ({"protocol": "breif"}, UnknownNameError, "brief"),
        ({"reward": "100-won"}, UnknownNameError, "10-won"),
        ({"settings": {"split": "train"}}, UsageError, "split"),
        ({"settings": 3}, UsageError, "settings by name"),
        ({"workers": -1}, UsageError, "workers"),
        ({"history": -1}, UsageError, "history"),
        ({"history": "all"}, UsageError, "history"),
    ],
)
def test_errors(given: dict[str, Any], kind: type[HindsightError], said: str) -> None:
    with pytest.raises(kind, match=said):
        Stage(**given)
