"""WebShop's expert with a search that the instruction alone suggests: the words before the options and the price.

The oracle of the environment searches for the whole instruction, which is long to write, and tries hidden words if that
fails. This one begins with the short search, and follows the oracle where the short search does not find the product.
"""

from __future__ import annotations

from agentgym_hindsight.baselines.policies.base import TurnView

__all__ = ["ShortSearch", "short_query"]

_OPENING, _PRICE, _AXIS = "find me ", ", and price lower than", ": "
_NO_QUERY = str.maketrans("[]\n\r", "    ")
_BACK = "click[back to search]"


def short_query(instruction: str) -> str:
    """The words of an instruction that describe the product, without its options and its price.

    >>> short_query("Find me soft, red wool hat for men with size: small, and price lower than 9.00 dollars")
    'soft, red wool hat for men'
    """
    wish = instruction.lower().removeprefix(_OPENING).partition(_PRICE)[0]
    axis = wish.find(_AXIS)
    end = wish.rfind(" with ", 0, axis) if axis > 0 else -1
    return " ".join((wish[:end] if end > 0 else wish).translate(_NO_QUERY).split())


class ShortSearch:
    """Replaces the oracle's searches. If the oracle then goes back to search again, its own search follows."""

    def __init__(self) -> None:
        self._failed: set[tuple[str, int]] = set()

    def advice(self, turn: TurnView) -> str:
        """The expert's action of a turn. The turns of a rollout must come in order."""
        action: str = turn.info["expert_action"]
        rollout = turn.task_id, turn.sibling
        if turn.step == 0:
            self._failed.discard(rollout)
        if action == _BACK and turn.info["extra"]["query"].strip() == short_query(turn.info["goal"]):
            self._failed.add(rollout)
        if not action.startswith("search[") or rollout in self._failed:
            return action
        query = short_query(turn.info["goal"])
        # With a blank, the first word has the same tokens as in the instruction, so that a small model can copy it.
        return f"search[ {query}]" if query else action
