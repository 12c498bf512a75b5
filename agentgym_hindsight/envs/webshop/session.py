"""The rules of the shop: which page an action leads to.

:func:`move` is a pure function from a state and an action to the next state; :class:`Session` remembers where one
episode stands. Under ``rules="official"`` it follows the original into every corner. ``rules="strict"`` differs:

===========================  ==================================  ====================================================
situation                    official                            strict
===========================  ==================================  ====================================================
``Next >``                   on every results page, without end  only where there are more results
chosen options               seen in text_rich alone, and lost   marked in every mode: "red (selected)"
                             for values that JSON escapes
a value on two axes, or      goes to the last axis, or does      shown and clicked as "axis: value"
worded like a button         what the button does
a value twice on one axis    shown twice                         shown once
``search[<c> garden]`` …     a hidden search by category, …      a search for those words
the page after the purchase  a search goes on from there         final: nothing is understood
a page named in a query      a query with "search_results" or    means nothing
                             "item_page" in it changes where
                             "< Prev" leads
option and reward rules      see ``reward.py``                   see ``reward.py``
===========================  ==================================  ====================================================

Both understand ``search[…]`` on every page, whether or not it shows a search bar.
"""

from __future__ import annotations

from typing import NamedTuple

from agentgym_hindsight.envs.webshop.nouns import DEFAULT_NOUNS
from agentgym_hindsight.envs.webshop.pages import (
    BACK,
    BUTTON,
    BUY,
    DONE,
    INDEX,
    ITEM,
    LINK,
    NEXT,
    PER_PAGE,
    PREV,
    RESULTS,
    SUB,
    SUBPAGES,
    State,
    Target,
)
from agentgym_hindsight.envs.webshop.reward import RewardParts, score
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.shop_types import RULES, Goal
from agentgym_hindsight.errors import UnknownNameError

__all__ = ["Outcome", "Session", "has_next", "move", "parse_action", "targets"]

_BUTTON = Target(BUTTON)
_BACK, _PREV, _NEXT, _BUY = BACK.lower(), PREV.lower(), NEXT.lower(), BUY.lower()
_SUBS = {name.lower(): name for name in (*SUBPAGES, "Attributes")}
_INDEX_TARGETS = {"search": _BUTTON}
_SUB_TARGETS = {_BACK: _BUTTON, _PREV: _BUTTON}


class Outcome(NamedTuple):
    """What an action came to."""

    valid: bool
    reward: float
    done: bool


def parse_action(action: str) -> tuple[str, str | None]:
    """Name and argument, as the original's regular expression splits them; the argument is lower-cased.

    >>> parse_action("search[Red [leather] shoes]"), parse_action("buy now")
    (('search[Red ', 'leather] shoes'), ('buy now', None))
    """
    # What the original's r"(.+)\[(.+)\]" finds, in linear time: its backtracking takes minutes for a wall of brackets.
    line = action.partition("\n")[0]
    end = line.rfind("]")
    start = line.rfind("[", 1, max(end - 1, 0))
    return (line[:start], line[start + 1 : end].lower()) if start > 0 else (action, None)


def has_next(state: State) -> bool:
    """Whether there are more results than this page shows."""
    return len(state.hits) > state.page * PER_PAGE


def targets(shop: Shop, state: State, strict: bool) -> dict[str, Target]:
    """What can be clicked, in the original's order; not to be changed."""
    kind = state.kind
    if kind == ITEM:
        return shop.item_targets(state.product, strict)
    if kind == RESULTS:
        found = {_BACK: _BUTTON}
        if state.page > 1:
            found[_PREV] = _BUTTON
        if not strict or has_next(state):
            found[_NEXT] = _BUTTON
        for position in state.shown:
            found[shop.products[position].asin.lower()] = Target(LINK, product=position)
        return found
    if kind == SUB:
        return _SUB_TARGETS
    return _INDEX_TARGETS if kind == INDEX else {}


def move(shop: Shop, goal: Goal, state: State, action: str, strict: bool, nouns: str = DEFAULT_NOUNS) -> State | None:
    """The state after an action; None where it is not understood, and everything stays as it was."""
    name, argument = parse_action(action)
    if not argument or (strict and state.kind == DONE):
        return None
    if name == "search":
        return _results(shop, state, argument, 1, strict)
    if name != "click" or argument == "search":
        return None
    target = targets(shop, state, strict).get(argument)
    if target is None:
        return None
    if strict and target.role != BUTTON:
        return _item(state, target, argument)
    # The original goes by the name first: an option called "features" opens the features.
    if argument == _BUY:
        rules = "strict" if strict else "official"
        parts = score(shop.products[state.product], dict(state.options), goal, rules, nouns)
        return state._replace(kind=DONE, sub="", parts=parts)
    if argument == _BACK:
        return State()
    if argument in (_NEXT, _PREV):
        came_from = state.kind if strict else _official_kind(state)
        if came_from == RESULTS:
            return _results(shop, state, state.query, state.page + (1 if argument == _NEXT else -1), strict)
        if argument == _PREV and came_from == SUB:
            return state._replace(kind=ITEM, sub="")
        if argument == _PREV and came_from == ITEM:
            return _results(shop, state, state.query, state.page, strict)
    if argument in _SUBS:
        return state._replace(kind=SUB, sub=_SUBS[argument])
    return _item(state, target, argument)


def _results(shop: Shop, state: State, query: str, page: int, strict: bool) -> State | None:
    hits = shop.search(query, debug=not strict)
    if hits is None:
        return None
    return State(RESULTS, query, page, hits, opened=state.opened)


def _item(state: State, target: Target, argument: str) -> State:
    if target.role == LINK:
        return state._replace(kind=ITEM, product=target.product, opened=state.opened | {target.product})
    if target.role == BUTTON:
        return state._replace(kind=ITEM, sub="")
    chosen = dict(state.options)
    chosen[target.axis] = target.value
    return state._replace(kind=ITEM, options=tuple(chosen.items()))


def _official_kind(state: State) -> str:
    """Which page the original takes this one for: it looks for a page's name anywhere in the address."""
    if state.kind == RESULTS:
        return RESULTS
    # json.dumps and repr leave these names as they are; a query is joined by "+", which is in none of them.
    texts = (state.query, *(text for option in state.options for text in option))
    if any("search_results" in text for text in texts):
        return RESULTS
    return ITEM if any("item_page" in text for text in texts) else state.kind


class Session:
    """One customer with one wish in a shop. Any number of sessions share the shop.

    ``state`` is where the session stands; ``seen`` every product a results page has shown so far.
    """

    __slots__ = ("goal", "id", "nouns", "rules", "seen", "shop", "state", "strict")

    def __init__(
        self, shop: Shop, goal: Goal, rules: str = "strict", *, nouns: str = DEFAULT_NOUNS, session_id: str = "0"
    ) -> None:
        if rules not in RULES:
            raise UnknownNameError("rule set", rules, RULES)
        self.shop, self.goal, self.rules, self.nouns, self.id = shop, goal, rules, nouns, session_id
        self.strict = rules == "strict"
        self.state = State()
        self.seen: dict[int, tuple[int, int]] = {}

    def act(self, action: str) -> Outcome:
        """Do something. What is not understood changes nothing."""
        after = move(self.shop, self.goal, self.state, action, self.strict, self.nouns)
        if after is None:
            return _NOT_UNDERSTOOD
        self.state = after
        if after.kind == RESULTS:
            for rank, position in enumerate(after.shown, 1):
                self.seen.setdefault(position, (after.page, rank))
        elif after.kind == DONE and after.parts is not None:
            return Outcome(True, after.parts.total, True)
        return _UNDERSTOOD

    @property
    def targets(self) -> dict[str, Target]:
        """What can be clicked now, by name; not to be changed."""
        return targets(self.shop, self.state, self.strict)

    @property
    def clickables(self) -> tuple[str, ...]:
        """Names of what can be clicked, in the original's order."""
        return tuple(self.targets)

    @property
    def has_search_bar(self) -> bool:
        """Whether the page shows a search bar. A search is understood on other pages too."""
        return self.state.kind == INDEX

    @property
    def done(self) -> bool:
        """Whether something was bought."""
        return self.state.kind == DONE

    @property
    def parts(self) -> RewardParts | None:
        """What the purchase was judged by; None before."""
        return self.state.parts

    def copy(self) -> Session:
        """The same moment, to go on from elsewhere."""
        twin = Session(self.shop, self.goal, self.rules, nouns=self.nouns, session_id=self.id)
        twin.state, twin.seen = self.state, dict(self.seen)
        return twin


_UNDERSTOOD = Outcome(True, 0.0, False)
_NOT_UNDERSTOOD = Outcome(False, 0.0, False)
