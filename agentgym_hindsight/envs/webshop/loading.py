"""Turn official product files into :class:`Product` by the rules of the original's loader, without global randomness.

A catalogue has three files: the items, their attributes with the synthetic instructions, and the human instructions.
The price of an item with a price range is drawn from ``seed`` and the ASIN, or taken from recorded ``prices``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random
from typing import Any, NamedTuple

from agentgym_hindsight.envs.webshop.shop_types import Product
from agentgym_hindsight.errors import DamagedDataError
from agentgym_hindsight.tasks import seeded_int

__all__ = [
    "Annotation",
    "check_products",
    "checked_attributes",
    "drawn_price",
    "iter_products",
    "load_annotations",
    "load_products",
    "option_value",
    "prices_of",
]

#: The original's attributes of a product without listed attributes.
_NO_ATTRIBUTES = ("DUMMY_ATTR",)
_NOT_A_PRICE = re.compile(r"[^\d.]")
_LONGEST_ASIN = 10
_TEXTS = ("name", "full_description", "product_category", "category", "query")
_FIX = "try downloading the official file again."


class Annotation(NamedTuple):
    """One human instruction for one product."""

    asin: str
    instruction: str
    attributes: tuple[str, ...]
    options: tuple[str, ...]


def load_products(
    items: object,
    attributes: object = None,
    *,
    prices: Mapping[str, float] | None = None,
    seed: int = 0,
    source: str = "the items",
    attributes_source: str = "the attributes",
) -> tuple[Product, ...]:
    """The products of parsed official files, in their order. Errors call the items ``source``."""
    if not isinstance(items, list):
        raise DamagedDataError(
            f"Expected {source} to be a list of products, got {_kind(items)}; try the items_shuffle*.json of the "
            "official data (items_ins_v2*.json holds attributes, items_human_ins*.json human instructions)."
        )
    known = {} if attributes is None else checked_attributes(attributes, attributes_source)
    generated = iter_products(items, lambda asin: known.get(asin, {}), prices=prices, seed=seed, source=source)
    products = tuple(generated)
    check_products(
        len(products), not known or any(product.asin in known for product in products), source, attributes_source
    )
    return products


def iter_products(
    items: Iterable[object],
    attributes_of: Callable[[str], Mapping[str, Any]],
    *,
    prices: Mapping[str, float] | None = None,
    seed: int = 0,
    source: str = "the items",
) -> Iterator[Product]:
    """The products of the records of an items file. ``attributes_of`` gives the record of an ASIN, or {}."""
    seen: set[str] = set()
    for number, item in enumerate(items):
        asin = _asin(item, number, source)
        if asin == "nan" or len(asin) > _LONGEST_ASIN or asin in seen:
            continue
        seen.add(asin)
        where = f"{source}, record {number} ({asin})"
        yield _product(item, asin, attributes_of(asin), where, prices, seed)  # type: ignore[arg-type]


def check_products(count: int, known: bool, source: str, attributes_source: str) -> None:
    """Raise an error if there are no products, or if no product has attributes (``known`` is false)."""
    if not count:
        raise DamagedDataError(f"Expected products in {source}, got none that can be used; {_FIX}")
    if not known:
        raise DamagedDataError(
            f"Expected {attributes_source} to describe the products of {source}, got no common ASIN; "
            "try the two files of one release."
        )


def load_annotations(human: object, source: str = "the human instructions") -> dict[str, tuple[Annotation, ...]]:
    """The human instructions of each ASIN, in the order of the file."""
    if not isinstance(human, dict):
        raise DamagedDataError(
            f"Expected {source} to map an asin to its instructions, got {_kind(human)}; "
            "try the items_human_ins*.json of the official data."
        )
    annotations: dict[str, tuple[Annotation, ...]] = {}
    for asin, records in human.items():
        where = f"{source}, record {asin}"
        if not isinstance(records, list):
            raise DamagedDataError(
                f"Expected {where} to be a list of instructions, got {_kind(records)}; "
                "try the items_human_ins*.json of the official data."
            )
        for record in records:
            if not isinstance(record, dict) or not isinstance(record.get("instruction"), str):
                raise DamagedDataError(f"Expected {where} to have an instruction, got {record!r:.80}; {_FIX}")
        annotations[asin] = tuple(
            Annotation(
                asin,
                record["instruction"],
                _texts(record.get("instruction_attributes"), "instruction_attributes", where),
                _texts(record.get("instruction_options"), "instruction_options", where),
            )
            for record in records
        )
    return annotations


def option_value(text: str) -> str:
    """The value of an option in the form of pages and goals."""
    return text.strip().replace("/", " | ").lower()


def prices_of(pricing: str | None) -> tuple[tuple[float, ...], str]:
    """The prices of a listing, and their text on pages.

    >>> prices_of("$3.78 - $1,011.38")
    ((3.78, 1011.38), '$3.78 to $1011.38')
    >>> prices_of("")
    ((100.0,), '$100.0')
    """
    if not pricing:
        return (100.0,), "$100.0"
    prices = tuple(float(_NOT_A_PRICE.sub("", part)) for part in pricing.split("$")[1:])
    if not prices:
        raise ValueError("no $")
    if len(prices) == 1:
        return prices, f"${prices[0]}"
    return prices[:2], f"${prices[0]} to ${prices[1]}"


def drawn_price(prices: tuple[float, ...], seed: int, asin: str) -> float:
    """The price of a purchase: the only price, or one between the two that depends on the seed and the ASIN only."""
    if len(prices) == 1:
        return prices[0]
    return Random(seeded_int("price", seed, asin)).uniform(*prices)


def _product(
    item: Mapping[str, Any],
    asin: str,
    known: Mapping[str, Any],
    where: str,
    prices: Mapping[str, float] | None,
    seed: int,
) -> Product:
    for name in _TEXTS:
        if not isinstance(item.get(name), str):
            raise DamagedDataError(f"Expected {where} to have a text {name!r}, got {item.get(name)!r:.80}; {_FIX}")
    pricing = item.get("pricing")
    try:
        listed_prices, price_tag = prices_of(pricing)
    except (ValueError, TypeError, AttributeError):
        raise DamagedDataError(f"Expected {where} to have a price like '$9.99', got {pricing!r:.80}; {_FIX}") from None
    if prices is None:
        price = drawn_price(listed_prices, seed, asin)
    elif asin in prices:
        price = prices[asin]
    else:
        raise DamagedDataError(
            f"Expected a recorded price for {where}, got none; try the recording that was made with this catalogue."
        )
    bullets = item.get("small_description", "")
    images = item.get("images") or [""]
    instruction = known.get("instruction") or ""
    return Product(
        asin=asin,
        title=item["name"],
        description=item["full_description"],
        bullets=(bullets,) if isinstance(bullets, str) else _texts(bullets, "small_description", where),
        attributes=_texts(known["attributes"], "attributes", where) if "attributes" in known else _NO_ATTRIBUTES,
        category=item["category"],
        query=item["query"].lower().strip(),
        product_category=item["product_category"],
        prices=listed_prices,
        price_tag=price_tag,
        price=price,
        options=_options(item.get("customization_options"), where),
        image=str(images[0]) if isinstance(images, list) else str(images),
        instruction=instruction if isinstance(instruction, str) else "",
        instruction_attributes=_texts(known.get("instruction_attributes") or [], "instruction_attributes", where),
    )


def _options(axes: object, where: str) -> dict[str, tuple[str, ...]]:
    if not axes:
        return {}
    options: dict[str, tuple[str, ...]] = {}
    try:
        for axis, contents in axes.items():  # type: ignore[attr-defined]
            if contents is not None:
                options[axis.lower()] = tuple(option_value(content["value"]) for content in contents)
    except (AttributeError, KeyError, TypeError):
        raise DamagedDataError(
            f"Expected {where} to have customization_options like {{'Size': [{{'value': 'small'}}]}}, "
            f"got {axes!r:.80}; {_FIX}"
        ) from None
    return options


def _asin(item: object, number: int, source: str) -> str:
    if isinstance(item, dict) and isinstance(item.get("asin"), str):
        return str(item["asin"])
    got = f"keys {sorted(item)[:5]}" if isinstance(item, dict) else _kind(item)
    raise DamagedDataError(
        f"Expected record {number} of {source} to be a product with an 'asin', got {got}; "
        "try the items_shuffle*.json of the official data."
    )


def checked_attributes(attributes: object, source: str) -> dict[str, Any]:
    """The attributes by ASIN; raises an error if the file has another structure."""
    if isinstance(attributes, dict):
        bad_record = next(((asin, known) for asin, known in attributes.items() if not isinstance(known, dict)), None)
        if bad_record is None:
            return attributes
        got = f"{_kind(bad_record[1])} in record {bad_record[0]}"
    else:
        got = _kind(attributes)
    raise DamagedDataError(
        f"Expected {source} to map an asin to its attributes, got {got}; "
        "try the items_ins_v2*.json of the official data."
    )


def _texts(values: object, name: str, where: str) -> tuple[str, ...]:
    if isinstance(values, (list, tuple)) and all(isinstance(value, str) for value in values):
        return tuple(values)
    raise DamagedDataError(f"Expected {where} to have a list of texts {name!r}, got {values!r:.80}; {_FIX}")


def _kind(value: object) -> str:
    size = f" of {len(value)}" if isinstance(value, (list, dict, str)) else ""
    return f"a {type(value).__name__}{size}"
