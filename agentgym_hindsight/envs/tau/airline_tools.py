"""The airline's 14 tools, by the benchmark's documented behaviour. Each takes the database and the bound arguments."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from agentgym_hindsight.envs.tau.common_tools import COMMON_TOOLS, ToolFunction, credit, details
from agentgym_hindsight.envs.tau.store import Database, Record

__all__ = ["AIRLINE_TOOLS", "AIRPORTS"]

_NEW_RESERVATIONS = ("HATHAT", "HATHAU", "HATHAV")
_NEW_CERTIFICATES = ("certificate_3221322", "certificate_3221323", "certificate_3221324")
_NOW = "2024-05-15T15:00:00"
_MOST_PAYMENTS = 1_000
_BAG_PRICE, _INSURANCE_PRICE = 50, 30


def get_reservation_details(database: Database, reservation_id: Any) -> str:
    return details(database, "reservations", reservation_id, "user not found")


def get_user_details(database: Database, user_id: Any) -> str:
    return details(database, "users", user_id, "user not found")


def list_all_airports(database: Database) -> str:
    return json.dumps(database.initial.derived.get("airports", AIRPORTS))


def search_direct_flight(database: Database, origin: Any, destination: Any, date: Any) -> str:
    found = [
        _on_date(flight, flight["dates"][date])
        for flight in _from(database, origin)
        if flight["destination"] == destination and _available(flight, date)
    ]
    return json.dumps(found)


def search_onestop_flight(database: Database, origin: Any, destination: Any, date: Any) -> str:
    found = []
    for first in _from(database, origin):
        for second in _from(database, first["destination"]):
            if second["destination"] != destination:
                continue
            next_date = date
            if "+1" in first["scheduled_arrival_time_est"]:
                next_date = f"2024-05-{int(date[-2:]) + 1}"
            if first["scheduled_arrival_time_est"] > second["scheduled_departure_time_est"]:
                continue
            if date not in first["dates"] or next_date not in second["dates"]:
                continue
            if not (_available(first, date) and _available(second, next_date)):
                continue
            # The seats and prices of the second flight are those of the first day, whatever day it leaves.
            legs = _on_date(first, first["dates"][date]), _on_date(second, second["dates"][date])
            legs[0]["date"], legs[1]["date"] = date, next_date
            found.append(list(legs))
    return json.dumps(found)


def _from(database: Database, origin: Any) -> list[Record]:
    """The flights from an airport, in the order of the data."""
    index = database.initial.derived.get("origins")
    if index is None:
        index = database.initial.derived["origins"] = {}
        for flight in database.initial.tables["flights"].values():
            index.setdefault(flight["origin"], []).append(flight["flight_number"])
    if not isinstance(origin, str):
        return []
    return [database["flights"][number] for number in index.get(origin, ())]


def _available(flight: Record, date: Any) -> bool:
    return date in flight["dates"] and flight["dates"][date]["status"] == "available"


def _on_date(flight: Record, day: Record) -> Record:
    return {**{name: value for name, value in flight.items() if name != "dates"}, **day}


def book_reservation(
    database: Database,
    user_id: Any,
    origin: Any,
    destination: Any,
    flight_type: Any,
    cabin: Any,
    flights: Any,
    passengers: Any,
    payment_methods: Any,
    total_baggages: Any,
    nonfree_baggages: Any,
    insurance: Any,
) -> str:
    if user_id not in database["users"]:
        return "Error: user not found"
    user = database["users"][user_id]
    names = database["reservations"]
    reservation_id = next((name for name in _NEW_RESERVATIONS[:-1] if name not in names), _NEW_RESERVATIONS[-1])
    reservation = {
        "reservation_id": reservation_id,
        "user_id": user_id,
        "origin": origin,
        "destination": destination,
        "flight_type": flight_type,
        "cabin": cabin,
        "flights": copy.deepcopy(flights),
        "passengers": passengers,
        "payment_history": payment_methods,
        "created_at": _NOW,
        "total_baggages": total_baggages,
        "nonfree_baggages": nonfree_baggages,
        "insurance": insurance,
    }
    total: Any = 0
    for flight in reservation["flights"]:
        priced = _price(database, flight, cabin, passengers)
        if isinstance(priced, str):
            return priced
        total += flight["price"] * len(passengers)
    if insurance == "yes":
        total += _INSURANCE_PRICE * len(passengers)
    total += _BAG_PRICE * nonfree_baggages
    for payment in payment_methods:
        payment_id, amount = payment["payment_id"], payment["amount"]
        if payment_id not in user["payment_methods"]:
            return f"Error: payment method {payment_id} not found"
        method = user["payment_methods"][payment_id]
        if method["source"] in ("gift_card", "certificate") and method["amount"] < amount:
            return f"Error: not enough balance in payment method {payment_id}"
    paid = sum(payment["amount"] for payment in payment_methods)
    if paid != total:
        return f"Error: payment amount does not add up, total price is {total}, but paid {paid}"
    user = database["users"].edit(user_id)
    for payment in payment_methods:
        payment_id = payment["payment_id"]
        source = user["payment_methods"][payment_id]["source"]
        if source == "gift_card":
            credit(user, payment_id, "amount", -payment["amount"])
        elif source == "certificate":
            user["payment_methods"].pop(payment_id)
    names.insert(reservation_id, reservation)
    user["reservations"].append(reservation_id)
    return json.dumps(reservation)


def _price(database: Database, flight: Any, cabin: Any, passengers: Any) -> str | None:
    """Write the price and the airports into the flight of a reservation, or return the error."""
    number = flight["flight_number"]
    if number not in database["flights"]:
        return f"Error: flight {number} not found"
    known = database["flights"][number]
    if flight["date"] not in known["dates"]:
        return f"Error: flight {number} not found on date {flight['date']}"
    day = known["dates"][flight["date"]]
    if day["status"] != "available":
        return f"Error: flight {number} not available on date {flight['date']}"
    if day["available_seats"][cabin] < len(passengers):
        return f"Error: not enough seats on flight {number}"
    flight["price"] = day["prices"][cabin]
    flight["origin"], flight["destination"] = known["origin"], known["destination"]
    return None


def cancel_reservation(database: Database, reservation_id: Any) -> str:
    if reservation_id not in database["reservations"]:
        return "Error: reservation not found"
    if len(database["reservations"][reservation_id]["payment_history"]) > _MOST_PAYMENTS:
        return "Error: the payment history is too long"  # every further cancellation would double it
    reservation = database["reservations"].edit(reservation_id)
    refunds = [
        {"payment_id": payment["payment_id"], "amount": -payment["amount"]}
        for payment in reservation["payment_history"]
    ]
    reservation["payment_history"].extend(refunds)
    reservation["status"] = "cancelled"
    return json.dumps(reservation)


def send_certificate(database: Database, user_id: Any, amount: Any) -> str | None:
    if user_id not in database["users"]:
        return "Error: user not found"
    known = database["users"][user_id]["payment_methods"]
    name = next((name for name in _NEW_CERTIFICATES if name not in known), None)
    if name is None:
        return None
    methods = database["users"].edit(user_id)["payment_methods"]
    methods[name] = {"source": "certificate", "amount": amount, "id": name}
    return f"Certificate {name} added to user {user_id} with amount {amount}."


def update_reservation_baggages(
    database: Database, reservation_id: Any, total_baggages: Any, nonfree_baggages: Any, payment_id: Any
) -> str:
    if reservation_id not in database["reservations"]:
        return "Error: reservation not found"
    reservation = database["reservations"][reservation_id]
    price = _BAG_PRICE * max(0, nonfree_baggages - reservation["nonfree_baggages"])
    refused = _refused_payment(database, reservation, payment_id, price)
    if refused:
        return refused
    reservation = database["reservations"].edit(reservation_id)
    reservation["total_baggages"] = total_baggages
    reservation["nonfree_baggages"] = nonfree_baggages
    _pay(database, reservation, payment_id, price)
    return json.dumps(reservation)


def update_reservation_flights(
    database: Database, reservation_id: Any, cabin: Any, flights: Any, payment_id: Any
) -> str:
    if reservation_id not in database["reservations"]:
        return "Error: reservation not found"
    reservation = database["reservations"][reservation_id]
    passengers = reservation["passengers"]
    flights = copy.deepcopy(flights)
    price: Any = 0
    for flight in flights:
        kept = [
            each
            for each in reservation["flights"]
            if each["flight_number"] == flight["flight_number"]
            and each["date"] == flight["date"]
            and cabin == reservation["cabin"]
        ]
        if kept:
            flight["price"] = kept[0]["price"]
            flight["origin"], flight["destination"] = kept[0]["origin"], kept[0]["destination"]
        else:
            refused = _price(database, flight, cabin, passengers)
            if refused:
                return refused
        price += flight["price"] * len(passengers)
    price -= sum(flight["price"] for flight in reservation["flights"]) * len(passengers)
    refused = _refused_payment(database, reservation, payment_id, price)
    if refused:
        return refused
    reservation = database["reservations"].edit(reservation_id)
    reservation["flights"] = flights  # the benchmark prices the new cabin and does not note it
    _pay(database, reservation, payment_id, price)
    return json.dumps(reservation)


def _refused_payment(database: Database, reservation: Record, payment_id: Any, price: Any) -> str | None:
    methods = database["users"][reservation["user_id"]]["payment_methods"]
    if payment_id not in methods:
        return "Error: payment method not found"
    method = methods[payment_id]
    if method["source"] == "certificate":
        return "Error: certificate cannot be used to update reservation"
    if method["source"] == "gift_card" and method["amount"] < price:
        return "Error: gift card balance is not enough"
    return None


def _pay(database: Database, reservation: Record, payment_id: Any, price: Any) -> None:
    if price == 0:
        return
    reservation["payment_history"].append({"payment_id": payment_id, "amount": price})
    user = database["users"].edit(reservation["user_id"])
    if user["payment_methods"][payment_id]["source"] == "gift_card":
        credit(user, payment_id, "amount", -price)


def update_reservation_passengers(database: Database, reservation_id: Any, passengers: Any) -> str:
    if reservation_id not in database["reservations"]:
        return "Error: reservation not found"
    if len(passengers) != len(database["reservations"][reservation_id]["passengers"]):
        return "Error: number of passengers does not match"
    reservation = database["reservations"].edit(reservation_id)
    reservation["passengers"] = passengers
    return json.dumps(reservation)


#: The airports that the benchmark lists, and their cities.
AIRPORTS: Mapping[str, str] = {
    "SFO": "San Francisco",
    "JFK": "New York",
    "LAX": "Los Angeles",
    "ORD": "Chicago",
    "DFW": "Dallas",
    "DEN": "Denver",
    "SEA": "Seattle",
    "ATL": "Atlanta",
    "MIA": "Miami",
    "BOS": "Boston",
    "PHX": "Phoenix",
    "IAH": "Houston",
    "LAS": "Las Vegas",
    "MCO": "Orlando",
    "EWR": "Newark",
    "CLT": "Charlotte",
    "MSP": "Minneapolis",
    "DTW": "Detroit",
    "PHL": "Philadelphia",
    "LGA": "LaGuardia",
}

AIRLINE_TOOLS: Mapping[str, ToolFunction] = {
    **COMMON_TOOLS,
    "book_reservation": book_reservation,
    "cancel_reservation": cancel_reservation,
    "get_reservation_details": get_reservation_details,
    "get_user_details": get_user_details,
    "list_all_airports": list_all_airports,
    "search_direct_flight": search_direct_flight,
    "search_onestop_flight": search_onestop_flight,
    "send_certificate": send_certificate,
    "update_reservation_baggages": update_reservation_baggages,
    "update_reservation_flights": update_reservation_flights,
    "update_reservation_passengers": update_reservation_passengers,
}
