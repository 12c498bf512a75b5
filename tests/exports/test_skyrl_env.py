"""Our envs through skyrl-gym's own registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import pytest

from tests.toy import CorridorBackend, CorridorEnv

skyrl_gym: Any = pytest.importorskip("skyrl_gym", reason="needs skyrl-gym 0.4")

from agentgym_hindsight.errors import UsageError  # noqa: E402
from agentgym_hindsight.exports.exact import from_exact_text  # noqa: E402
from agentgym_hindsight.exports.skyrl_env import register_skyrl  # noqa: E402
from agentgym_hindsight.hindsight import Group, compose  # noqa: E402
from agentgym_hindsight.stage import Stage  # noqa: E402

CORRIDOR = "Corridor-SkyRL-v0"
TASK = CorridorBackend().task("train", 0)


@pytest.fixture(autouse=True)
def _corridor() -> Iterator[None]:
    gym.register(CORRIDOR, entry_point=CorridorEnv, order_enforce=False)
    register_skyrl("corridor", Stage(CORRIDOR, protocol="plain"))
    yield
    del gym.registry[CORRIDOR]
    skyrl_gym.envs.deregister("corridor")


def play(action: str, **row: Any) -> tuple[list[Any], dict[str, Any]]:
    """The outputs of a rollout as the generator sees them, and its metrics."""
    env = skyrl_gym.make("corridor", env_config={}, extras={"task_id": TASK.id, **row})
    messages, _ = env.init([{"role": "system", "content": "Act."}, {"role": "user", "content": "task"}])
    assert [message["role"] for message in messages] == ["system", "user"]
    assert "corridor" in messages[1]["content"]
    outputs = []
    while not outputs or not outputs[-1]["done"]:
        outputs.append(env.step(action))
    metrics = env.get_metrics()
    env.close()
    return outputs, metrics


def test_an_episode() -> None:
    outputs, metrics = play("east")
    assert [output["reward"] for output in outputs] == [0.0, 0.0, 0.0, 10.0]
    assert outputs[0]["observations"][0]["content"].startswith("Task: Reach room 4.\nObservation: You are in room 1.")
    rollout = from_exact_text(metrics["trajectory"])
    assert (rollout.won, rollout.task_id, metrics["won"], metrics["turns"]) == (True, TASK.id, 1.0, 4)
    aggregated = skyrl_gym.envs.base_text_env.BaseTextEnv.aggregate_metrics([metrics, metrics])
    assert "trajectory" not in aggregated
    assert aggregated["won"] == 1.0


def test_siblings_teach_each_other() -> None:
    found = [from_exact_text(play(action)[1]["trajectory"]) for action in ("east", "dance")]
    assert compose("success+immediate", Group(found))[1][0] is not None


def test_the_generators_limit_truncates() -> None:
    outputs, metrics = play("dance", max_turns=2)
    assert len(outputs) == 2
    assert from_exact_text(metrics["trajectory"]).outcome == "truncated"


def test_a_broken_rollout_ends() -> None:
    outputs, metrics = play("crash")
    assert (len(outputs), outputs[0]["reward"], metrics["broken"]) == (1, 0.0, 1.0)
    assert from_exact_text(metrics["trajectory"]).broken == "RuntimeError: the corridor collapsed"


def test_a_row_by_index_and_a_step_too_early() -> None:
    env = skyrl_gym.make("corridor", env_config={}, extras={"split": "train", "index": 0})
    with pytest.raises(UsageError, match="Expected init"):
        env.step("east")
    env.init([])
    assert from_exact_text(env.get_metrics()["trajectory"]).task_id == TASK.id
