"""Policies without a model: expert, random, replay; and every scripted policy by its name.

Each choice depends only on (seed, task, sibling, step) and never on the other rollouts of the batch, so the same seed
gives the same episodes with one env or with 64.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agentgym_hindsight.baselines.policies.base import Policy, TurnView
from agentgym_hindsight.envs.extra import example_actions
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.tasks import seeded_int

__all__ = ["ExpertPolicy", "RandomPolicy", "ReplayPolicy", "scripted_policy"]

_PRECISION = 1 << 32


class RandomPolicy:
    """Draws one of the admissible actions uniformly or, if the set of actions is open, one of the world's examples.

    >>> view = TurnView("1f", 0, 0, "", {"admissible_actions": ("go", "look")})
    >>> RandomPolicy(seed=0).act([view, view])
    ['look', 'look']
    """

    name = "random"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def act(self, turns: Sequence[TurnView]) -> list[str]:
        return [self._choose(turn) for turn in turns]

    def _choose(self, turn: TurnView) -> str:
        actions = turn.info["admissible_actions"] or example_actions(turn.info.get("extra"))
        if not actions:
            raise UsageError(
                "Expected admissible actions or examples to draw from, got none; try an env that lists admissible "
                "actions, or Extra(example_actions=…) in its backend."
            )
        choice: str = actions[seeded_int("random", self.seed, turn.task_id, turn.sibling, turn.step) % len(actions)]
        return choice


class ExpertPolicy:
    """Plays ``info["expert_action"]``, or an action of :class:`RandomPolicy` with probability ``noise``.

    Needs an env made with ``expert=True``. If the expert has no advice because the task can no longer be won, it plays
    "look".
    """

    needs_expert = True

    def __init__(self, seed: int = 0, noise: float = 0.0) -> None:
        if not 0 <= noise <= 1:
            raise UsageError(f"Expected noise between 0 and 1, got {noise}; try 0.2 for some random actions.")
        self.seed, self.noise = seed, noise
        self._random = RandomPolicy(seed)

    @property
    def name(self) -> str:
        return f"expert:{self.noise:g}" if self.noise else "expert"

    def act(self, turns: Sequence[TurnView]) -> list[str]:
        return [self._choose(turn) for turn in turns]

    def _choose(self, turn: TurnView) -> str:
        drawn = seeded_int("detour", self.seed, turn.task_id, turn.sibling, turn.step) % _PRECISION
        if drawn < self.noise * _PRECISION:
            return self._random.act([turn])[0]
        advised: str = turn.info["expert_action"]
        legal = turn.info["admissible_actions"]
        # Without advice: "look" if it is admissible or the action set is open, otherwise the first admissible action.
        return advised or ("look" if "look" in legal or not legal else legal[0])


class ReplayPolicy:
    """Repeats the recorded actions of the same sibling, or of the task's first rollout if that sibling is missing."""

    name = "replay"

    def __init__(self, trajectories: Iterable[Trajectory]) -> None:
        self._actions: dict[tuple[str, int], tuple[str, ...]] = {}
        self._first: dict[str, tuple[str, ...]] = {}
        for trajectory in trajectories:
            self._actions[trajectory.task_id, trajectory.sibling] = trajectory.actions
            self._first.setdefault(trajectory.task_id, trajectory.actions)

    def act(self, turns: Sequence[TurnView]) -> list[str]:
        return [self._choose(turn) for turn in turns]

    def _choose(self, turn: TurnView) -> str:
        actions = self._actions.get((turn.task_id, turn.sibling)) or self._first.get(turn.task_id)
        if actions is None:
            raise UsageError(f"Expected a recorded rollout of task {turn.task_id}, got none; try another recording.")
        if turn.step >= len(actions):
            return "look"  # the episode is longer than the recording: another world or another limit
        return actions[turn.step]


def scripted_policy(name: str, *, seed: int = 0) -> Policy:
    """A policy by name: ``expert``, ``expert:0.2`` (with 20 % random actions), ``seeking-expert``, ``random``,
    ``replay:FILE`` or ``webshop-rule``. Case does not matter."""
    kind, _, argument = name.partition(":")
    kind = kind.strip().lower()
    if kind == "random":
        return RandomPolicy(seed)
    if kind == "expert":
        try:
            noise = float(argument or 0)
        except ValueError:
            raise UsageError(f"Expected expert or expert:NOISE, got {name!r}; try expert:0.2.") from None
        return ExpertPolicy(seed, noise)
    if kind == "replay":
        from agentgym_hindsight.hindsight.jsonl import read_jsonl

        return ReplayPolicy(read_jsonl(argument).trajectories)
    if kind == "seeking-expert":
        from agentgym_hindsight.baselines.policies.alfworld_search import SeekingExpert

        return SeekingExpert()
    if kind == "webshop-rule":
        from agentgym_hindsight.baselines.policies.webshop_rule import SearchAndBuyFirst

        return SearchAndBuyFirst()
    raise UnknownNameError(
        "policy", name, ("expert", "expert:NOISE", "seeking-expert", "random", "replay:FILE", "webshop-rule")
    )
