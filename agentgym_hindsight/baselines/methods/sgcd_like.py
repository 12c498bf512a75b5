"""SGCD-like (ours, after arXiv 2606.12634): RLSD's weights, with a contrast of won and failed rollouts as context.

SGCD's formulas were not found, so that this is not SGCD, and results must not be named so. For a task with a won and a
failed rollout an analyser says where they part; the teacher of every turn of the task reads this text::

    Δ_t = log π_T(y_t) − log π_θ(y_t)
    Â_t = A·[(1−λ) + λ·clip(exp(sgn(A)·Δ_t), 0.8, 1.2)]        λ = 0.5 → 0 over 50 updates

Tasks whose rollouts all won or all failed have no contrast, and no advantage either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentgym_hindsight.baselines.analysers.contrasts import Contrast
from agentgym_hindsight.baselines.analysers.question import Writer, analyse
from agentgym_hindsight.baselines.methods.asking import Ask
from agentgym_hindsight.baselines.methods.base import Method, Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.schedules import LinearDecay
from agentgym_hindsight.baselines.methods.teacher_prompts import GivenContext
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.hindsight.context import Section, written_context
from agentgym_hindsight.hindsight.trajectory import Group

__all__ = ["METHOD", "SGCDLike"]


@dataclass(frozen=True)
class SGCDLike(Method):
    """RLSD's weights with a contrast as context. ``analyser`` writes it, in at most ``analyser_tokens``."""

    analyser: Writer = "policy"
    analyser_tokens: int = 256

    def contexts(self, groups: Sequence[Group], ask: Ask) -> list[list[list[GivenContext]]]:
        pairs: dict[int, Contrast] = {}
        for number, group in enumerate(groups):
            won, failed = (next((each for each in group if each.won == wanted), None) for wanted in (True, False))
            if won is not None and failed is not None:
                pairs[number] = Contrast(won, failed)
        texts = analyse([*pairs.values()], ask, self.analyser, max_tokens=self.analyser_tokens)
        written = dict(zip(pairs, texts, strict=True))
        for number, text in written.items():
            if text:
                ask.keep(pairs[number].failed, "reflection", text, analyser=self.analyser)
        contexts = [written_context([Section("reflection", written.get(number, ""))]) for number in range(len(groups))]
        return [[[contexts[number]] * len(rollout) for rollout in group] for number, group in enumerate(groups)]


PAPER = "arXiv 2606.12634"
EVIDENCE = "ours"
METHOD = SGCDLike(
    "sgcd-like",
    GroupRelative(),
    who=TeacherSpec("current"),
    tokens=Tokens("response"),
    when=LinearDecay(0.5, 50),
)
