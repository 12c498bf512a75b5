"""The rules of the shop: the page that an action leads to.

:func:`move` is a pure function from a state and an action to the next state. :class:`Session` holds the state of one
episode. ``rules="official"`` reproduces the original in every detail. ``rules="strict"`` differs:

===========================  ==================================  ====================================
situation                    official                            strict
===========================  ==================================  ====================================
``Next >``                   on every results page               only if there are more results
chosen options               visible in text_rich only, and not  marked in every mode: "red (selected)"
                             for values that JSON escapes
a value on two axes, or      selects on the last axis, or does   shown and clicked as "axis: value"
equal to a button's name     what the button does
a value twice on one axis    shown twice                         shown once
``search[<c> garden]`` …     a hidden search by category, …      a search for these words
the page after the purchase  accepts a search                    refuses every action
a page name in a query       "search_results" or "item_page" in  no effect
                             a query changes "< Prev"
===========================  ==================================  ====================================

The rules for options and rewards differ too: see ``reward.py``. Both rule sets accept ``search[…]`` on every page, also
without a search bar.
"""

from __future__ import annotations

from collections.abc import Sequence
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

__all__ = [
    "Outcome",
    "Session",
    "admissible_actions",
    "admissible_clicks",
    "has_next",
    "move",
    "parse_action",
    "targets",
]

_BUTTON = Target(BUTTON)
_BACK, _PREV, _NEXT, _BUY = BACK.lower(), PREV.lower(), NEXT.lower(), BUY.lower()
_SUBS = {name.lower(): name for name in (*SUBPAGES, "Attributes")}
_INDEX_TARGETS = {"search": _BUTTON}
_SUB_TARGETS = {_BACK: _BUTTON, _PREV: _BUTTON}


class Outcome(NamedTuple):
    """The result of an action."""

    valid: bool
    reward: float
    done: bool


def parse_action(action: str) -> tuple[str, str | None]:
    """Name and argument of an action, split as by the original's regular expression; the argument is lower-cased.

    >>> parse_action("search[Red [leather] shoes]"), parse_action("buy now")
    (('search[Red ', 'leather] shoes'), ('buy now', None))
    """
    # Equals a match of the original's r"(.+)\[(.+)\]", which takes minutes of backtracking on a row of brackets.
    line = action.partition("\n")[0]
    end = line.rfind("]")
    start = line.rfind("[", 1, max(end - 1, 0))
    return (line[:start], line[start + 1 : end].lower()) if start > 0 else (action, None)


def admissible_clicks(names: Sequence[str]) -> tuple[str, ...]:
    """The click actions for clickable names, without names that :func:`parse_action` would split otherwise."""
    actions = tuple(f"click[{name}]" for name in names)
    # Almost no page has such a name, and parsing every action takes longer than these checks.
    if any("[" in name or "\n" in name or not name or name == "search" or name.lower() != name for name in names):
        return tuple(
            action
            for name, action in zip(names, actions, strict=True)
            if name != "search" and parse_action(action) == ("click", name)
        )
    return actions


def has_next(state: State) -> bool:
    """Whether there are results after this page."""
    return len(state.hits) > state.page * PER_PAGE


def targets(shop: Shop, state: State, strict: bool) -> dict[str, Target]:
    """The clickable names of a page and their targets, in the original's order. Do not modify the dict."""
    kind = state.kind
    if kind == ITEM:
        return shop.item_targets(state.product, strict)
    if kind == RESULTS:
        page_targets = {_BACK: _BUTTON}
        if state.page > 1:
            page_targets[_PREV] = _BUTTON
        if not strict or has_next(state):
            page_targets[_NEXT] = _BUTTON
        for position in state.shown:
            page_targets[shop.products[position].asin.lower()] = Target(LINK, product=position)
        return page_targets
    if kind == SUB:
        return _SUB_TARGETS
    return _INDEX_TARGETS if kind == INDEX else {}


def move(shop: Shop, goal: Goal, state: State, action: str, strict: bool, nouns: str = DEFAULT_NOUNS) -> State | None:
    """The state after an action, or None if the action is refused and the state stays."""
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
    # The original looks at the name first: an option called "features" opens the sub page.
    if argument == _BUY:
        rules = "strict" if strict else "official"
        parts = score(shop.products[state.product], dict(state.options), goal, rules, nouns)
        return state._replace(kind=DONE, sub="", parts=parts)
    if argument == _BACK:
        return State()
    if argument in (_NEXT, _PREV):
        page_kind = state.kind if strict else _official_kind(state)
        if page_kind == RESULTS:
            return _results(shop, state, state.query, state.page + (1 if argument == _NEXT else -1), strict)
        if argument == _PREV and page_kind == SUB:
            return state._replace(kind=ITEM, sub="")
        if argument == _PREV and page_kind == ITEM:
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
    """The kind of page as the original determines it: by searching the whole address for a page name."""
    if state.kind == RESULTS:
        return RESULTS
    # json.dumps and repr do not change these names, and the "+" that joins a query is not part of them.
    texts = (state.query, *(text for option in state.options for text in option))
    if any("search_results" in text for text in texts):
        return RESULTS
    return ITEM if any("item_page" in text for text in texts) else state.kind


_ACCEPTED = Outcome(True, 0.0, False)
_REFUSED = Outcome(False, 0.0, False)


class Session:
    """One episode in a shop. Any number of sessions share the shop.

    ``state`` is the current state. ``seen`` maps every product that a results page has shown to its first
    (page, rank).
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
        """Execute an action. An action that is not legal changes nothing."""
        after = move(self.shop, self.goal, self.state, action, self.strict, self.nouns)
        if after is None:
            return _REFUSED
        self.state = after
        if after.kind == RESULTS:
            for rank, position in enumerate(after.shown, 1):
                self.seen.setdefault(position, (after.page, rank))
        elif after.kind == DONE and after.parts is not None:
            return Outcome(True, after.parts.total, True)
        return _ACCEPTED

    @property
    def targets(self) -> dict[str, Target]:
        """The clickable names of the current page and their targets. Do not modify the dict."""
        return targets(self.shop, self.state, self.strict)

    @property
    def clickables(self) -> tuple[str, ...]:
        """The clickable names, in the original's order."""
        return tuple(self.targets)

    @property
    def has_search_bar(self) -> bool:
        """Whether the page shows a search bar. A search is legal on other pages too."""
        return self.state.kind == INDEX

    @property
    def done(self) -> bool:
        """Whether the purchase was made."""
        return self.state.kind == DONE

    @property
    def parts(self) -> RewardParts | None:
        """The parts of the reward; None before the purchase."""
        return self.state.parts

    def copy(self) -> Session:
        """An independent session in the same state."""
        copied = Session(self.shop, self.goal, self.rules, nouns=self.nouns, session_id=self.id)
        copied.state, copied.seen = self.state, dict(self.seen)
        return copied


def admissible_actions(session: Session) -> tuple[str, ...]:
    """The legal clicks of the current page; empty on the start page, where any search is legal."""
    return () if session.has_search_bar else admissible_clicks(session.clickables)
