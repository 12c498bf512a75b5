"""Goal conditions, counted as in ALFRED, and the tasks that a state solves by accident."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from agentgym_hindsight.envs.alfworld.expert import next_action
from agentgym_hindsight.envs.alfworld.gamefile import read_game
from agentgym_hindsight.envs.alfworld.goals import dead_end, fulfilled_tasks, goal_conditions
from agentgym_hindsight.envs.alfworld.houses import embedded_scene
from agentgym_hindsight.envs.alfworld.native import House, Play
from agentgym_hindsight.envs.alfworld.object_types import task_sentence
from agentgym_hindsight.envs.alfworld.scene import Goal, Scene
from tests.envs.alfworld.scenes import kitchen

TOTALS = {
    "pick_and_place_simple": 1,
    "look_at_obj_in_light": 2,
    "pick_clean_then_place_in_recep": 3,
    "pick_heat_then_place_in_recep": 3,
    "pick_cool_then_place_in_recep": 3,
    "pick_two_obj_and_place": 2,
}


def play_through(scene: Scene, seed: int) -> list[tuple[int, int]]:
    """Random steps and then the expert, with the conditions counted at every step."""
    play, rng = Play(House(scene)), random.Random(seed)
    counts = [goal_conditions(play)]
    for step in range(40):
        if play.won:
            break
        command = rng.choice(play.admissible) if step < 8 else next_action(play)
        if command is None:
            break
        play.step(command)
        met, total = goal_conditions(play)
        assert (met == total) == play.won
        counts.append((met, total))
    return counts


@pytest.mark.parametrize("index", range(12))
def test_conditions_are_all_met_exactly_when_won(index: int) -> None:
    scene = embedded_scene("train", index)
    counts = play_through(scene, index)
    assert {total for _, total in counts} == {TOTALS[scene.goal.task_type]}
    assert counts[-1][0] == counts[-1][1]


def test_conditions_of_official_games(alfworld_games: list[Path]) -> None:
    for number, path in enumerate(alfworld_games[::10]):
        scene = read_game(path)
        assert {total for _, total in play_through(scene, number)} == {TOTALS[scene.goal.task_type]}


def counts_after(goal: Goal, *commands: str) -> tuple[int, int]:
    play = Play(House(kitchen(goal=goal)))
    for command in commands:
        assert play.step(command) != "Nothing happens.", command
    return goal_conditions(play)


def test_conditions_are_counted_as_in_alfred() -> None:
    heat = Goal("pick_heat_then_place_in_recep", "Mug", "Shelf")  # the mug starts on the shelf and is not hot
    take = ("go to shelf 1", "take mug 1 from shelf 1", "go to microwave 1")
    assert counts_after(heat) == (1, 3)  # in place
    assert counts_after(heat, *take) == (0, 3)
    assert counts_after(heat, *take, "heat mug 1 with microwave 1") == (1, 3)  # hot
    assert counts_after(heat, *take, "heat mug 1 with microwave 1", "go to shelf 1", "move mug 1 to shelf 1") == (
        3,
        3,
    )  # in place, hot, and both for one mug

    look = Goal("look_at_obj_in_light", "Mug", lamp="DeskLamp")
    assert counts_after(look) == (0, 2)
    assert counts_after(look, "go to desk 1", "use desklamp 1") == (1, 2)
    assert counts_after(look, "go to desk 1", "use desklamp 1", "go to shelf 1") == (0, 2)  # out of sight
    assert counts_after(look, *take[:2]) == (1, 2)
    assert counts_after(look, "go to desk 1", "use desklamp 1", *take[:2], "go to desk 1") == (2, 2)

    two = Goal("pick_two_obj_and_place", "Mug", "Shelf")
    assert counts_after(two) == (1, 2)


def test_fulfilled_tasks_are_solved_now_and_not_at_the_start() -> None:
    for index in range(18):
        scene = embedded_scene("train", index)
        play, rng = Play(House(scene)), random.Random(index)
        for step in range(60):
            if play.won:
                break
            play.step(rng.choice(play.admissible) if step < 30 else next_action(play) or "look")
            if step % 10 == 0 or play.won:
                check_fulfilled(scene, play)


def check_fulfilled(scene: Scene, play: Play) -> None:
    found = fulfilled_tasks(play)
    assert len({task.goal for task in found}) == len(found)
    for task in found:
        other = Play(House(scene._replace(goal=task.goal)))
        assert not other.won
        other.restore(play.snapshot())
        assert other.won
        assert task.sentences == (task_sentence(task.goal, 0), task_sentence(task.goal, 1))
    assert play.won == (scene.goal in {task.goal for task in found})


def test_fulfilled_tasks_of_a_few_moves() -> None:
    play = Play(House(kitchen(goal=Goal("pick_and_place_simple", "Bowl", "Desk"))))
    assert fulfilled_tasks(play) == ()
    for command in (
        "go to shelf 1",
        "take mug 1 from shelf 1",
        "go to microwave 1",
        "heat mug 1 with microwave 1",
        "go to desk 1",
        "use desklamp 1",
    ):
        play.step(command)
    assert [task.sentences[0] for task in fulfilled_tasks(play)] == ["look at mug under the desklamp."]
    play.step("move mug 1 to desk 1")
    assert [task.sentences[0] for task in fulfilled_tasks(play)] == ["put a mug in desk.", "put a hot mug in desk."]
    assert fulfilled_tasks(play, play.state()) == ()


def test_dead_end_is_a_text() -> None:
    play = Play(House(kitchen(goal=Goal("pick_and_place_simple", "Bowl", "Desk"))))
    assert dead_end(play) == ""
    lost = Play(House(kitchen(goal=Goal("pick_and_place_simple", "Bowl", "Sofa"))))
    assert dead_end(lost) == "This house has no sofa."
