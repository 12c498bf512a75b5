"""The arguments num_prev_obs and num_prev_actions."""

from __future__ import annotations

from itertools import product
from typing import Any

import gymnasium as gym
import pytest

from agentgym_hindsight.envs.webshop.history import History
from agentgym_hindsight.errors import UsageError

ACTIONS = ["search[red mug]", "nonsense", "click[next >]", "click[back to search]", "search[lamp]"]


def make(**choices: Any) -> Any:
    return gym.make("WebShop-Hindsight-v0", data="embedded", products=60, **choices).unwrapped


def pages(**choices: Any) -> list[str]:
    env = make(**choices)
    return [env.reset(seed=3)[0], *(env.step(action)[0] for action in ACTIONS)]


@pytest.mark.parametrize(("observations", "actions"), list(product(range(4), repeat=2)))
def test_history_is_interleaved_before_the_page(observations: int, actions: int) -> None:
    plain = pages()
    # The same rule in another form: all parts in order of time, without those that are too old.
    expected = [plain[0]]
    for turn in range(1, len(plain)):
        parts = []
        for past in range(turn):
            if turn - past <= observations:
                parts.append(plain[past])
            if turn - past <= actions:
                parts.append(ACTIONS[past])
        expected.append(" [SEP] ".join([*parts, plain[turn]]))
    assert pages(num_prev_obs=observations, num_prev_actions=actions) == expected


def test_a_reset_clears_the_history_and_demonstrations_have_one() -> None:
    env = make(num_prev_obs=2, num_prev_actions=1)
    first, _ = env.reset(seed=3)
    env.step("search[mug]")
    assert env.reset(seed=3)[0] == first
    demonstration = env.backend.demonstration(env.task)
    assert demonstration is not None
    for step in demonstration.steps:
        assert env._turn.observation == step.observation
        seen = env.step(step.action)[0]
    assert seen == demonstration.final_observation


@pytest.mark.parametrize("wrong", [-1, True, 1.5, "2"])
def test_other_values_than_natural_numbers_raise_errors(wrong: Any) -> None:
    with pytest.raises(UsageError, match="num_prev_obs"):
        History(wrong, 0)
    with pytest.raises(UsageError, match="num_prev_actions"):
        make(num_prev_actions=wrong)
