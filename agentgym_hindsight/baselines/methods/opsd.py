"""OPSD (arXiv 2605.15155's baseline): only the imitation of a teacher with privileged text, token by token.

With π_T the policy itself after a successful rollout of the same task::

    L = mean over tokens of ½·(sg log π_T(y_t) − log π_θ(y_t))         λ = 0.01; no policy gradient

Its gradient is that of the negative log-likelihood of the policy's own responses, also where the teacher finds them
improbable: it makes the policy surer of whatever it samples. ``agh train grpo --plus opsd`` is GRPO+OPSD.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentgym_hindsight.baselines.methods.base import Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.imitation import TeacherLoss
from agentgym_hindsight.baselines.methods.schedules import Constant
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.hindsight.spec import ContextSpec

if TYPE_CHECKING:  # methods can be listed without torch
    from torch import Tensor

    from agentgym_hindsight.baselines.methods.batch import Batch, Scores

__all__ = ["METHOD", "OPSD"]


@dataclass(frozen=True)
class OPSD(TeacherLoss):
    """Imitation with the constant weight ½ of every token."""

    def token_losses(self, batch: Batch, student: Scores, teacher: Scores) -> Tensor:
        return 0.5 * (teacher.logps.detach() - student.logps)


PAPER = "arXiv 2605.15155"
EVIDENCE = "code"
METHOD = OPSD(
    "opsd",
    GroupRelative(),
    what=ContextSpec.parse("success"),
    who=TeacherSpec("current"),
    tokens=Tokens("response"),
    when=Constant(0.01),
    policy_weight=0.0,
    entropy=0.0,
)
