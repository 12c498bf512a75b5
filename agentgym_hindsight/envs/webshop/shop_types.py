"""The data types of the shop, products and goals, and the names of its rule sets and splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

__all__ = ["NO_CAP", "RULES", "SPLITS", "Goal", "Product", "SearchEngine"]

#: The two rule sets. Every result names its rule set.
RULES: tuple[str, ...] = ("strict", "official")
#: The splits, with the names of the original.
SPLITS: tuple[str, ...] = ("train", "eval", "test")
#: The cap of a goal without a price.
NO_CAP = 1_000_000.0


class Product(NamedTuple):
    """One product in the form that the original has after loading, not in the form of its file."""

    asin: str
    title: str
    description: str
    bullets: tuple[str, ...]
    attributes: tuple[str, ...]
    category: str  # "fashion"
    query: str
    product_category: str  # "Clothing › Women › …"
    prices: tuple[float, ...]  # one listed price, or the ends of a range; (100.0,) if the file has none
    price_tag: str  # "$12.5", "$3.78 to $11.38"
    price: float  # of a purchase: the listed price, or one drawn from the range
    options: Mapping[str, tuple[str, ...]]  # axis -> values, lower-cased, in the file's order
    image: str = ""
    instruction: str = ""  # of the synthetic goals
    instruction_attributes: tuple[str, ...] = ()


class Goal(NamedTuple):
    """The purchase that the agent should make. Only the instruction is visible to the agent."""

    asin: str
    instruction: str
    attributes: tuple[str, ...]
    options: tuple[tuple[str, str], ...]  # (axis, value); the axis is "" in human goals, which have only values
    price_cap: float
    category: str
    query: str
    title: str
    product_category: str
    weight: float = 1.0
    human: bool = False  # the official rules distinguish human goals (a list of values) from synthetic ones (a dict)


class SearchEngine(Protocol):
    """Ranks products for a query."""

    def search(self, query: str, k: int = 50) -> tuple[int, ...]: ...  # positions in the catalogue, best first
