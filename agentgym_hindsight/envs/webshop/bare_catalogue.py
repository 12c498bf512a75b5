"""The products of ``difficulty="bare"``: an embedded shop that a small policy can learn in minutes.

It is not the benchmark and not the standard embedded shop; its name is in the backend's name ("embedded-bare"). What is
easier than there:

* A title is one line that names the product and both of its properties, and nothing else. There is no description.
* An instruction names the two properties, in the words of the title.
* It sells shoes and clothes of a few kinds only, so a thousand words are enough.
* There are at most two axes of options, color and size, with two to four values each.

What remains: the search is free text, page 1 shows ten products, among them near-duplicates that differ in a property
or in the price, and the purchase must have the right options. Products come in families of four that share the kind of
product and draw two properties each from the same four.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from agentgym_hindsight.envs.webshop.instructions import instruction_of
from agentgym_hindsight.envs.webshop.seeds import Draws
from agentgym_hindsight.envs.webshop.vocabulary import Department, Kind, Property, departments, words

__all__ = ["bare_attribute_record", "bare_item_record"]

_FAMILY = 4
_CATEGORY, _PROFILES = "fashion", ("shirt", "shoes")
_PRICES = (8, 60)  # of a family, in dollars; its products differ by up to half
_COLORS = words("black|white|grey|navy|blue|red|green|pink|purple|brown|orange|yellow|gold|silver")
_SIZES = words("small|medium|large|x-large|xx-large")
_AXES: tuple[tuple[tuple[str, ...], float], ...] = ((("Color",), 4), (("Size",), 3), (("Color", "Size"), 2), ((), 1))


class _Bare(NamedTuple):
    department: Department
    kind: Kind
    properties: tuple[Property, ...]
    options: dict[str, list[str]]
    query: str
    price: float


def bare_item_record(seed: int, index: int, asin: str) -> dict[str, Any]:
    """Product ``index`` as an entry of ``items_shuffle.json``, with the fields that the loader reads."""
    product = _bare(seed, index)
    return {
        "name": _title(product),
        "full_description": "",
        "small_description": [],
        "pricing": f"${product.price:.2f}",
        "images": [f"/picture/{asin}.svg"],
        "product_category": f"{product.department.path} › {product.kind.leaf}",
        "customization_options": {
            axis: [{"value": value} for value in values] for axis, values in product.options.items()
        }
        or "",
        "asin": asin,
        "category": product.department.category,
        "query": product.query,
    }


def bare_attribute_record(seed: int, index: int) -> dict[str, Any]:
    """The entry of product ``index`` in ``items_ins_v2.json``. Every product has an instruction."""
    product = _bare(seed, index)
    named = [p.attribute for p in product.properties]
    return {
        "attributes": named,
        "instruction": instruction_of(product.query, product.properties),
        "instruction_attributes": named,
    }


@lru_cache(maxsize=256)
def _bare(seed: int, index: int) -> _Bare:
    family, rng = Draws("bare-family", seed, index // _FAMILY), Draws("bare", seed, index)
    rows = [row for row in departments()[_CATEGORY] if row.profile in _PROFILES]
    department = family.weighted([(row, len(row.kinds)) for row in rows])
    kind = family.pick(department.kinds)
    pool = family.sample(department.properties, 4)
    axes = family.weighted(_AXES)
    price = family.between(*_PRICES) * rng.between(0.75, 1.5)
    return _Bare(
        department,
        kind,
        tuple(rng.sample(pool, 2)),
        {axis: _values(rng, axis) for axis in axes},
        kind.query.partition(" & ")[0],
        float(int(price)),
    )


def _values(rng: Draws, axis: str) -> list[str]:
    count = 2 + rng.below(3)
    if axis == "Color":
        return rng.sample(_COLORS, count)
    first = rng.below(len(_SIZES) - count + 1)
    return list(_SIZES[first : first + count])


def _title(product: _Bare) -> str:
    """The instruction without its beginning: attributes as listed, so that the words of both are equal."""
    return instruction_of(product.query, product.properties).removeprefix("Find me ")
