"""The shop app: products, cart, wish list. Orders are in ``orders.py``, reviews in ``reviews.py``."""

from __future__ import annotations

from typing import Literal

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.accounts import add_account_apis
from agentgym_hindsight.envs.appworld.miniature.api import App, Call, matches, view
from agentgym_hindsight.envs.appworld.miniature.apps.payments import CardNumber
from agentgym_hindsight.envs.appworld.miniature.parameter_types import Day, Line, Quantity, Query, quoted
from agentgym_hindsight.envs.appworld.miniature.schema import NOW, Row, Table

__all__ = ["APP", "LINE", "check_stock", "lines_of", "product", "total_of"]

APP = App(
    "shop",
    "Find products, order and return them, review them, keep a wish list.",
    Table(
        "shop_products",
        id=int,
        name=str,
        brand=str,
        department=str,
        price=float,
        rating=float,
        stock=int,
        features=(list, []),
        description=(str, ""),
    ),
    Table("shop_cart", key=("user", "product_id"), user=str, product_id=int, quantity=int),
    Table(
        "shop_orders",
        id=int,
        user=str,
        status=(str, "placed"),
        total=float,
        address_id=int,
        card_id=int,
        placed_at=(str, NOW),
        delivered_on=(str, ""),
    ),
    Table(
        "shop_order_items",
        key=("order_id", "product_id"),
        order_id=int,
        product_id=int,
        quantity=int,
        price=float,
    ),
    Table(
        "shop_returns",
        id=int,
        user=str,
        order_id=int,
        product_id=int,
        quantity=int,
        reason=(str, ""),
        status=(str, "started"),  # or received, cancelled
        created_at=(str, NOW),
    ),
    Table(
        "shop_reviews",
        id=int,
        product_id=int,
        author=str,
        rating=int,
        title=str,
        text=(str, ""),
        created_at=(str, NOW),
    ),
    Table("shop_wishes", key=("user", "product_id"), user=str, product_id=int),
    Table("shop_addresses", id=int, owner=str, name=str, street=str, city=str, postcode=str),
    Table("shop_cards", id=int, owner=str, name=str, number=str, expires_on=str),
)
add_account_apis(APP)

_SUMMARY = {
    "product_id": int,
    "name": str,
    "brand": str,
    "department": str,
    "price": float,
    "rating": float,
    "stock": int,
}
_PRODUCT = {**_SUMMARY, "features": [str], "description": str}
LINE = {"product_id": int, "name": str, "quantity": int, "price": float}
_ADDRESS = {"address_id": int, "name": str, "street": str, "city": str, "postcode": str}
_CARD = {"card_id": int, "name": str, "number": str, "expires_on": str}
_SORTS = {
    "relevance": (lambda row: row["id"], False),
    "price_low": (lambda row: row["price"], False),
    "price_high": (lambda row: row["price"], True),
    "rating": (lambda row: row["rating"], True),
}


def product(call: Call, product_id: int) -> Row:
    """Return the product with this id. Status 404 if there is none."""
    row = call.db.find("shop_products", id=product_id)
    if row is None:
        raise ApiFailure(404, f"There is no product with product_id {product_id}.")
    return row


# -- products ---------------------------------------------------------------------------------------------------


@APP.read([{"department": str, "products": int}], login=False)
def show_departments(call: Call) -> list[Row]:
    """All departments, and how many products each has."""
    names = [row["department"] for row in call.db.rows("shop_products")]
    return [{"department": name, "products": names.count(name)} for name in sorted(set(names))]


@APP.read([_SUMMARY], paged=True, login=False)
def search_products(
    call: Call,
    query: Query = "",
    department: Line | None = None,
    min_price: float | None = None,
    max_price: float | None = None,
    min_rating: float | None = None,
    in_stock: bool | None = None,
    sort_by: Literal["relevance", "price_low", "price_high", "rating"] = "relevance",
) -> list[Row]:
    """Products that fit.

    query: words that must all occur in name, brand, features or description
    department: see show_departments
    in_stock: only those in stock (true) or sold out (false)
    sort_by: price_low puts the cheapest first, price_high the dearest, rating the best rated
    """
    rows = [
        row
        for row in call.db.rows("shop_products")
        if matches(query, row["name"], row["brand"], row["description"], *row["features"])
        and department in (None, row["department"])
        and (min_price is None or row["price"] >= min_price)
        and (max_price is None or row["price"] <= max_price)
        and (min_rating is None or row["rating"] >= min_rating)
        and (in_stock is None or (row["stock"] > 0) == in_stock)
    ]
    sort_key, reverse = _SORTS[sort_by]
    return [view(row, _SUMMARY, product_id=row["id"]) for row in sorted(rows, key=sort_key, reverse=reverse)]


@APP.read(_PRODUCT, login=False)
def show_product(call: Call, product_id: int) -> Row:
    """All about a product."""
    return view(product(call, product_id), _PRODUCT, product_id=product_id)


# -- cart -------------------------------------------------------------------------------------------------------


def lines_of(call: Call, rows: list[Row]) -> list[Row]:
    """Return rows of a cart or an order as APIs show them. The price of an order's row replaces today's price."""
    products = {row["product_id"]: product(call, row["product_id"]) for row in rows}
    return [view({**products[row["product_id"]], **row}, LINE) for row in rows]


def total_of(lines: list[Row]) -> float:
    """Return the total price of the lines."""
    return round(float(sum(line["price"] * line["quantity"] for line in lines)), 2)


def _cart_line(call: Call, product_id: int) -> Row:
    row = call.db.find("shop_cart", user=call.user, product_id=product_id)
    if row is None:
        raise ApiFailure(404, f"Product {product_id} is not in your cart.")
    return row


def check_stock(row: Row, quantity: int) -> None:
    """Status 409 if fewer pieces are in stock."""
    if row["stock"] < quantity:
        raise ApiFailure(409, f"Only {row['stock']} of product {row['id']} ({row['name']}) are in stock.")


@APP.read({"items": [LINE], "total": float})
def show_cart(call: Call) -> Row:
    """What is in your cart, and what it costs."""
    lines = lines_of(call, call.db.rows("shop_cart", user=call.user))
    return {"items": lines, "total": total_of(lines)}


@APP.write({"message": str})
def add_to_cart(call: Call, product_id: int, quantity: Quantity = 1) -> Row:
    """Put a product into your cart. What is in it already is added to."""
    row = call.db.find("shop_cart", user=call.user, product_id=product_id)
    new_quantity = quantity + (row["quantity"] if row else 0)
    check_stock(product(call, product_id), new_quantity)
    if row:
        call.db.update("shop_cart", row, quantity=new_quantity)
    else:
        call.db.insert("shop_cart", user=call.user, product_id=product_id, quantity=quantity)
    return {"message": f"{new_quantity} in the cart."}


@APP.write({"message": str})
def update_cart_item(call: Call, product_id: int, quantity: Quantity) -> Row:
    """Set how many of a product in your cart you want."""
    row = _cart_line(call, product_id)
    check_stock(product(call, product_id), quantity)
    call.db.update("shop_cart", row, quantity=quantity)
    return {"message": f"{quantity} in the cart."}


@APP.write({"message": str})
def remove_from_cart(call: Call, product_id: int) -> Row:
    """Take a product out of your cart, all pieces of it."""
    call.db.delete("shop_cart", _cart_line(call, product_id))
    return {"message": "Taken out of the cart."}


@APP.write({"message": str})
def clear_cart(call: Call) -> Row:
    """Empty your cart."""
    rows = call.db.rows("shop_cart", user=call.user)
    for row in rows:
        call.db.delete("shop_cart", row)
    return {"message": f"{len(rows)} products taken out of the cart."}


# -- wish list --------------------------------------------------------------------------------------------------


@APP.read([_SUMMARY], paged=True)
def show_wish_list(call: Call) -> list[Row]:
    """What is on your wish list, by product_id."""
    return [
        view(product(call, row["product_id"]), _SUMMARY, product_id=row["product_id"])
        for row in call.db.rows("shop_wishes", user=call.user)
    ]


@APP.write({"message": str})
def add_to_wish_list(call: Call, product_id: int) -> Row:
    """Put a product on your wish list."""
    name = product(call, product_id)["name"]
    if call.db.find("shop_wishes", user=call.user, product_id=product_id):
        raise ApiFailure(409, f"Product {product_id} ({name}) is on your wish list already.")
    call.db.insert("shop_wishes", user=call.user, product_id=product_id)
    return {"message": f"{name} is on your wish list."}


@APP.write({"message": str})
def remove_from_wish_list(call: Call, product_id: int) -> Row:
    """Take a product off your wish list."""
    row = call.db.find("shop_wishes", user=call.user, product_id=product_id)
    if row is None:
        raise ApiFailure(404, f"Product {product_id} is not on your wish list.")
    call.db.delete("shop_wishes", row)
    return {"message": "Taken off the wish list."}


# -- addresses and cards ----------------------------------------------------------------------------------------


@APP.read([_ADDRESS])
def show_addresses(call: Call) -> list[Row]:
    """Addresses to which you have things sent."""
    return [view(row, _ADDRESS, address_id=row["id"]) for row in call.db.rows("shop_addresses", owner=call.user)]


@APP.write({"message": str, "address_id": int})
def add_address(call: Call, name: Line, street: Line, city: Line, postcode: Line) -> Row:
    """Add an address.

    name: such as Home
    """
    if call.db.find("shop_addresses", owner=call.user, name=name):
        raise ApiFailure(409, f"You have an address {quoted(name)} already.")
    address_id = call.db.insert(
        "shop_addresses", owner=call.user, name=name, street=street, city=city, postcode=postcode
    )
    return {"message": f"Added {name}.", "address_id": address_id}


@APP.read([_CARD])
def show_cards(call: Call) -> list[Row]:
    """Your payment cards in the shop."""
    return [view(row, _CARD, card_id=row["id"]) for row in call.db.rows("shop_cards", owner=call.user)]


@APP.write({"message": str, "card_id": int})
def add_card(call: Call, name: Line, number: CardNumber, expires_on: Day) -> Row:
    """Add a payment card."""
    if call.db.find("shop_cards", owner=call.user, number=number):
        raise ApiFailure(409, "You have added this card already.")
    card_id = call.db.insert("shop_cards", owner=call.user, name=name, number=number, expires_on=expires_on)
    return {"message": f"Added {name}.", "card_id": card_id}
