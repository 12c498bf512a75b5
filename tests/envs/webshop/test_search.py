"""The indexed text of a product, and the results pages of the original."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgym_hindsight.envs.webshop.loading import load_products
from agentgym_hindsight.envs.webshop.search import build_index, document_text
from agentgym_hindsight.envs.webshop.shop_types import Product

_RESULTS = re.compile(r"Page (\d+) \(Total results: (\d+)\)")


def product(asin: str, title: str, **other: object) -> Product:
    product_ = Product(asin, title, "", ("",), (), "", "", "", (1.0,), "$1.0", 1.0, {})
    return product_._replace(**other)


def test_document_text() -> None:
    made = product(
        "B1",
        "Red Shoe",
        description="For Running",
        bullets=("First Bullet", "second bullet"),
        options={"color": ("red", "dark blue"), "size": ("8",)},
    )
    assert document_text(made) == "red shoe for running first bullet color: red, dark blue, and size: 8"
    assert document_text(product("B2", "Sock")) == "sock   "
    assert document_text(product("B3", "Sock", bullets=())) == "sock   "


def test_search_finds_positions() -> None:
    engine = build_index(
        [product("B2", "red shoe"), product("B3", "blue sock"), product("B1", "red shoe", options={"size": ("sock",)})]
    )
    assert engine.search("socks") == (1, 2)
    assert engine.search("red") == (0, 2)  # shorter first
    assert engine.search("RED Shoes!") == (0, 2)
    assert len(engine) == 3


def test_ties_are_ordered_by_asin() -> None:
    engine = build_index([product(asin, "red shoe") for asin in ("B0C", "B0A", "B0B")])
    assert engine.search("shoe") == (1, 2, 0)


def recorded_pages(path: Path) -> Iterator[tuple[str, int, int, list[str]]]:
    """(query, page, results, ASINs) of every recorded results page of the original."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            query = ""
            for step in json.loads(line)["steps"]:
                search = re.match(r"search\[(.+)\]", step["action"])
                query = search[1].lower() if search else query
                listed = _RESULTS.search(step["text"])
                if listed:
                    clickables = [name.upper() for name in step["actions"]["clickables"]]
                    asins = [name for name in clickables if re.fullmatch(r"B[0-9A-Z]{9}|[0-9]{9}[0-9X]", name)]
                    yield query, int(listed[1]), int(listed[2]), asins


def test_pages_of_the_original(shared: Path) -> None:
    folder = shared / "data" / "webshop"
    items, transcripts = folder / "items_shuffle_1000.rebuilt.json.gz", folder / "transcripts.jsonl.gz"
    if not items.is_file() or not transcripts.is_file():
        pytest.skip(f"no recorded pages: {folder} is not there (set AGENTGYM_HINDSIGHT_SHARED)")
    with gzip.open(items, "rt", encoding="utf-8") as file:
        products = load_products(json.load(file))
    engine = build_index(products)
    pages = list(recorded_pages(transcripts))
    assert len(pages) > 200
    for query, page, results, asins in pages:
        found = engine.search(query)
        listed = [products[position].asin for position in found][(page - 1) * 10 : page * 10]
        assert (len(found), listed) == (results, asins), (query, page)
