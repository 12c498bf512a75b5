"""Reflexion (arXiv 2303.11366): several trials of ReAct; after a failure the model writes what to do otherwise.

The reflections on a task's earlier trials are a memory, which is shown before the task.
:mod:`~agentgym_hindsight.baselines.evaluation.trials` plays the trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentgym_hindsight.baselines.analysers.answers import text_of, without_thinking
from agentgym_hindsight.baselines.analysers.reflections import Reflected
from agentgym_hindsight.baselines.analysers.rollout_text import NOTICE, fenced, rollout_text
from agentgym_hindsight.baselines.policies.base import Policy, Reply, TurnView
from agentgym_hindsight.baselines.policies.react import ReActPolicy
from agentgym_hindsight.hindsight.analyses import Analysis
from agentgym_hindsight.hindsight.control_text import break_control_text
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.printable import printable_line

__all__ = ["MOST_REFLECTIONS", "ReflexionPolicy", "reflection_of", "reflection_request"]

#: So many reflections are shown: the last ones.
MOST_REFLECTIONS = 3
_MOST_CHARACTERS = 1000  # of a reflection
_TRIES, _WARMER = 6, 0.2  # an empty reply is asked for again, each time at a higher temperature
_STEP = 1_000_000  # stands for the turn of a reflection in the keys of random numbers


class ReflexionPolicy(ReActPolicy):
    """ReAct with a memory of reflections, by task. The trial is the number of the rollout within its group.

    ``scripted``: the policy inside cannot write, so that the reflections are those of
    :class:`~agentgym_hindsight.baselines.analysers.reflections.Reflected` without a model.

    >>> from agentgym_hindsight.baselines.policies import ExpertPolicy
    >>> from agentgym_hindsight.hindsight import Step
    >>> policy = ReflexionPolicy(ExpertPolicy(), {}, scripted=True)
    >>> step = Step(0, "A hall.", "eat", "Nothing happens.", "A hall.", action_valid=False, detail="No food here.")
    >>> policy.remember(policy.reflect([Trajectory("1f", goal="Find the mug.", steps=(step,))]))
    >>> print(policy.memory(TurnView("1f", 1, 0, "A hall.", {})))
    Your memory for the task below:
    Trial 1: Step 1: The action "eat" was refused: No food here.
    """

    kind = "reflexion"

    def __init__(self, policy: Policy, demonstrations: Mapping[str, Sequence[str]], *, scripted: bool = False) -> None:
        super().__init__(policy, demonstrations)
        self.scripted = scripted
        self._reflections: dict[str, dict[int, str]] = {}

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        replies = super().act(turns)
        inner: Any = self.policy
        given = getattr(inner, "temperature", None)
        if self.scripted or given is None:
            return replies
        try:
            for attempt in range(1, _TRIES):
                empty = [place for place, reply in enumerate(replies) if not reply.text.strip(" \t\r\n>")]
                if not empty:
                    break
                inner.temperature = given + attempt * _WARMER
                again = super().act([turns[place] for place in empty])
                for place, reply in zip(empty, again, strict=True):
                    replies[place] = reply
        finally:
            inner.temperature = given
        return replies

    def memory(self, turn: TurnView) -> str:
        """The last reflections on earlier trials of the task."""
        known = self._reflections.get(turn.task_id, {})
        earlier = [f"Trial {trial + 1}: {known[trial]}" for trial in sorted(known) if trial < turn.sibling]
        return "\n".join(["Your memory for the task below:", *earlier[-MOST_REFLECTIONS:]]) if earlier else ""

    def remember(self, rollouts: Sequence[Trajectory]) -> None:
        """Keep the reflections that are stored with rollouts."""
        for rollout in rollouts:
            if text := reflection_of(rollout):
                self._reflections.setdefault(rollout.task_id, {})[rollout.sibling] = _one_line(text)

    def reflect(self, rollouts: Sequence[Trajectory]) -> list[Trajectory]:
        """The failed rollouts with a reflection each, in ``analyses``; without one if the model wrote nothing."""
        texts = self._scripted(rollouts) if self.scripted else self._written(rollouts)
        writer = "scripted" if self.scripted else "policy"
        return [
            rollout.replace(analyses=(*rollout.analyses, Analysis("reflection", text, analyser=writer)))
            if text
            else rollout
            for rollout, text in zip(rollouts, texts, strict=True)
        ]

    def _scripted(self, rollouts: Sequence[Trajectory]) -> list[str]:
        return [_one_line(Reflected(rollout).scripted().text) if rollout.steps else "" for rollout in rollouts]

    def _written(self, rollouts: Sequence[Trajectory]) -> list[str]:
        if not rollouts:
            return []
        questions = [
            TurnView(
                rollout.task_id,
                rollout.sibling,
                _STEP,
                reflection_request(rollout, self.memory(TurnView(rollout.task_id, rollout.sibling, 0, "", {}))),
                {},
            )
            for rollout in rollouts
        ]
        answers = self.policy.act(questions)
        texts = (answer if isinstance(answer, str) else answer.text for answer in answers)
        return [_one_line(text_of(without_thinking(text), _MOST_CHARACTERS)) for text in texts]


def reflection_of(rollout: Trajectory) -> str:
    """The last reflection that is stored with a rollout; "" if there is none."""
    return next((each.text for each in reversed(rollout.analyses) if each.kind == "reflection"), "")


def reflection_request(rollout: Trajectory, memory: str = "") -> str:
    """The prompt that asks for a reflection on a failed rollout."""
    parts = [
        "You get the record of an attempt at a task, which failed. Do not describe the attempt. Find out which steps "
        "made it fail, and write a short new plan for the next attempt that names the steps to take, in at most four "
        f"sentences. {NOTICE}",
        rollout_text(rollout, 8000),
        *(["Earlier plans:", fenced(memory)] if memory else []),
        "New plan:",
    ]
    return "\n\n".join(parts)


def _one_line(text: str) -> str:
    """The text as data: on one line, without control characters and control tokens, bounded."""
    return break_control_text(printable_line(" ".join(text[: 2 * _MOST_CHARACTERS].split()), _MOST_CHARACTERS))
