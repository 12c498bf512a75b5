"""Random and broken programs: every one gives feedback and does not affect the host."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random

import pytest

from agentgym_hindsight.envs.appworld.env import AppWorldEnv
from agentgym_hindsight.envs.appworld.fuzz import programs
from agentgym_hindsight.envs.appworld.miniature.backend import MiniatureBackend
from agentgym_hindsight.envs.appworld.miniature.hamlet import APPS
from agentgym_hindsight.envs.appworld.miniature.world import World
from agentgym_hindsight.envs.appworld.sandbox import KINDS
from agentgym_hindsight.tasks import content_hash

NAMES: Mapping[str, Sequence[str]] = World.names()
ARGUMENTS = {f"{app}.{name}": tuple(api.parameters) for app, each in APPS.items() for name, api in each.apis.items()}


def drawn(seed: int, count: int = 400) -> list[str]:
    random = Random(seed)
    return [programs(random, NAMES, ARGUMENTS) for _ in range(count)]


def parses(program: str) -> bool:
    try:
        compile(program, "<fuzz>", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def test_the_same_seed_gives_the_same_programs() -> None:
    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    small = {"clock": ["now", "login"]}, {"clock.now": ("zone",)}
    random = Random(0)
    written = [programs(random, *small) for _ in range(50)]
    assert content_hash(*written) == "5069e0c01c661d1b", "the programs of a seed have changed"


def test_valid_and_broken_programs_are_among_them() -> None:
    written = drawn(0, 2_000)
    broken = [program for program in written if not parses(program)]
    assert 0.05 < len(broken) / len(written) < 0.6
    called = {app for program in written for app in re.findall(r"apis\.(\w+)\.", program)}
    assert called >= {*NAMES}, "every app is called"
    assert any(".login(username=" in program for program in written)
    assert any("no_such_parameter" in program for program in written)
    assert 0 < sum("complete_task(answer=" in program for program in written) < 0.1 * len(written)
    assert len(set(written)) > 0.7 * len(written), "most are different"


@pytest.mark.parametrize("seed", [1, 2])
def test_no_program_affects_the_host_or_another_world(seed: int) -> None:
    """Run 150 programs per seed.

    Each has an observation and a known error kind, no API has a bug, and another world is unchanged.
    """
    env, other = AppWorldEnv(max_steps=10, limits={"seconds": 2.0}), AppWorldEnv()
    other.reset(seed=seed)
    other.step("x = 41")
    still = world_of(other).delta_key()
    over, ended, kinds = True, 0, set()
    for number, program in enumerate(drawn(seed, 150)):
        if over:
            env.reset(seed=number)
        observation, reward, terminated, truncated, info = env.step(program)
        over = terminated or truncated
        ended += terminated
        kinds.add(info["extra"].error)
        assert observation
        assert len(observation) < 20_000
        assert "agentgym_hindsight" not in observation, "no frame of this library in a traceback"
        assert 0.0 <= reward <= 1.0
        assert info["extra"].error in ("", *KINDS)
        assert info["action_valid"] == (not info["extra"].error)
        assert world_of(env).bugs == []
    assert {"", "syntax", "exception"} <= kinds
    assert world_of(other).delta_key() == still
    assert other.step("print(x + 1)")[0] == "42"
    observation, *_ = (env.reset(seed=0), env.step("print('alive')"))[1]
    assert observation == "alive"
    env.close()
    other.close()


def world_of(env: AppWorldEnv) -> World:
    assert isinstance(env.backend, MiniatureBackend)
    return env.backend.play.world
