"""The contents of the page that a session is on: its nodes, its address and the JSON of the chosen options.

``observe.py`` and ``html_page.py`` render these contents.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from agentgym_hindsight.envs.webshop.pages import (
    BACK,
    BUTTON,
    DONE,
    INDEX,
    ITEM,
    NEXT,
    PREV,
    RESULTS,
    SUB,
    TEXT,
    Node,
    sub_nodes,
    visible,
)
from agentgym_hindsight.envs.webshop.session import Session, has_next

__all__ = ["item_path", "nodes_of", "options_json", "url_of"]

_BASE = "http://127.0.0.1:3000"
_BACK, _PREV, _NEXT = Node(BUTTON, BACK), Node(BUTTON, PREV), Node(BUTTON, NEXT)
_LABEL = Node(TEXT, "Instruction:")


def nodes_of(session: Session) -> list[Node]:
    """The visible parts of the page, in order."""
    state, shop, strict = session.state, session.shop, session.strict
    if state.kind == DONE:
        return _done(session)
    instruction = visible(session.goal.instruction)
    instruction_nodes = [Node(TEXT, instruction)] if instruction else []
    if state.kind == INDEX:
        # The original's start page has a blank after the colon; its other pages have none.
        return [Node(TEXT, "WebShop"), Node(TEXT, "Instruction: "), *instruction_nodes, Node(BUTTON, "Search")]
    nodes = [_LABEL, *instruction_nodes, _BACK]
    if state.kind == RESULTS:
        nodes.append(Node(TEXT, f"Page {state.page} (Total results: {len(state.hits)})"))
        if state.page > 1:
            nodes.append(_PREV)
        if not strict or has_next(state):
            nodes.append(_NEXT)
        for position in state.shown:
            nodes += shop.card(position)
    elif state.kind == ITEM:
        nodes += shop.item_nodes(state.product, strict)
    elif state.kind == SUB:
        nodes += sub_nodes(shop.products[state.product], state.sub)
    return nodes


def _done(session: Session) -> list[Node]:
    state = session.state
    # The original's page has fields for the goal. Its text environment leaves them empty, and so do we.
    texts = [
        *("Thank you for shopping with us!", "Your code: ", "None", " (Paste it in your MTurk interface.)"),
        *("Purchased", "asin", session.shop.products[state.product].asin, "options", options_json(state.options)),
        *("attrs", "None", "category", "None", "query", "None", "product category", "None"),
        *("Target", "asin", "options", "attrs", "price upper", "instuction text", "category", "product category"),
        *("query", "Goal ", "None", "Reward", "Your score (min 0.0, max 1.0)", str(state.parts.total)),  # type: ignore[union-attr]
        *("Reward Details ", "None"),
    ]
    return [Node(TEXT, text) for text in texts]


def options_json(options: Iterable[tuple[str, str]]) -> str:
    """The chosen options as the original's last page prints them: sorted JSON with HTML characters escaped."""
    text = json.dumps(dict(options), sort_keys=True)
    for character in "<>&'":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def item_path(session: Session) -> str:
    """The part of a product page's address that follows the ASIN: query, page number and options."""
    state = session.state
    return f"{state.query.replace(' ', '+')}/{state.page}/{json.dumps(dict(state.options))}"


def url_of(session: Session) -> str:
    """The page's address, by the original's routes."""
    state = session.state
    if state.kind == INDEX:
        return f"{_BASE}/{session.id}"
    words = state.query.replace(" ", "+")
    if state.kind == RESULTS:
        return f"{_BASE}/search_results/{session.id}/{words}/{state.page}"
    asin = session.shop.products[state.product].asin
    if state.kind == ITEM:
        return f"{_BASE}/item_page/{session.id}/{asin}/{item_path(session)}"
    if state.kind == SUB:
        return f"{_BASE}/item_sub_page/{session.id}/{asin}/{words}/{state.page}/{state.sub}/{dict(state.options)}"
    return f"{_BASE}/done/{session.id}/{asin}/{dict(state.options)}"
