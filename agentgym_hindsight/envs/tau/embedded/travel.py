"""The records of the embedded airline: flights with dates, people, and their reservations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentgym_hindsight.envs.tau.embedded.people import DeskDraws, make_people

__all__ = ["AIRPORTS", "PEOPLE", "make_travel"]

Record = dict[str, Any]
PEOPLE = 240

#: Invented airports.
AIRPORTS: Mapping[str, str] = {
    "NVL": "Norvale",
    "EST": "Estmere",
    "SUD": "Sudholm",
    "WRD": "Westrand",
    "MFJ": "Midfjord",
    "ALB": "Altburg",
    "HVN": "Havnes",
    "KBY": "Kolding Bay",
}
_TODAY = 15  # of May 2024, the month of the benchmark's tools
_CABINS = ("basic_economy", "economy", "business")


def make_travel(seed: int) -> dict[str, dict[str, Record]]:
    """The tables of the airline. Every person has two or three reservations of flights to come."""
    flights = _flights(seed)
    users = make_people("airline", seed, PEOPLE)
    reservations: dict[str, Record] = {}
    for number, (user_id, user) in enumerate(users.items()):
        draws = DeskDraws("travel", seed, number)
        user["dob"] = _birth(draws)
        user["payment_methods"] = _payment_methods(draws)
        user["saved_passengers"] = []
        user["membership"] = draws.pick(("regular", "regular", "silver", "gold"))
        user["reservations"] = []
        cabins = ["basic_economy", draws.pick(("economy", "business")), draws.pick(_CABINS)]
        for cabin in cabins[: 2 + draws.below(2)]:
            made = _reservation(draws, flights, user_id, user, cabin, reservations)
            reservations[made["reservation_id"]] = made
            user["reservations"].append(made["reservation_id"])
    return {"flights": flights, "reservations": reservations, "users": users}


def _birth(draws: DeskDraws) -> str:
    return f"{1950 + draws.below(55)}-{1 + draws.below(12):02d}-{1 + draws.below(28):02d}"


def _flights(seed: int) -> dict[str, Record]:
    """One or two flights a day for each pair of airports."""
    draws = DeskDraws("flights", seed)
    flights: dict[str, Record] = {}
    for origin in AIRPORTS:
        for destination in AIRPORTS:
            if origin == destination:
                continue
            for part in range(1 + draws.chance(0.3)):
                number = f"NL{len(flights) + 101}"
                leaves = 6 + 8 * part + draws.below(7)
                flights[number] = {
                    "flight_number": number,
                    "origin": origin,
                    "destination": destination,
                    "scheduled_departure_time_est": f"{leaves:02d}:{15 * draws.below(4):02d}:00",
                    "scheduled_arrival_time_est": f"{leaves + 1 + draws.below(2):02d}:{15 * draws.below(4):02d}:00",
                    "dates": {f"2024-05-{day:02d}": _day(draws, day) for day in range(10, 31)},
                }
    return flights


def _day(draws: DeskDraws, day: int) -> Record:
    if day < _TODAY:
        return {"status": "landed"}
    if draws.chance(0.06):
        return {"status": "cancelled"}
    base = 60 + draws.below(120)
    return {
        "status": "available",
        "available_seats": {cabin: 4 + draws.below(16) for cabin in _CABINS},
        "prices": {
            "basic_economy": base,
            "economy": base + 30 + draws.below(60),
            "business": 2 * base + draws.below(200),
        },
    }


def _payment_methods(draws: DeskDraws) -> dict[str, Record]:
    methods: dict[str, Record] = {}
    for kind in ["credit_card", *draws.sample(["gift_card", "certificate"], draws.below(3))]:
        name = f"{kind}_{draws.digits(7)}"
        methods[name] = {"source": kind, "id": name}
        if kind == "credit_card":
            methods[name] |= {"brand": draws.pick(("nordcard", "fjordpay")), "last_four": draws.digits(4)}
        else:
            methods[name]["amount"] = 50 * (1 + draws.below(8))
    return methods


def _reservation(
    draws: DeskDraws,
    flights: Mapping[str, Record],
    user_id: str,
    user: Record,
    cabin: str,
    known: Mapping[str, Record],
) -> Record:
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    name = ""
    while not name or name in known:
        name = "".join(draws.pick(letters) for _ in range(3)) + draws.digits(3)
    flight = draws.pick(list(flights.values()))
    days = [f"2024-05-{day}" for day in range(_TODAY + 2, 30)]
    cancelled = [day for day in days if flight["dates"][day]["status"] == "cancelled"]
    available = [day for day in days if flight["dates"][day]["status"] == "available"]
    day = draws.pick(cancelled if cancelled and draws.chance(0.5) else available)
    price = flight["dates"][day].get("prices", {}).get(cabin, 90 + draws.below(100))
    passengers = [{**user["name"], "dob": user["dob"]}]
    for _ in range(draws.below(3)):
        first = draws.pick(("Arne", "Berit", "Carl", "Dina", "Emil", "Freja"))
        passengers.append({"first_name": first, "last_name": user["name"]["last_name"], "dob": _birth(draws)})
    insurance = draws.pick(("yes", "no"))
    total = (price + 30 * (insurance == "yes")) * len(passengers)
    return {
        "reservation_id": name,
        "user_id": user_id,
        "origin": flight["origin"],
        "destination": flight["destination"],
        "flight_type": "one_way",
        "cabin": cabin,
        "flights": [
            {
                "origin": flight["origin"],
                "destination": flight["destination"],
                "flight_number": flight["flight_number"],
                "date": day,
                "price": price,
            }
        ],
        "passengers": passengers,
        "payment_history": [{"payment_id": next(iter(user["payment_methods"])), "amount": total}],
        "created_at": f"2024-05-{1 + draws.below(12):02d}T{10 + draws.below(10)}:00:00",
        "total_baggages": 0,
        "nonfree_baggages": 0,
        "insurance": insurance,
    }
