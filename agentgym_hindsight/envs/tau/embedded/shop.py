"""The records of the embedded shop: products with variants, people, and their orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentgym_hindsight.envs.invented import GOODS
from agentgym_hindsight.envs.tau.embedded.people import DeskDraws, make_people

__all__ = ["PEOPLE", "make_shop"]

Record = dict[str, Any]
PEOPLE = 240


def make_shop(seed: int) -> dict[str, dict[str, Record]]:
    """The tables of the shop. Every person has pending, delivered and processed orders."""
    products = _products(seed)
    users = make_people("retail", seed, PEOPLE)
    orders: dict[str, Record] = {}
    for number, (user_id, user) in enumerate(users.items()):
        draws = DeskDraws("shop", seed, number)
        user["payment_methods"] = _payment_methods(draws)
        user["orders"] = []
        for status in ("pending", "delivered", "pending", "processed")[: 2 + draws.below(3)]:
            order = _order(draws, products, user_id, user, status, orders)
            orders[order["order_id"]] = order
            user["orders"].append(order["order_id"])
    return {"orders": orders, "products": products, "users": users}


def _products(seed: int) -> dict[str, Record]:
    draws = DeskDraws("products", seed)
    products: dict[str, Record] = {}
    for name, base, options in GOODS:
        product_id = draws.digits(10)
        variants: dict[str, Record] = {}
        for combination in _combinations(options):
            item_id = draws.digits(10)
            variants[item_id] = {
                "item_id": item_id,
                "options": combination,
                "available": draws.chance(0.8),
                "price": round(base * draws.between(0.9, 1.15), 2),
            }
        products[product_id] = {"name": name, "product_id": product_id, "variants": variants}
    return products


def _combinations(options: Mapping[str, tuple[str, ...]]) -> list[dict[str, str]]:
    made: list[dict[str, str]] = [{}]
    for axis, values in options.items():
        made = [{**each, axis: value} for each in made for value in values]
    return made


def _payment_methods(draws: DeskDraws) -> dict[str, Record]:
    methods: dict[str, Record] = {}
    kinds = draws.sample(["credit_card", "paypal", "gift_card", "credit_card"], 1 + draws.below(3))
    for kind in kinds:
        name = f"{kind}_{draws.digits(7)}"
        methods[name] = {"source": kind, "id": name}
        if kind == "credit_card":
            methods[name] |= {"brand": draws.pick(("nordcard", "fjordpay")), "last_four": draws.digits(4)}
        elif kind == "gift_card":
            methods[name]["balance"] = 10 * draws.below(80)
    return methods


def _order(
    draws: DeskDraws,
    products: dict[str, Record],
    user_id: str,
    user: Record,
    status: str,
    known: Mapping[str, Record],
) -> Record:
    order_id = f"#W{draws.digits(7)}"
    while order_id in known:
        order_id = f"#W{draws.digits(7)}"
    items = []
    for product in draws.sample(list(products.values()), 1 + draws.below(3)):
        variant = draws.pick(list(product["variants"].values()))
        items.append(
            {
                "name": product["name"],
                "product_id": product["product_id"],
                "item_id": variant["item_id"],
                "price": variant["price"],
                "options": variant["options"],
            }
        )
    paid_with = [name for name, method in user["payment_methods"].items() if method["source"] != "gift_card"]
    order: Record = {
        "order_id": order_id,
        "user_id": user_id,
        "address": dict(user["address"]),
        "items": items,
        "fulfillments": [],
        "status": status,
        "payment_history": [
            {
                "transaction_type": "payment",
                "amount": round(sum(item["price"] for item in items), 2),
                "payment_method_id": draws.pick(paid_with or list(user["payment_methods"])),
            }
        ],
    }
    if status != "pending":
        tracking = draws.digits(12)
        order["fulfillments"].append({"tracking_id": [tracking], "item_ids": [item["item_id"] for item in items]})
    return order
