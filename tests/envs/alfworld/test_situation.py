from __future__ import annotations

import time
from typing import Any

import gymnasium as gym

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.envs.alfworld.situation import Situation
from agentgym_hindsight.hindsight.anchors import anchor_keys


def played(actions: list[str] | None = None) -> Any:
    env: Any = gym.make("ALFWorld-Hindsight-v0", data="embedded", expert=True)
    _, info = env.reset(seed=3)
    over = False
    while not over:
        _, _, terminated, truncated, info = env.step(info["expert_action"] if actions is None else actions.pop(0))
        over = terminated or truncated or actions == []
    trajectory = env.unwrapped.trajectory()
    env.close()
    return trajectory


def test_commands_and_replies() -> None:
    situation = Situation()
    assert situation.text == "Location: middle of the room. In hand: nothing. Moved: nothing."
    for command, reply in (
        ("go to fridge 1", "You arrive at fridge 1. The fridge 1 is closed."),
        ("take egg 2 from fridge 1", "You pick up the egg 2 from the fridge 1."),
        ("heat egg 2 with microwave 1", "You heat the egg 2 using the microwave 1."),
        ("cool egg 2 with fridge 1", "You cool the egg 2 using the fridge 1."),
        ("clean egg 2 with sinkbasin 1", "You clean the egg 2 using the sinkbasin 1."),
        ("go to fridge 1", "Nothing happens."),
    ):
        situation.follow(command, reply)
    assert situation.text == "Location: fridge 1. In hand: egg 2 (clean, cold). Moved: nothing."
    situation.follow("move egg 2 to countertop 1", "You move the egg 2 to the countertop 1.")
    situation.follow("slice", "You sliced the apple 1 with the knife 1.")
    assert situation.text == "Location: fridge 1. In hand: nothing. Moved: egg 2 to countertop 1."


def test_a_recorded_rollout_has_the_situation_of_every_turn() -> None:
    trajectory = played()
    texts = [step.extra["situation"] for step in trajectory.steps]
    assert texts[0].startswith("Location: middle of the room. In hand: nothing.")
    assert trajectory.won
    for step, text in zip(trajectory.steps[1:], texts[1:], strict=True):
        before = trajectory.steps[step.index - 1]
        if before.action.startswith("go to "):
            assert text.startswith(f"Location: {before.action.removeprefix('go to ')}.")
        if before.action.startswith("take "):
            assert f"In hand: {before.action.removeprefix('take ').partition(' from ')[0]}" in text
    assert trajectory.extra["situation"] != texts[-1]


def test_augmented_anchors_tell_states_with_one_text_apart() -> None:
    """After two refused commands in two places the text is the same, and the situation is not."""
    trajectory = played()
    places = [step.action for step in trajectory.steps if step.action.startswith("go to ")]
    rollout = played([places[0], "eat", "eat", places[0].replace("1", "1"), "eat"][:3])
    other = played(["eat", "eat", "eat"])
    keys = {kind: anchor_keys([rollout, other], kind) for kind in ("observation", "augmented")}
    assert rollout.steps[2].observation == other.steps[1].observation == "Nothing happens."
    assert keys["observation"][0][2][0] == keys["observation"][1][1][0]
    assert keys["augmented"][0][2][0] != keys["augmented"][1][1][0]
    # The key of a state is the same whether it is seen before a turn or after the last one.
    shorter = played(["eat"])
    assert anchor_keys([shorter, other], "augmented")[0][0][1] == anchor_keys([shorter, other], "augmented")[1][1][0]


def test_long_texts_are_followed_quickly() -> None:
    started = time.process_time()  # CPU time, so that other processes have no effect
    Situation().follow("go to " + "x" * 1_000_000, "You pick up the " + "a from the " * 200_000)
    assert time.process_time() - started < 0.5
