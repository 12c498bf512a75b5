"""HINT-SD (arXiv 2605.17873): imitate a teacher that was told what went wrong, at the turns that went wrong.

An analyser reads every failed rollout and names at most three turns, each with feedback. Only these turns are trained.
The teacher reads the policy's prompt of the turn and then the feedback f; with p the policy and q the teacher::

    p̃, q̃ = the policy's 100 most probable tokens and one bucket for all others
    ℓ_t  = Σ_b p̃_b (log p̃_b − log q̃_b)                       reverse KL; the gradient flows through p̃ only
    L    = Σ ℓ_t / number of trained tokens                    no policy gradient, no KL to the initial policy
    θ_T  ← θ_T + 0.001 (θ − θ_T)                               after every update, over the trained weights

``targets``: ``multi`` (at most ``most_targets`` turns), ``single`` (the first mistake), ``dense`` (every turn of a
failed rollout, one question each, as a comparison). ``feedback_at``: ``turn`` puts the feedback after the prompt
of the turn, ``start`` before the whole conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agentgym_hindsight.baselines.analysers.failures import FailedTurns, FeedbackOnTurn
from agentgym_hindsight.baselines.analysers.question import Writer, analyse
from agentgym_hindsight.baselines.methods.asking import Ask
from agentgym_hindsight.baselines.methods.base import Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.imitation import Imitation
from agentgym_hindsight.baselines.methods.schedules import Constant
from agentgym_hindsight.baselines.methods.teacher_prompts import ChatContext, GivenContext
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.baselines.settings import SettingError
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory

__all__ = ["METHOD", "HintSD"]


@dataclass(frozen=True)
class HintSD(Imitation):
    """Reverse KL to a teacher with feedback. ``analyser`` writes it, in at most ``analyser_tokens``."""

    analyser: Writer = "teacher"
    targets: Literal["multi", "single", "dense"] = "multi"
    most_targets: int = 3
    feedback_at: Literal["turn", "start"] = "turn"
    analyser_tokens: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.most_targets < 1:
            raise SettingError("most_targets", "≥ 1", self.most_targets, "3")

    def contexts(self, groups: Sequence[Group], ask: Ask) -> list[list[list[GivenContext]]]:
        failed = [rollout for group in groups for rollout in group if not rollout.won]
        turns = dict(zip(map(id, failed), self._feedback(failed, ask), strict=True))
        contexts = [[self._of(rollout, turns.get(id(rollout), {})) for rollout in group] for group in groups]
        for rollout in failed:
            for place, text in turns[id(rollout)].items():
                ask.keep(rollout, "hint", text, step=place, analyser=self.analyser)
        return contexts

    def _feedback(self, failed: Sequence[Trajectory], ask: Ask) -> list[dict[int, str]]:
        if self.targets != "dense":
            most = 1 if self.targets == "single" else self.most_targets
            questions = [FailedTurns(rollout, most) for rollout in failed]
            return analyse(questions, ask, self.analyser, max_tokens=self.analyser_tokens)
        every = [FeedbackOnTurn(rollout, place) for rollout in failed for place in range(len(rollout))]
        texts = iter(analyse(every, ask, self.analyser, max_tokens=self.analyser_tokens))
        return [{place: text for place in range(len(rollout)) if (text := next(texts))} for rollout in failed]

    def _of(self, rollout: Trajectory, feedback: dict[int, str]) -> list[GivenContext]:
        contexts: list[GivenContext] = [None] * len(rollout)
        add = ChatContext.after if self.feedback_at == "turn" else ChatContext.before
        for place, text in feedback.items():
            told = f"Consider the following feedback to solve this step:\n\n{text}"
            contexts[place] = add(rollout, place, told, "hint")
        return contexts


PAPER = "arXiv 2605.17873"
EVIDENCE = "code"
METHOD = HintSD(
    "hint-sd",
    GroupRelative(),
    who=TeacherSpec("ema", 0.001),
    tokens=Tokens("response"),
    when=Constant(1.0),
    policy_weight=0.0,
    entropy=0.0,
)
