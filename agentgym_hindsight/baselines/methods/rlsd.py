"""RLSD (arXiv 2604.03128): the policy, with a solution in its prompt, weights every token of its response.

With c a successful rollout of the same task, and the current policy as the teacher::

    Δ_t = sg[ log π(y_t | x, c, y_<t) − log π(y_t | x, y_<t) ]              Eq. 13
    w_t = exp(sgn(A) · Δ_t)                                                 Eq. 14
    Â_t = A · [ (1−λ) + λ · clip(w_t, 1−ε, 1+ε) ]                           ε = 0.2

λ decays from 0.5 to 0 over 50 updates. In the paper the context is the reference answer of a maths problem. An agent
has no such answer; as in the agentic re-implementations, a successful sibling replaces it. A is GRPO's.
"""

from __future__ import annotations

from agentgym_hindsight.baselines.methods.base import Method, Reweight, Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.schedules import LinearDecay
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.hindsight.spec import ContextSpec

__all__ = ["METHOD"]

PAPER = "arXiv 2604.03128"
EVIDENCE = "code"
METHOD = Method(
    "rlsd",
    GroupRelative(),
    what=ContextSpec.parse("success"),
    who=TeacherSpec("current"),
    tokens=Tokens("response"),
    how=Reweight(0.2),
    when=LinearDecay(0.5, 50),
)
