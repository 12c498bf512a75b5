"""The product at position ``i`` of the embedded catalogue: a member of a family of near-duplicates.

A catalogue is divided into shelves of fixed length, and every shelf into families by its own seed. Product ``i``
therefore depends on (seed, i) only: the catalogue of 1,000 products is the beginning of the catalogue of 100,000.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import NamedTuple

from agentgym_hindsight.envs.webshop.options import axes_of, family_values
from agentgym_hindsight.envs.webshop.product_texts import maker_of, title_of
from agentgym_hindsight.envs.webshop.seeds import Draws
from agentgym_hindsight.envs.webshop.vocabulary import Department, Kind, Property, departments

__all__ = ["SHELF", "Sketch", "sketch"]

#: Positions of each category on a shelf, in the proportions of the 1,000 official products (238, 229, 216, 200, 117).
_SHELF_POSITIONS = {"beauty": 48, "electronics": 46, "garden": 43, "fashion": 40, "grocery": 23}
SHELF = sum(_SHELF_POSITIONS.values())
#: Share of the products of a category with a synthetic instruction.
_INSTRUCTION_SHARE = {"beauty": 0.378, "electronics": 0.275, "garden": 0.481, "fashion": 0.645, "grocery": 0.248}
_FAMILY_SIZES = ((1, 62), (2, 20), (3, 9), (4, 5), (6, 3), (8, 1))
#: Share of the products with attributes that list their own noun ("console table") as an attribute.
_TYPE_LISTED_SHARE = 0.5
#: Share of the products whose query, the search that found them, is that of another kind.
_OTHER_QUERY_SHARE = 0.33
#: Number of properties that an instruction names, and number of listed properties of products without one, by weight.
_NAMED = {
    "beauty": ((2, 45), (3, 25), (4, 18), (5, 2), (7, 1)),
    "electronics": ((2, 41), (3, 14), (4, 8)),
    "garden": ((2, 45), (3, 34), (4, 14), (5, 6), (6, 3), (7, 2)),
    "fashion": ((2, 35), (3, 35), (4, 25), (5, 6), (6, 14), (7, 7), (8, 6)),
    "grocery": ((2, 13), (3, 5), (4, 6), (5, 1), (6, 1), (7, 3)),
}
_UNNAMED = ((0, 185), (1, 205), (2, 120), (3, 45), (4, 20), (5, 10))


_GOLDEN_RATIO = (5**0.5 - 1) / 2
#: Share of the listed properties in the title and in the other indexed texts, and of unlisted ones in either.
_IN_TITLE, _IN_TEXT, _UNLISTED = 0.28, 0.28, 0.4


class Mentions(NamedTuple):
    """The properties that each text mentions. The original indexes only title, description and first bullet."""

    title: tuple[Property, ...]
    early: tuple[Property, ...]  # description and first bullet
    late: tuple[Property, ...]  # the other bullets


class Sketch(NamedTuple):
    """All decisions about a product except its texts."""

    department: Department
    kind: Kind
    query: str
    maker: str
    noun: str
    title: str
    properties: tuple[Property, ...]  # listed as attributes, in this order
    type_name: str  # the noun, listed as a further attribute; "" if it is not
    mentions: Mentions
    named: tuple[Property, ...]  # by the synthetic instruction; empty if there is none
    options: dict[str, list[str]]
    pricing: tuple[float, ...]  # none, one, or the ends of a range


class _Family(NamedTuple):
    department: Department
    kind: Kind
    maker: str
    properties: tuple[Property, ...]
    options: dict[str, list[str]]
    price: float


def sketch(seed: int, index: int) -> Sketch:
    """The product at position ``index``."""
    shelf, position = divmod(index, SHELF)
    category, number, member = _shelf(seed, shelf)[position]
    family = _family(seed, shelf, category, number)
    rng = Draws("product", seed, index)
    properties = _member_properties(rng, family, member)
    has_instruction = rng.chance(_INSTRUCTION_SHARE[category] * (1.12 if family.options else 0.9))
    count = rng.weighted(_NAMED[category] if has_instruction else _UNNAMED)
    named = properties[:count] if has_instruction else ()
    listed = properties[: count + (rng.below(3) if has_instruction else 0)]
    options = {axis: _offered_values(rng, axis, values) for axis, values in family.options.items()}
    nouns = rng.sample(family.kind.nouns, len(family.kind.nouns))
    mentions = _mentions(rng, properties, len(listed))
    maker = family.maker if rng.chance(0.5) else maker_of(rng)
    title = title_of(rng, maker, nouns, mentions.title, _title_options(rng, options))
    query_kind = rng.pick(family.department.kinds) if rng.chance(_OTHER_QUERY_SHARE) else family.kind
    return Sketch(
        department=family.department,
        kind=family.kind,
        query=query_kind.query,
        maker=maker,
        noun=nouns[0],
        title=title,
        properties=listed,
        type_name=rng.pick(nouns).lower() if listed and rng.chance(_TYPE_LISTED_SHARE) else "",
        mentions=mentions,
        named=named,
        options=options,
        pricing=_pricing(rng, family),
    )


@lru_cache(maxsize=64)
def _shelf(seed: int, shelf: int) -> tuple[tuple[str, int, int], ...]:
    """(category, family, member) of each position, shuffled so that members are not adjacent."""
    rng = Draws("shelf", seed, shelf)
    positions: list[tuple[str, int, int]] = []
    number = 0
    for category, remaining in _SHELF_POSITIONS.items():
        while remaining:
            size = min(rng.weighted(_FAMILY_SIZES), remaining)
            positions += [(category, number, member) for member in range(size)]
            remaining -= size
            number += 1
    return tuple(rng.sample(positions, SHELF))


@lru_cache(maxsize=512)
def _family(seed: int, shelf: int, category: str, number: int) -> _Family:
    rng = Draws("family", seed, shelf, number)
    department = rng.weighted([(row, len(row.kinds)) for row in departments()[category]])
    kind = rng.pick(department.kinds)
    # Steps of the golden ratio instead of independent draws: a shelf has about thirty families, and independent draws
    # would give one catalogue twice as many axes, and therefore goals, as another.
    axes = axes_of(category, department.profile, (Draws("axes", seed, shelf).random() + number * _GOLDEN_RATIO) % 1)
    options = {axis: family_values(rng, axis, category, department.profile) for axis in axes}
    price = kind.low * (kind.high / kind.low) ** rng.between(0.1, 0.8)
    department_properties = rng.sample(department.properties, 12)
    common_properties = [p for p in rng.sample(_common(category), 4) if p not in department_properties]
    properties = tuple(rng.sample(department_properties[: 12 - len(common_properties)] + common_properties, 12))
    return _Family(department, kind, maker_of(rng), properties, options, price)


@lru_cache(maxsize=8)
def _common(category: str) -> tuple[Property, ...]:
    """Properties of several departments: the ones that are searched for most and that distinguish least."""
    counts = Counter(p for department in departments()[category] for p in department.properties)
    return tuple(p for p, count in counts.items() if count > 1)


def _member_properties(rng: Draws, family: _Family, member: int) -> tuple[Property, ...]:
    """The family's properties; members after the first have one or two of the first three exchanged for others."""
    properties = list(family.properties)
    for exchange in range(min(member, 1 + rng.below(2))):
        index, other_index = (member + exchange) % 3, 3 + rng.below(len(properties) - 3)
        properties[index], properties[other_index] = properties[other_index], properties[index]
    return tuple(properties)


def _mentions(rng: Draws, properties: tuple[Property, ...], listed: int) -> Mentions:
    """Some of the listed properties, and some that are not listed."""
    title, early, late = [], [], []
    for property_ in properties[:listed]:
        draw = rng.random()
        if draw < _IN_TITLE:
            title.append(property_)
        if draw > 1 - _IN_TEXT:
            early.append(property_)
        if draw > _IN_TITLE:
            late.append(property_)
    title += [p for p in properties[listed : listed + 4] if rng.chance(_UNLISTED)]
    early += [p for p in properties[listed + 3 : listed + 7] if rng.chance(_UNLISTED)]
    return Mentions(tuple(title), tuple(early), tuple(late))


def _offered_values(rng: Draws, axis: str, values: list[str]) -> list[str]:
    """All values of the family or a part of them: sizes from one end, other values at random."""
    if len(values) < 3 or rng.chance(0.4):
        return values
    count = len(values) - 1 - rng.below(max(1, len(values) // 4))
    count = max(2, count)
    if axis == "Size":
        return values[:count] if rng.chance(0.5) else values[-count:]
    offered = set(rng.sample(range(len(values)), count))
    return [value for position, value in enumerate(values) if position in offered]


def _title_options(rng: Draws, options: dict[str, list[str]]) -> list[str]:
    """Option values at the end of a title, where sellers often name the pictured version."""
    return [rng.pick(values).title() for values in options.values() if rng.chance(0.25)]


def _pricing(rng: Draws, family: _Family) -> tuple[float, ...]:
    price = family.price * rng.between(0.62, 1.65)
    draw = rng.random()
    if draw < 0.089:
        return ()
    first = _rounded_price(rng, price)
    return (first, _rounded_price(rng, price * rng.between(1.15, 2.2) + 1)) if draw < 0.182 else (first,)


def _rounded_price(rng: Draws, price: float) -> float:
    """A price with a typical ending, .99 in half of the cases."""
    ending = rng.weighted(((0.99, 50), (0.95, 10), (0.0, 12), (0.49, 4), (0.5, 4), (-1.0, 20)))
    return round(max(0.99, int(price) + ending if ending >= 0 else price), 2)
