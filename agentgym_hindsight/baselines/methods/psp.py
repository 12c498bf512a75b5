"""PSP (arXiv 2609.29051): tasks that are hardly ever solved are played again with skills in the prompt, then GRPO.

With p̂ the success rate of a group of rollouts and γ the gate::

    p̂ = number of won rollouts / rollouts
    p̂ ≥ γ: GRPO on the group as it is
    p̂ < γ: discard it, write skills σ from it, play it again with σ as a system message, GRPO on it      γ = 0.1

The new rollouts are trained on the prompts with σ. A group that fails again is trained as it is; it has no second try.
An analyser that writes nothing leaves the group as it was. Evaluations have no skills.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentgym_hindsight.baselines.analysers.question import Writer, analyse
from agentgym_hindsight.baselines.analysers.skills import TaskSkills
from agentgym_hindsight.baselines.methods.asking import Ask
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.checks import check_unit
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.replacing import Replacement
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.spec import ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group

__all__ = ["METHOD", "PSP"]

_SUCCESS = ContextSpec.parse("success")


@dataclass(frozen=True)
class PSP(Method):
    """GRPO with skills for hard groups; ``gate`` is γ. ``analyser`` writes them, in at most ``analyser_tokens``."""

    gate: float = 0.1
    analyser: Writer = "policy"
    analyser_tokens: int = 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        check_unit("gate", self.gate, example=0.1)
        if self.analyser == "teacher":
            raise UsageError("Expected an analyser other than the teacher, which psp does not have; try policy.")

    def resample(self, groups: Sequence[Group], ask: Ask) -> list[Replacement]:
        hard = [number for number, group in enumerate(groups) if group.success_rate < self.gate]
        # A successful rollout of an earlier update, if the run keeps them (plan.references).
        references = ask.compose(_SUCCESS, [groups[number] for number in hard])
        texts = [next((each.text for turns in members for each in turns if each), "") for members in references]
        questions = [TaskSkills(groups[number], text) for number, text in zip(hard, texts, strict=True)]
        skills = analyse(questions, ask, self.analyser, max_tokens=self.analyser_tokens, temperature=0.7)
        replacements = []
        for number, skill in zip(hard, skills, strict=True):
            if not skill:
                continue
            message = {"role": "system", "content": f"<skills>\n{skill}\n</skills>"}
            for member, rollout in enumerate(groups[number]):
                ask.keep(rollout, "skill", skill, analyser=self.analyser)
                replacements.append(Replacement(number, member, before=[message]))
        return replacements


PAPER = "arXiv 2609.29051"
EVIDENCE = "paper"
METHOD = PSP("psp", GroupRelative(), kl=0.01, entropy=0.0)
