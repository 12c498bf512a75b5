"""A shop: products, search index and goals, immutable, shared by any number of sessions of a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from random import Random

from agentgym_hindsight.envs.webshop.pages import Node, Target, card_nodes, item_nodes, item_targets
from agentgym_hindsight.envs.webshop.product_store import ProductStore
from agentgym_hindsight.envs.webshop.shop_types import Goal, Product, SearchEngine
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.tasks import seeded_int

__all__ = ["SEARCH_LIMIT", "Shop"]

#: How many products a search finds at most.
SEARCH_LIMIT = 50
#: Pages kept ready: siblings of a group visit the same ones again and again. Searches are kept by the engine.
_KEPT = 4096


class Shop:
    """Products, index and goals. ``name`` says where they come from: "embedded", "official" …

    Nothing in a shop changes after it was made; what is cached can be made anew at any time.
    """

    def __init__(
        self, products: Sequence[Product], index: SearchEngine, goals: Sequence[Goal] = (), *, name: str = "custom"
    ) -> None:
        if not products:
            raise UsageError("Expected at least one product to sell, got none; try embedded_products(1000, seed=0).")
        self.products: Sequence[Product] = products if isinstance(products, ProductStore) else tuple(products)
        self.index, self.goals, self.name = index, tuple(goals), name
        self.position: Mapping[str, int] = (
            products.position
            if isinstance(products, ProductStore)
            else {product.asin: position for position, product in enumerate(self.products)}
        )
        self._cards = lru_cache(maxsize=_KEPT)(self._card)
        self._item_nodes = lru_cache(maxsize=_KEPT)(self._made_nodes)
        self._item_targets = lru_cache(maxsize=_KEPT)(self._made_targets)

    def __repr__(self) -> str:
        return f"Shop({self.name!r}, {len(self.products)} products, {len(self.goals)} goals)"

    def product(self, asin: str) -> Product:
        """The product of an asin."""
        try:
            return self.products[self.position[asin]]
        except KeyError:
            raise UnknownNameError("asin", asin, islice(self.position, 20)) from None

    def search(self, query: str, debug: bool = False) -> tuple[int, ...] | None:
        """Positions of what a query finds, best first. None where the original would break.

        ``debug``: the original's hidden searches are understood: ``<r>`` some products, ``<c> category``,
        ``<q> query``.
        """
        if debug and query.startswith("<"):
            words = query.split(" ")
            rest = " ".join(words[1:]).strip()
            if words[0] == "<r>":
                drawn = Random(seeded_int("webshop-random-search", query))
                return tuple(drawn.sample(range(len(self.products)), min(SEARCH_LIMIT, len(self.products))))
            if words[0] == "<a>" or query == "<c>":
                return None
            if words[0] == "<c>":
                return self._having("category", words[1].strip())
            if words[0] == "<q>":
                return self._having("query", rest)
        return self.index.search(query, SEARCH_LIMIT)

    def _having(self, column: str, value: str) -> tuple[int, ...]:
        if isinstance(self.products, ProductStore):
            return self.products.having(column, value)
        return tuple(n for n, product in enumerate(self.products) if getattr(product, column) == value)

    def card(self, position: int) -> tuple[Node, ...]:
        """A product as the results show it."""
        return self._cards(position)

    def item_nodes(self, position: int, strict: bool) -> tuple[Node, ...]:
        """A product's own page."""
        return self._item_nodes(position, strict)

    def item_targets(self, position: int, strict: bool) -> dict[str, Target]:
        """What can be clicked on a product's own page; shared, so not to be changed."""
        return self._item_targets(position, strict)

    def _card(self, position: int) -> tuple[Node, ...]:
        return card_nodes(self.products[position])

    def _made_nodes(self, position: int, strict: bool) -> tuple[Node, ...]:
        return item_nodes(self.products[position], strict)

    def _made_targets(self, position: int, strict: bool) -> dict[str, Target]:
        return item_targets(self.products[position], strict)
