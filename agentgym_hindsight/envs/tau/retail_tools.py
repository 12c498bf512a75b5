"""The shop's 16 tools, by the benchmark's documented behaviour. Each takes the database and the bound arguments.

A tool returns the text that the agent reads. The order of the checks matters: the first that fails gives the answer,
and a value of a wrong type is noticed only by the check that reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agentgym_hindsight.envs.tau.common_tools import COMMON_TOOLS, ToolFunction, credit, details
from agentgym_hindsight.envs.tau.store import Database, Record

__all__ = ["RETAIL_TOOLS"]

_REASONS = ("no longer needed", "ordered by mistake")


def find_user_id_by_email(database: Database, email: Any) -> str:
    wanted = email.lower()
    index = database.initial.derived.get("emails")
    if index is None:
        index = database.initial.derived["emails"] = {}
        for user_id, user in database.initial.tables["users"].items():
            index.setdefault(user["email"].lower(), user_id)
    return str(index.get(wanted, "Error: user not found"))


def find_user_id_by_name_zip(database: Database, first_name: Any, last_name: Any, zip_code: Any) -> str:
    first = first_name.lower()
    index = database.initial.derived.get("first names")
    if index is None:
        index = database.initial.derived["first names"] = {}
        for user_id, user in database.initial.tables["users"].items():
            index.setdefault(user["name"]["first_name"].lower(), []).append(user_id)
    for user_id in index.get(first, ()):
        user = database["users"][user_id]  # a call may have changed the address
        if user["name"]["last_name"].lower() == last_name.lower() and user["address"]["zip"] == zip_code:
            return str(user_id)
    return "Error: user not found"


def get_order_details(database: Database, order_id: Any) -> str:
    return details(database, "orders", order_id, "order not found")


def get_product_details(database: Database, product_id: Any) -> str:
    return details(database, "products", product_id, "product not found")


def get_user_details(database: Database, user_id: Any) -> str:
    return details(database, "users", user_id, "user not found")


def list_all_product_types(database: Database) -> str:
    names = {product["name"]: product["product_id"] for product in database["products"].values()}
    return json.dumps(dict(sorted(names.items())))


def cancel_pending_order(database: Database, order_id: Any, reason: Any) -> str:
    if order_id not in database["orders"]:
        return "Error: order not found"
    order = database["orders"][order_id]
    if order["status"] != "pending":
        return "Error: non-pending order cannot be cancelled"
    if reason not in _REASONS:
        return "Error: invalid reason"
    order = database["orders"].edit(order_id)
    refunds = []
    for payment in order["payment_history"]:
        method = payment["payment_method_id"]
        refunds.append({"transaction_type": "refund", "amount": payment["amount"], "payment_method_id": method})
        if "gift_card" in method:
            credit(database["users"].edit(order["user_id"]), method, "balance", payment["amount"], places=2)
    order["status"] = "cancelled"
    order["cancel_reason"] = reason
    order["payment_history"].extend(refunds)
    return json.dumps(order)


def modify_pending_order_address(
    database: Database,
    order_id: Any,
    address1: Any,
    address2: Any,
    city: Any,
    state: Any,
    country: Any,
    zip_code: Any,
) -> str:
    if order_id not in database["orders"]:
        return "Error: order not found"
    if database["orders"][order_id]["status"] != "pending":
        return "Error: non-pending order cannot be modified"
    order = database["orders"].edit(order_id)
    order["address"] = _address(address1, address2, city, state, country, zip_code)
    return json.dumps(order)


def modify_user_address(
    database: Database,
    user_id: Any,
    address1: Any,
    address2: Any,
    city: Any,
    state: Any,
    country: Any,
    zip_code: Any,
) -> str:
    if user_id not in database["users"]:
        return "Error: user not found"
    user = database["users"].edit(user_id)
    user["address"] = _address(address1, address2, city, state, country, zip_code)
    return json.dumps(user)


def _address(address1: Any, address2: Any, city: Any, state: Any, country: Any, zip_code: Any) -> Record:
    return {
        "address1": address1,
        "address2": address2,
        "city": city,
        "state": state,
        "country": country,
        "zip": zip_code,
    }


def modify_pending_order_payment(database: Database, order_id: Any, payment_method_id: Any) -> str:
    if order_id not in database["orders"]:
        return "Error: order not found"
    order = database["orders"][order_id]
    if order["status"] != "pending":
        return "Error: non-pending order cannot be modified"
    methods = database["users"][order["user_id"]]["payment_methods"]
    if payment_method_id not in methods:
        return "Error: payment method not found"
    history = order["payment_history"]
    if len(history) > 1 or history[0]["transaction_type"] != "payment":
        return "Error: there should be exactly one payment for a pending order"
    old_method, amount = history[0]["payment_method_id"], history[0]["amount"]
    if old_method == payment_method_id:
        return "Error: the new payment method should be different from the current one"
    if methods[payment_method_id]["source"] == "gift_card" and methods[payment_method_id]["balance"] < amount:
        return "Error: insufficient gift card balance to pay for the order"
    order = database["orders"].edit(order_id)
    order["payment_history"].extend(
        [
            {"transaction_type": "payment", "amount": amount, "payment_method_id": payment_method_id},
            {"transaction_type": "refund", "amount": amount, "payment_method_id": old_method},
        ]
    )
    user_id = order["user_id"]
    if methods[payment_method_id]["source"] == "gift_card":
        credit(database["users"].edit(user_id), payment_method_id, "balance", -amount, places=2)
    if "gift_card" in old_method:
        credit(database["users"].edit(user_id), old_method, "balance", amount, places=2)
    return json.dumps(order)


def modify_pending_order_items(
    database: Database, order_id: Any, item_ids: Any, new_item_ids: Any, payment_method_id: Any
) -> str:
    if order_id not in database["orders"]:
        return "Error: order not found"
    order = database["orders"][order_id]
    if order["status"] != "pending":
        return "Error: non-pending order cannot be modified"
    difference = _price_difference(database, order, item_ids, new_item_ids)
    if isinstance(difference, str):
        return difference
    methods = database["users"][order["user_id"]]["payment_methods"]
    if payment_method_id not in methods:
        return "Error: payment method not found"
    method = methods[payment_method_id]
    if method["source"] == "gift_card" and method["balance"] < difference:
        return "Error: insufficient gift card balance to pay for the new item"
    order = database["orders"].edit(order_id)
    order["payment_history"].append(
        {
            "transaction_type": "payment" if difference > 0 else "refund",
            "amount": abs(difference),
            "payment_method_id": payment_method_id,
        }
    )
    if method["source"] == "gift_card":
        credit(database["users"].edit(order["user_id"]), payment_method_id, "balance", -difference, places=2)
    for item_id, new_item_id in zip(item_ids, new_item_ids, strict=False):
        item = _item(order, item_id)
        variant = database["products"][item["product_id"]]["variants"][new_item_id]
        item["item_id"] = new_item_id
        item["price"] = variant["price"]
        item["options"] = variant["options"]
    order["status"] = "pending (item modified)"
    return json.dumps(order)


def exchange_delivered_order_items(
    database: Database, order_id: Any, item_ids: Any, new_item_ids: Any, payment_method_id: Any
) -> str:
    if order_id not in database["orders"]:
        return "Error: order not found"
    order = database["orders"][order_id]
    if order["status"] != "delivered":
        return "Error: non-delivered order cannot be exchanged"
    difference = _price_difference(database, order, item_ids, new_item_ids)
    if isinstance(difference, str):
        return difference
    difference = round(difference, 2)  # a modification of a pending order does not round
    methods = database["users"][order["user_id"]]["payment_methods"]
    if payment_method_id not in methods:
        return "Error: payment method not found"
    method = methods[payment_method_id]
    if method["source"] == "gift_card" and method["balance"] < difference:
        return "Error: insufficient gift card balance to pay for the price difference"
    order = database["orders"].edit(order_id)
    order["status"] = "exchange requested"
    order["exchange_items"] = sorted(item_ids)
    order["exchange_new_items"] = sorted(new_item_ids)
    order["exchange_payment_method_id"] = payment_method_id
    order["exchange_price_difference"] = difference
    return json.dumps(order)


def return_delivered_order_items(database: Database, order_id: Any, item_ids: Any, payment_method_id: Any) -> str:
    if order_id not in database["orders"]:
        return "Error: order not found"
    order = database["orders"][order_id]
    if order["status"] != "delivered":
        return "Error: non-delivered order cannot be returned"
    if payment_method_id not in database["users"][order["user_id"]]["payment_methods"]:
        return "Error: payment method not found"
    if "gift_card" not in payment_method_id and payment_method_id != order["payment_history"][0]["payment_method_id"]:
        return "Error: payment method should be either the original payment method or a gift card"
    owned = [item["item_id"] for item in order["items"]]
    for item_id in item_ids:
        if item_ids.count(item_id) > owned.count(item_id):
            return "Error: some item not found"
    order = database["orders"].edit(order_id)
    order["status"] = "return requested"
    order["return_items"] = sorted(item_ids)
    order["return_payment_method_id"] = payment_method_id
    return json.dumps(order)


def _item(order: Record, item_id: Any) -> Record:
    """The first item of this id. The callers have counted that there is one."""
    item: Record = next(each for each in order["items"] if each["item_id"] == item_id)
    return item


def _price_difference(database: Database, order: Record, item_ids: Any, new_item_ids: Any) -> float | str:
    """What the new items cost more than the old ones, or the error."""
    owned = [item["item_id"] for item in order["items"]]
    for item_id in item_ids:
        if item_ids.count(item_id) > owned.count(item_id):
            return f"Error: {item_id} not found"
    if len(item_ids) != len(new_item_ids):
        return "Error: the number of items to be exchanged should match"
    difference: float = 0
    for item_id, new_item_id in zip(item_ids, new_item_ids, strict=False):
        item = _item(order, item_id)
        variants = database["products"][item["product_id"]]["variants"]
        if not (new_item_id in variants and variants[new_item_id]["available"]):
            return f"Error: new item {new_item_id} not found or available"
        difference += variants[new_item_id]["price"] - item["price"]
    return difference


RETAIL_TOOLS: Mapping[str, ToolFunction] = {
    **COMMON_TOOLS,
    "cancel_pending_order": cancel_pending_order,
    "exchange_delivered_order_items": exchange_delivered_order_items,
    "find_user_id_by_email": find_user_id_by_email,
    "find_user_id_by_name_zip": find_user_id_by_name_zip,
    "get_order_details": get_order_details,
    "get_product_details": get_product_details,
    "get_user_details": get_user_details,
    "list_all_product_types": list_all_product_types,
    "modify_pending_order_address": modify_pending_order_address,
    "modify_pending_order_items": modify_pending_order_items,
    "modify_pending_order_payment": modify_pending_order_payment,
    "modify_user_address": modify_user_address,
    "return_delivered_order_items": return_delivered_order_items,
}
