"""The visible parts of a page and its clickable names.

A page is a tuple of :class:`Node`. Text, rich text and HTML are renderings of it (see ``observe.py``). Clickable names
are in the original's order: buttons, product links, option values. A repeated name has the position of its first
occurrence and the meaning of its last one, as in the original's dictionary.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from agentgym_hindsight.envs.webshop.reward import RewardParts
from agentgym_hindsight.envs.webshop.shop_types import Product

__all__ = [
    "BACK",
    "BUTTON",
    "BUY",
    "DONE",
    "INDEX",
    "ITEM",
    "LINK",
    "NEXT",
    "OPTION",
    "PER_PAGE",
    "PREV",
    "RESULTS",
    "SUB",
    "SUBPAGES",
    "TEXT",
    "Node",
    "State",
    "Target",
    "card_nodes",
    "item_nodes",
    "item_targets",
    "sub_nodes",
    "visible",
]

#: Kinds of pages.
INDEX, RESULTS, ITEM, SUB, DONE = "index", "results", "item", "sub", "done"
#: Roles of nodes.
TEXT, BUTTON, OPTION, LINK = "text", "button", "option", "link"
#: Names of buttons on pages. Actions use them in lower case.
BACK, PREV, NEXT, BUY = "Back to Search", "< Prev", "Next >", "Buy Now"
#: The sub pages of a product. The original also has "Attributes", but no page links to it.
SUBPAGES = ("Description", "Features", "Reviews")
PER_PAGE = 10
_ITEM_BUTTONS = tuple(name.lower() for name in (BACK, PREV, *SUBPAGES, BUY))


class State(NamedTuple):
    """The state of a session. Immutable, so that earlier states can be kept without copies."""

    kind: str = INDEX
    query: str = ""  # of the last search since the index page
    page: int = 0  # of the results, from 1
    hits: tuple[int, ...] = ()  # positions in the catalogue, best first
    product: int = -1  # position in the catalogue
    sub: str = ""  # "Description" …
    options: tuple[tuple[str, str], ...] = ()  # (axis, value) in the order of first choice
    opened: frozenset[int] = frozenset()  # products opened since the index page
    parts: RewardParts | None = None  # of the purchase

    @property
    def shown(self) -> tuple[int, ...]:
        """Positions of the products this results page lists."""
        # A slice with the original's bounds. Page 0, which a query with a page name in it can reach, is empty too.
        return self.hits[(self.page - 1) * PER_PAGE : self.page * PER_PAGE] if self.kind == RESULTS else ()


class Node(NamedTuple):
    """One visible string. ``axis`` and ``value`` identify the option that it selects."""

    role: str
    text: str
    axis: str = ""
    value: str = ""


class Target(NamedTuple):
    """The meaning of a clickable name: a button, a link to a product, or a value of an axis."""

    role: str
    axis: str = ""
    value: str = ""
    product: int = -1


def card_nodes(product: Product) -> tuple[Node, ...]:
    """A product on a results page."""
    return (Node(LINK, product.asin), *_texts(product.title, product.price_tag))


def item_nodes(product: Product, strict: bool) -> tuple[Node, ...]:
    """A product page, without instruction and search button."""
    nodes = [Node(BUTTON, PREV)]
    ambiguous = _ambiguous(product) if strict else frozenset()
    for axis, values in product.options.items():
        nodes += _texts(axis)
        # A repeated value of one axis is one choice; the official pages show it repeatedly.
        for value in dict.fromkeys(values) if strict else values:
            if visible(value):
                nodes.append(Node(OPTION, f"{axis}: {value}" if value in ambiguous else value, axis, value))
    nodes += _texts(product.title, f"Price: {product.price_tag}", "Rating: N.A.")
    nodes += (Node(BUTTON, name) for name in (*SUBPAGES, BUY))
    return tuple(nodes)


def item_targets(product: Product, strict: bool) -> dict[str, Target]:
    """The clickable names of a product page and their targets."""
    targets = dict.fromkeys(_ITEM_BUTTONS, Target(BUTTON))
    ambiguous = _ambiguous(product) if strict else frozenset()
    for axis, values in product.options.items():
        for value in values:
            targets[f"{axis}: {value}" if value in ambiguous else value] = Target(OPTION, axis, value)
    return targets


def sub_nodes(product: Product, sub: str) -> tuple[Node, ...]:
    """A sub page of a product, without instruction and search button."""
    texts: tuple[str, ...] = ()
    if sub == "Description":
        texts = (product.description,)
    elif sub == "Features":
        texts = tuple(f" {bullet}" for bullet in product.bullets)
    elif sub == "Attributes":
        texts = product.attributes
    return (Node(BUTTON, PREV), *_texts(*texts))


def visible(text: str) -> str:
    """A string as a parsed page shows it.

    A blank string becomes one blank, or "" if it has a line break.
    """
    if text and not text.strip(" \t\n\r\f\v"):
        return "" if "\n" in text else " "
    return text


def _texts(*texts: str) -> tuple[Node, ...]:
    return tuple(Node(TEXT, text) for text in map(visible, texts) if text)


def _ambiguous(product: Product) -> frozenset[str]:
    """Values that do not identify one choice: they are on two axes, or equal to a button's name."""
    counts = Counter(value for values in product.options.values() for value in set(values))
    return frozenset(
        value for value, count in counts.items() if count > 1 or value in _ITEM_BUTTONS or value == "search"
    )
