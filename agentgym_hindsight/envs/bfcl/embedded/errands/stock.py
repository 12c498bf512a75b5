"""Errands about the stockroom."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentgym_hindsight.envs.bfcl.embedded.apis.stock import ARTICLES, ORDERS
from agentgym_hindsight.envs.bfcl.embedded.records import Record
from agentgym_hindsight.envs.bfcl.embedded.story import Errand, Story

__all__ = ["STOCK_ERRANDS", "an_article"]


def an_article(story: Story, most: int = 10_000) -> tuple[str, Record]:
    """An article. The agent has to find its id by its name."""
    key, record = story.record(ARTICLES, lambda record: record["on_hand"] <= most)
    story.call("find_articles", name=record["name"])
    return key, dict(record)


def an_open_order(story: Story) -> tuple[str, Record]:
    """An open order, and the only one of its customer. The agent has to find its id by the customer."""
    customers = [record["customer"] for _, record in story.rows(ORDERS)]
    key, record = story.record(
        ORDERS, lambda record: record["status"] == "open" and customers.count(record["customer"]) == 1
    )
    story.call("find_orders", customer=record["customer"])
    return key, dict(record)


def set_price(story: Story) -> Errand:
    key, record = an_article(story)
    price = story.pick([each for each in range(6, 300) if each != record["price"]])
    story.call("set_price", article_id=key, price=price)
    return story.say(
        f"The {record['name']} costs {price} from now on. Change the price.",
        f"Set the price of the {record['name']} to {price}.",
        f"Please change the price of the {record['name']}: it is {price} now.",
        vague=(f"Change the price of the {record['name']}.", f"The {record['name']} has a new price."),
        detail=(f"It costs {price}.", f"The new price is {price}."),
        hold="set_price",
    )


def set_reorder_level(story: Story) -> Errand:
    key, record = an_article(story)
    level = story.pick([each for each in range(3, 90) if each != record["reorder_at"]])
    story.call("set_reorder_level", article_id=key, level=level)
    return story.say(
        f"Order the {record['name']} again as soon as there are fewer than {level}. Note that level.",
        f"Set the reorder level of the {record['name']} to {level}.",
        f"The level at which we order the {record['name']} again is {level}; please note it.",
        vague=(f"Change the reorder level of the {record['name']}.", f"Set a reorder level for the {record['name']}."),
        detail=(f"It is {level}.", f"{level}, please."),
        hold="set_reorder_level",
    )


def receive(story: Story) -> Errand:
    (key, record), quantity = an_article(story), 3 + story.draws.below(90)
    story.call("receive_goods", article_id=key, quantity=quantity)
    return story.say(
        f"{quantity} of the {record['name']} have arrived. Note it.",
        f"Please book in {quantity} of the {record['name']}.",
        f"A delivery: {quantity} of the {record['name']}. Put them into the stock.",
        vague=(f"The {record['name']} has arrived. Note it.", f"Please book in a delivery of the {record['name']}."),
        detail=(f"There are {quantity}.", f"{quantity} have come."),
        hold="receive_goods",
    )


def enter_order(story: Story) -> Errand:
    (key, record), customer = an_article(story), story.name("person")
    quantity = 1 + story.draws.below(12)
    story.call("enter_order", article_id=key, quantity=quantity, customer=customer)
    return story.say(
        f"{customer} orders {quantity} of the {record['name']}.",
        f"Please place an order for {customer}: {quantity} of the {record['name']}.",
        f"An order of {customer}, {quantity} of the {record['name']}. Please enter it.",
        vague=(f"{customer} orders the {record['name']}.", f"Place an order of the {record['name']} for {customer}."),
        detail=(f"{quantity} of them.", f"The quantity is {quantity}."),
        hold="enter_order",
    )


def withdraw_order(story: Story) -> Errand:
    key, record = an_open_order(story)
    story.call("withdraw_order", order_id=key)
    return story.say(
        f"Cancel the order of {record['customer']}.",
        f"{record['customer']} does not want the order any more. Please cancel it.",
        f"Please call off what {record['customer']} has ordered.",
        vague=("A customer called off an order. Cancel it.", "Please cancel an order."),
        detail=(f"That of {record['customer']}.", f"The customer is {record['customer']}."),
        hold="withdraw_order",
    )


def change_quantity(story: Story) -> Errand:
    key, record = an_open_order(story)
    quantity = story.pick([each for each in range(2, 18) if each != record["quantity"]])
    story.call("change_quantity", order_id=key, quantity=quantity)
    return story.say(
        f"{record['customer']} wants {quantity} instead. Change the order.",
        f"Change the order of {record['customer']} to {quantity} pieces.",
        f"Please set the quantity in the order of {record['customer']} to {quantity}.",
        vague=(
            f"Change the quantity in the order of {record['customer']}.",
            f"{record['customer']} wants another quantity.",
        ),
        detail=(f"{quantity} pieces.", f"It is {quantity} now."),
    )


def send_order(story: Story) -> Errand:
    key, record = an_open_order(story)
    story.call("send_order", order_id=key)
    return story.say(
        f"The order of {record['customer']} is on its way. Note that it was sent.",
        f"Please mark the order of {record['customer']} as sent.",
        f"We have sent the order of {record['customer']}; note it.",
        vague=("We have sent an order. Note it.", "Please mark an order as sent."),
        detail=(f"That of {record['customer']}.", f"The order of {record['customer']}."),
        hold="send_order",
    )


def ask_article(story: Story) -> Errand:
    key, record = an_article(story)
    story.ask("show_article", article_id=key)
    return story.say(
        f"How many of the {record['name']} do we have?",
        f"What does the {record['name']} cost?",
        f"At which level do we order the {record['name']} again?",
        vague=("How many do we have?", "What does it cost?"),
        detail=(f"The {record['name']}.", f"I mean the {record['name']}."),
        hold="show_article",
    )


def ask_order(story: Story) -> Errand:
    key, record = an_open_order(story)
    story.ask("show_order", order_id=key)
    return story.say(
        f"What is the total of the order of {record['customer']}?",
        f"What has {record['customer']} ordered, and for how much?",
        f"Show me the order of {record['customer']}.",
        vague=("What is the total of the order?", "Show me a customer's order."),
        detail=(f"Of {record['customer']}.", f"The customer is {record['customer']}."),
        hold="show_order",
    )


STOCK_ERRANDS: Mapping[str, Callable[[Story], Errand]] = {
    "ask_article": ask_article,
    "ask_order": ask_order,
    "withdraw_order": withdraw_order,
    "send_order": send_order,
    "change_quantity": change_quantity,
    "enter_order": enter_order,
    "receive": receive,
    "set_price": set_price,
    "set_reorder_level": set_reorder_level,
}
