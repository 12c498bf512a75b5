"""Envs whose episode has ended are inactive."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from agentgym_hindsight.errors import ResetNeededError, UsageError
from agentgym_hindsight.vector import HindsightVectorEnv
from tests.toy import CorridorEnv


class Counting(CorridorEnv):
    """Counts its turns."""

    turns = 0

    def step(self, action: str) -> Any:
        Counting.turns += 1
        return super().step(action)


def test_a_finished_env_is_not_stepped_and_does_not_change() -> None:
    venv = HindsightVectorEnv(Counting, 3, max_steps=30)
    assert venv.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    venv.reset(seed=0)
    while venv.active[0]:
        observations, rewards, _, _, infos = venv.step(["east", "west", "west"])
    assert rewards[0] == 1
    assert list(venv.active) == [False, True, True]
    Counting.turns = 0
    after = venv.step([None, "west", "west"])
    assert Counting.turns == 2
    assert after[0][0] == observations[0]
    assert (after[1][0], after[2][0], after[3][0]) == (0, False, False)
    assert list(after[4]["_won"]) == [False, True, True]
    assert after[4]["won"][0]
    same_again = venv.step(["ignored", "east", "east"])
    assert same_again[0][0] == observations[0]
    assert infos["step"][1] + 2 == same_again[4]["step"][1]


def test_truncation_also_ends_an_episode() -> None:
    venv = HindsightVectorEnv(CorridorEnv, 2, max_steps=2)
    venv.reset(seed=0)
    venv.step(["fly", "fly"])
    _, _, terminations, truncations, _ = venv.step(["fly", "fly"])
    assert truncations.all()
    assert not terminations.any()
    with pytest.raises(ResetNeededError, match=r"after all have ended; try reset\(\)"):
        venv.step(["fly", "fly"])


def test_results_are_copies() -> None:
    venv = HindsightVectorEnv(CorridorEnv, 2)
    venv.reset(seed=0)
    active = venv.active
    active[:] = False
    assert venv.active.all()
    first = venv.step(["east", "east"])
    first[2][:] = True
    first[4]["_won"][:] = False
    first[4]["score"][:] = 9
    second = venv.step(["east", "east"])
    assert not second[2].any()
    assert second[4]["_won"].all()
    assert not second[4]["score"].any()
    assert first[1].dtype == np.float64


@pytest.mark.parametrize(
    ("actions", "cause"),
    [
        (["east"], "got 1"),
        (["east"] * 3, "got 3"),
        ("ea", "got a str"),
        (["east", None], "env 1 as text, got None"),
        (["east", 3], "env 1 as text, got 3"),
    ],
)
def test_wrong_actions_are_refused_before_any_env_is_stepped(actions: Any, cause: str) -> None:
    venv = HindsightVectorEnv(CorridorEnv, 2)
    venv.reset(seed=0)
    with pytest.raises(UsageError, match=cause):
        venv.step(actions)
    assert list(venv.step(["east", "east"])[4]["step"]) == [1, 1]


def test_step_needs_a_reset() -> None:
    venv = HindsightVectorEnv(CorridorEnv, 2)
    with pytest.raises(ResetNeededError, match="reset"):
        venv.step(["east", "east"])
    assert venv.trajectories() == []


def test_any_sequence_of_actions_is_accepted() -> None:
    venv = HindsightVectorEnv(CorridorEnv, 2)
    venv.reset(seed=0)
    venv.step(np.array(["east", "fly"]))  # type: ignore[arg-type]
    venv.step(("east", "fly"))
    assert [trajectory.actions for trajectory in venv.trajectories()] == [("east", "east"), ("fly", "fly")]
