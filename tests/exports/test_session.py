"""Sessions: rollouts as reset, step and close, in and out of an event loop; failures are data."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import pytest

from agentgym_hindsight.errors import ResetNeededError, UnknownNameError, UsageError
from agentgym_hindsight.exports.session import Episodes, Session, Turn
from agentgym_hindsight.exports.turn_tokens import TurnTokens
from agentgym_hindsight.stage import Stage
from tests.toy import CorridorBackend, CorridorEnv

CORRIDOR = "Corridor-Session-v0"


class Slow(CorridorEnv):
    """Takes long for the action ``sleep``."""

    def step(self, action: str) -> Any:
        if action == "sleep":
            time.sleep(0.6)
        return super().step(action)


@pytest.fixture(autouse=True)
def _corridor() -> Iterator[None]:
    gym.register(CORRIDOR, entry_point=Slow, order_enforce=False)
    yield
    del gym.registry[CORRIDOR]


def stage(**changes: Any) -> Stage:
    return Stage(CORRIDOR, protocol="plain", **changes)


TASK = CorridorBackend().task("train", 0)


def test_an_episode_with_tokens() -> None:
    episodes = Episodes(stage())
    first = episodes.reset(TASK, sibling=3, policy="me")
    assert "corridor" in first.text
    assert (first.over, first.won, first.reward) == (False, False, 0.0)
    turns = []
    while not episodes.over:
        turns.append(episodes.step("east", TurnTokens(response_ids=(len(turns),))))
    assert turns[-1].won
    assert turns[-1].reward == 10.0
    rollout = episodes.trajectory
    assert (rollout.sibling, rollout.policy, rollout.task_id, rollout.won) == (3, "me", TASK.id, True)
    assert [step.extra["tokens"]["response_ids"] for step in rollout.steps] == [[0], [1], [2], [3]]
    assert turns[-1].info["hindsight"].episode
    with pytest.raises(ResetNeededError, match="after its end"):
        episodes.step("east")
    episodes.close()
    assert episodes.trajectory == rollout
    assert "corridor" in episodes.reset(TASK.id).text, "a new env"


def test_without_a_task_the_seeded_order() -> None:
    def ids(seed: int) -> list[str]:
        episodes = Episodes(stage(), seed=seed)
        found = []
        for _ in range(4):
            episodes.reset()
            found.append(episodes.trajectory.task_id)
        return found

    assert ids(1) == ids(1) != ids(2)
    assert len(set(ids(1))) == 4


def test_a_client_cuts_a_rollout() -> None:
    episodes = Episodes(stage())
    episodes.reset(TASK)
    episodes.step("east")
    turn = episodes.cut()
    assert turn.over
    assert turn.info["hindsight"].episode
    assert (episodes.trajectory.outcome, len(episodes.trajectory)) == ("truncated", 1)
    with pytest.raises(ResetNeededError):
        episodes.cut()
    episodes.reset(TASK)
    assert episodes.cut().over, "before the first turn"
    assert episodes.trajectory.outcome == "truncated"

    async def play() -> Any:
        async with Session(stage()) as session:
            await session.reset(TASK)
            return await session.cut(), session.trajectory

    assert asyncio.run(play())[1].truncated


def test_a_failing_env_is_data() -> None:
    episodes = Episodes(stage())
    episodes.reset(TASK)
    episodes.step("east", TurnTokens(response_ids=(1,)))
    turn = episodes.step("crash", TurnTokens(response_ids=(2,)))
    assert turn == Turn("", over=True, broken="RuntimeError: the corridor collapsed")
    rollout = episodes.trajectory
    assert rollout.broken == turn.broken
    assert rollout.truncated
    assert [step.extra["tokens"]["response_ids"] for step in rollout.steps] == [[1]]
    assert not episodes.reset(TASK).broken


def test_a_failing_start_is_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Slow, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        raise OSError("no house")

    monkeypatch.setattr(Slow, "reset", fail)
    episodes = Episodes(stage())
    assert episodes.reset(TASK).broken == "OSError: no house"
    assert episodes.trajectory.task_id == TASK.id
    assert episodes.trajectory.broken


def test_mistakes_raise() -> None:
    episodes = Episodes(stage())
    for call in (lambda: episodes.step("x"), lambda: episodes.trajectory):
        with pytest.raises(ResetNeededError):
            call()
    with pytest.raises(UnknownNameError):
        episodes.reset("nothing")
    with pytest.raises(UsageError, match="Expected a task or its id, got int"):
        episodes.reset(3)  # type: ignore[arg-type]
    episodes.reset(TASK)
    with pytest.raises(UsageError, match="Expected the reply of the policy as text"):
        episodes.step(None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="above 0 s"):
        Session(stage(), timeout_s=0)


def test_sessions_run_side_by_side() -> None:
    """The event loop goes on while envs are slow, and two slow envs do not wait for each other."""

    async def play() -> tuple[float, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.02)
                ticks += 1

        ticker = asyncio.create_task(tick())
        sessions = [Session(stage()) for _ in range(4)]
        await asyncio.gather(*(session.reset(TASK) for session in sessions))
        started = time.perf_counter()
        await asyncio.gather(*(session.step("sleep") for session in sessions))
        seconds = time.perf_counter() - started
        ticker.cancel()
        for session in sessions:
            assert len(session.trajectory) == 1
            await session.close()
        return seconds, ticks

    seconds, ticks = asyncio.run(play())
    assert seconds < 4 * 0.6
    assert ticks > 3


def test_a_time_limit_breaks_the_rollout_and_the_session_goes_on() -> None:
    async def play() -> None:
        async with Session(stage(), timeout_s=0.2) as session:
            await session.reset(TASK)
            await session.step("east")
            turn = await session.step("sleep")
            assert turn.over
            assert turn.broken == "TimeoutError: no answer within 0.2 s"
            assert session.trajectory.broken == turn.broken
            assert session.trajectory.task_id == TASK.id
            assert not (await session.reset(TASK)).broken
            assert not (await session.step("east")).broken

    asyncio.run(play())
