"""A tiny shop of invented products, in the official schema, for the tests."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.webshop.goals import synthetic_goals
from agentgym_hindsight.envs.webshop.loading import load_products
from agentgym_hindsight.envs.webshop.search import build_index
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.shop_types import Goal, Product


def item(asin: str, name: str, **changes: Any) -> dict[str, Any]:
    """One record of items_shuffle.json."""
    return {
        "asin": asin,
        "name": name,
        "full_description": "",
        "small_description": [],
        "pricing": "$12.50",
        "images": [],
        "category": "garden",
        "query": "Mugs ",
        "product_category": "Home › Kitchen › Mugs",
        "customization_options": "",
        **changes,
    }


def values(*names: str) -> list[dict[str, Any]]:
    """The values of one axis, in the schema of the official files."""
    return [{"value": name, "is_selected": False} for name in names]


ITEMS: list[dict[str, Any]] = [
    item(
        "T000000001",
        "Tall Clay Mug",
        full_description="Hand thrown and lead free.",
        small_description=["Dishwasher safe ", "Holds a pint "],
        customization_options={
            "Color": values("Dark Green", "Red", "café"),
            "Size": values("Large", "X-Large"),
            "Style": None,
        },
    ),
    item("T000000002", "Small Clay Mug", customization_options={"Color": values("Red/White", "Features", "Blue")}),
    item(
        "T000000003", "Garden Hose", pricing="$20.00 - $30.00", query="hoses", product_category="Garden › Water › Hoses"
    ),
    item("T000000004", "Paper Lamp", pricing="", query="lamps", product_category="Home › Light › Lamps"),
    item(
        "T000000005",
        "Twin Clay Mug",
        customization_options={"Inside": values("red", "blue"), "Outside": values("red", "red", "green")},
    ),
    *(item(f"T0000001{n:02}", f"Plain Clay Mug Number {n}") for n in range(20)),
]
ATTRIBUTES: dict[str, Any] = {
    "T000000001": {
        "attributes": ["dishwasher safe", "lead free"],
        "instruction": "Find me lead free, dishwasher safe mugs",
        "instruction_attributes": ["lead free", "dishwasher safe"],
    },
    "T000000002": {
        "attributes": ["easy clean"],
        "instruction": "Find me easy clean mugs",
        "instruction_attributes": ["easy clean"],
    },
    "T000000004": {"attributes": [], "instruction": None},
}


def tiny_shop() -> Shop:
    """The shop with its nine synthetic goals."""
    products = load_products(ITEMS, ATTRIBUTES)
    return Shop(products, build_index(products), synthetic_goals(products), name="tiny_shop")


def goal_for(product: Product, **changes: Any) -> Goal:
    """A goal for this product without attributes and options."""
    goal = Goal(
        asin=product.asin,
        instruction="Find me a mug",
        attributes=(),
        options=(),
        price_cap=50.0,
        category=product.category,
        query=product.query,
        title=product.title,
        product_category=product.product_category,
    )
    return goal._replace(**changes)
