"""Fixtures for tests of training."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import gymnasium as gym
import pytest

from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers import action_parsing
from tests.vector.worlds import StormyEnv

_STORMY = "Stormy-Trainer-v0"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbid downloads."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True, scope="session")
def frozen_heap() -> None:
    """Exclude the imported libraries from garbage collection.

    Trainer.train calls gc.collect(), which takes longer than the training of a tiny model if it scans all of them.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def stormy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage whose environment crashes at the action ``crash``."""
    # The action is not among the admissible ones, and must not be replaced by the nearest of them.
    monkeypatch.setattr(action_parsing, "_NEAREST_BY_DEFAULT", ())
    gym.register(_STORMY, entry_point=StormyEnv, order_enforce=False)
    yield Stage(_STORMY, protocol="brief", settings={"max_steps": 7})
    del gym.registry[_STORMY]
