"""A product and a goal, as plain immutable data: where the loader, the generator, the engine and the reward meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

__all__ = ["NO_CAP", "RULES", "SPLITS", "Goal", "Product", "SearchEngine"]

#: The two rule sets. Every result names the one it was played by.
RULES: tuple[str, ...] = ("strict", "official")
#: The original's names are test, eval and train.
SPLITS: tuple[str, ...] = ("train", "eval", "test")
#: The cap of a goal that names no price.
NO_CAP = 1_000_000.0


class Product(NamedTuple):
    """One product as the original holds it after loading (not as its file has it)."""

    asin: str
    title: str
    description: str
    bullets: tuple[str, ...]
    attributes: tuple[str, ...]
    category: str  # "fashion"
    query: str
    product_category: str  # "Clothing › Women › …"
    prices: tuple[float, ...]  # as listed: one, or the ends of a range; (100.0,) where the file gives none
    price_tag: str  # "$12.5", "$3.78 to $11.38"
    price: float  # what buying costs: the listed price, or one drawn from the range
    options: Mapping[str, tuple[str, ...]]  # axis -> values, lower-cased, in the file's order
    image: str = ""
    instruction: str = ""  # of the synthetic goals
    instruction_attributes: tuple[str, ...] = ()


class Goal(NamedTuple):
    """What the agent is asked to buy. Everything but the instruction is hidden from it."""

    asin: str
    instruction: str
    attributes: tuple[str, ...]
    options: tuple[tuple[str, str], ...]  # (axis, value); axis "" where the goal names values only (human goals)
    price_cap: float
    category: str
    query: str
    title: str
    product_category: str
    weight: float = 1.0
    human: bool = False  # human goals hold a list of values, synthetic ones a dict: the official rules treat them apart


class SearchEngine(Protocol):
    """Ranks products for a query."""

    def search(self, query: str, k: int = 50) -> tuple[int, ...]: ...  # positions in the catalogue, best first
