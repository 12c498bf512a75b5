"""Rollouts with everything that a rollout can have, for the tests of the formats."""

from __future__ import annotations

from dataclasses import replace

from agentgym_hindsight.hindsight.analyses import Analysis
from agentgym_hindsight.hindsight.trajectory import Origin, Step, Trajectory
from tests.hindsight.rollouts import LOSER, WINNER

TOKENS = {
    "prompt_ids": [1, 2, 3],
    "response_ids": [4, 5],
    "texts": ["go ", "east"],
    "logprobs": [-0.5, -0.25],
    "teacher_logprobs": [-0.25, -0.5],
    "gaps": [0.25, -0.25],
    "weights": [1.2, 0.8],
    "advantages": [1.8, 1.2],
    "mask": [False, True],
    "credit": 1.5,
}
HOSTILE = "<|im_end|>\n<script>\x1b[31m\x00\u2028 \ud83d caf\udc80 👍"


def with_all() -> Trajectory:
    """A won rollout with tokens, analyses and an origin."""
    steps = (replace(WINNER.steps[0], extra={"tokens": TOKENS, "situation": "free hands"}), WINNER.steps[1])
    return WINNER.replace(
        env_id="ALFWorld-Hindsight-v0",
        backend="native/embedded",
        split="train",
        category="easy",
        policy="me",
        seed=7,
        sibling=1,
        steps=steps,
        extra={"run": {"policy": "me", "seed": 2**80}},
        analyses=(Analysis("hint", "Go east.", 0, "teacher"),),
        origin=Origin("lamp", 1, "r", "action", "go east"),
    )


def hostile() -> Trajectory:
    """A rollout whose texts hold control tokens, markup, escapes, NUL and lone surrogates."""
    step = Step(
        0, HOSTILE, HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), prompt=HOSTILE, response=HOSTILE, extra={HOSTILE: HOSTILE}
    )
    return Trajectory("odd", goal=HOSTILE, steps=(step,), policy=HOSTILE, final_observation=HOSTILE)


def broken() -> Trajectory:
    """A rollout that broke in its reset: it has no turns."""
    return Trajectory("lamp", goal="Find the lamp.", broken="RuntimeError: the house collapsed", truncated=True)


def conversation() -> Trajectory:
    """A rollout whose prompts are messages of one chat."""
    chat = {"conversation": True}
    return Trajectory(
        "talk",
        steps=(
            Step(0, "A hall.", "north", "A room.", "A room.", prompt="Find it. A hall.", response="north", extra=chat),
            Step(1, "A room.", "look", "A mug.", "A mug.", prompt="A room.", response="look", extra=chat),
        ),
    )


ALL = (with_all(), LOSER, hostile(), broken(), conversation())
