"""Product reviews of the shop app."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.api import Call, newest, view
from agentgym_hindsight.envs.appworld.miniature.apps.shop import APP, product
from agentgym_hindsight.envs.appworld.miniature.parameter_types import Line, Stars, Text
from agentgym_hindsight.envs.appworld.miniature.schema import Row

__all__ = ["APP"]

_REVIEW = {
    "review_id": int,
    "product_id": int,
    "author": str,
    "rating": int,
    "title": str,
    "text": str,
    "created_at": str,
}
_CONFIRMATION = {"message": str, "review_id": int}


def _view(row: Row) -> Row:
    return view(row, _REVIEW, review_id=row["id"])


@APP.read([_REVIEW], paged=True, login=False)
def show_reviews(call: Call, product_id: int, rating: Stars | None = None) -> list[Row]:
    """What people say of a product, newest first.

    rating: only reviews with so many stars
    """
    product(call, product_id)
    rows = newest(call.db.rows("shop_reviews", product_id=product_id), "created_at")
    return [_view(row) for row in rows if rating in (None, row["rating"])]


@APP.read([_REVIEW], paged=True)
def show_my_reviews(call: Call) -> list[Row]:
    """Reviews you wrote, newest first."""
    return [_view(row) for row in newest(call.db.rows("shop_reviews", author=call.user), "created_at")]


@APP.write(_CONFIRMATION)
def write_review(call: Call, product_id: int, rating: Stars, title: Line, text: Text = "") -> Row:
    """Review a product you ordered. One review a product.

    rating: stars; 5 is best
    """
    product(call, product_id)
    if call.db.find("shop_reviews", product_id=product_id, author=call.user):
        raise ApiFailure(409, f"You have reviewed product {product_id} already; use update_review.")
    orders = {row["id"] for row in call.db.rows("shop_orders", user=call.user) if row["status"] == "delivered"}
    if not any(item["order_id"] in orders for item in call.db.rows("shop_order_items", product_id=product_id)):
        raise ApiFailure(
            403, f"No order of yours with product {product_id} was delivered; only then you can review it."
        )
    review_id = call.db.insert(
        "shop_reviews", product_id=product_id, author=call.user, rating=rating, title=title, text=text
    )
    return {"message": "Review written.", "review_id": review_id}


@APP.write(_CONFIRMATION)
def update_review(
    call: Call, review_id: int, rating: Stars | None = None, title: Line | None = None, text: Text | None = None
) -> Row:
    """Change a review of yours; what is not given stays."""
    row = call.own_row("shop_reviews", "review", review_id, "author")
    given = {"rating": rating, "title": title, "text": text}
    call.db.update("shop_reviews", row, **{name: value for name, value in given.items() if value is not None})
    return {"message": "Review changed.", "review_id": review_id}


@APP.write(_CONFIRMATION)
def delete_review(call: Call, review_id: int) -> Row:
    """Delete a review of yours."""
    call.db.delete("shop_reviews", call.own_row("shop_reviews", "review", review_id, "author"))
    return {"message": "Review deleted.", "review_id": review_id}
