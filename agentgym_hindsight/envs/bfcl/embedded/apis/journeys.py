"""Trains and rooms, booked from an account."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.bfcl.embedded.clock import valid_day
from agentgym_hindsight.envs.bfcl.embedded.functions import Api, RefusedError
from agentgym_hindsight.envs.bfcl.embedded.identifiers import new_id
from agentgym_hindsight.envs.bfcl.embedded.records import Record, Records
from agentgym_hindsight.short_repr import short_repr

__all__ = ["ACCOUNT", "BOOKINGS", "INNS", "JOURNEYS", "TRAINS"]

JOURNEYS = Api("Journeys")
TRAINS, INNS, BOOKINGS, ACCOUNT = "trips.trains", "trips.inns", "trips.bookings", "trips.account"
_TRAIN, _INN, _BOOKING, _DAY = "The train's id", "The inn's id", "The booking's id", "Such as 2027-03-01"
_MOST_BOOKINGS = 200


def _found(records: Records, table: str, what: str, name: str) -> Record:
    record = records.get(table, name)
    if record is None:
        raise RefusedError(f"there is no {what} {short_repr(name, 60)}")
    return record


def _pay(records: Records, amount: int) -> int:
    """Take an amount from the account; a negative amount is a refund."""
    account = _found(records, ACCOUNT, "account", "account")
    if amount > account["balance"]:
        raise RefusedError(f"it costs {amount} and the account has {account['balance']}")
    own = records.edit(ACCOUNT, "account")
    own["balance"] -= amount
    return int(own["balance"])


def _seats(records: Records, train_id: str, people: int) -> Record:
    train = _found(records, TRAINS, "train", train_id)
    if not 1 <= people <= 9:
        raise RefusedError(f"a booking is for 1 to 9 people, got {people}")
    if people > train["seats"]:
        raise RefusedError(f"{train_id} has {train['seats']} free seats, not {people}")
    return train


def _new_booking(records: Records, booking: Record, price: int) -> dict[str, Any]:
    taken = {key for key, _ in records.rows(BOOKINGS)}
    if len(taken) >= _MOST_BOOKINGS:
        raise RefusedError(f"there are already {_MOST_BOOKINGS} bookings")
    balance = _pay(records, price)
    name = new_id("BK", taken, *booking.values())
    records.put(BOOKINGS, name, {**booking, "price": price})
    return {"booking_id": name, "price": price, "balance": balance}


@JOURNEYS.function(
    "Find the trains between two towns on a day.", origin="From which town", destination="To which town", day=_DAY
)
def find_trains(records: Records, origin: str, destination: str, day: str) -> dict[str, Any]:
    day, route = valid_day(day), (origin.casefold(), destination.casefold())
    rows = [
        (key, record)
        for key, record in records.rows(TRAINS)
        if record["day"] == day and (record["origin"].casefold(), record["destination"].casefold()) == route
    ]
    rows.sort(key=lambda row: str(row[1]["departs"]))
    shown = [
        {"train_id": key, "departs": record["departs"], "arrives": record["arrives"], "price": record["price"]}
        for key, record in rows[:60]
    ]
    return {"trains": shown, "more": max(0, len(rows) - 60)}


@JOURNEYS.function("Show a train with its free seats.", train_id=_TRAIN)
def show_train(records: Records, train_id: str) -> dict[str, Any]:
    return {"train_id": train_id, **_found(records, TRAINS, "train", train_id)}


@JOURNEYS.function(
    "Book seats in a train. First class costs twice the price.",
    train_id=_TRAIN,
    people="How many people",
    first_class="Whether in first class",
)
def book_train(records: Records, train_id: str, people: int, first_class: bool = False) -> dict[str, Any]:
    train = _seats(records, train_id, people)
    price = train["price"] * people * (2 if first_class else 1)
    booking = {"kind": "train", "of": train_id, "people": people, "first_class": first_class, "bikes": 0}
    result = _new_booking(records, booking, price)
    records.edit(TRAINS, train_id)["seats"] -= people
    return result


@JOURNEYS.function("Find inns in a town, the cheapest first.", town="The town", most_price="Highest price of a night")
def find_inns(records: Records, town: str, most_price: int = 100_000) -> dict[str, Any]:
    rows = [
        (key, record)
        for key, record in records.rows(INNS)
        if record["town"].casefold() == town.casefold() and record["price"] <= most_price
    ]
    rows.sort(key=lambda row: (row[1]["price"], row[0]))
    shown = [{"inn_id": key, "name": record["name"], "price": record["price"]} for key, record in rows[:60]]
    return {"inns": shown, "more": max(0, len(rows) - 60)}


@JOURNEYS.function("Show an inn with its stars and what it offers.", inn_id=_INN)
def show_inn(records: Records, inn_id: str) -> dict[str, Any]:
    return {"inn_id": inn_id, **_found(records, INNS, "inn", inn_id)}


@JOURNEYS.function("Book a room in an inn.", inn_id=_INN, day="The first day, such as 2027-03-01", nights="How many")
def book_inn(records: Records, inn_id: str, day: str, nights: int) -> dict[str, Any]:
    inn, day = _found(records, INNS, "inn", inn_id), valid_day(day)
    if not 1 <= nights <= 30:
        raise RefusedError(f"a stay has 1 to 30 nights, got {nights}")
    return _new_booking(records, {"kind": "inn", "of": inn_id, "day": day, "nights": nights}, inn["price"] * nights)


@JOURNEYS.function("List the bookings.")
def list_bookings(records: Records) -> dict[str, Any]:
    rows = [{"booking_id": key, "kind": record["kind"], "of": record["of"]} for key, record in records.rows(BOOKINGS)]
    return {"bookings": rows[:100], "more": max(0, len(rows) - 100)}


@JOURNEYS.function("Show a booking.", booking_id=_BOOKING)
def show_booking(records: Records, booking_id: str) -> dict[str, Any]:
    return {"booking_id": booking_id, **_found(records, BOOKINGS, "booking", booking_id)}


@JOURNEYS.function("Cancel a booking. The price goes back to the account.", booking_id=_BOOKING)
def undo_booking(records: Records, booking_id: str) -> dict[str, Any]:
    booking = _found(records, BOOKINGS, "booking", booking_id)
    if booking["kind"] == "train":
        records.edit(TRAINS, booking["of"])["seats"] += booking["people"]
    records.remove(BOOKINGS, booking_id)
    return {"cancelled": booking_id, "balance": _pay(records, -booking["price"])}


@JOURNEYS.function("Take bicycles along on a train booking, 6 each.", booking_id=_BOOKING, bikes="How many more")
def add_bikes(records: Records, booking_id: str, bikes: int) -> dict[str, Any]:
    booking = _found(records, BOOKINGS, "booking", booking_id)
    if booking["kind"] != "train":
        raise RefusedError(f"{booking_id} is not for a train")
    if bikes < 1 or booking["bikes"] + bikes > booking["people"]:
        raise RefusedError(f"a booking for {booking['people']} people can have as many bicycles and no more")
    balance = _pay(records, 6 * bikes)
    own = records.edit(BOOKINGS, booking_id)
    own["bikes"] += bikes
    own["price"] += 6 * bikes
    return {"booking_id": booking_id, "bikes": own["bikes"], "balance": balance}


@JOURNEYS.function("Show how much the account has.")
def show_balance(records: Records) -> dict[str, Any]:
    return {"balance": _found(records, ACCOUNT, "account", "account")["balance"]}


@JOURNEYS.function("Put money into the account.", amount="How much")
def top_up(records: Records, amount: int) -> dict[str, Any]:
    balance = _found(records, ACCOUNT, "account", "account")["balance"]
    if not 1 <= amount <= 10_000 or balance + amount > 1_000_000:
        raise RefusedError(f"an amount is 1 to 10000 and the account has at most 1000000, got {amount}")
    return {"balance": _pay(records, -amount)}
