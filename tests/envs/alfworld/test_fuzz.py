"""Any text as an action: no crash, no hang, a bounded time per step, and an undamaged game.

The test suite plays 20,000 actions; ``python -m tests.envs.alfworld.test_fuzz 1000000`` plays a million and prints the
figures.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import gymnasium as gym
import pytest

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.envs.alfworld.expert import next_action

#: The time limit of a step on a busy machine; docs/benchmarks has the slowest measured step.
LIMIT_S = 1.0

_VERBS = (
    "go to",
    "open",
    "close",
    "take",
    "move",
    "put",
    "heat",
    "cool",
    "clean",
    "slice",
    "use",
    "examine",
    "look",
    "help",
)
_ODD = (
    "",
    " ",
    "\n",
    "\x00",
    "\x1b[2J",
    "\r\nlook\r\n",
    "look\u2028look",
    "\u202elook",
    "ｌｏｏｋ",
    "Look",
    "LOOK",
    "lo\u0301ok",
    "👩‍👩‍👧‍👦",
    "\ud800",
    "'; DROP TABLE games; --",
    "{o.name}",
    "%s%s%n",
    "{{7*7}}",
    "../../../etc/passwd",
    "__import__('os').system('exit')",
    "<action>look</action>",
    "go to " + "fridge " * 2000,
    "take  egg 1  from  fridge 1",
    "take from",
    "move to",
    "take egg 1 from from fridge 1",
    "slice with with",
    "go to fridge 0",
    "go to fridge -1",
    "go to fridge 99999999999999999999",
    "go to fridge ①",
)
_HUGE = ("a" * 100_000, "go to " + "x" * 100_000, " " * 100_000, "take " * 20_000, "\u0130" * 100_000, "(" * 100_000)


class Figures(NamedTuple):
    actions: int
    valid: int
    episodes: int
    slowest_ms: float
    p999_ms: float
    seconds: float


def actions_of(rng: random.Random, legal: tuple[str, ...]) -> Iterator[str]:
    """An endless stream of actions, based on the legal commands of the present state."""
    letters = [chr(rng.randrange(0x20, 0x2FFF)) for _ in range(64)]
    while True:
        draw = rng.random()
        if draw < 0.35:
            yield rng.choice(legal)
        elif draw < 0.60:  # damaged
            text = list(rng.choice(legal))
            for _ in range(rng.randrange(1, 4)):
                place = rng.randrange(len(text) + 1)
                text[place : place + rng.randrange(2)] = rng.choice((rng.choice(letters), " ", "", "\t"))
            yield "".join(text)
        elif draw < 0.80:  # a verb with words from other commands
            words = " ".join(rng.choice(legal) for _ in range(2)).split()
            yield f"{rng.choice(_VERBS)} {' '.join(rng.choices(words, k=rng.randrange(1, 6)))}"
        elif draw < 0.92:
            yield rng.choice(_ODD)
        elif draw < 0.999:
            yield "".join(rng.choices(letters, k=rng.randrange(1, 200)))
        else:
            yield rng.choice(_HUGE)


def fuzz(count: int, seed: int = 0) -> Figures:
    """Play ``count`` actions; raises at the first error."""
    env = gym.make("ALFWorld-Hindsight-v0", data="embedded")
    rng = random.Random(seed)
    times: list[float] = []
    valid = episodes = 0
    _, info = env.reset(seed=seed)
    stream = actions_of(rng, info["admissible_actions"])
    started = time.perf_counter()
    for _ in range(count):
        action = next(stream)
        before = time.process_time()
        observation, _, terminated, truncated, info = env.step(action)
        times.append(time.process_time() - before)
        valid += info["action_valid"]
        feedback = info["hindsight"].immediate_feedback
        assert feedback.text == observation
        if not info["action_valid"]:
            assert observation == "Nothing happens."
            assert feedback.detail
            assert len(feedback.detail) < 1000, "a reason must not repeat a huge command"
        if terminated or truncated:
            episodes += 1
            _, info = env.reset()
        if info["step"] % 5 == 0:
            stream = actions_of(rng, info["admissible_actions"])
    seconds = time.perf_counter() - started
    # The engine is undamaged: the expert wins a new game.
    _, info = env.reset()
    while (advice := next_action(env.unwrapped.backend.play)) is not None:  # type: ignore[attr-defined]
        _, _, _, _, info = env.step(advice)
    assert info["won"]
    times.sort()
    return Figures(count, valid, episodes, times[-1] * 1e3, times[int(len(times) * 0.999)] * 1e3, seconds)


def test_fuzz_with_5_000_actions() -> None:
    figures = fuzz(5_000)
    assert figures.slowest_ms < LIMIT_S * 1e3
    assert 0.2 < figures.valid / figures.actions < 0.6, "the stream should have legal and illegal commands"


@pytest.mark.slow
def test_fuzz_with_a_million_actions() -> None:
    assert fuzz(1_000_000, seed=1).slowest_ms < LIMIT_S * 1e3


if __name__ == "__main__":
    print(fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, seed=1))
