"""Written games: reading gives the same scene, and both engines give the same replies, word for word."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from agentgym_hindsight.envs.alfworld.expert import next_action
from agentgym_hindsight.envs.alfworld.gamefile import parse_game, read_game
from agentgym_hindsight.envs.alfworld.gamewriter import scene_to_game, scene_to_trajectory, write_game
from agentgym_hindsight.envs.alfworld.houses import DIFFICULTIES, embedded_scene
from agentgym_hindsight.envs.alfworld.native import House, Play
from agentgym_hindsight.envs.alfworld.scene import TASK_TYPES, Goal, Scene
from agentgym_hindsight.errors import UsageError
from tests.envs.alfworld.scenes import kitchen

_UP_TO_312 = pytest.mark.skipif(sys.version_info >= (3, 13), reason="textworld 1.7.0 does not run on Python 3.13")


@pytest.mark.parametrize("level", sorted(DIFFICULTIES))
@pytest.mark.parametrize("index", range(6))
def test_reading_a_written_game_gives_the_same_scene(index: int, level: str) -> None:
    scene = embedded_scene("valid_unseen", index, level)
    assert parse_game(json.dumps(scene_to_game(scene))) == scene


def test_official_games_can_be_written_and_read_again(alfworld_games: list[Path]) -> None:
    for path in alfworld_games[::5]:
        scene = read_game(path)
        assert parse_game(json.dumps(scene_to_game(scene))) == scene, path


def test_files_on_disk(tmp_path: Path) -> None:
    scene = embedded_scene("train", 3)
    game = write_game(scene, tmp_path / "train" / "some" / "game")
    assert game.name == "game.tw-pddl"
    assert read_game(game) == scene
    assert b"\r" not in game.read_bytes()
    again = write_game(scene, tmp_path / "again")
    assert again.read_bytes() == game.read_bytes()
    beside = json.loads((game.parent / "traj_data.json").read_text("utf-8"))
    assert beside == scene_to_trajectory(scene)
    assert beside["task_type"] == scene.goal.task_type
    assert beside["pddl_params"]["object_target"] == scene.goal.object


def test_only_the_dialect_0_4_is_written() -> None:
    with pytest.raises(UsageError, match=r"dialect of ALFWorld 0\.4, got '0\.3'"):
        scene_to_game(kitchen(dialect="0.3"))


def side_by_side(scene: Scene, path: Path, commands: list[str]) -> Play:
    """Play the commands and then the expert in both engines; all texts and lists must be equal."""
    pytest.importorskip("textworld", reason="the genuine engine is not installed: pip install alfworld")
    genuine_module = pytest.importorskip("agentgym_hindsight.envs.alfworld.genuine")
    play = Play(House(scene))
    with genuine_module.GenuinePlay(path) as genuine:
        assert genuine.reset() == play.observation
        while True:
            assert genuine.admissible == play.admissible
            assert genuine.won == play.won
            command = commands.pop(0) if commands else next_action(play)
            if command is None:
                return play
            assert genuine.step(command) == play.step(command), command


@pytest.mark.genuine
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@_UP_TO_312
@pytest.mark.parametrize("index", range(6), ids=TASK_TYPES)
def test_the_genuine_engine_plays_generated_games(index: int, tmp_path: Path) -> None:
    scene = embedded_scene("train", index, "easy")
    extra = ["look", "help", "inventory", f"examine {House(scene).place_names[0]}", scene.walkthrough[0], "look", "fly"]
    play = side_by_side(scene, write_game(scene, tmp_path), extra)
    assert play.won


@pytest.mark.genuine
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@_UP_TO_312
def test_all_texts_of_examine_equal_the_genuine_ones(tmp_path: Path) -> None:
    scene = kitchen(goal=Goal("pick_and_place_simple", "Apple", "Desk"))
    at = "go to countertop 1"
    clean, heat, cool = (
        ["go to sinkbasin 1", "clean {} with sinkbasin 1"],
        ["go to microwave 1", "heat {} with microwave 1"],
        ["go to fridge 1", "cool {} with fridge 1"],
    )
    commands: list[str] = []
    for thing, slices in (("apple 1", True), ("lettuce 1", True), ("knife 1", False), ("bowl 1", False)):
        commands += [at, f"take {thing} from countertop 1", f"examine {thing}"]
        for treatment in (heat, cool, clean, heat, cool):
            commands += [part.format(thing) for part in treatment]
            commands += [f"examine {thing}"]
        commands += [at, f"move {thing} to countertop 1", "look"]
        if slices:
            commands += [
                "take knife 1 from countertop 1",
                f"slice {thing} with knife 1",
                "move knife 1 to countertop 1",
            ]
            commands += [f"take {thing} from countertop 1", f"examine {thing}"]
            commands += [part.format(thing) for part in heat] + [f"examine {thing}"]
            commands += [at, f"move {thing} to countertop 1"]
    side_by_side(scene, write_game(scene, tmp_path), commands)


@pytest.mark.genuine
@pytest.mark.filterwarnings("ignore")
def test_the_official_loader_lists_written_games(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("alfworld", reason="alfworld is not installed: pip install alfworld")
    module = pytest.importorskip("alfworld.agents.environment.alfred_tw_env")
    games = {str(write_game(embedded_scene("train", index), tmp_path / f"game{index}")) for index in range(6)}
    config = {
        "env": {"goal_desc_human_anns_prob": 0.0, "task_types": [1, 2, 3, 4, 5, 6]},
        "dataset": {"data_path": str(tmp_path), "num_train_games": -1},
    }
    listed = module.AlfredTWEnv(config, train_eval="train")
    capsys.readouterr()
    assert set(listed.game_files) == games
