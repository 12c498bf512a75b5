"""HERO (arXiv 2606.11559): imitate a teacher that reads a diagnosis of the turn, its outcome and the final reward.

A reflector reads every rollout and diagnoses each turn: necessary, valid, cause of a failure, a better action. The
teacher reads the policy's prompt of turn k, the next observation, the diagnosis d_k and the reward. With N the number
of tokens of turns that have a diagnosis::

    M = (1−α)·S + α·T,  JSD = (1−α)·KL(S‖M) + α·KL(T‖M)       S: the policy, T: the teacher, α = 0.5
    L = (1/N) Σ_{k: d_k ≠ ∅} Σ_{t in turn k} JSD_t             no policy gradient

There is no comparison of rollouts, so one rollout a task is enough (``plan.siblings=1``). ``shown``: ``both``,
``reflection`` (the diagnosis alone) or ``environment`` (next observation and reward alone, on every turn, without a
reflector).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agentgym_hindsight.baselines.analysers.diagnoses import Diagnosed, Diagnosis
from agentgym_hindsight.baselines.analysers.question import Writer, analyse
from agentgym_hindsight.baselines.analysers.rollout_text import outcome
from agentgym_hindsight.baselines.methods.asking import Ask
from agentgym_hindsight.baselines.methods.base import Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.imitation import Imitation
from agentgym_hindsight.baselines.methods.schedules import Constant
from agentgym_hindsight.baselines.methods.teacher_prompts import GivenContext
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.hindsight.context import Section, TeacherContext, written_context
from agentgym_hindsight.hindsight.spec import ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory

__all__ = ["METHOD", "Hero"]

_NEXT = ContextSpec.parse("next")


@dataclass(frozen=True)
class Hero(Imitation):
    """JSD to a teacher with diagnoses. ``analyser`` is the reflector; it writes at most ``analyser_tokens``."""

    alpha: float = 0.5
    analyser: Writer = "policy"
    shown: Literal["both", "reflection", "environment"] = "both"
    analyser_tokens: int = 1024

    def contexts(self, groups: Sequence[Group], ask: Ask) -> list[list[list[GivenContext]]]:
        rollouts = [rollout for group in groups for rollout in group]
        given: list[dict[int, Diagnosis]] = [{} for _ in rollouts]
        if self.shown != "environment":
            questions = [Diagnosed(rollout) for rollout in rollouts]
            given = analyse(questions, ask, self.analyser, max_tokens=self.analyser_tokens)
        for rollout, turns in zip(rollouts, given, strict=True):
            for place, diagnosis in turns.items():
                ask.keep(rollout, "diagnosis", str(diagnosis), step=place, analyser=self.analyser)
        composed = [] if self.shown == "reflection" else ask.compose(_NEXT, groups)
        result: list[list[list[GivenContext]]] = []
        diagnoses = iter(given)
        for number, group in enumerate(groups):
            members: Sequence[Sequence[TeacherContext | None]]
            members = composed[number] if composed else [[None] * len(rollout) for rollout in group]
            result.append(
                [self._of(rollout, seen, next(diagnoses)) for rollout, seen in zip(group, members, strict=True)]
            )
        return result

    def _of(
        self, rollout: Trajectory, environment: Sequence[TeacherContext | None], turns: dict[int, Diagnosis]
    ) -> list[GivenContext]:
        contexts: list[GivenContext] = []
        for place, standard in enumerate(environment):
            diagnosis = turns.get(place)
            if diagnosis is None and self.shown != "environment":
                contexts.append(None)
                continue
            seen = () if standard is None else standard.uncut
            ended = "" if self.shown == "reflection" else outcome(rollout)
            text = "\n".join(filter(None, (str(diagnosis) if diagnosis else "", ended)))
            budget = None if standard is None else standard.budget
            contexts.append(written_context([*seen, Section("diagnosis", text)], budget))
        return contexts


PAPER = "arXiv 2606.11559"
EVIDENCE = "notes"
METHOD = Hero(
    "hero",
    GroupRelative(),
    who=TeacherSpec("ema", 0.05),
    tokens=Tokens("response"),
    when=Constant(1.0),
    policy_weight=0.0,
    entropy=0.0,
)
