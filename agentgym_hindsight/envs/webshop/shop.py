"""An immutable shop: products, search index and goals, shared by all sessions of a process."""

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

#: The maximal number of products that a search finds.
SEARCH_LIMIT = 50
#: Pages to cache: the rollouts of a group visit the same pages. The engine caches searches.
_CACHE_SIZE = 4096


class Shop:
    """Products, index and goals. ``name`` is their origin: "embedded", "official-1000" …

    A shop never changes after its construction, except for its caches.
    """

    def __init__(
        self, products: Sequence[Product], index: SearchEngine, goals: Sequence[Goal] = (), *, name: str = "custom"
    ) -> None:
        if not products:
            raise UsageError("Expected at least one product in a shop, got none; try embedded_products(1000, seed=0).")
        self.products: Sequence[Product] = products if isinstance(products, ProductStore) else tuple(products)
        self.index, self.goals, self.name = index, tuple(goals), name
        self.position: Mapping[str, int] = (
            products.position
            if isinstance(products, ProductStore)
            else {product.asin: position for position, product in enumerate(self.products)}
        )
        self._cards = lru_cache(maxsize=_CACHE_SIZE)(self._make_card)
        self._item_nodes = lru_cache(maxsize=_CACHE_SIZE)(self._make_nodes)
        self._item_targets = lru_cache(maxsize=_CACHE_SIZE)(self._make_targets)

    def __repr__(self) -> str:
        return f"Shop({self.name!r}, {len(self.products)} products, {len(self.goals)} goals)"

    def product(self, asin: str) -> Product:
        """The product with an ASIN."""
        try:
            return self.products[self.position[asin]]
        except KeyError:
            raise UnknownNameError("asin", asin, islice(self.position, 20)) from None

    def search(self, query: str, debug: bool = False) -> tuple[int, ...] | None:
        """Positions of the found products, best first; None for a query on which the original fails.

        ``debug`` enables the original's hidden searches: ``<r>`` for random products, ``<c> category``, ``<q> query``.
        """
        if debug and query.startswith("<"):
            words = query.split(" ")
            rest = " ".join(words[1:]).strip()
            if words[0] == "<r>":
                random = Random(seeded_int("webshop-random-search", query))
                return tuple(random.sample(range(len(self.products)), min(SEARCH_LIMIT, len(self.products))))
            if words[0] == "<a>" or query == "<c>":
                return None
            if words[0] == "<c>":
                return self._positions_with("category", words[1].strip())
            if words[0] == "<q>":
                return self._positions_with("query", rest)
        return self.index.search(query, SEARCH_LIMIT)

    def _positions_with(self, column: str, value: str) -> tuple[int, ...]:
        if isinstance(self.products, ProductStore):
            return self.products.positions_with(column, value)
        return tuple(n for n, product in enumerate(self.products) if getattr(product, column) == value)

    def card(self, position: int) -> tuple[Node, ...]:
        """The nodes of a product on a results page."""
        return self._cards(position)

    def item_nodes(self, position: int, strict: bool) -> tuple[Node, ...]:
        """The nodes of a product page."""
        return self._item_nodes(position, strict)

    def item_targets(self, position: int, strict: bool) -> dict[str, Target]:
        """The clickable names of a product page and their targets. Do not modify the dict, which is shared."""
        return self._item_targets(position, strict)

    def _make_card(self, position: int) -> tuple[Node, ...]:
        return card_nodes(self.products[position])

    def _make_nodes(self, position: int, strict: bool) -> tuple[Node, ...]:
        return item_nodes(self.products[position], strict)

    def _make_targets(self, position: int, strict: bool) -> dict[str, Target]:
        return item_targets(self.products[position], strict)
