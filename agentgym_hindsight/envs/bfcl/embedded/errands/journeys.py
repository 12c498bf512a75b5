"""Errands about trains and inns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agentgym_hindsight.envs.bfcl.embedded.apis.journeys import BOOKINGS, INNS, TRAINS
from agentgym_hindsight.envs.bfcl.embedded.clock import spoken_day
from agentgym_hindsight.envs.bfcl.embedded.records import Record
from agentgym_hindsight.envs.bfcl.embedded.story import Errand, Story

__all__ = ["JOURNEYS_ERRANDS", "a_route"]


def a_route(story: Story) -> tuple[list[dict[str, Any]], str, str, str]:
    """The trains of a route, in the order of departure, with the two towns and the day."""
    _, train = story.record(TRAINS, lambda record: f"{record['origin']}|{record['destination']}" not in story.used)
    origin, destination, day = train["origin"], train["destination"], train["day"]
    story.used.add(f"{origin}|{destination}")
    found = story.call("find_trains", origin=origin, destination=destination, day=day)
    return found["trains"], origin, destination, day


def _said(story: Story, day: str) -> str:
    return day if story.exact else story.pick((day, spoken_day(day)))


def cheapest_train(story: Story) -> Errand:
    trains, origin, destination, day = a_route(story)
    people = 1 + story.draws.below(5)
    best = min(trains, key=lambda train: int(train["price"]))
    story.call("book_train", train_id=best["train_id"], people=people)
    when, count = _said(story, day), f"{people} {'person' if people == 1 else 'people'}"
    return story.say(
        f"Book the cheapest train from {origin} to {destination} on {when} for {count}.",
        f"We are {count} and go from {origin} to {destination} on {when}. Book the train that costs least.",
        f"Please book the cheapest train of {when} from {origin} to {destination}, {count}.",
        vague=(
            f"Book the cheapest train from {origin} to {destination} on {when}.",
            f"We go from {origin} to {destination} on {when}. Book the train that costs least for all of us.",
        ),
        detail=(f"For {count}.", f"{count}, please."),
        hold="book_train",
    )


def latest_train(story: Story) -> Errand:
    """The last train that arrives in time."""
    trains, origin, destination, day = a_route(story)
    people, limit = 1 + story.draws.below(5), story.pick(trains)["arrives"]
    in_time = [train for train in trains if train["arrives"] <= limit]
    best = max(in_time, key=lambda train: str(train["departs"]))
    story.call("book_train", train_id=best["train_id"], people=people, first_class=True)
    when, count = _said(story, day), f"{people} {'person' if people == 1 else 'people'}"
    return story.say(
        f"On {when} we have to be in {destination} by {limit}. Book the last train from {origin} that arrives in "
        f"time, first class, {count}.",
        f"Please book {count} in first class from {origin} to {destination} on {when}: the latest departure with an "
        f"arrival at {limit} or before.",
        vague=f"Please book first class from {origin} to {destination} on {when} for {count}, the latest departure "
        "that arrives in time.",
        detail=(f"It has to arrive at {limit} or before.", f"We have to be there by {limit}."),
        hold="book_train",
    )


def ask_trains(story: Story) -> Errand:
    _, train = story.record(TRAINS)
    origin, destination, day = train["origin"], train["destination"], train["day"]
    story.ask("find_trains", origin=origin, destination=destination, day=day)
    when = _said(story, day)
    return story.say(
        f"Which trains go from {origin} to {destination} on {when}?",
        f"When can I go from {origin} to {destination} on {when}?",
        f"List the trains of {when} from {origin} to {destination}.",
        vague=(f"Which trains go from {origin} to {destination}?", f"When can I go from {origin} to {destination}?"),
        detail=(f"On {when}.", f"I travel on {when}."),
        hold="find_trains",
    )


def _a_booking(story: Story) -> tuple[str, Record]:
    """A train booking, which the user calls by its id."""
    key, record = story.record(BOOKINGS, lambda record: record["kind"] == "train")
    return key, dict(record)


def undo_booking(story: Story) -> Errand:
    key, _ = _a_booking(story)
    story.call("undo_booking", booking_id=key)
    return story.say(
        f"Cancel the booking {key}.",
        f"We do not travel: please cancel {key}.",
        f"Booking {key} is not needed any more. Cancel it.",
        vague=("Please cancel a booking.", "We do not travel. Cancel the booking."),
        detail=(f"It is {key}.", f"The booking {key}."),
        hold="undo_booking",
    )


def add_bikes(story: Story) -> Errand:
    key, record = _a_booking(story)
    bikes = 1 + story.draws.below(record["people"])
    story.call("add_bikes", booking_id=key, bikes=bikes)
    count = f"{bikes} bicycle{'s' if bikes > 1 else ''}"
    return story.say(
        f"We take {count} on booking {key}. Add them.",
        f"Please add {count} to the booking {key}.",
        f"Booking {key} needs room for {count}.",
        vague=(f"We take bicycles on booking {key}. Add them.", f"Add our bicycles to {key}."),
        detail=(f"We have {count}.", f"It is about {count}."),
        hold="add_bikes",
    )


def ask_booking(story: Story) -> Errand:
    key, _ = _a_booking(story)
    story.ask("show_booking", booking_id=key)
    return story.say(
        f"For how many people is booking {key}?",
        f"What did {key} cost?",
        f"Show me the booking {key}.",
        vague=("Show me the booking.", "What did my booking cost?"),
        detail=(f"It is {key}.", f"The booking {key}."),
        hold="show_booking",
    )


def book_inn(story: Story) -> Errand:
    towns = {record["town"] for _, record in story.rows(INNS)}
    town, day = story.pick(sorted(towns)), story.pick([record["day"] for _, record in story.rows(TRAINS)])
    inns, nights = story.call("find_inns", town=town)["inns"], 1 + story.draws.below(4)
    story.call("book_inn", inn_id=inns[0]["inn_id"], day=day, nights=nights)
    when, count = _said(story, day), f"{nights} night{'s' if nights > 1 else ''}"
    return story.say(
        f"Book the cheapest inn in {town} from {when}, {count}.",
        f"I stay {count} in {town} from {when}. Book the inn that costs least.",
        f"Please find the cheapest room in {town} and book it for {count}, beginning on {when}.",
        vague=(
            f"Book the cheapest inn in {town} from {when}.",
            f"I need the cheapest inn in {town} from {when}. Book it.",
        ),
        detail=(f"For {count}.", f"I stay {count}."),
        hold="book_inn",
    )


def top_up(story: Story) -> Errand:
    amount, owner = 20 + 5 * story.draws.below(100), story.name("person")
    story.call("top_up", amount=amount)
    return story.say(
        f"I am {owner}. Put {amount} into my travel account.",
        f"{owner} here: please top up my account by {amount}.",
        f"This is {owner}. My account should get {amount} more.",
        vague=(f"I am {owner}. Put some money into my travel account.", f"{owner} here: please top up my account."),
        detail=(f"{amount}, please.", f"The amount is {amount}."),
        hold="top_up",
    )


def ask_balance(story: Story) -> Errand:
    story.ask("show_balance")
    owner = story.name("person")
    return story.say(
        f"I am {owner}. How much is in my travel account?",
        f"{owner} here. What is the balance of my account?",
        f"This is {owner}: how much money can I still travel with?",
        hold="show_balance",
    )


JOURNEYS_ERRANDS: Mapping[str, Callable[[Story], Errand]] = {
    "undo_booking": undo_booking,
    "add_bikes": add_bikes,
    "ask_booking": ask_booking,
    "ask_trains": ask_trains,
    "top_up": top_up,
    "ask_balance": ask_balance,
    "cheapest_train": cheapest_train,
    "latest_train": latest_train,
    "book_inn": book_inn,
}
