"""What customers of the embedded airline want: one function a kind. Each task has reference calls that do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentgym_hindsight.envs.tau.desk import DeskTask
from agentgym_hindsight.envs.tau.embedded.people import DeskDraws, full_name, split_of
from agentgym_hindsight.envs.tau.embedded.travel import AIRPORTS
from agentgym_hindsight.envs.tau.embedded.wishes import Wish, made_task

__all__ = ["TRAVEL_KINDS", "travel_tasks"]

Record = dict[str, Any]
Tables = Mapping[str, Mapping[str, Record]]
Maker = Callable[[Tables, str, Record, DeskDraws], "Wish | None"]

_FREE_BAGS = {
    "regular": {"basic_economy": 0, "economy": 1, "business": 2},
    "silver": {"basic_economy": 1, "economy": 2, "business": 3},
    "gold": {"basic_economy": 2, "economy": 3, "business": 3},
}
_BAG_PRICE = 50


def travel_tasks(tables: Tables, seed: int) -> Mapping[str, Sequence[DeskTask]]:
    """The tasks of each split: every kind for every person for whom it is possible, kinds in turn."""
    tasks: dict[str, list[DeskTask]] = {"train": [], "valid": [], "test": []}
    for number, (user_id, user) in enumerate(tables["users"].items()):
        for kind, make in TRAVEL_KINDS.items():
            wish = make(tables, user_id, user, DeskDraws("travel task", seed, kind, number))
            if wish is not None:
                facts = {"user_id": f"My user id is {user_id}.", "name": f"My name is {full_name(user)}."}
                who = facts, ("get_user_details", {"user_id": user_id})
                tasks[split_of(number)].append(made_task(kind, user_id, wish, who))
    return tasks


def _own(tables: Tables, user: Record) -> list[Record]:
    return [tables["reservations"][each] for each in user["reservations"]]


def _look(reservation: Record) -> tuple[str, Record]:
    return "get_reservation_details", {"reservation_id": reservation["reservation_id"]}


def _which(reservation: Record) -> str:
    return f"It is reservation {reservation['reservation_id']}."


def _card(user: Record) -> str:
    return next(str(name) for name, method in user["payment_methods"].items() if method["source"] == "credit_card")


def _cancel_trip(tables: Tables, user_id: str, user: Record, draws: DeskDraws) -> Wish | None:
    possible = [each for each in _own(tables, user) if each["cabin"] == "business" or each["insurance"] == "yes"]
    if not possible:
        return None
    chosen = draws.pick(possible)
    return Wish(
        draws.pick(("I want to cancel a trip.", "Please cancel one of my reservations.")),
        {"reservation": _which(chosen), "reason": "I am ill and cannot travel."},
        [_look(chosen), ("cancel_reservation", {"reservation_id": chosen["reservation_id"]})],
    )


def _fix_name(tables: Tables, user_id: str, user: Record, draws: DeskDraws) -> Wish | None:
    chosen = draws.pick(_own(tables, user))
    place = draws.below(len(chosen["passengers"]))
    old = chosen["passengers"][place]
    new = {**old, "last_name": draws.pick(("Solberg", "Nyhus", "Bergan", "Tveit"))}
    passengers = [new if number == place else dict(each) for number, each in enumerate(chosen["passengers"])]
    return Wish(
        "The name of a passenger is wrong.",
        {
            "reservation": _which(chosen),
            "passengers": f"{old['first_name']} {old['last_name']}, born {old['dob']}, should be "
            f"{new['first_name']} {new['last_name']}.",
        },
        [
            _look(chosen),
            (
                "update_reservation_passengers",
                {"reservation_id": chosen["reservation_id"], "passengers": passengers},
            ),
        ],
    )


def _add_bags(tables: Tables, user_id: str, user: Record, draws: DeskDraws) -> Wish | None:
    chosen = draws.pick(_own(tables, user))
    wanted = 1 + draws.below(5)
    free = _FREE_BAGS[user["membership"]][chosen["cabin"]] * len(chosen["passengers"])
    card = _card(user)
    return Wish(
        "I want to take bags on a trip.",
        {
            "reservation": _which(chosen),
            "bags": f"I have {wanted} bag{'s' if wanted > 1 else ''} to check in, in all.",
            "payment": f"If it costs something, I pay with {card}.",
        },
        [
            _look(chosen),
            (
                "update_reservation_baggages",
                {
                    "reservation_id": chosen["reservation_id"],
                    "total_baggages": wanted,
                    "nonfree_baggages": max(0, wanted - free),
                    "payment_id": card,
                },
            ),
        ],
    )


def _later_date(tables: Tables, user_id: str, user: Record, draws: DeskDraws) -> Wish | None:
    possible = [each for each in _own(tables, user) if each["cabin"] != "basic_economy"]
    if not possible:
        return None
    chosen = draws.pick(possible)
    flight = chosen["flights"][0]
    dates = tables["flights"][flight["flight_number"]]["dates"]
    later = [day for day in dates if day > flight["date"] and dates[day]["status"] == "available"]
    if not later:
        return None
    day, card = draws.pick(later), _card(user)
    return Wish(
        "I want to fly on another day.",
        {
            "reservation": _which(chosen),
            "date": f"I want the same flight on {day}.",
            "payment": f"Use {card} for the difference.",
        },
        [
            _look(chosen),
            ("search_direct_flight", {"origin": chosen["origin"], "destination": chosen["destination"], "date": day}),
            (
                "update_reservation_flights",
                {
                    "reservation_id": chosen["reservation_id"],
                    "cabin": chosen["cabin"],
                    "flights": [{"flight_number": flight["flight_number"], "date": day}],
                    "payment_id": card,
                },
            ),
        ],
    )


def _offers(tables: Tables, draws: DeskDraws) -> tuple[list[Record], str, str, str]:
    """The available flights of a route on a day, cheapest first in economy."""
    origin, destination = draws.sample(list(AIRPORTS), 2)
    day = f"2024-05-{17 + draws.below(13)}"
    found = [
        each
        for each in tables["flights"].values()
        if (each["origin"], each["destination"]) == (origin, destination)
        and each["dates"][day]["status"] == "available"
    ]
    return sorted(found, key=lambda each: int(each["dates"][day]["prices"]["economy"])), origin, destination, day


def _book(tables: Tables, user_id: str, user: Record, draws: DeskDraws) -> Wish | None:
    offers, origin, destination, day = _offers(tables, draws)
    prices = [each["dates"][day]["prices"]["economy"] for each in offers]
    if not offers or prices.count(prices[0]) > 1:
        return None
    card = _card(user)
    return Wish(
        "I would like to book a flight.",
        {
            "route": f"From {AIRPORTS[origin]} ({origin}) to {AIRPORTS[destination]} ({destination}), one way.",
            "date": f"On {day}. If there are several flights, the cheapest.",
            "cabin": "In economy.",
            "passengers": f"Only I travel, born {user['dob']}.",
            "bags": "I have no bags.",
            "insurance": "I want no insurance.",
            "payment": f"I pay with {card}.",
        },
        [
            ("search_direct_flight", {"origin": origin, "destination": destination, "date": day}),
            (
                "book_reservation",
                {
                    "user_id": user_id,
                    "origin": origin,
                    "destination": destination,
                    "flight_type": "one_way",
                    "cabin": "economy",
                    "flights": [{"flight_number": offers[0]["flight_number"], "date": day}],
                    "passengers": [{**user["name"], "dob": user["dob"]}],
                    "payment_methods": [{"payment_id": card, "amount": prices[0]}],
                    "total_baggages": 0,
                    "nonfree_baggages": 0,
                    "insurance": "no",
                },
            ),
        ],
    )


def _ask_price(tables: Tables, user_id: str, user: Record, draws: DeskDraws) -> Wish | None:
    offers, origin, destination, day = _offers(tables, draws)
    if not offers:
        return None
    return Wish(
        "What does the cheapest direct flight cost in economy?",
        {
            "route": f"From {AIRPORTS[origin]} ({origin}) to {AIRPORTS[destination]} ({destination}).",
            "date": f"On {day}.",
        },
        [("search_direct_flight", {"origin": origin, "destination": destination, "date": day})],
        (str(offers[0]["dates"][day]["prices"]["economy"]),),
    )


def _ask_cost(tables: Tables, user_id: str, user: Record, draws: DeskDraws) -> Wish | None:
    chosen = draws.pick(_own(tables, user))
    return Wish(
        "How much have I paid for a trip?",
        {"reservation": _which(chosen)},
        [_look(chosen)],
        (str(sum(payment["amount"] for payment in chosen["payment_history"])),),
    )


def _refuse_cancel(tables: Tables, user_id: str, user: Record, draws: DeskDraws) -> Wish | None:
    refused = [each for each in _own(tables, user) if each["cabin"] != "business" and each["insurance"] == "no"]
    if not refused:
        return None
    chosen = draws.pick(refused)
    return Wish(
        "I want to cancel a trip.",
        {"reservation": _which(chosen), "reason": "My plans have changed."},
        [_look(chosen)],
        ("insurance",),
        "If it cannot be cancelled, you want to hear why and do nothing else.",
    )


def _certificate(tables: Tables, user_id: str, user: Record, draws: DeskDraws) -> Wish | None:
    if user["membership"] == "regular":
        return None
    for chosen in _own(tables, user):
        flight = chosen["flights"][0]
        if tables["flights"][flight["flight_number"]]["dates"][flight["date"]]["status"] == "cancelled":
            amount = 100 * len(chosen["passengers"])
            return Wish(
                "Your airline has cancelled my flight, and I ask for a compensation.",
                {"reservation": _which(chosen), "date": f"The flight was to leave on {flight['date']}."},
                [_look(chosen), ("send_certificate", {"user_id": user_id, "amount": amount})],
            )
    return None


#: The kinds of tasks, the easiest first.
TRAVEL_KINDS: Mapping[str, Maker] = {
    "cancel_trip": _cancel_trip,
    "ask_cost": _ask_cost,
    "fix_name": _fix_name,
    "ask_price": _ask_price,
    "refuse_cancel": _refuse_cancel,
    "add_bags": _add_bags,
    "later_date": _later_date,
    "certificate": _certificate,
    "book": _book,
}
