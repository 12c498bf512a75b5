"""Orders and returns of the shop app."""

from __future__ import annotations

from typing import Literal

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.api import Call, matches, newest, view
from agentgym_hindsight.envs.appworld.miniature.apps.shop import APP, LINE, check_stock, lines_of, product, total_of
from agentgym_hindsight.envs.appworld.miniature.parameter_types import Day, Quantity, Query, Text
from agentgym_hindsight.envs.appworld.miniature.schema import Row

__all__ = ["APP"]

Status = Literal["placed", "shipped", "delivered", "cancelled"]

_ORDER_SUMMARY = {"order_id": int, "status": str, "total": float, "placed_at": str, "delivered_on": str}
_ORDER = {**_ORDER_SUMMARY, "address_id": int, "card_id": int, "items": [LINE]}
_RETURN = {
    "return_id": int,
    "order_id": int,
    "product_id": int,
    "quantity": int,
    "reason": str,
    "status": str,
    "created_at": str,
}


@APP.write({"message": str, "order_id": int, "total": float})
def place_order(call: Call, address_id: int, card_id: int) -> Row:
    """Order all that is in your cart; the cart is empty afterwards.

    address_id: where to; see show_addresses
    card_id: what to pay with; see show_cards
    """
    call.own_row("shop_addresses", "address", address_id)
    card = call.own_row("shop_cards", "card", card_id)
    if card["expires_on"] < call.db.now[:10]:
        raise ApiFailure(409, f"The card {card_id} ({card['name']}) expired on {card['expires_on']}; use another.")
    lines = lines_of(call, call.db.rows("shop_cart", user=call.user))
    if not lines:
        raise ApiFailure(409, "Your cart is empty; use add_to_cart first.")
    total = total_of(lines)
    order_id = call.db.insert("shop_orders", user=call.user, total=total, address_id=address_id, card_id=card_id)
    for line in lines:
        number, quantity = line["product_id"], line["quantity"]
        row = product(call, number)
        check_stock(row, quantity)
        call.db.update("shop_products", row, stock=row["stock"] - quantity)
        call.db.insert("shop_order_items", order_id=order_id, product_id=number, quantity=quantity, price=line["price"])
        call.db.delete("shop_cart", (call.user, number))
    return {"message": f"Ordered for {total:.2f}.", "order_id": order_id, "total": total}


def _order(call: Call, order_id: int) -> Row:
    return call.own_row("shop_orders", "order", order_id, "user")


@APP.read([_ORDER_SUMMARY], paged=True)
def show_orders(
    call: Call, status: Status | None = None, query: Query = "", since: Day | None = None, until: Day | None = None
) -> list[Row]:
    """Your orders, newest first.

    status: only such ones
    query: words that must all occur in the names of the products
    since: only placed on this day or later
    until: only placed on this day or earlier
    """
    return [
        view(row, _ORDER_SUMMARY, order_id=row["id"])
        for row in newest(call.db.rows("shop_orders", user=call.user), "placed_at")
        if status in (None, row["status"])
        and (since is None or row["placed_at"][:10] >= since)
        and (until is None or row["placed_at"][:10] <= until)
        and matches(query, *(line["name"] for line in _items(call, row["id"])))
    ]


def _items(call: Call, order_id: int) -> list[Row]:
    return lines_of(call, call.db.rows("shop_order_items", order_id=order_id))


@APP.read(_ORDER)
def show_order(call: Call, order_id: int) -> Row:
    """An order with its products."""
    return view(_order(call, order_id), _ORDER, order_id=order_id, items=_items(call, order_id))


@APP.write({"message": str})
def cancel_order(call: Call, order_id: int) -> Row:
    """Cancel an order that is not shipped yet."""
    row = _order(call, order_id)
    if row["status"] != "placed":
        raise ApiFailure(409, f"Order {order_id} is {row['status']}; only a placed one can be cancelled.")
    for line in _items(call, order_id):
        product_row = product(call, line["product_id"])
        call.db.update("shop_products", product_row, stock=product_row["stock"] + line["quantity"])
    call.db.update("shop_orders", row, status="cancelled")
    return {"message": f"Order {order_id} is cancelled."}


@APP.read([_RETURN], paged=True)
def show_returns(call: Call, status: Literal["started", "received", "cancelled"] | None = None) -> list[Row]:
    """Products you send back, newest first.

    status: only such ones
    """
    return [
        view(row, _RETURN, return_id=row["id"])
        for row in newest(call.db.rows("shop_returns", user=call.user), "created_at")
        if status in (None, row["status"])
    ]


@APP.write({"message": str, "return_id": int})
def start_return(call: Call, order_id: int, product_id: int, quantity: Quantity = 1, reason: Text = "") -> Row:
    """Send back a product of a delivered order."""
    row = _order(call, order_id)
    if row["status"] != "delivered":
        raise ApiFailure(409, f"Order {order_id} is {row['status']}; only a delivered one can be returned.")
    bought = call.db.find("shop_order_items", order_id=order_id, product_id=product_id)
    if bought is None:
        raise ApiFailure(404, f"Order {order_id} has no product with product_id {product_id}.")
    earlier_returns = call.db.rows("shop_returns", order_id=order_id, product_id=product_id)
    returnable = bought["quantity"] - sum(
        earlier["quantity"] for earlier in earlier_returns if earlier["status"] != "cancelled"
    )
    if quantity > returnable:
        raise ApiFailure(409, f"Of product {product_id} in order {order_id} only {returnable} can still be returned.")
    return_id = call.db.insert(
        "shop_returns", user=call.user, order_id=order_id, product_id=product_id, quantity=quantity, reason=reason
    )
    return {"message": "Return started.", "return_id": return_id}


@APP.write({"message": str})
def cancel_return(call: Call, return_id: int) -> Row:
    """Keep a product after all, as long as it was not received."""
    row = call.own_row("shop_returns", "return", return_id, "user")
    if row["status"] != "started":
        raise ApiFailure(409, f"Return {return_id} is {row['status']}; only a started one can be cancelled.")
    call.db.update("shop_returns", row, status="cancelled")
    return {"message": f"Return {return_id} is cancelled."}
