"""The reward of a purchase and all its parts.

    r = r_type · (attributes matched + options matched + price within the cap) / (attributes + options + 1)

==========  ======================================================  ================================================
part        ``rules="official"``                                    ``rules="strict"``
==========  ======================================================  ================================================
attribute   similar (token set ratio > 85) to one of the product's  the same
            attributes, or in title, bullets or description
option      similar to *any* chosen value. In chosen values and in  equal to the chosen value of its axis (in human
            human goals, a value that contains a colour word is     goals, which have no axes, to any chosen value)
            replaced by it ("dark green" by "dark"). A goal's pair
            (axis, value) is replaced only if one of the two is a
            colour word
price       at most the cap                                         the same
type        0, 0.1, 0.5 or 1 by query, category and title nouns     the same
==========  ======================================================  ================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz import fuzz
from rapidfuzz.utils import default_process

from agentgym_hindsight.envs.webshop.colors import COLORS, normalize_color
from agentgym_hindsight.envs.webshop.loading import option_value
from agentgym_hindsight.envs.webshop.nouns import DEFAULT_NOUNS, nouns_of
from agentgym_hindsight.envs.webshop.shop_types import Goal, Product

__all__ = [
    "AttributeMatch",
    "OptionMatch",
    "RewardParts",
    "TypeMatch",
    "option_matches",
    "score",
    "similarity",
    "type_match",
]

_SIMILAR = 85
#: Characters that are compared: the time is quadratic. No attribute or option of the official catalogue is near it.
_COMPARED = 20_000
_COLOR_SET = frozenset(COLORS)


class AttributeMatch(NamedTuple):
    """One wanted attribute and where it was found: "attributes", "title", "bullets", "description" or "" (missing)."""

    wanted: str
    found_in: str

    @property
    def matched(self) -> bool:
        return bool(self.found_in)


class OptionMatch(NamedTuple):
    """One wanted option, the most similar chosen value ("" if none was chosen) and their similarity (0–100)."""

    axis: str
    wanted: str
    chosen: str
    similarity: int
    matched: bool


class TypeMatch(NamedTuple):
    """The type test: whether a product is of the wanted kind."""

    r_type: float
    query_match: bool
    category_match: bool
    title_score: float


class RewardParts(NamedTuple):
    """All parts of the reward of a purchase. ``r_option`` and ``w_option`` are None if the goal has no options."""

    total: float
    r_type: float
    r_att: float
    r_option: float | None
    r_price: bool
    w_att: float
    w_option: float | None
    w_price: float
    query_match: bool
    category_match: bool
    title_score: float
    attributes: tuple[AttributeMatch, ...]
    options: tuple[OptionMatch, ...]
    price: float
    price_cap: float
    rules: str
    nouns: str

    def official(self) -> dict[str, float | bool]:
        """The parts under the original's names. Parts that do not apply are left out, as in the original."""
        names = ("r_type", "r_att", "w_att", "query_match", "category_match", "title_score")
        parts = {name: getattr(self, name) for name in names}
        if self.r_option is not None and self.w_option is not None:
            parts |= {"r_option": self.r_option, "w_option": self.w_option}
        return {**parts, "r_price": self.r_price, "w_price": self.w_price}


def score(
    product: Product, chosen: Mapping[str, str], goal: Goal, rules: str = "strict", nouns: str = DEFAULT_NOUNS
) -> RewardParts:
    """The reward of buying ``product`` with the ``chosen`` options (axis -> value) for ``goal``."""
    kind = type_match(product, goal, nouns)
    attributes = tuple(AttributeMatch(wanted, _found_in(product, wanted)) for wanted in goal.attributes)
    options = option_matches(chosen, goal, rules)
    within = product.price <= goal.price_cap
    parts = len(attributes) + len(options) + 1
    attributes_met = sum(match.matched for match in attributes)
    options_met = sum(match.matched for match in options)
    return RewardParts(
        total=(attributes_met + options_met + within) / parts * kind.r_type,
        r_type=kind.r_type,
        r_att=attributes_met / len(attributes) if attributes else 1.0,
        r_option=options_met / len(options) if options else None,
        r_price=within,
        w_att=len(attributes) / parts,
        w_option=len(options) / parts if options else None,
        w_price=1 / parts,
        query_match=kind.query_match,
        category_match=kind.category_match,
        title_score=kind.title_score,
        attributes=attributes,
        options=options,
        price=product.price,
        price_cap=goal.price_cap,
        rules=rules,
        nouns=nouns,
    )


def option_matches(chosen: Mapping[str, str], goal: Goal, rules: str = "strict") -> tuple[OptionMatch, ...]:
    """Compare each wanted option with the chosen ones (axis -> value)."""
    match_option = _official_option if rules == "official" else _strict_option
    return tuple(match_option(axis, wanted, chosen) for axis, wanted in goal.options)


def type_match(product: Product, goal: Goal, nouns: str = DEFAULT_NOUNS) -> TypeMatch:
    """Compare query, category and title of the product with those of the goal."""
    query_match = product.query == goal.query
    category_match = len(_parts(product.product_category) & _parts(goal.product_category)) >= 2
    wanted = nouns_of(goal.title, nouns)
    # A set divided by a list, as in the original: a title that repeats a noun scores less than 1 against itself.
    title_score = len(set(nouns_of(product.title, nouns)) & set(wanted)) / len(wanted) if wanted else 0.2
    r_type = 1.0 if query_match or category_match or title_score > 0.2 else 0.5
    if title_score < 0.1:
        r_type = 0.1
    if title_score == 0.0:
        r_type = 0.0
    return TypeMatch(r_type, query_match, category_match, title_score)


@lru_cache(maxsize=65536)
def similarity(one: str, other: str) -> int:
    """The token_set_ratio of thefuzz, 0–100: words in any order, and a subset of the words counts as 100.

    >>> similarity("large", "x-large"), similarity("red", "blue")
    (100, 29)
    """
    return round(fuzz.token_set_ratio(_plain(one), _plain(other)))


def _plain(text: str) -> str:
    text = text[:_COMPARED]
    # thefuzz drops non-ASCII characters before it lower-cases and replaces punctuation by blanks.
    return default_process(text if text.isascii() else text.encode("ascii", "ignore").decode())


def _found_in(product: Product, wanted: str) -> str:
    if any(similarity(attribute, wanted) > _SIMILAR for attribute in product.attributes):
        return "attributes"
    if wanted in product.title.lower():
        return "title"
    if wanted in " ".join(product.bullets).lower():
        return "bullets"
    return "description" if wanted in product.description.lower() else ""


def _official_option(axis: str, wanted: str, chosen: Mapping[str, str]) -> OptionMatch:
    if axis:
        # The original compares the pair (axis, value) with the chosen value. A pair becomes a colour only if one of
        # the two *is* a colour word.
        word = next((color for color in COLORS if color in (axis, wanted)), "") if {axis, wanted} & _COLOR_SET else ""
        target = word or str((axis, wanted))
    else:
        target = normalize_color(wanted)
    nearest, best = "", 0
    for value in chosen.values():
        value_similarity = similarity(normalize_color(value), target)
        if value_similarity > best or not nearest:
            nearest, best = value, value_similarity
    return OptionMatch(axis, wanted, nearest, best, best > _SIMILAR)


def _strict_option(axis: str, wanted: str, chosen: Mapping[str, str]) -> OptionMatch:
    target = option_value(wanted)
    if axis:
        value = chosen.get(axis, "")
        same = value == target
    else:
        same = target in chosen.values()
        value = target if same else max(chosen.values(), key=lambda each: similarity(each, target), default="")
    return OptionMatch(axis, wanted, value, 100 if same else similarity(value, target), same)


@lru_cache(maxsize=4096)
def _parts(product_category: str) -> frozenset[str]:
    return frozenset(part.strip() for part in product_category.split("›"))
