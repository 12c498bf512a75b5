"""verifiers' real classes with our envs. The model is a stub that answers in the place of its harness."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest

from tests.toy import CorridorBackend, CorridorEnv

vf: Any = pytest.importorskip("verifiers.v1", reason="needs verifiers 0.4")

from agentgym_hindsight.exports.exact import from_document  # noqa: E402
from agentgym_hindsight.exports.verifiers_plugin import (  # noqa: E402
    HindsightEnv,
    HindsightTaskset,
    HindsightTasksetConfig,
)

pytestmark = pytest.mark.filterwarnings("ignore")
CORRIDOR = "Corridor-verifiers-v0"


@pytest.fixture(autouse=True)
def _corridor() -> Iterator[None]:
    gym.register(CORRIDOR, entry_point=CorridorEnv, order_enforce=False)
    yield
    del gym.registry[CORRIDOR]


class Player:
    """Replies with one text; ``read`` has the prompts. ``trace`` is a real one."""

    def __init__(self, reply: str, most: int = 99) -> None:
        self.reply, self.most, self.read = reply, most, []  # type: ignore[var-annotated]
        self.trace: Any = None

    @asynccontextmanager
    async def interaction(self, task: Any) -> Any:
        self.trace = vf.Trace.model_construct(info={}, rewards={}, metrics={}, is_completed=False, stop_condition=None)
        yield SimpleNamespace(turn=self.turn, trace=self.trace)

    async def turn(self, text: str) -> Any:
        self.read.append(text)
        return SimpleNamespace(last_reply=self.reply, terminated=len(self.read) > self.most)


def tasks() -> list[Any]:
    return list(HindsightTaskset(HindsightTasksetConfig(environment=CORRIDOR, tasks=3)))


def play(reply: str, most: int = 99, env: Any = HindsightEnv, task: Any = None) -> Player:
    player = Player(reply, most)
    asyncio.run(env.run(object.__new__(env), task or tasks()[0], SimpleNamespace(player=player)))
    return player


def test_the_tasks_have_content_ids() -> None:
    found = tasks()
    known = {CorridorBackend().task("train", index).id for index in range(12)}
    assert len({task.key for task in found} & known) == 3
    assert all(task.data.prompt is None for task in found)
    assert json.dumps(found[0].data.model_dump(mode="json"))


def test_an_episode() -> None:
    player = play("east")
    rollout = from_document(player.trace.info["agentgym_hindsight"])
    assert rollout.won
    assert player.trace.rewards["return"].score == 10.0
    assert player.trace.metrics["won"] == 1.0
    assert len(player.read) == len(rollout)
    assert not any("hindsight" in text.lower() for text in player.read)


def test_a_limit_of_verifiers_truncates() -> None:
    player = play("dance", most=2)
    rollout = from_document(player.trace.info["agentgym_hindsight"])
    assert (rollout.outcome, len(rollout)) == ("truncated", 2)


def test_a_broken_rollout_has_no_reward() -> None:
    player = play("crash")
    assert player.trace.stop_condition == "environment_broken"
    assert player.trace.rewards == {}
    assert from_document(player.trace.info["agentgym_hindsight"]).broken
