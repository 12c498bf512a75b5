"""Random calls and actions on the official tasks: no crash, no hang, bounded answers."""

from __future__ import annotations

import time
from random import Random

import pytest

from agentgym_hindsight.envs.bfcl.env import BfclEnv
from agentgym_hindsight.envs.bfcl.fuzz import LONGEST_ANSWER, fuzz_calls, random_action, values_of
from agentgym_hindsight.envs.bfcl.official import OfficialLibrary
from agentgym_hindsight.envs.bfcl.world import CallResult
from agentgym_hindsight.envs.tools import ToolCall
from tests.bfcl_packages import V3, V4, library, package


def fuzz(opened: OfficialLibrary, count: int, seed: int) -> int:
    names = set()

    def check(call: ToolCall, result: CallResult) -> None:
        names.add(call.name)
        assert isinstance(result.text, str)
        assert len(result.text) <= LONGEST_ANSWER
        assert not result.error or result.reason

    fuzz_calls(opened, count, seed, check)
    return len(names)


@pytest.mark.parametrize("version", [V4, V3])
def test_random_calls(version: str) -> None:
    assert fuzz(library(version), 2_000, 1) > 100


@pytest.mark.slow
@pytest.mark.parametrize("version", [V4, V3])
def test_many_random_calls(version: str) -> None:
    begin = time.process_time()
    assert fuzz(library(version), 200_000, 2) > 120
    assert time.process_time() - begin < 300


def test_random_actions() -> None:
    env = BfclEnv(backend="official", data=package().folder)
    draw = Random(3)
    invalid = 0
    for seed in range(25):
        env.reset(seed=seed)
        known = values_of(env.backend.episode)
        over, steps = False, 0
        while not over and steps < 30:
            action = random_action(draw, env.backend.episode, known)
            observation, _, terminated, truncated, info = env.step(action)
            assert len(observation) < 2 * LONGEST_ANSWER
            assert observation.encode()  # half characters would raise
            invalid += not info["action_valid"]
            over, steps = terminated or truncated, steps + 1
    assert invalid > 50
