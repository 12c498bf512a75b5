"""SERL (arXiv 2605.19447): a teacher that saw the environment's feedback on an action weights the action's tokens.

With c the environment's feedback on the turn (``what``), T a copy of the policy refreshed every 10 updates (``who``)
and m the tokens between the action's tags (``tokens``)::

    Δ_t = sg[ log π_T(y_t | x, c, y_<t) − log π_θ(y_t | x, y_<t) ]                       Eq. 9
    w_t = clip( exp( clamp(sgn(A)·Δ_t, −20, 20) ), 1−ε, 1+ε )                            Eq. 10, ε = 0.2
    Â_t = A · [ (1−λ_k) + λ_k · w_t ]  where m_t = 1 and c exists,  else A
    λ_k = λ_0 · max(0, 1 − k/K)                                                          λ_0 = 0.5, K = 50

A is GRPO's. k counts policy updates. From k = K on there is no teacher pass, and the method equals GRPO.

Defaults are the released code's: the feedback is the raw reply (source 1) at every turn, and there is no KL term.
Options, from the paper and from us:

* ``what="success+immediate"`` and other compositions; ``what="immediate@anchor"``
* ``aux_kl=1``: adds λ_k · KL(π_T ‖ π_θ) over the chosen tokens, the paper's Eq. 14 as restated by FACTOR
* ``anchor="similar"``: texts with a ratio of 0.95 share an anchor, as in the paper; ``"state"``: true states (ours)
* ``statistics="trajectories"``: one score per rollout; ``how="reweight:0.2:mean"``: weights of mean one (ours)
"""

from __future__ import annotations

from agentgym_hindsight.baselines.methods.base import Method, Reweight, Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.schedules import LinearDecay
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.hindsight.spec import ContextSpec

__all__ = ["METHOD"]

PAPER = "arXiv 2605.19447"
EVIDENCE = "code"
METHOD = Method(
    "serl",
    GroupRelative(),
    what=ContextSpec.parse("immediate"),
    who=TeacherSpec("sync", 10),
    tokens=Tokens("action"),
    how=Reweight(0.2),
    when=LinearDecay(0.5, 50),
)
