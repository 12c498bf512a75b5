"""Opened shops: stored indices and cached searches."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgym_hindsight.envs.webshop import index_store
from agentgym_hindsight.envs.webshop.library import open_library


def test_only_large_shops_store_their_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(tmp_path))
    small = open_library("embedded", products=61, seed=41).shop
    assert not (tmp_path / "webshop-index").exists(), "a small index is built in memory"
    monkeypatch.setattr(index_store, "MIN_STORED_PRODUCTS", 60)
    large = open_library("embedded", products=62, seed=41).shop
    (stored,) = (tmp_path / "webshop-index").iterdir()
    assert (stored / "index.json").is_file()
    assert [product.asin for product in large.products[:61]] == [product.asin for product in small.products]
    again = index_store.index_for(large.products)
    for goal in large.goals[:20]:
        assert large.search(goal.instruction) == again.search(goal.instruction, 50)


def test_searches_are_cached_except_huge_ones() -> None:
    shop = open_library("embedded", products=61, seed=41).shop
    first = shop.search("red shoes")
    assert shop.search("red shoes") is first
    huge = "red shoes " * 10_000
    assert shop.search(huge) is not shop.search(huge)
    assert shop.search("<c> garden", debug=True) != shop.search("<c> garden")
    assert shop.search("<a> x", debug=True) is None
