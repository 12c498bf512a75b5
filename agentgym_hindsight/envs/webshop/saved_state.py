"""The state of an episode in a snapshot, and its check when it comes from JSON."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.plain_values import reject, row, text, texts, whole
from agentgym_hindsight.envs.webshop.pages import DONE, INDEX, ITEM, RESULTS, SUB, SUBPAGES, State
from agentgym_hindsight.envs.webshop.reward import score
from agentgym_hindsight.envs.webshop.session import Session

__all__ = ["Saved", "decoded"]

#: The state; (product, (page, rank)) of every product seen; the pages and the actions of the history; the state before
#: the last action, and the action if it was refused.
Saved = tuple[
    State,
    tuple[tuple[int, tuple[int, int]], ...],
    tuple[str, ...],
    tuple[str, ...],
    "State | None",
    "str | None",
]

_PAGES = 1_000_000  # more pages of results than any shop has
_KINDS = (INDEX, RESULTS, ITEM, SUB, DONE)
_SUBS = ("", *SUBPAGES, "Attributes")


def decoded(session: Session, value: Any) -> Saved:
    """A saved state from JSON. Every product is one of the shop of ``session``, a new session of the task."""
    state, seen, pages, actions, before, refused = row(value, "world", 6)
    products = len(session.shop.products)
    return (
        _state(session, state),
        tuple(
            (
                whole(position, "world.seen", 0, products),
                (whole(place[0], "world.seen", -_PAGES, _PAGES), whole(place[1], "world.seen", 0, _PAGES)),
            )
            for position, place in (
                (entry[0], row(entry[1], "world.seen", 2))
                for entry in (row(entry, "world.seen", 2) for entry in row(seen, "world.seen"))
            )
        ),
        texts(pages, "world.pages"),
        texts(actions, "world.actions"),
        None if before is None else _state(session, before),
        None if refused is None else text(refused, "world.refused"),
    )


def _state(session: Session, value: Any) -> State:
    where = "world.state"
    kind, query, page, hits, product, sub, options, opened, _ = row(value, where, 9)
    products = len(session.shop.products)
    if kind not in _KINDS:
        reject(f"one of {', '.join(_KINDS)}", kind, f"{where}.kind")
    if sub not in _SUBS:
        reject("a sub page", sub, f"{where}.sub")
    shows_product = kind in (ITEM, SUB, DONE)
    state = State(
        kind,
        text(query, f"{where}.query"),
        whole(page, f"{where}.page", -_PAGES, _PAGES),
        tuple(whole(hit, f"{where}.hits", 0, products) for hit in row(hits, f"{where}.hits")),
        whole(product, f"{where}.product", 0 if shows_product else -1, products),
        sub,
        tuple(
            (text(axis, f"{where}.options"), text(chosen, f"{where}.options"))
            for axis, chosen in (row(option, f"{where}.options", 2) for option in row(options, f"{where}.options"))
        ),
        frozenset(whole(each, f"{where}.opened", 0, products) for each in row(opened, f"{where}.opened")),
    )
    if kind == DONE:  # the parts of the reward follow from the purchase: those of a file are not believed
        rules = "strict" if session.strict else "official"
        parts = score(session.shop.products[state.product], dict(state.options), session.goal, rules, session.nouns)
        return state._replace(parts=parts)
    return state
