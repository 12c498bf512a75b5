"""The functions of the embedded desks as schemas: the benchmark's names and parameters, described in our own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentgym_hindsight.envs.tau.desk import DOMAINS, parameters
from agentgym_hindsight.envs.tools.schemas import FunctionSchema

__all__ = ["embedded_schemas"]

_WHAT: Mapping[str, str] = {
    "book_reservation": "Book flights for passengers. The payments have to add up to the price.",
    "calculate": "Compute an expression of numbers, + - * / and parentheses.",
    "cancel_pending_order": "Cancel an order that is pending and refund it.",
    "cancel_reservation": "Cancel a whole reservation and refund it.",
    "exchange_delivered_order_items": "Exchange items of a delivered order for other variants of the same products.",
    "find_user_id_by_email": "Find the user id of an email address.",
    "find_user_id_by_name_zip": "Find the user id of a name and zip code.",
    "get_order_details": "Show an order.",
    "get_product_details": "Show a product with all its variants.",
    "get_reservation_details": "Show a reservation.",
    "get_user_details": "Show a customer with payment methods and orders or reservations.",
    "list_all_airports": "List the airports and their cities.",
    "list_all_product_types": "List the products and their ids.",
    "modify_pending_order_address": "Send a pending order to another address.",
    "modify_pending_order_items": "Change items of a pending order to other variants. Possible once for an order.",
    "modify_pending_order_payment": "Pay a pending order with another method of the customer.",
    "modify_user_address": "Change the address in a customer's profile.",
    "return_delivered_order_items": "Take back items of a delivered order.",
    "search_direct_flight": "Find the flights between two airports on a date.",
    "search_onestop_flight": "Find the connections with one stop between two airports on a date.",
    "send_certificate": "Give a customer a travel certificate.",
    "think": "Note a thought. It changes nothing.",
    "transfer_to_human_agents": "Hand the customer over to a person. This ends the conversation.",
    "update_reservation_baggages": "Change the numbers of bags of a reservation.",
    "update_reservation_flights": "Change the flights of a reservation. Name all flights, also those that stay.",
    "update_reservation_passengers": "Change the data of a reservation's passengers.",
}
_TEXT = {"type": "string"}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "reason": ("no longer needed", "ordered by mistake"),
    "flight_type": ("one_way", "round_trip"),
    "cabin": ("basic_economy", "economy", "business"),
    "insurance": ("yes", "no"),
}
_ROWS: Mapping[str, Mapping[str, str]] = {
    "flights": {"flight_number": "string", "date": "string"},
    "passengers": {"first_name": "string", "last_name": "string", "dob": "string"},
    "payment_methods": {"payment_id": "string", "amount": "number"},
}
_NUMBERS = {"amount": "number", "total_baggages": "integer", "nonfree_baggages": "integer"}


def embedded_schemas(domain: str) -> tuple[FunctionSchema, ...]:
    """The schemas of a domain's functions, in the order of their names."""
    return tuple(_schema(name, parameters(tool)) for name, tool in sorted(DOMAINS[domain].items()))


def _schema(name: str, names: tuple[str, ...]) -> FunctionSchema:
    properties = {each: _parameter(each) for each in names}
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": _WHAT[name],
            "parameters": {"type": "object", "properties": properties, "required": list(names)},
        },
    }


def _parameter(name: str) -> dict[str, Any]:
    if name in _CHOICES:
        return {**_TEXT, "enum": list(_CHOICES[name])}
    if name in _ROWS:
        inner = {each: {"type": kind} for each, kind in _ROWS[name].items()}
        return {"type": "array", "items": {"type": "object", "properties": inner, "required": list(inner)}}
    if name in ("item_ids", "new_item_ids"):
        return {"type": "array", "items": dict(_TEXT)}
    return {"type": _NUMBERS.get(name, "string")}
