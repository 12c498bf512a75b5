"""Fixtures: a world with known data, an agent that acts in it, and a sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentgym_hindsight.envs.appworld.miniature.world import World
from agentgym_hindsight.envs.appworld.sandbox import Sandbox
from tests.envs.appworld.hamlet import Agent, planted
from tests.envs.appworld.sandbox_helpers import LIMITS, NAMES, answer


@pytest.fixture
def world() -> Iterator[World]:
    """At the end of the test, no API call has failed with a bug and the database is consistent."""
    world = World.load(planted())
    yield world
    assert world.bugs == []
    assert world.db.intact()
    world.close()


@pytest.fixture
def agent(world: World) -> Agent:
    """An agent that logs in by itself."""
    return Agent(world)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(answer, NAMES, LIMITS)
    yield sandbox
    sandbox.close()
