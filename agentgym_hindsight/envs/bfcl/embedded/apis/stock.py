"""The stockroom of a shop: articles and orders of customers."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.bfcl.embedded.functions import Api, RefusedError
from agentgym_hindsight.envs.bfcl.embedded.identifiers import new_id
from agentgym_hindsight.envs.bfcl.embedded.records import Record, Records
from agentgym_hindsight.short_repr import short_repr

__all__ = ["ARTICLES", "ORDERS", "STATUSES", "STOCK"]

STOCK = Api("Stock")
ARTICLES, ORDERS = "stock.articles", "stock.orders"
STATUSES = ("open", "sent", "cancelled")
_ARTICLE, _ORDER = "The article's id", "The order's id"
_MOST_ORDERS, _MOST_QUANTITY = 1_000, 10_000


def _article(records: Records, name: str) -> Record:
    record = records.get(ARTICLES, name)
    if record is None:
        raise RefusedError(f"there is no article {short_repr(name, 60)}; find_articles gives ids")
    return record


def _order(records: Records, name: str, status: str = "") -> Record:
    record = records.get(ORDERS, name)
    if record is None:
        raise RefusedError(f"there is no order {short_repr(name, 60)}")
    if status and record["status"] != status:
        raise RefusedError(f"order {name} is {record['status']} and not {status}")
    return record


def _reserve(records: Records, article_id: str, quantity: int) -> None:
    """Take articles from the shelf, or put them back if the quantity is negative."""
    article = _article(records, article_id)
    if quantity > article["on_hand"]:
        raise RefusedError(f"only {article['on_hand']} of {article_id} are on hand, not {quantity}")
    records.edit(ARTICLES, article_id)["on_hand"] -= quantity


def _positive(quantity: int) -> int:
    if not 1 <= quantity <= _MOST_QUANTITY:
        raise RefusedError(f"a quantity is 1 to {_MOST_QUANTITY}, got {quantity}")
    return quantity


@STOCK.function("Find articles by a part of their name.", name="The name or a part of it")
def find_articles(records: Records, name: str) -> dict[str, Any]:
    wanted = name.casefold()
    found = [(key, record) for key, record in records.rows(ARTICLES) if wanted in record["name"].casefold()]
    shown = [{"article_id": key, "name": record["name"]} for key, record in found[:60]]
    return {"articles": shown, "more": max(0, len(found) - 60)}


@STOCK.function("Show an article: price, quantity on hand, and when it is ordered again.", article_id=_ARTICLE)
def show_article(records: Records, article_id: str) -> dict[str, Any]:
    return {"article_id": article_id, **_article(records, article_id)}


@STOCK.function("List the articles of which fewer are on hand than the level at which they are ordered again.")
def list_low_articles(records: Records) -> dict[str, Any]:
    low = [(key, record) for key, record in records.rows(ARTICLES) if record["on_hand"] < record["reorder_at"]]
    shown = [
        {"article_id": key, "on_hand": record["on_hand"], "reorder_at": record["reorder_at"]}
        for key, record in low[:60]
    ]
    return {"articles": shown, "more": max(0, len(low) - 60)}


@STOCK.function("Change the price of an article.", article_id=_ARTICLE, price="The new price")
def set_price(records: Records, article_id: str, price: float) -> dict[str, Any]:
    _article(records, article_id)
    if not 0 < price <= 100_000:
        raise RefusedError(f"a price is above 0 and at most 100000, got {price:g}")
    records.edit(ARTICLES, article_id)["price"] = round(price, 2)
    return {"article_id": article_id, "price": round(price, 2)}


@STOCK.function("Change the level at which an article is ordered again.", article_id=_ARTICLE, level="The level")
def set_reorder_level(records: Records, article_id: str, level: int) -> dict[str, Any]:
    _article(records, article_id)
    if not 0 <= level <= _MOST_QUANTITY:
        raise RefusedError(f"a level is 0 to {_MOST_QUANTITY}, got {level}")
    records.edit(ARTICLES, article_id)["reorder_at"] = level
    return {"article_id": article_id, "reorder_at": level}


@STOCK.function("Note goods that arrived.", article_id=_ARTICLE, quantity="How many arrived")
def receive_goods(records: Records, article_id: str, quantity: int) -> dict[str, Any]:
    article = _article(records, article_id)
    if article["on_hand"] + _positive(quantity) > 1_000_000:
        raise RefusedError("there is no room for so many")
    _reserve(records, article_id, -quantity)
    return {"article_id": article_id, "on_hand": _article(records, article_id)["on_hand"]}


@STOCK.function(
    "Place a customer's order. It takes the articles from the shelf.",
    article_id=_ARTICLE,
    quantity="How many",
    customer="Full name",
)
def enter_order(records: Records, article_id: str, quantity: int, customer: str) -> dict[str, Any]:
    article, taken = _article(records, article_id), {key for key, _ in records.rows(ORDERS)}
    if len(taken) >= _MOST_ORDERS:
        raise RefusedError(f"there are already {_MOST_ORDERS} orders")
    _reserve(records, article_id, _positive(quantity))
    name = new_id("ORD", taken, article_id, quantity, customer)
    order = {"article_id": article_id, "quantity": quantity, "customer": customer, "status": "open"}
    records.put(ORDERS, name, order)
    return {"order_id": name, "total": round(article["price"] * quantity, 2)}


@STOCK.function("List the orders of a status.", {"status": STATUSES}, status="The status")
def list_orders(records: Records, status: str) -> dict[str, Any]:
    rows = [(key, record) for key, record in records.rows(ORDERS) if record["status"] == status]
    shown = [
        {"order_id": key, "customer": record["customer"], "article_id": record["article_id"]}
        for key, record in rows[:100]
    ]
    return {"orders": shown, "more": max(0, len(rows) - 100)}


@STOCK.function("Find the orders of a customer.", customer="The name or a part of it")
def find_orders(records: Records, customer: str) -> dict[str, Any]:
    wanted = customer.casefold()
    rows = [(key, record) for key, record in records.rows(ORDERS) if wanted in record["customer"].casefold()]
    shown = [{"order_id": key, "customer": record["customer"], "status": record["status"]} for key, record in rows[:60]]
    return {"orders": shown, "more": max(0, len(rows) - 60)}


@STOCK.function("Show an order with its total.", order_id=_ORDER)
def show_order(records: Records, order_id: str) -> dict[str, Any]:
    order = _order(records, order_id)
    total = round(_article(records, order["article_id"])["price"] * order["quantity"], 2)
    return {"order_id": order_id, **order, "total": total}


@STOCK.function("Change the quantity of an open order.", order_id=_ORDER, quantity="How many")
def change_quantity(records: Records, order_id: str, quantity: int) -> dict[str, Any]:
    order = _order(records, order_id, "open")
    _reserve(records, order["article_id"], _positive(quantity) - order["quantity"])
    records.edit(ORDERS, order_id)["quantity"] = quantity
    return {"order_id": order_id, "quantity": quantity}


@STOCK.function("Cancel an open order. The articles go back to the shelf.", order_id=_ORDER)
def withdraw_order(records: Records, order_id: str) -> dict[str, Any]:
    order = _order(records, order_id, "open")
    _reserve(records, order["article_id"], -order["quantity"])
    records.edit(ORDERS, order_id)["status"] = "cancelled"
    return {"order_id": order_id, "status": "cancelled"}


@STOCK.function("Note that an open order was sent.", order_id=_ORDER)
def send_order(records: Records, order_id: str) -> dict[str, Any]:
    _order(records, order_id, "open")
    records.edit(ORDERS, order_id)["status"] = "sent"
    return {"order_id": order_id, "status": "sent"}
