"""What a run says about its teacher: before it begins, and when an update shows that the teacher has no effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentgym_hindsight.baselines.methods.base import Method

__all__ = ["Cautions", "share_of_start"]

_MOST_CUT = 0.1


def share_of_start(rate: float, updates: int) -> float:
    """The share of the initial weights in an ``ema`` teacher: ``(1 − rate)^updates``.

    >>> round(share_of_start(0.001, 675), 3)
    0.509
    """
    return float((1 - rate) ** updates)


class Cautions:
    """Sentences for the observer of a run; each is said once."""

    def __init__(self, method: Method, updates: int) -> None:
        self._method, self._updates = method, updates
        self._said: set[str] = set()

    def before(self) -> list[str]:
        """About the settings: a teacher that stays the initial policy."""
        who = self._method.who
        if not self._method.has_teacher or who.kind != "ema":
            return []
        share = share_of_start(who.value, self._updates)
        if share <= 0.5:
            return []
        return [
            f"after {self._updates} updates, {share:.0%} of the initial policy is still in the teacher {who}; "
            "a larger rate, such as ema:0.05, follows the policy more closely"
        ]

    def about(self, record: Mapping[str, Any]) -> list[str]:
        """About an update: nothing that the teacher scores, or prompts of the teacher that were cut."""
        if not record.get("lambda"):
            return []
        found = {}
        if record.get("context_available") == 0:
            found["context"] = (
                f"update {record.get('update')} had no context for the teacher although λ is above 0, so the teacher "
                "changed nothing; does the analyser answer in the form that it is asked for?"
            )
        elif (cut := record.get("context_cut", 0.0)) > _MOST_CUT:
            found["cut"] = (
                f"update {record.get('update')}: {cut:.0%} of the teacher's prompts lost text to the limit; "
                "raise plan.prompt_tokens or plan.context_tokens"
            )
        new = {name: text for name, text in found.items() if name not in self._said}
        self._said |= new.keys()
        return list(new.values())
