"""Evaluate a policy on a stage over a panel of tasks. Training, the command line and the tests use this module."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from typing import Any

from agentgym_hindsight.baselines.evaluation.results import Evaluation, evaluate
from agentgym_hindsight.baselines.policies.alfworld_search import SeekingExpert
from agentgym_hindsight.baselines.policies.base import Policy, Reply, TurnView, check_world
from agentgym_hindsight.baselines.policies.scripted import ExpertPolicy, RandomPolicy, ReplayPolicy
from agentgym_hindsight.baselines.policies.webshop_rule import SearchAndBuyFirst
from agentgym_hindsight.baselines.rollout import assignments, rollout
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import Task
from agentgym_hindsight.wrappers import format_response
from agentgym_hindsight.wrappers.parsing import parser_name

__all__ = ["Formatted", "as_played", "evaluate_policy", "play_panel"]

#: These policies return bare actions, which the parser of a stage would refuse.
_SCRIPTED = (ExpertPolicy, SeekingExpert, RandomPolicy, ReplayPolicy, SearchAndBuyFirst)


class Formatted:
    """Wraps a policy of bare actions and writes each action in the format of a parser.

    >>> view = TurnView("1f", 0, 0, "", {"admissible_actions": ("look",)})
    >>> Formatted(RandomPolicy(), "verl-agent-2025").act([view])
    ['<think></think><action>look</action>']
    """

    def __init__(self, policy: Policy, parser: str) -> None:
        self.policy, self.parser = policy, parser_name(parser)

    @property
    def name(self) -> str:
        return self.policy.name

    @property
    def needs_expert(self) -> bool:
        """Whether the wrapped policy reads ``info["expert_action"]``."""
        return bool(getattr(self.policy, "needs_expert", False))

    def act(self, turns: Sequence[TurnView]) -> list[str]:
        answers = (a.text if isinstance(a, Reply) else a for a in self.policy.act(turns))
        return [format_response(answer, self.parser) for answer in answers]


def as_played(policy: Policy, stage: Stage) -> Policy:
    """The policy as it plays a stage: the actions of scripted ones in the format of its parser. It must fit the world.

    >>> as_played(RandomPolicy(), Stage()).name
    'random'
    """
    check_world(policy, stage.world)
    return Formatted(policy, stage.parser) if isinstance(policy, _SCRIPTED) else policy


def play_panel(
    policy: Policy,
    stage: Stage,
    panel: Sequence[Task],
    *,
    num_envs: int = 64,
    seed: int = 0,
    siblings: int = 1,
    done: Collection[tuple[str, int]] = frozenset(),
    progress: Callable[[int], object] | None = None,
) -> Iterator[Trajectory]:
    """Play a panel and yield the rollouts one by one, without the (task id, sibling) pairs in ``done``.

    The actions of our scripted policies are written in the format of the stage's parser; wrap your own scripted
    policies in :class:`Formatted`. ``progress`` is called with the number of turns just played.
    """
    if num_envs < 1:
        raise UsageError(f"Expected num_envs ≥ 1, got {num_envs}; try 64.")
    remaining = assignments(panel, siblings, done=done)
    if not remaining:
        return
    playing_policy = as_played(policy, stage)
    env_options: dict[str, Any] = {"expert": True} if getattr(playing_policy, "needs_expert", False) else {}
    with closing(stage.vector(min(num_envs, len(remaining)), **env_options)) as venv:
        yield from rollout(venv, playing_policy, remaining, seed=seed, on_turns=progress)


def evaluate_policy(
    policy: Policy,
    stage: Stage,
    panel: Sequence[Task],
    *,
    num_envs: int = 64,
    seed: int = 0,
    siblings: int = 1,
    progress: Callable[[int], object] | None = None,
) -> tuple[Evaluation, list[Trajectory]]:
    """Play a whole panel and summarise it; the arguments are those of :func:`play_panel`.

    >>> stage = Stage(settings={"data": "embedded"})
    >>> evaluation, rollouts = evaluate_policy(ExpertPolicy(), stage, stage.panel("valid_unseen", 4))
    >>> evaluation.micro.success, len(rollouts)
    (1.0, 4)
    """
    if not len(panel):
        raise UsageError("Expected a panel of one task or more, got an empty one; try stage.panel(split).")
    played = list(play_panel(policy, stage, panel, num_envs=num_envs, seed=seed, siblings=siblings, progress=progress))
    return evaluate(played), played
