"""The reward: how well what was bought fits what was asked for, with every part of the sum.

    r = r_type · (attributes matched + options matched + price within the cap) / (attributes + options + 1)

==========  ======================================================  ================================================
part        ``rules="official"``                                    ``rules="strict"``
==========  ======================================================  ================================================
attribute   alike (token set ratio > 85) to one of the product's,   the same
            or written in title, bullets or description
option      alike to *any* chosen value, which is reduced to the    equal to the value chosen on its axis (to any chosen
            first colour word in it: "dark green" to "dark";        value where a human goal names no axis)
            a human goal's value is reduced alike, a pair of axis
            and value only where one of the two is a colour
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

_ALIKE = 85
_COLOR_SET = frozenset(COLORS)


class AttributeMatch(NamedTuple):
    """One wanted attribute, and where it was found: "attributes", "title", "bullets", "description" or "" (missing)."""

    wanted: str
    found_in: str

    @property
    def matched(self) -> bool:
        return bool(self.found_in)


class OptionMatch(NamedTuple):
    """One wanted option, the chosen value that comes nearest ("" where none was chosen) and how near (0–100)."""

    axis: str
    wanted: str
    chosen: str
    similarity: int
    matched: bool


class TypeMatch(NamedTuple):
    """Whether it is the right kind of thing at all."""

    r_type: float
    query_match: bool
    category_match: bool
    title_score: float


class RewardParts(NamedTuple):
    """Everything a purchase was judged by. ``r_option`` and ``w_option`` are None where no option was asked for."""

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
        """The parts under the original's names, as it reports them: those that do not apply are left out."""
        names = ("r_type", "r_att", "w_att", "query_match", "category_match", "title_score")
        found = {name: getattr(self, name) for name in names}
        if self.r_option is not None and self.w_option is not None:
            found |= {"r_option": self.r_option, "w_option": self.w_option}
        return {**found, "r_price": self.r_price, "w_price": self.w_price}


def score(
    product: Product, chosen: Mapping[str, str], goal: Goal, rules: str = "strict", nouns: str = DEFAULT_NOUNS
) -> RewardParts:
    """What buying ``product`` with the ``chosen`` options (axis -> value) is worth to one who wants ``goal``."""
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
    """Each wanted option against the chosen ones (axis -> value)."""
    judge = _official_option if rules == "official" else _strict_option
    return tuple(judge(axis, wanted, chosen) for axis, wanted in goal.options)


def type_match(product: Product, goal: Goal, nouns: str = DEFAULT_NOUNS) -> TypeMatch:
    """Whether query, category and title say that the product is what the goal means."""
    query_match = product.query == goal.query
    category_match = len(_parts(product.product_category) & _parts(goal.product_category)) >= 2
    wanted = nouns_of(goal.title, nouns)
    # A set over a list: a title that repeats a noun is less than wholly like itself. The original's way.
    title_score = len(set(nouns_of(product.title, nouns)) & set(wanted)) / len(wanted) if wanted else 0.2
    r_type = 1.0 if query_match or category_match or title_score > 0.2 else 0.5
    if title_score < 0.1:
        r_type = 0.1
    if title_score == 0.0:
        r_type = 0.0
    return TypeMatch(r_type, query_match, category_match, title_score)


@lru_cache(maxsize=65536)
def similarity(one: str, other: str) -> int:
    """thefuzz's token_set_ratio: 0–100, words in any order, one side may be part of the other.

    >>> similarity("large", "x-large"), similarity("red", "blue")
    (100, 29)
    """
    return round(fuzz.token_set_ratio(_plain(one), _plain(other)))


def _plain(text: str) -> str:
    # thefuzz drops what is not ASCII before it lower-cases and blanks what is no letter or digit.
    return default_process(text if text.isascii() else text.encode("ascii", "ignore").decode())


def _found_in(product: Product, wanted: str) -> str:
    if any(similarity(own, wanted) > _ALIKE for own in product.attributes):
        return "attributes"
    if wanted in product.title.lower():
        return "title"
    if wanted in " ".join(product.bullets).lower():
        return "bullets"
    return "description" if wanted in product.description.lower() else ""


def _official_option(axis: str, wanted: str, chosen: Mapping[str, str]) -> OptionMatch:
    if axis:
        # The original compares a pair with the value: a pair becomes a colour only where one of the two *is* one.
        whole = next((color for color in COLORS if color in (axis, wanted)), "") if {axis, wanted} & _COLOR_SET else ""
        target = whole or str((axis, wanted))
    else:
        target = normalize_color(wanted)
    nearest, best = "", 0
    for value in chosen.values():
        alike = similarity(normalize_color(value), target)
        if alike > best or not nearest:
            nearest, best = value, alike
    return OptionMatch(axis, wanted, nearest, best, best > _ALIKE)


def _strict_option(axis: str, wanted: str, chosen: Mapping[str, str]) -> OptionMatch:
    target = option_value(wanted)
    if axis:
        value = chosen.get(axis, "")
        same = value == target
    else:
        same = target in chosen.values()
        value = target if same else max(chosen.values(), key=lambda own: similarity(own, target), default="")
    return OptionMatch(axis, wanted, value, 100 if same else similarity(value, target), same)


@lru_cache(maxsize=4096)
def _parts(product_category: str) -> frozenset[str]:
    return frozenset(part.strip() for part in product_category.split("›"))
