"""The interface through which a run reports its progress."""

from __future__ import annotations

from typing import Protocol

from agentgym_hindsight.baselines.evaluation.results import Evaluation

__all__ = ["Observer", "SilentObserver", "evaluation_text"]


def evaluation_text(updates: int, label: str, evaluation: Evaluation) -> str:
    """One line about an evaluation.

    >>> from agentgym_hindsight.baselines.evaluation.results import evaluate
    >>> from agentgym_hindsight.hindsight.trajectory import Trajectory
    >>> evaluation_text(0, "greedy", evaluate([Trajectory("1f", category="easy", won=True, score=1.0)]))
    'before training, greedy: success 100.0% [20.7%, 100.0%] of 1 tasks, 0.0 turns'
    """
    when = f"after {updates} updates" if updates else "before training"
    result = evaluation.micro
    low, high = result.interval
    return (
        f"{when}, {label}: success {result.success:.1%} [{low:.1%}, {high:.1%}] of {result.rollouts} tasks, "
        f"{result.turns:.1f} turns"
    )


class Observer(Protocol):
    """Receives the stages of a run, the steps within a stage, and messages.

    ``advance`` is also called between steps, with ``steps=0``, when only the note has changed.
    """

    def stage(self, name: str, total: int) -> None: ...
    def advance(self, note: str = "", steps: int = 1) -> None: ...
    def say(self, text: str) -> None: ...


class SilentObserver:
    """Ignores everything."""

    def stage(self, name: str, total: int) -> None:
        """Ignore a stage."""

    def advance(self, note: str = "", steps: int = 1) -> None:
        """Ignore a step."""

    def say(self, text: str) -> None:
        """Ignore a message."""
