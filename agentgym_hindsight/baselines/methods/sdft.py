"""SDFT (arXiv 2601.19897): imitate a teacher that reads a demonstration, by forward KL on the policy's own responses.

The demonstration is a successful rollout of the same task. With S the policy and T the teacher::

    ℓ_t = Σ_v T_v (log T_v − log S_v)                          over the whole vocabulary; the gradient flows to S
    L   = mean over tokens of ℓ_t
    θ_T ← θ_T + 0.02 (θ − θ_T)                                 after every update

``skip`` leaves out the first tokens of a response, in which a model may speak of the demonstration ("Based on …").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentgym_hindsight.baselines.methods.base import Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.imitation import Imitation
from agentgym_hindsight.baselines.methods.schedules import Constant
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.baselines.settings import check_range
from agentgym_hindsight.hindsight.spec import ContextSpec

if TYPE_CHECKING:  # methods can be listed without torch
    from torch import Tensor

    from agentgym_hindsight.baselines.methods.batch import Batch, Scores

__all__ = ["METHOD", "SDFT"]


@dataclass(frozen=True)
class SDFT(Imitation):
    """Forward KL to a teacher with a demonstration, from token ``skip`` of a response on."""

    alpha: float = 0.0
    top_k: int | None = None
    skip: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "skip", least=0)

    def token_losses(self, batch: Batch, student: Scores, teacher: Scores) -> Tensor:
        losses = super().token_losses(batch, student, teacher).clone()
        losses[:, : self.skip] = 0.0
        return losses


PAPER = "arXiv 2601.19897"
EVIDENCE = "notes"
METHOD = SDFT(
    "sdft",
    GroupRelative(),
    what=ContextSpec.parse("success"),
    who=TeacherSpec("ema", 0.02),
    tokens=Tokens("response"),
    when=Constant(1.0),
    policy_weight=0.0,
    entropy=0.0,
)
