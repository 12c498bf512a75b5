"""The simplest shopper: search for the whole instruction, open the first hit, buy it as it is.

The yardstick of a catalogue's difficulty: on the 1,000 official products it earns 52 of 100 points over the synthetic
goals, and the full reward for one goal in a hundred.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.baselines.policies.base import TurnView

__all__ = ["SearchAndBuyFirst"]

_BUY = "click[buy now]"
_BACK = "click[< prev]"
_NAVIGATION = frozenset({"click[back to search]", _BACK, "click[next >]"})
#: A bracket or a line break would end the query where the action's grammar looks for its end.
_NO_QUERY = str.maketrans("[]\n\r", "    ")


class SearchAndBuyFirst:
    """Chooses no options and reads no page but the list of what can be clicked.

    >>> view = TurnView("1f", 0, 0, "", {"goal": "a red [wool] hat", "admissible_actions": ()})
    >>> SearchAndBuyFirst().act([view])
    ['search[a red  wool  hat]']
    """

    name = "search-and-buy-first"
    world = "webshop"

    def act(self, turns: Sequence[TurnView]) -> list[str]:
        return [self._one(turn) for turn in turns]

    def _one(self, turn: TurnView) -> str:
        actions: Sequence[str] = turn.info["admissible_actions"]
        if _BUY in actions:
            return _BUY
        hits = [action for action in actions if action.startswith("click[") and action not in _NAVIGATION]
        if hits:
            return hits[0]
        return f"search[{turn.info['goal'].translate(_NO_QUERY)}]"
