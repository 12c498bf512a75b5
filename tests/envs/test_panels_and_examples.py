"""In every world: panels, playable splits, an example action, and calls before ``reset``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from agentgym_hindsight.envs.alfworld.gamewriter import write_game
from agentgym_hindsight.envs.alfworld.houses import embedded_scene
from agentgym_hindsight.errors import ResetNeededError, UnknownNameError, UsageError
from agentgym_hindsight.registration import ENVS
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import TaskPanel
from tests.toy import CorridorBackend, CorridorEnv

OPTIONS = {
    "AppWorld-Hindsight-v0": {},
    "TauBench-Hindsight-v0": {"backend": "embedded"},
    "BFCL-Hindsight-v0": {"backend": "embedded"},
}
WORLDS = {entry.id: OPTIONS.get(entry.id, {"data": "embedded"}) for entry in ENVS}
SPLITS = {
    "ALFWorld-Hindsight-v0": ("train", "valid_seen", "valid_unseen"),
    "WebShop-Hindsight-v0": ("train", "eval", "test"),
    "AppWorld-Hindsight-v0": ("train", "dev", "test"),
    "TauBench-Hindsight-v0": ("train", "valid", "test"),
    "BFCL-Hindsight-v0": ("train", "valid", "test"),
}
#: Fingerprints of ``TaskPanel.of_split(backend, split, 5, seed=3)`` before ``panel`` had ``n`` and ``seed``. (Hamlet's
#: tasks have editions, so their ids may change.)
DRAWN_BEFORE = {
    "ALFWorld-Hindsight-v0": "1df1dac13d3eeb16",
    "WebShop-Hindsight-v0": "9b6a8946806f4916",
}
_MEASURE = """
import json, sys, time
import gymnasium as gym, agentgym_hindsight
env = gym.make(sys.argv[1], **json.loads(sys.argv[2])).unwrapped
before = time.process_time()
panel = env.panel(n=200, seed=3)
print(json.dumps([time.process_time() - before, len(panel)]))
"""


@pytest.fixture(params=WORLDS)
def env_id(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def env(env_id: str) -> Any:
    made = gym.make(env_id, render_mode="ansi", **WORLDS[env_id])
    yield made
    made.close()


def test_a_panel_is_drawn_by_its_seed(env: Any, env_id: str) -> None:
    world = env.unwrapped
    split = world.splits[-1]
    panel = world.panel(n=5, split=split, seed=3)
    assert panel == TaskPanel.of_split(world.backend, split, 5, 3)
    assert panel == Stage(env_id, WORLDS[env_id]).panel(split, 5, 3)
    assert panel.fingerprint == DRAWN_BEFORE.get(env_id, panel.fingerprint), "recorded panels stay the same"
    assert panel.name == f"{world.backend.name}/{split}[5]@3"
    assert panel.ids == world.panel(n=7, split=split, seed=3).ids[:5]
    assert panel.ids != world.panel(n=5, split=split, seed=4).ids
    assert {task.split for task in panel} == {split}
    assert {task.split for task in world.panel(n=2)} == {"train"}, "without a split: that of the env"
    _, info = env.reset(options={"task": panel[4]})
    assert info["task_id"] == panel[4].id


def test_bad_panels_are_refused(env: Any) -> None:
    for n in (-1, 10**6, 2.5, "3", True):
        with pytest.raises(UsageError, match="Expected"):
            env.unwrapped.panel(n=n)
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        env.unwrapped.panel(n=1, split="trian")


def test_only_the_tasks_of_the_panel_are_made() -> None:
    made: list[int] = []

    class Counted(CorridorBackend):
        def task(self, split: str, index: int) -> Any:
            made.append(index)
            return super().task(split, index)

    env = CorridorEnv()
    env.backend = Counted()
    assert len(env.panel(n=4, seed=1)) == len(made) == 4
    assert [task.locator for task in env.panel()] == [f"train/{index}" for index in range(12)]


def test_a_panel_takes_little_time(env_id: str) -> None:
    """Measured: 0.01 to 0.5 s of CPU time. Making every task of a split takes 3 to 11 s."""
    command = [sys.executable, "-c", _MEASURE, env_id, json.dumps(WORLDS[env_id])]
    seconds, tasks = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert tasks == 200
    assert seconds < 3


def test_splits_are_those_that_can_be_played(env: Any, env_id: str) -> None:
    assert env.unwrapped.splits == SPLITS[env_id]
    for split in env.unwrapped.splits:
        assert len(env.unwrapped.panel(split, 1)) == 1


def test_splits_depend_on_the_data(tmp_path: Path) -> None:
    shop: Any = gym.make("WebShop-Hindsight-v0", data="embedded", goals="human", products=20).unwrapped
    assert shop.splits == ("train", "eval"), "no product of so few that has human goals is in the test split"
    with pytest.raises(UnknownNameError, match="Known: eval, train"):
        shop.panel(n=1, split="test")
    for split in ("train", "valid_unseen"):
        write_game(embedded_scene(split, 0), tmp_path / split / "pick" / "trial")
    games: Any = gym.make("ALFWorld-Hindsight-v0", data=str(tmp_path)).unwrapped
    assert games.splits == ("train", "valid_unseen")
    some: Any = gym.make("AppWorld-Hindsight-v0", templates=["set_alarm"]).unwrapped
    assert some.splits == ("train",)


def test_a_split_without_tasks_is_refused_when_the_env_is_made() -> None:
    with pytest.raises(UsageError, match=r"none of the chosen templates there; try split='train'"):
        gym.make("AppWorld-Hindsight-v0", templates=["set_alarm"], split="dev")
    with pytest.raises(UsageError, match=r"human goals in split 'test'.*got none"):
        gym.make("WebShop-Hindsight-v0", data="embedded", goals="human", products=20, split="test")
    with pytest.raises(UsageError, match="valid_seen"):
        gym.make("ALFWorld-Hindsight-v0", data="embedded", split="valid_train")


def test_the_first_action_of_the_readme(env: Any) -> None:
    _, info = env.reset(seed=0)
    action = info["admissible_actions"][0] if info["admissible_actions"] else info["extra"].example_actions[0]
    assert action == env.unwrapped.example_action()
    for example in info["admissible_actions"][:2] or info["extra"].example_actions:
        env.reset(seed=0)
        *_, after = env.step(example)
        assert after["action_valid"], example


def test_a_world_without_examples() -> None:
    class Open(CorridorBackend):
        def start(self, task: Any) -> Any:
            return super().start(task)._replace(admissible_actions=())

    env = CorridorEnv()
    env.backend = Open()
    env.reset(seed=0)
    assert env.example_action() == ""


def test_calls_before_reset(env: Any) -> None:
    assert env.render() == ""
    for early in (env.unwrapped.trajectory, env.unwrapped.example_action):
        with pytest.raises(ResetNeededError, match=r"try env\.reset\(\)"):
            early()
    env.reset(seed=0)
    assert env.render()
    assert env.unwrapped.trajectory().steps == ()
