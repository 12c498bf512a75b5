"""GiGPO (arXiv 2505.10978): group-relative credit over episodes, plus that over turns taken in one state.

With G^S the rows of a task that share an anchor state, and F the unbiased standard deviation (``scale="std"``, the
ALFWorld script) or 1 (``scale="none"``, the WebShop script)::

    A^E = (R − mean R) / F                                    Eq. 3, GRPO's credit
    R_t = Σ_{k≥t} γ^(k−t) r_k                                 Eq. 5
    A^S = (R_t − mean over G^S) / F over G^S                  Eq. 7; 0 where an anchor occurs once
    A   = A^E + ω · A^S                                       Eq. 8

The penalty of an invalid action is subtracted from R and R_t of its row after discounting, so R_t of earlier turns does
not include it. Anchors are equal observations as released; ``anchor="similar"`` is the released option with ratio 0.95,
``anchor="state"`` compares true states (ours).
"""

from __future__ import annotations

from agentgym_hindsight.baselines.methods.anchor_groups import GroupInGroup
from agentgym_hindsight.baselines.methods.base import Method

__all__ = ["METHOD"]

PAPER = "arXiv 2505.10978"
EVIDENCE = "code"
METHOD = Method("gigpo", GroupInGroup())
