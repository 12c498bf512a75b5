"""A world with a plant in it, and somebody who acts there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentgym_hindsight.envs.appworld.miniature.world import World
from tests.envs.appworld.hamlet import Agent, planted


@pytest.fixture
def world() -> Iterator[World]:
    """Afterwards nothing in it broke."""
    world = World.load(planted())
    yield world
    assert world.bugs == []
    assert world.db.intact()
    world.close()


@pytest.fixture
def agent(world: World) -> Agent:
    """Logs in by itself."""
    return Agent(world)
