"""Arithmetic. The functions have no state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentgym_hindsight.envs.bfcl.embedded.functions import MOST_NUMBER, Api, RefusedError
from agentgym_hindsight.envs.bfcl.embedded.records import Records

__all__ = ["SUMS", "UNITS", "plain_number"]

SUMS = Api("Sums")
#: The size of each unit in the base unit of its quantity.
UNITS: Mapping[str, tuple[str, float]] = {
    "km": ("length", 1000.0),
    "m": ("length", 1.0),
    "cm": ("length", 0.01),
    "mile": ("length", 1609.344),
    "foot": ("length", 0.3048),
    "kg": ("weight", 1.0),
    "g": ("weight", 0.001),
    "pound": ("weight", 0.45359237),
    "ounce": ("weight", 0.028349523125),
    "l": ("volume", 1.0),
    "ml": ("volume", 0.001),
    "pint": ("volume", 0.56826125),
}
_NUMBERS = "The numbers"


def plain_number(value: float) -> int | float:
    """The number with at most 6 decimal places, whole if it is whole.

    >>> plain_number(3.0), plain_number(1 / 3)
    (3, 0.333333)
    """
    if abs(value) > MOST_NUMBER:
        raise RefusedError(f"the result is larger than {MOST_NUMBER:g}")
    value = round(value, 6)
    return int(value) if value.is_integer() else value


def _some(numbers: list[float]) -> list[float]:
    if not numbers:
        raise RefusedError("numbers is empty")
    return numbers


@SUMS.function("Add numbers.", numbers=_NUMBERS)
def add_numbers(records: Records, numbers: list[float]) -> dict[str, Any]:
    return {"sum": plain_number(sum(_some(numbers)))}


@SUMS.function("Multiply two numbers.", first="A number", second="Another number")
def multiply_numbers(records: Records, first: float, second: float) -> dict[str, Any]:
    return {"product": plain_number(first * second)}


@SUMS.function("Subtract one number from another.", start="The number to begin with", taken="The number to take away")
def subtract_number(records: Records, start: float, taken: float) -> dict[str, Any]:
    return {"difference": plain_number(start - taken)}


@SUMS.function("Divide one number by another.", total="The number to divide", parts="The number to divide by")
def divide_number(records: Records, total: float, parts: float) -> dict[str, Any]:
    if not parts or abs(total) > abs(parts) * MOST_NUMBER:
        raise RefusedError(f"{total:g} cannot be divided by {parts:g}")
    return {"quotient": plain_number(total / parts)}


@SUMS.function("The mean of numbers.", numbers=_NUMBERS)
def mean_of(records: Records, numbers: list[float]) -> dict[str, Any]:
    return {"mean": plain_number(sum(_some(numbers)) / len(numbers))}


@SUMS.function("The median of numbers.", numbers=_NUMBERS)
def median_of(records: Records, numbers: list[float]) -> dict[str, Any]:
    ordered, middle = sorted(_some(numbers)), len(numbers) // 2
    return {"median": plain_number((ordered[middle] + ordered[-1 - middle]) / 2)}


@SUMS.function("The smallest and the largest of numbers.", numbers=_NUMBERS)
def range_of(records: Records, numbers: list[float]) -> dict[str, Any]:
    return {"smallest": plain_number(min(_some(numbers))), "largest": plain_number(max(numbers))}


@SUMS.function("A percentage of a number.", percent="How many percent", number="Of which number")
def percent_of(records: Records, percent: float, number: float) -> dict[str, Any]:
    return {"part": plain_number(percent * number / 100)}


@SUMS.function(
    "Convert a value to another unit of the same quantity.",
    {"unit": tuple(UNITS), "to": tuple(UNITS)},
    value="The value",
    unit="Its unit",
    to="The other unit",
)
def convert_unit(records: Records, value: float, unit: str, to: str) -> dict[str, Any]:
    (quantity, size), (other, other_size) = UNITS[unit], UNITS[to]
    if quantity != other:
        raise RefusedError(f"{unit} is a unit of {quantity} and {to} is a unit of {other}")
    return {"value": plain_number(value * size / other_size), "unit": to}
