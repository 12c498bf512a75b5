"""A rule for WebShop: search for the whole instruction, open the first result, and buy it without options.

It measures how difficult a catalogue is. On the 1,000 official products with the synthetic goals its mean score is 52
of 100, and it gets the full reward for 1 % of the goals.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.baselines.policies.base import TurnView

__all__ = ["SearchAndBuyFirst"]

_BUY = "click[buy now]"
_BACK = "click[< prev]"
_NAVIGATION = frozenset({"click[back to search]", _BACK, "click[next >]"})
#: Brackets and line breaks are replaced by spaces, because they would end the query early.
_NO_QUERY = str.maketrans("[]\n\r", "    ")


class SearchAndBuyFirst:
    """Chooses no options. It uses the goal and the admissible actions, not the text of the page.

    >>> view = TurnView("1f", 0, 0, "", {"goal": "a red [wool] hat", "admissible_actions": ()})
    >>> SearchAndBuyFirst().act([view])
    ['search[a red  wool  hat]']
    """

    name = "search-and-buy-first"
    world = "webshop"

    def act(self, turns: Sequence[TurnView]) -> list[str]:
        return [self._choose(turn) for turn in turns]

    def _choose(self, turn: TurnView) -> str:
        actions: Sequence[str] = turn.info["admissible_actions"]
        if _BUY in actions:
            return _BUY
        hits = [action for action in actions if action.startswith("click[") and action not in _NAVIGATION]
        if hits:
            return hits[0]
        return f"search[{turn.info['goal'].translate(_NO_QUERY)}]"
