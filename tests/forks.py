"""Random walks through an env, and the comparison of what happens after a snapshot was restored."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium as gym

from agentgym_hindsight.envs.base import HindsightEnv
from agentgym_hindsight.envs.extra import example_actions
from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.envs.thought import Thought
from agentgym_hindsight.hindsight.info import plain_info
from agentgym_hindsight.wrappers import restore_into, snapshot_of
from tests.toy import CorridorBackend

Choose = Callable[[random.Random, dict[str, Any]], str]
#: Actions that no world takes: they must leave the same traces too.
_ODD = ("xyzzy", "", "go to nowhere 9", "click[no such thing]")


class FixedBackend(CorridorBackend):
    """A world that cannot be saved."""

    snapshot = None  # type: ignore[assignment]


class FixedEnv(HindsightEnv):
    """The corridor without snapshots."""

    splits = ("train", "valid")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(FixedBackend(), **kwargs)


class Moment(NamedTuple):
    """A moment of a walk: the snapshot, what the env had returned, the next action, and its result."""

    snapshot: Snapshot
    seen: str
    action: str
    result: str


def any_action(rng: random.Random, info: dict[str, Any]) -> str:
    """Mostly a legal action, sometimes one that is refused, or a thought."""
    draw = rng.random()
    if draw < 0.1:
        return rng.choice(_ODD)
    if draw < 0.15:
        return Thought("think: what now?")
    legal = [
        *info["admissible_actions"],
        *rng.sample(example_actions(info["extra"]), min(2, len(example_actions(info["extra"])))),
    ]
    calm = [action for action in legal if action != "click[buy now]"] if rng.random() < 0.9 else legal
    return str(rng.choice(calm or legal))


def in_words(result: Sequence[Any]) -> str:
    """A result of reset, step or restore as one text: equal texts mean equal bytes."""
    *rest, info = result
    return json.dumps([*rest, plain_info(info, episode=True)])


def walk(env: gym.Env[Any, Any], rng: random.Random, choose: Choose = any_action, most: int = 60) -> list[Moment]:
    """Play one episode to its end or for ``most`` turns, with a snapshot before every turn."""
    observation, info = env.reset(seed=rng.randrange(1000))
    moments, over = [], False
    while not over and len(moments) < most:
        snapshot, seen = snapshot_of(env), in_words((observation, info))
        action = choose(rng, info)
        observation, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        moments.append(Moment(snapshot, seen, action, in_words((observation, reward, terminated, truncated, info))))
    return moments


def check_restored(env: gym.Env[Any, Any], moments: Sequence[Moment], start: int, turns: int, *, stored: bool) -> None:
    """Restore a moment and play the walk's next actions: everything must come again, to the byte."""
    snapshot = moments[start].snapshot
    if stored:
        snapshot = Snapshot.from_bytes(snapshot.to_bytes())
    assert in_words(restore_into(env, snapshot)) == moments[start].seen
    for moment in moments[start : start + turns]:
        assert in_words(env.step(moment.action)) == moment.result


def check_walks(
    make: Callable[[], gym.Env[Any, Any]],
    states: int,
    *,
    seed: int = 0,
    turns: int = 3,
    choose: Choose = any_action,
    most: int = 60,
) -> int:
    """Check ``states`` random states: in the same env, in another one that never met the task, and after storing."""
    env, other = make(), make()
    rng, checked = random.Random(seed), 0
    try:
        while checked < states:
            moments = walk(env, rng, choose, most)
            order = list(range(len(moments)))
            rng.shuffle(order)
            for number in order[: states - checked]:
                check_restored((env, other)[number % 2], moments, number, turns, stored=rng.random() < 0.3)
                checked += 1
    finally:
        env.close()
        other.close()
    return checked
