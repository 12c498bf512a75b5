"""SERL (arXiv 2605.19447): what the environment said after an action weighs the tokens of that action.

With c the environment's feedback on the turn (``what``), T a copy of the policy refreshed every 10 updates (``who``)
and m the tokens between the action's tags (``tokens``)::

    Δ_t = sg[ log π_T(y_t | x, c, y_<t) − log π_θ(y_t | x, y_<t) ]                       Eq. 9
    w_t = clip( exp( clamp(sgn(A)·Δ_t, −20, 20) ), 1−ε, 1+ε )                            Eq. 10, ε = 0.2
    Â_t = A · [ (1−λ_k) + λ_k · w_t ]  where m_t = 1 and c exists,  else A
    λ_k = λ_0 · max(0, 1 − k/K)                                                          λ_0 = 0.5, K = 50

A is GRPO's. k counts policy updates; from k = K on nothing is asked of the teacher, and the method *is* GRPO.

As released: feedback is the raw reply (source 1), at every turn; no KL term. Switchable, from the paper and from us:

* ``what="success+immediate"`` and every other composition; ``where="anchor"``
* ``aux_kl=1``: λ_k · KL(π_T ‖ π_θ) over the chosen tokens, the paper's Eq. 14 as FACTOR restates it
* ``anchor="similar"``: situations alike by 0.95, as the paper speaks of them; ``"state"``: true states (ours)
* ``statistics="trajectories"``: one score a rollout; ``how="reweight:0.2:mean"``: weights of mean one (ours)
"""

from __future__ import annotations

from agentgym_hindsight.baselines.method import Method, Reweight, Tokens
from agentgym_hindsight.baselines.recipes.credit import GroupRelative
from agentgym_hindsight.baselines.schedules import LinearDecay
from agentgym_hindsight.baselines.teachers import TeacherSpec
from agentgym_hindsight.hindsight.spec import ContextSpec

__all__ = ["METHOD"]

METHOD = Method(
    "serl",
    GroupRelative(),
    what=ContextSpec.parse("immediate"),
    where="step",
    who=TeacherSpec("sync", 10),
    tokens=Tokens("action"),
    how=Reweight(0.2),
    when=LinearDecay(0.5, 50),
)
