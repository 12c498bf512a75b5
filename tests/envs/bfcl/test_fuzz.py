"""Random calls and actions on the official tasks: no crash, no hang, bounded answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from agentgym_hindsight.envs.bfcl.env import BfclEnv
from agentgym_hindsight.envs.bfcl.fuzz import (
    LONGEST_ANSWER,
    failing_references,
    fuzz_calls,
    random_action,
    some_tasks,
    starting_states,
    values_of,
)
from agentgym_hindsight.envs.bfcl.official import OfficialLibrary
from agentgym_hindsight.envs.bfcl.official.templates import forget_templates
from agentgym_hindsight.envs.bfcl.world import CallResult
from agentgym_hindsight.envs.tools import ToolCall
from agentgym_hindsight.tasks import Task
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


def changes_no_later_episode(opened: OfficialLibrary, tasks: Sequence[Task], play: Callable[[], object]) -> bool:
    """Whether templates that are built after the play have the same states as before, and the references pass."""
    forget_templates()
    before = starting_states(opened, tasks)
    assert failing_references(opened, tasks) == []
    play()
    forget_templates()
    return starting_states(opened, tasks) == before and failing_references(opened, tasks) == []


@pytest.mark.parametrize("version", [V4, V3])
def test_random_calls(version: str) -> None:
    opened = library(version)

    def play() -> None:
        assert fuzz(opened, 3_000, 5) > 100

    assert changes_no_later_episode(opened, some_tasks(opened, 200), play)


@pytest.mark.slow
@pytest.mark.parametrize("version", [V4, V3])
def test_many_random_calls(version: str) -> None:
    opened = library(version)
    tasks = some_tasks(opened, 800)
    assert len({task.id for task in tasks}) == 800

    def play() -> None:
        begin = time.process_time()
        assert fuzz(opened, 200_000, 2) > 120
        assert time.process_time() - begin < 300

    assert changes_no_later_episode(opened, tasks, play)


@pytest.mark.parametrize("version", [V4, V3])
def test_the_calls_would_find_shared_default_values(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's own ``post_tweet`` keeps the mentions of earlier conversations."""
    opened = library(version)
    posting = opened.contents.package.modules().classes["TwitterAPI"]
    shared = posting.post_tweet.__wrapped__
    tasks = some_tasks(opened, 200)
    with monkeypatch.context() as patch:
        patch.setattr(shared, "__defaults__", tuple(list(each) for each in shared.__defaults__))
        patch.setattr(posting, "post_tweet", shared)
        assert not changes_no_later_episode(opened, tasks, lambda: fuzz(opened, 3_000, 5))
    assert failing_references(opened, tasks) == []


def test_a_template_that_has_changed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = library()
    tasks = some_tasks(opened, 10)
    before = starting_states(opened, tasks)
    files = opened.contents.package.modules().classes["GorillaFileSystem"]
    load = files._load_scenario

    def other(self: Any, scenario: Any, **more: Any) -> None:
        load(self, scenario, **more)
        self.left_over = True

    with monkeypatch.context() as patch:
        patch.setattr(files, "_load_scenario", other)
        assert starting_states(opened, tasks) == before  # the templates of before
        forget_templates()
        assert starting_states(opened, tasks) != before
    forget_templates()
    assert starting_states(opened, tasks) == before


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
