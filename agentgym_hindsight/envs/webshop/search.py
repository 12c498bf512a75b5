"""The search engine of a shop: the indexed text of a product, and the index over a catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from agentgym_hindsight.envs.webshop.analyzer import terms
from agentgym_hindsight.envs.webshop.bm25 import Bm25
from agentgym_hindsight.envs.webshop.postings import PostingsBuilder
from agentgym_hindsight.envs.webshop.shop_types import Product

__all__ = ["Bm25Engine", "build_index", "document_text", "id_ranks", "index_texts"]

_CACHE_SIZE = 4096
_MAX_CACHED_LENGTH = 1000  # characters; longer queries are not cached, which bounds the memory of the cache


def document_text(product: Product) -> str:
    """The indexed text of a product: title, description, the first bullet and all options, lower-cased."""
    options = ", and ".join(f"{axis}: {', '.join(values)}" for axis, values in product.options.items())
    bullet = product.bullets[0] if product.bullets else ""
    return f"{product.title} {product.description} {bullet} {options}".lower()


class Bm25Engine:
    """A ``SearchEngine`` with a cache, because the rollouts of a group repeat queries."""

    def __init__(self, ranker: Bm25, cache_size: int = _CACHE_SIZE) -> None:
        self.ranker = ranker
        self._cached: Callable[[str, int], tuple[int, ...]] = lru_cache(cache_size)(self._find)

    def __len__(self) -> int:
        return self.ranker.documents

    def search(self, query: str, k: int = 50) -> tuple[int, ...]:
        """Positions in the catalogue of the ``k`` best products, best first."""
        return self._cached(query, k) if len(query) <= _MAX_CACHED_LENGTH else self._find(query, k)

    def _find(self, query: str, k: int) -> tuple[int, ...]:
        docs, _ = self.ranker.rank(terms(query), k)
        return tuple(docs.tolist())


def build_index(products: Sequence[Product]) -> Bm25Engine:
    """An index in memory."""
    return index_texts(map(document_text, products), [product.asin for product in products])


def index_texts(texts: Iterable[str], ids: Sequence[str]) -> Bm25Engine:
    """An index in memory over texts. Documents with equal scores are ordered by id."""
    builder = PostingsBuilder()
    builder.extend(texts)
    index_terms, postings = builder.finish()
    numbers = {term: number for number, term in enumerate(index_terms)}
    return Bm25Engine(Bm25(lambda term: numbers.get(term, -1), postings, ties=id_ranks(ids)))


def id_ranks(ids: Sequence[str]) -> NDArray[np.int32]:
    """The rank of each id in sorted order. The original breaks ties by ASIN, not by position in the catalogue."""
    ranks = np.empty(len(ids), np.int32)
    ranks[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids), dtype=np.int32)
    return ranks
