"""Vector envs that tests share, and a count of the processes that each test started itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentgym_hindsight.vector import HindsightVectorEnv
from tests.vector import worlds


@pytest.fixture(autouse=True)
def _count_own_processes() -> None:
    worlds.OTHERS.clear()
    worlds.OTHERS.update(worlds.children())


@pytest.fixture(scope="package")
def shared_env() -> Iterator[Callable[..., HindsightVectorEnv]]:
    """A function that makes a vector env, or returns the one made earlier with the same arguments.

    Starting worker processes takes most of the time of these tests. A test that uses this begins with a reset, and does
    not close the env. Without workers a new env is made each time.
    """
    made: dict[Any, HindsightVectorEnv] = {}

    def get(factory: Callable[..., Any], num_envs: int, *, workers: int, group_size: int = 1) -> HindsightVectorEnv:
        key = (factory, num_envs, workers, group_size)
        if not workers or key not in made:
            made[key] = HindsightVectorEnv(factory, num_envs, workers=workers, group_size=group_size)
        return made[key]

    yield get
    for venv in made.values():
        venv.close()
