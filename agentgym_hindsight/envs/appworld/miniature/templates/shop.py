"""Tasks in the shop: prices, the cart, the wish list, returns."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.goals import Goal
from agentgym_hindsight.envs.appworld.miniature.schema import Row
from agentgym_hindsight.envs.appworld.miniature.templates.additions import time_at
from agentgym_hindsight.envs.appworld.miniature.templates.base import Draws, Job, template
from agentgym_hindsight.envs.appworld.miniature.templates.common import DONE, answer, login, replaced, with_extra_turn
from agentgym_hindsight.envs.appworld.miniature.wordlists import listed
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["TEMPLATES", "empty_cart", "expects_order", "put_order"]

_REASONS = listed("too small, too big, wrong colour, not what I thought, a present I got twice, too heavy")


def put_order(world: World, status: str, days: int, product: Row, quantity: int) -> int:
    """Add an order of the supervisor, placed ``days`` days from today, and return its id."""
    order = world.insert(
        "shop_orders",
        user=world.supervisor.email,
        status=status,
        total=round(product["price"] * quantity, 2),
        address_id=1,
        card_id=1,
        placed_at=time_at(world, days, "10:30"),
        delivered_on=time_at(world, days + 2, "10:30")[:10] if status == "delivered" else "",
    )
    world.insert(
        "shop_order_items", order_id=order, product_id=product["id"], quantity=quantity, price=product["price"]
    )
    return order


def empty_cart(world: World) -> None:
    """Remove everything from the supervisor's cart."""
    for row in world.rows("shop_cart", user=world.supervisor.email):
        world.delete("shop_cart", row)


def expects_order(goal: Goal, world: World, product: Row, quantity: int, address: Row, card: Row) -> Goal:
    """Require an order of ``quantity`` pieces of a product."""
    last, total = world.highest("shop_orders", "id"), round(product["price"] * quantity, 2)
    values = {"address_id": address["id"], "card_id": card["id"], "total": total, "status": "placed"}
    goal.adds("shop_orders", f"There is an order for {total:.2f}.", user=world.supervisor.email, **values)
    values = {"order_id": lambda key: key > last, "product_id": product["id"], "quantity": quantity}
    goal.adds("shop_order_items", f"It is for {quantity} of the {product['name']}.", **values)
    stock = world.row("shop_products", id=product["id"])["stock"]
    return goal.changes("shop_products", {"id": product["id"]}, "The shop has as many less.", stock=stock - quantity)


@template("train", 1)
def ask_price(world: World, draws: Draws) -> Job:
    """Report the price of a product."""
    product, other = draws.sample(world.rows("shop_products"), 2)
    price = 5 + draws.below(90) + (11 + draws.below(30)) / 100  # cents that no other product has
    world.update("shop_products", product["id"], price=round(price, 2), stock=30)
    solution = (
        f"products = apis.shop.search_products(query={product['name']!r})",
        answer("products[0]['price']"),
    )
    cheapest = "apis.shop.search_products(sort_by='price_low')[0]['price']"
    world.update("shop_products", other["id"], price=4.05)
    add = "apis.shop.add_to_cart(access_token=shop_token, product_id=products[0]['product_id'])"
    return Job(
        f"What does the {product['name']} cost in the shop?",
        solution,
        Goal(round(price, 2)),
        {
            "wrong answer: another product": replaced(solution, product["name"], other["name"]),
            "wrong answer: the cheapest of all": replaced(solution, "products[0]['price']", cheapest),
            "wrong answer: the rating": replaced(solution, "products[0]['price']", "products[0]['rating']"),
            "collateral change": with_extra_turn(solution, f"{login('shop')}\n{add}"),
        },
    )


@template("train", 2)
def put_cheapest_into_cart(world: World, draws: Draws) -> Job:
    """Put the cheapest product of a department that is in stock and well rated into the cart."""
    me, quantity, stars = world.supervisor.email, 2 + draws.below(4), draws.pick((3.5, 3.8, 4.0, 4.2))
    departments = [row["department"] for row in world.rows("shop_products")]
    department = draws.pick(sorted({name for name in departments if departments.count(name) > 3}))
    rows = draws.sample(world.rows("shop_products", department=department), 20)
    for index, row in enumerate(rows):
        price = round(6 + 5 * index + draws.below(400) / 100, 2)
        rating = stars - 0.4 if index == 1 else stars + 0.1 * draws.below(6)
        world.update("shop_products", row["id"], price=price, rating=round(rating, 1), stock=30 * (index != 0))
    empty_cart(world)
    best = rows[2]["id"]
    search = f"department={department!r}, in_stock=True, min_rating={stars}, sort_by='price_low'"
    add = "apis.shop.add_to_cart(access_token=shop_token, product_id={}, quantity={})"
    solution = (
        login("shop"),
        f"products = apis.shop.search_products({search})\n" + add.format("products[0]['product_id']", quantity),
        DONE,
    )
    return Job(
        f"Put {quantity} pieces of the cheapest product of the shop's {department} department that is in stock and "
        f"rated {stars} or better into my cart.",
        solution,
        Goal().adds("shop_cart", "The right product is in the cart.", user=me, product_id=best, quantity=quantity),
        {
            "wrong quantity": replaced(solution, f"quantity={quantity}", "quantity=1"),
            "forgot the rating": replaced(solution, f"min_rating={stars}, ", ""),
            "the dearest": replaced(solution, "price_low", "price_high"),
            "collateral change": with_extra_turn(solution, add.format(rows[1]["id"], 1)),
        },
    )


@template("dev", 2)
def take_sold_out_off_wish_list(world: World, draws: Draws) -> Job:
    """Remove the sold-out products from a wish list of three pages."""
    me = world.supervisor.email
    for row in world.rows("shop_wishes", user=me):
        world.delete("shop_wishes", row)
    wishes = sorted(row["id"] for row in draws.sample(world.rows("shop_products"), 12))
    sold_out = {draws.pick(wishes[:5]), *draws.sample(wishes[5:], 2 + draws.below(3))}
    goal = Goal()
    for product in wishes:
        world.insert("shop_wishes", user=me, product_id=product)
        world.update("shop_products", product, stock=0 if product in sold_out else 1 + draws.below(20))
        if product in sold_out:
            name = world.row("shop_products", id=product)["name"]
            goal.removes("shop_wishes", f"The {name} is off the wish list.", user=me, product_id=product)
    remove = "apis.shop.remove_from_wish_list(access_token=shop_token, product_id=row['product_id'])"
    solution = (
        login("shop", every=True),
        "wishes = every(apis.shop.show_wish_list, access_token=shop_token)",
        f"for row in wishes:\n    if row['stock'] == 0:\n        {remove}",
        DONE,
    )
    choose_kept = "row = [row for row in wishes if row['stock'] > 0][0]\n"
    return Job(
        "Take everything that is sold out off my wish list in the shop.",
        solution,
        goal,
        {
            "first page only": replaced(solution, "every(apis.shop.show_wish_list, ", "apis.shop.show_wish_list("),
            "empties the list": replaced(solution, "['stock'] == 0", "['stock'] >= 0"),
            "the others instead": replaced(solution, "['stock'] == 0", "['stock'] > 0"),
            "collateral change": with_extra_turn(solution, choose_kept + remove),
        },
    )


@template("test", 2)
def send_purchase_back(world: World, draws: Draws) -> Job:
    """Return a product that was ordered three times, from the newest delivered order."""
    ordered = {row["product_id"] for row in world.rows("shop_order_items")}
    free = [row for row in world.rows("shop_products") if row["id"] not in ordered]
    product, quantity, reason = draws.pick(free), 2 + draws.below(4), draws.pick(_REASONS)
    order = 0
    for days, status, pieces in ((-50, "delivered", 9), (-20, "delivered", quantity), (-1, "placed", 1)):
        number = put_order(world, status, days - draws.below(5), product, pieces)
        order = number if days == -20 else order
    send_back = (
        "apis.shop.start_return(\n    access_token=shop_token, order_id=order['order_id'],\n"
        f"    product_id=item['product_id'], quantity=item['quantity'], reason={reason!r}\n)"
    )
    solution = (
        login("shop"),
        f"name = {product['name']!r}\n"
        "orders = apis.shop.show_orders(access_token=shop_token, status='delivered', query=name)\n"
        "order = apis.shop.show_order(access_token=shop_token, order_id=orders[0]['order_id'])\n"
        "item = [item for item in order['items'] if item['name'] == name][0]",
        send_back,
        DONE,
    )
    cancel = "placed = apis.shop.show_orders(access_token=shop_token, status='placed', query=name)[0]\n"
    cancel += "apis.shop.cancel_order(access_token=shop_token, order_id=placed['order_id'])"
    values = {"order_id": order, "product_id": product["id"], "quantity": quantity, "reason": reason}
    return Job(
        f"Send the {product['name']} back that I bought: all pieces of the most recent order of it that was "
        f"delivered, with the reason “{reason}”.",
        solution,
        Goal().adds("shop_returns", "The product is sent back.", user=world.supervisor.email, **values),
        {
            "the older order": replaced(solution, "orders[0]", "orders[1]"),
            "one piece only": replaced(solution, "quantity=item['quantity']", "quantity=1"),
            "no reason": replaced(solution, f", reason={reason!r}", ""),
            "collateral change": with_extra_turn(solution, cancel),
        },
    )


TEMPLATES = (
    ask_price,
    put_cheapest_into_cart,
    take_sold_out_off_wish_list,
    send_purchase_back,
)
