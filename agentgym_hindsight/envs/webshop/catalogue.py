"""The embedded shop: products generated from a seed, in the schema of the official files.

Nothing is downloaded and no data is shipped. A product takes 0.1 ms. Counts, options, attributes and texts follow the
1,000 official products. The difficulty is similar too: a policy that searches for the instruction and buys the first
hit earns 52.9 of 100 points with seed 0 and 52.2 on the official products. Seeds 1 to 27 give 47.5 to 58.2 points, 53.1
on average; they differ because a few products have hundreds of goals.

:func:`write_official_files` writes a folder with the official names and schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from agentgym_hindsight.envs.webshop.bare_catalogue import bare_attribute_record, bare_item_record
from agentgym_hindsight.envs.webshop.families import Sketch, sketch
from agentgym_hindsight.envs.webshop.instructions import human_request, instruction_of
from agentgym_hindsight.envs.webshop.loading import load_products
from agentgym_hindsight.envs.webshop.product_texts import bullets_of, description_of
from agentgym_hindsight.envs.webshop.seeds import Draws
from agentgym_hindsight.envs.webshop.shop_types import Product
from agentgym_hindsight.errors import UnknownNameError, UsageError

__all__ = [
    "DIFFICULTIES",
    "attribute_record",
    "embedded_products",
    "human_record",
    "item_record",
    "review_record",
    "write_official_files",
]

#: ``standard`` is as hard as the official products; ``bare`` is for small policies (``bare_catalogue.py``).
DIFFICULTIES: tuple[str, ...] = ("bare", "standard")

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ASINS = 36**8
#: Coprime to 36**8, so that up to 36**8 products of a catalogue have different ASINs.
_STRIDE = 1_726_498_271_623
_PICTURE = "/picture/{}.svg"


def item_record(seed: int, index: int) -> dict[str, Any]:
    """Product ``index`` as an entry of ``items_shuffle.json``."""
    product, asin = _product_sketch(seed, index), _asin(seed, index)
    rng = Draws("texts", seed, index)
    noun, topics = product.noun.lower(), product.department.topics
    bullets = bullets_of(rng, noun, topics, product.mentions.early, product.mentions.late)
    description = description_of(rng, product.title, noun, topics, product.mentions.early)
    pricing = " - ".join(f"${price:.2f}" for price in product.pricing)
    reviews = int(10 ** rng.between(0, 3.6))
    return {
        "name": product.title,
        "product_information": {"Manufacturer": product.maker, "ASIN": asin},
        "brand": f"Brand: {product.maker}",
        "brand_url": "",
        "full_description": description,
        "pricing": pricing,
        "list_price": f"${product.pricing[-1] * 1.2:.2f}" if product.pricing and rng.chance(0.2) else "",
        "availability_quantity": None,
        "availability_status": "In Stock." if product.pricing else "Currently unavailable.",
        "images": [_PICTURE.format(asin)],
        "product_category": f"{product.department.path} › {product.kind.leaf}",
        "average_rating": round(rng.between(3.1, 5.0), 1) if rng.chance(0.8) else "",
        "small_description": bullets,
        "total_reviews": reviews,
        "total_answered_questions": rng.below(40) if rng.chance(0.4) else "",
        "model": f"{product.maker[:2].upper()}-{100 + rng.below(900)}",
        "customization_options": {
            axis: [{"value": value, "is_selected": position == 0, "url": None} for position, value in enumerate(values)]
            for axis, values in product.options.items()
        }
        or "",
        "seller_id": f"A{_text36(rng.below(_ASINS))}",
        "seller_name": product.maker,
        "fulfilled_by_amazon": "",
        "fast_track_message": "",
        "aplus_present": "",
        "asin": asin,
        "category": product.department.category,
        "query": product.query,
        "page": 1 + rng.below(200),
        "small_description_old": " ".join(bullets),
    }


def attribute_record(seed: int, index: int) -> dict[str, Any]:
    """The entry of product ``index`` in ``items_ins_v2.json``."""
    product = _product_sketch(seed, index)
    record: dict[str, Any] = {"attributes": _attributes(product)}
    if product.named:
        record["instruction"] = instruction_of(product.query, product.named)
        record["instruction_attributes"] = [p.attribute for p in product.named]
    return record


def human_record(seed: int, index: int) -> list[dict[str, Any]]:
    """The entry of product ``index`` in ``items_human_ins.json``: none, one or two generated requests."""
    product, asin = _product_sketch(seed, index), _asin(seed, index)
    if not product.properties:
        return []  # a request without attributes gives no goal
    rng = Draws("human", seed, index)
    requests = []
    for number in range(1 + rng.chance(0.23)):
        named_properties = rng.sample(product.properties, 1 + (rng.chance(0.5)) + rng.chance(0.15))
        chosen = [(axis, rng.pick(values)) for axis, values in product.options.items()]
        named_options = [pair for pair in chosen if rng.chance(0.75)]
        requests.append(
            {
                "asin": asin,
                "instruction": human_request(rng, rng.pick(product.kind.nouns), named_properties, named_options),
                "attributes": _attributes(product),
                "options": [f"{axis.lower()}: {value}" for axis, value in chosen] or [""],
                "instruction_attributes": [p.attribute for p in named_properties],
                "instruction_options": [value for _, value in named_options],
                "assignment_id": f"embedded-{seed}-{index}-{number}",
                "worker_id": "embedded",
            }
        )
    return requests


def review_record(seed: int, index: int) -> dict[str, Any]:
    """The entry of product ``index`` in ``reviews.json``, which the original opens but does not use."""
    return {"asin": _asin(seed, index), "average_rating": "", "reviews": []}


def embedded_products(n: int = 1000, seed: int = 0, difficulty: str = "standard") -> tuple[Product, ...]:
    """The first ``n`` products of the catalogue of this seed, loaded by the rules for official files."""
    _check_size(n)
    if difficulty not in DIFFICULTIES:
        raise UnknownNameError("difficulty", difficulty, DIFFICULTIES)
    bare = difficulty == "bare"
    items, attributes = [], {}
    for index in range(n):
        item = bare_item_record(seed, index, _asin(seed, index)) if bare else item_record(seed, index)
        items.append(item)
        attributes[item["asin"]] = bare_attribute_record(seed, index) if bare else attribute_record(seed, index)
    return load_products(items, attributes, seed=seed, source="the embedded catalogue")


def write_official_files(folder: str | Path, n: int = 1000, seed: int = 0) -> Path:
    """Write the four files that the original engine reads, and return the folder."""
    _check_size(n)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_list(folder / "items_shuffle.json", n, lambda i: item_record(seed, i))
    _write_list(folder / "reviews.json", n, lambda i: review_record(seed, i))
    _write_map(folder / "items_ins_v2.json", ((_asin(seed, i), attribute_record(seed, i)) for i in range(n)))
    human = ((_asin(seed, i), human_record(seed, i)) for i in range(n))
    _write_map(folder / "items_human_ins.json", ((asin, requests) for asin, requests in human if requests))
    return folder


@lru_cache(maxsize=256)  # the three records of a product are generated one after another
def _product_sketch(seed: int, index: int) -> Sketch:
    return sketch(seed, index)


def _attributes(product: Sketch) -> list[str]:
    return [*(p.attribute for p in product.properties), *([product.type_name] if product.type_name else [])]


def _asin(seed: int, index: int) -> str:
    offset = Draws("asin", seed).below(_ASINS)
    return "B0" + _text36((index * _STRIDE + offset) % _ASINS)


def _text36(number: int) -> str:
    digits = []
    for _ in range(8):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "".join(digits)


def _check_size(n: int) -> None:
    if not isinstance(n, int) or n < 1:
        raise UsageError(f"Expected a catalogue of at least one product, got n={n!r}; try n=1000.")


def _write_list(path: Path, n: int, record: Callable[[int], object]) -> None:
    """Write record by record, so that a catalogue of a million products is never in memory as a whole."""
    with path.open("w", encoding="utf-8") as file:
        file.write("[\n")
        for index in range(n):
            file.write(("," if index else "") + json.dumps(record(index), ensure_ascii=False) + "\n")
        file.write("]\n")


def _write_map(path: Path, rows: Iterable[tuple[str, object]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("{\n")
        for index, (key, record) in enumerate(rows):
            file.write(("," if index else "") + f"{json.dumps(key)}: {json.dumps(record, ensure_ascii=False)}\n")
        file.write("}\n")
