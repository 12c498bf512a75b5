"""A page as complete HTML without styles and scripts, with the original's element ids and classes.

Used only by the observation mode ``html``; the web site has its own templates.
"""

from __future__ import annotations

from html import escape

from agentgym_hindsight.envs.webshop.page_contents import nodes_of, options_json, url_of
from agentgym_hindsight.envs.webshop.pages import BUTTON, DONE, INDEX, ITEM, LINK, OPTION, RESULTS, SUB, Node
from agentgym_hindsight.envs.webshop.session import Session

__all__ = ["page_html"]

_HEAD = '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>WebShop</title></head>\n<body>\n<main>\n'
_FOOT = "</main>\n</body>\n</html>\n"


def page_html(session: Session) -> str:
    """The page that a session is on."""
    body = _done(session) if session.state.kind == DONE else _page(session)
    return f"{_HEAD}{body}{_FOOT}"


def _page(session: Session) -> str:
    state = session.state
    instruction = escape(session.goal.instruction)
    parts = [f'<div id="instruction-text"><h4>Instruction:<br>{instruction}</h4></div>\n']
    if state.kind == INDEX:
        parts.append(
            f'<form method="post" action="{escape(url_of(session))}">'
            '<label for="search_input">Search</label> '
            '<input type="search" id="search_input" name="search_query" required> '
            '<button type="submit" class="btn btn-primary">Search</button></form>\n'
        )
        return "".join(parts)
    nodes = [node for node in nodes_of(session) if node.text not in ("Instruction:", session.goal.instruction)]
    if state.kind == RESULTS:
        parts += _results(nodes)
    elif state.kind == ITEM:
        parts += _item(session, nodes)
    elif state.kind == SUB:
        parts += [
            _button(node) if node.role == BUTTON else f'<p class="product-info">{_esc(node)}</p>\n' for node in nodes
        ]
    return "".join(parts)


def _results(nodes: list[Node]) -> list[str]:
    parts, in_card = [], 0
    for node in nodes:
        if node.role == BUTTON:
            parts.append(_button(node))
        elif node.role == LINK:
            parts.append(
                f'<h4 class="product-asin"><a class="product-link" href="#{_esc(node)}">{_esc(node)}</a></h4>\n'
            )
            in_card = 1
        elif in_card:
            parts.append(f'<h5 class="{"product-price" if in_card == 2 else "product-title"}">{_esc(node)}</h5>\n')
            in_card = 0 if in_card == 2 else 2
        else:
            parts.append(f"<h3>{_esc(node)}</h3>\n")
    return parts


def _item(session: Session, nodes: list[Node]) -> list[str]:
    product, chosen = session.shop.products[session.state.product], set(session.state.options)
    address = escape(url_of(session))
    image = escape(product.image)
    parts = [f'<img id="product-image" src="{image}" alt="{escape(product.title)}">\n' if image else ""]
    for number, node in enumerate(nodes):
        if node.role == BUTTON:
            parts.append(_button(node))
        elif node.role == OPTION:
            checked = " checked" if (node.axis, node.value) in chosen else ""
            parts.append(
                f'<input type="radio" id="radio_{number}" name="{escape(node.axis)}" value="{escape(node.value)}" '
                f'data-url="{address}"{checked}><label for="radio_{number}">{_esc(node)}</label>\n'
            )
        elif node.text in (product.title, f"Price: {product.price_tag}", "Rating: N.A."):
            parts.append(
                f'<h2 class="product-title">{_esc(node)}</h2>\n'
                if node.text == product.title
                else f"<h4>{_esc(node)}</h4>\n"
            )
        else:
            parts.append(f"<h4>{_esc(node)}</h4>\n")
    return parts


def _done(session: Session) -> str:
    state = session.state
    assert state.parts is not None  # only a purchase leads to this page
    asin = escape(session.shop.products[state.product].asin)
    # The elements for the goal stay empty, because an agent reads this page.
    return (
        '<div id="thankyou"><h1>Thank you for shopping with us!</h1></div>\n'
        f'<div id="stats"><h3>Purchased</h3><p>asin: <span id="asin">{asin}</span></p>'
        f'<p>options: <span id="options">{escape(options_json(state.options))}</span></p>'
        '<div id="goal"></div>'
        f'<h3 id="reward">Your score (min 0.0, max 1.0) <pre>{state.parts.total}</pre></h3>'
        '<div id="reward_info"></div></div>\n'
    )


def _button(node: Node) -> str:
    return (
        '<form method="post"><button type="submit" class="btn" name="clickable" '
        f'value="{escape(node.text.lower())}">{_esc(node)}</button></form>\n'
    )


def _esc(node: Node) -> str:
    return escape(node.text, quote=False)
