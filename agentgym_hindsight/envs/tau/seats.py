"""Seats under strict rules: a booking takes them and a change of flights returns them. The benchmark never counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from agentgym_hindsight.envs.tau.common_tools import ToolFunction
from agentgym_hindsight.envs.tau.store import Database, Record

__all__ = ["SEAT_TOOLS", "update_seats"]

#: The tools that change who sits where.
SEAT_TOOLS = frozenset({"book_reservation", "update_reservation_flights", "cancel_reservation"})


def update_seats(database: Database, tool: ToolFunction, values: Sequence[Any]) -> str | None:
    """Run one of :data:`SEAT_TOOLS` and count the seats. A reservation that is cancelled stays so."""
    reservations = database["reservations"]
    before = {key: record for key, record in _taken(database, values).items() if record.get("status") != "cancelled"}
    if tool.__name__ == "cancel_reservation" and values[0] in reservations and not before:
        return "Error: reservation is already cancelled"
    old_seats = {key: _seats(record) for key, record in before.items()}
    text = tool(database, *values)
    if text is None or text.startswith("Error: "):
        return text
    key = json.loads(text)["reservation_id"]
    for flight, cabin, count in old_seats.get(key, ()):
        _add(database, flight, cabin, count)
    record = reservations[key]
    if record.get("status") != "cancelled":
        for flight, cabin, count in _seats(record):
            _add(database, flight, cabin, -count)
    return text


def _taken(database: Database, values: Sequence[Any]) -> dict[str, Record]:
    """The reservation that the call names first, if there is one. A booking names a user there."""
    key = values[0]
    return {key: database["reservations"][key]} if isinstance(key, str) and key in database["reservations"] else {}


def _seats(reservation: Record) -> list[tuple[tuple[str, str], str, int]]:
    count = len(reservation["passengers"])
    return [
        ((flight["flight_number"], flight["date"]), reservation["cabin"], count) for flight in reservation["flights"]
    ]


def _add(database: Database, flight: tuple[str, str], cabin: str, count: int) -> None:
    number, date = flight
    day = database["flights"].edit(number)["dates"].get(date, {})
    if "available_seats" in day and cabin in day["available_seats"]:
        day["available_seats"][cabin] += count
