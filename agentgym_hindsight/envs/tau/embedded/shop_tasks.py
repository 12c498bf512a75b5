"""What customers of the embedded shop want: one function a kind. Each task has reference calls that do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentgym_hindsight.envs.tau.desk import DeskTask
from agentgym_hindsight.envs.tau.embedded.people import DeskDraws, address, full_name, split_of
from agentgym_hindsight.envs.tau.embedded.wishes import Wish, made_task

__all__ = ["SHOP_KINDS", "shop_tasks"]

Record = dict[str, Any]
Tables = Mapping[str, Mapping[str, Record]]
Maker = Callable[[Tables, Record, DeskDraws], "Wish | None"]

_REASONS = ("no longer needed", "ordered by mistake")


def shop_tasks(tables: Tables, seed: int) -> Mapping[str, Sequence[DeskTask]]:
    """The tasks of each split: every kind for every person for whom it is possible, kinds in turn."""
    tasks: dict[str, list[DeskTask]] = {"train": [], "valid": [], "test": []}
    for number, (user_id, user) in enumerate(tables["users"].items()):
        for kind, make in SHOP_KINDS.items():
            draws = DeskDraws("shop task", seed, kind, number)
            wish = make(tables, user, draws)
            if wish is not None:
                tasks[split_of(number)].append(made_task(kind, user_id, wish, _who(user, user_id, draws)))
    return tasks


def _who(user: Record, user_id: str, draws: DeskDraws) -> tuple[dict[str, str], tuple[str, Record]]:
    """Facts that prove who the customer is, and the call that finds them. Some have forgotten their email."""
    facts = {"name": f"My name is {full_name(user)}.", "zip": f"My zip code is {user['address']['zip']}."}
    if draws.chance(0.5):
        facts["email"] = f"My email is {user['email']}."
        return facts, ("find_user_id_by_email", {"email": user["email"]})
    name = user["name"]
    arguments = {"first_name": name["first_name"], "last_name": name["last_name"], "zip": user["address"]["zip"]}
    return facts, ("find_user_id_by_name_zip", arguments)


def _orders(tables: Tables, user: Record, status: str) -> list[Record]:
    return [tables["orders"][each] for each in user["orders"] if tables["orders"][each]["status"] == status]


def _look(order: Record) -> tuple[str, Record]:
    return "get_order_details", {"order_id": order["order_id"]}


def _things(items: Sequence[Record]) -> str:
    return " and ".join(f"the {item['name']}" for item in items)


def _cancel_order(tables: Tables, user: Record, draws: DeskDraws) -> Wish | None:
    orders = _orders(tables, user, "pending")
    order, reason = orders[0], draws.pick(_REASONS)
    return Wish(
        draws.pick(("I want to cancel an order.", "Please cancel one of my orders.", "Can you call off an order?")),
        {"order": f"It is order {order['order_id']}.", "reason": f"The reason is: {reason}."},
        [_look(order), ("cancel_pending_order", {"order_id": order["order_id"], "reason": reason})],
    )


def _ship_elsewhere(tables: Tables, user: Record, draws: DeskDraws) -> Wish | None:
    order, new = _orders(tables, user, "pending")[0], address(draws)
    return Wish(
        draws.pick(("My order has to go to another address.", "Please send an order of mine elsewhere.")),
        {"order": f"It is order {order['order_id']}.", "address": _address_text(new)},
        [_look(order), ("modify_pending_order_address", {"order_id": order["order_id"], **new})],
    )


def _move_house(tables: Tables, user: Record, draws: DeskDraws) -> Wish | None:
    new = address(draws)
    user_id = next(each for each, other in tables["users"].items() if other is user)
    return Wish(
        draws.pick(("I have moved; please note my new address.", "My home address in your files is out of date.")),
        {"address": _address_text(new)},
        [("modify_user_address", {"user_id": user_id, **new})],
    )


def _address_text(new: Record) -> str:
    second = f", {new['address2']}" if new["address2"] else ", with no second line"
    return (
        f"The new address is {new['address1']}{second}, {new['city']}, {new['state']}, {new['country']}, "
        f"zip code {new['zip']}."
    )


def _other_payment(tables: Tables, user: Record, draws: DeskDraws) -> Wish | None:
    order = _orders(tables, user, "pending")[0]
    payment = order["payment_history"][0]
    usable = [
        name
        for name, method in user["payment_methods"].items()
        if name != payment["payment_method_id"] and method.get("balance", payment["amount"]) >= payment["amount"]
    ]
    if not usable:
        return None
    method = draws.pick(usable)
    return Wish(
        "I want to pay an order in another way.",
        {"order": f"It is order {order['order_id']}.", "payment": f"I want to pay with {method}."},
        [_look(order), ("modify_pending_order_payment", {"order_id": order["order_id"], "payment_method_id": method})],
    )


def _swap(tables: Tables, user: Record, draws: DeskDraws, status: str, tool: str, opening: str) -> Wish | None:
    """Another variant of one item, which differs in one option."""
    order = _orders(tables, user, status)[0]
    for item in draws.sample(order["items"], len(order["items"])):
        product = tables["products"][item["product_id"]]
        fitting = []
        for variant in product["variants"].values():
            axes = [axis for axis in item["options"] if variant["options"][axis] != item["options"][axis]]
            if variant["available"] and len(axes) == 1:
                fitting.append((variant, axes[0]))
        method = order["payment_history"][0]["payment_method_id"]
        if not fitting or user["payment_methods"][method]["source"] == "gift_card":
            continue
        variant, axis = draws.pick(fitting)
        return Wish(
            opening.format(item["name"]),
            {
                "order": f"It is in order {order['order_id']}.",
                "item": f"I want the {item['name']} with {axis} {variant['options'][axis]}, and the rest as it is.",
                "payment": f"Please use {method} for the difference.",
            },
            [
                _look(order),
                ("get_product_details", {"product_id": item["product_id"]}),
                (
                    tool,
                    {
                        "order_id": order["order_id"],
                        "item_ids": [item["item_id"]],
                        "new_item_ids": [variant["item_id"]],
                        "payment_method_id": method,
                    },
                ),
            ],
        )
    return None


def _other_option(tables: Tables, user: Record, draws: DeskDraws) -> Wish | None:
    opening = "I chose the wrong {} in an order that has not been sent."
    return _swap(tables, user, draws, "pending", "modify_pending_order_items", opening)


def _exchange(tables: Tables, user: Record, draws: DeskDraws) -> Wish | None:
    opening = "I would like to exchange the {} that I received."
    return _swap(tables, user, draws, "delivered", "exchange_delivered_order_items", opening)


def _return_items(tables: Tables, user: Record, draws: DeskDraws) -> Wish | None:
    order = _orders(tables, user, "delivered")[0]
    items = draws.sample(order["items"], 1 + draws.below(len(order["items"])))
    method = order["payment_history"][0]["payment_method_id"]
    return Wish(
        "I want to send something back.",
        {
            "order": f"It is order {order['order_id']}.",
            "item": f"I return {_things(items)}.",
            "payment": f"Please refund it to {method}.",
        },
        [
            _look(order),
            (
                "return_delivered_order_items",
                {
                    "order_id": order["order_id"],
                    "item_ids": [item["item_id"] for item in items],
                    "payment_method_id": method,
                },
            ),
        ],
    )


def _ask_total(tables: Tables, user: Record, draws: DeskDraws) -> Wish | None:
    order = draws.pick([tables["orders"][each] for each in user["orders"]])
    prices = [f"{item['price']:.2f}" for item in order["items"]]
    total = str(round(sum(item["price"] for item in order["items"]), 2))
    return Wish(
        "How much did I pay for an order, in total?",
        {"order": f"It is order {order['order_id']}."},
        [_look(order), ("calculate", {"expression": " + ".join(prices)})],
        (total,),
    )


def _ask_stock(tables: Tables, user: Record, draws: DeskDraws) -> Wish | None:
    product = draws.pick(list(tables["products"].values()))
    count = sum(variant["available"] for variant in product["variants"].values())
    return Wish(
        f"How many variants of the {product['name']} can I buy now? Please give me the number.",
        {"item": f"I mean the {product['name']}."},
        [("list_all_product_types", {}), ("get_product_details", {"product_id": product["product_id"]})],
        (f"{count} variants",),
    )


def _refuse_cancel(tables: Tables, user: Record, draws: DeskDraws) -> Wish | None:
    order = _orders(tables, user, "delivered")[0]
    return Wish(
        "I want to cancel an order.",
        {"order": f"It is order {order['order_id']}.", "reason": "The reason is: no longer needed."},
        [_look(order)],
        ("delivered",),
        "If it cannot be cancelled, you want to hear its status and do nothing else.",
    )


def _two_things(tables: Tables, user: Record, draws: DeskDraws) -> Wish | None:
    first, second = _cancel_order(tables, user, draws), _return_items(tables, user, draws)
    if first is None or second is None:
        return None
    facts = {
        "order": f"{first.facts['order']} I cancel that one. The one I send back from is "
        f"{second.facts['order'].removeprefix('It is ')}",
        "reason": first.facts["reason"],
        "item": second.facts["item"],
        "payment": second.facts["payment"],
    }
    return Wish("I want to cancel one order and send back things from another.", facts, [*first.calls, *second.calls])


#: The kinds of tasks, the easiest first.
SHOP_KINDS: Mapping[str, Maker] = {
    "cancel_order": _cancel_order,
    "move_house": _move_house,
    "ask_total": _ask_total,
    "ship_elsewhere": _ship_elsewhere,
    "other_payment": _other_payment,
    "return_items": _return_items,
    "ask_stock": _ask_stock,
    "exchange": _exchange,
    "other_option": _other_option,
    "refuse_cancel": _refuse_cancel,
    "two_things": _two_things,
}
