"""What a shop searches: the text of a product, and the index over a catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from agentgym_hindsight.envs.webshop.analyzer import terms
from agentgym_hindsight.envs.webshop.bm25 import Bm25
from agentgym_hindsight.envs.webshop.postings import Gatherer
from agentgym_hindsight.envs.webshop.shop_types import Product

__all__ = ["Bm25Engine", "build_index", "document_text", "id_ranks", "index_texts"]

_CACHED = 4096
_LONG = 1000  # characters: longer queries are not kept, so that the cache stays small whatever is asked


def document_text(product: Product) -> str:
    """What the index holds of a product: title, description, the first bullet and all options, lower-cased."""
    options = ", and ".join(f"{axis}: {', '.join(values)}" for axis, values in product.options.items())
    bullet = product.bullets[0] if product.bullets else ""
    return f"{product.title} {product.description} {bullet} {options}".lower()


class Bm25Engine:
    """A ``SearchEngine``. Groups of rollouts repeat each other's queries: recent answers are kept."""

    def __init__(self, ranker: Bm25, cached: int = _CACHED) -> None:
        self.ranker = ranker
        self._cached = cached
        self._answers: Callable[[str, int], tuple[int, ...]] = lru_cache(cached)(self._find)

    def __len__(self) -> int:
        return self.ranker.documents

    def search(self, query: str, k: int = 50) -> tuple[int, ...]:
        """Positions in the catalogue of the ``k`` products that match best, best first."""
        return self._answers(query, k) if len(query) <= _LONG else self._find(query, k)

    def _find(self, query: str, k: int) -> tuple[int, ...]:
        docs, _ = self.ranker.rank(terms(query), k)
        return tuple(docs.tolist())


def build_index(products: Sequence[Product]) -> Bm25Engine:
    """An index in memory."""
    return index_texts(map(document_text, products), [product.asin for product in products])


def index_texts(texts: Iterable[str], ids: Sequence[str]) -> Bm25Engine:
    """An index in memory over texts; where scores are equal, the smaller id comes first."""
    gatherer = Gatherer()
    gatherer.extend(texts)
    found, postings = gatherer.finish()
    numbers = {term: number for number, term in enumerate(found)}
    return Bm25Engine(Bm25(lambda term: numbers.get(term, -1), postings, ties=id_ranks(ids)))


def id_ranks(ids: Sequence[str]) -> NDArray[np.int32]:
    """The place of each id among all, sorted: the original breaks ties by ASIN, not by place in the catalogue."""
    ranks = np.empty(len(ids), np.int32)
    ranks[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids), dtype=np.int32)
    return ranks
