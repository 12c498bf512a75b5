"""SDPO (arXiv 2601.20802): imitate a teacher that reads a successful rollout, or the environment's feedback.

The teacher of a turn reads a successful rollout of the same task; where there is none, the feedback on the turn. With S
the policy, T the teacher, both over the policy's 100 most probable tokens and one bucket for all others::

    M   = (1−α)·S + α·T                                       α = 0.5
    ℓ_t = (1−α)·KL(S‖M) + α·KL(T‖M)                           α = 0: KL(T‖S), α = 1: KL(S‖T)
    L   = mean over tokens of ℓ_t · min(π_θ/π_old, 2)         the ratio has no gradient
    θ_T ← θ_T + 0.05 (θ − θ_T)                                after every update

Rows without a context have no loss. There is no policy gradient; with ``policy_weight=1−w`` and ``when=w`` the loss is
the mixture of both (GRPO+SDPO).
"""

from __future__ import annotations

from agentgym_hindsight.baselines.methods.base import Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.imitation import Imitation
from agentgym_hindsight.baselines.methods.schedules import Constant
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.hindsight.spec import ContextSpec

__all__ = ["METHOD"]

PAPER = "arXiv 2601.20802"
EVIDENCE = "code"
METHOD = Imitation(
    "sdpo",
    GroupRelative(scale="none"),
    what=ContextSpec.parse("success|immediate"),
    who=TeacherSpec("ema", 0.05),
    tokens=Tokens("response"),
    when=Constant(1.0),
    policy_weight=0.0,
    entropy=0.0,
    alpha=0.5,
    importance=2.0,
)
