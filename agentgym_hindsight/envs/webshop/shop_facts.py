"""The facts under ``info["extra"]`` in WebShop, computed when they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agentgym_hindsight.envs.extra import Extra
from agentgym_hindsight.envs.webshop.example_searches import example_searches
from agentgym_hindsight.envs.webshop.feedback import changes, explain, review
from agentgym_hindsight.envs.webshop.page_contents import url_of
from agentgym_hindsight.envs.webshop.pages import DONE, INDEX, State
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.tasks import content_hash

__all__ = ["WebshopExtra", "state_key"]


class _TurnRecord(NamedTuple):
    session: Session
    state: State
    before: State | None  # the state in which the last action was taken; None if the shop refused it
    refused: str | None  # the last action, if the shop refused it
    over: bool

    def session_at_turn(self) -> Session:
        """A copy of the session, set back to the state of this turn."""
        copy = self.session.copy()
        copy.state = self.state
        return copy


def _asin(record: _TurnRecord) -> str:
    position = record.state.product
    return record.session.shop.products[position].asin if position >= 0 else ""


def _examples(record: _TurnRecord) -> tuple[str, ...]:
    return () if record.state.kind == DONE else example_searches(record.session.goal.instruction)


_TABLE: Mapping[str, Callable[[_TurnRecord], Any]] = {
    "page": lambda record: record.state.kind,
    "has_search_bar": lambda record: record.state.kind == INDEX,
    "query": lambda record: record.state.query,
    "page_number": lambda record: record.state.page,
    "results": lambda record: len(record.state.hits),
    "asin": _asin,
    "options": lambda record: dict(record.state.options),
    "url": lambda record: url_of(record.session_at_turn()),
    "reason": lambda record: None if record.refused is None else explain(record.session_at_turn(), record.refused),
    "change": lambda record: "" if record.before is None else changes(record.session.shop, record.before, record.state),
    "reward_parts": lambda record: record.state.parts if record.over else None,
    "example_actions": _examples,
    "review": lambda record: review(record.session_at_turn()) if record.over else None,
}


class WebshopExtra(Extra):
    """Facts about one turn of one episode.

    ==================  ==========================================================================================
    ``backend``         the shop and its rules: "native/embedded/strict", "native/official-1000/official" …
    ``rules``, ``nouns``  as in the arguments
    ``goals``           "synthetic", "human" or "recorded"
    ``page``            "index", "results", "item", "sub" or "done"
    ``has_search_bar``  True on the start page
    ``query``           the last search; "" before the first one
    ``page_number``     the page of results; 0 before a search
    ``results``         number of products found
    ``asin``            the product of the page; "" if there is none
    ``options``         the chosen options, axis -> value
    ``url``             the address of the page in the original's routes
    ``reason``          why the last action did nothing (``Reason``), or None
    ``change``          what the last action changed, as text; "" if nothing
    ``example_actions``  searches for words of the instruction: legal, but in no list of actions
    ``reward_parts``    the parts of the reward (``RewardParts``); None before the purchase
    ``review``          better purchases, where the product was seen (``Review``); None before the end
    ==================  ==========================================================================================
    """

    __slots__ = ()

    def __init__(
        self,
        shared: Mapping[str, Any],
        session: Session,
        before: State | None = None,
        refused: str | None = None,
        over: bool = False,
    ) -> None:
        super().__init__(shared, _TABLE, _TurnRecord(session, session.state, before, refused, over))

    def ended(self) -> WebshopExtra:
        """The same facts, with the turn as the last one of the episode."""
        return self.at(self._argument._replace(over=True))

    @property
    def last_move(self) -> tuple[State | None, str | None]:
        """The state before the last action, and the action if the shop refused it: one of both is None."""
        return self._argument.before, self._argument.refused

    def after_thought(self) -> WebshopExtra:
        return self.at(self._argument._replace(before=None, refused=None))


def state_key(session: Session) -> str:
    """The key of a state: page, query, page number, product, and the chosen options in any order."""
    state = session.state
    asin = session.shop.products[state.product].asin if state.product >= 0 else ""
    options = (part for option in sorted(state.options) for part in option)
    return content_hash("\x1f".join((state.kind, state.query, str(state.page), asin, state.sub, *options)))
