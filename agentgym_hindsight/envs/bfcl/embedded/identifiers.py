"""Ids of new records. They depend on the content, so the order in which records are made does not matter."""

from __future__ import annotations

from collections.abc import Container

from agentgym_hindsight.tasks import seeded_int

__all__ = ["new_id"]


def new_id(prefix: str, taken: Container[str], *content: object) -> str:
    """An id that is not taken.

    >>> first = new_id("EV", (), "Lunch", "2027-03-08")
    >>> first == new_id("EV", (), "Lunch", "2027-03-08") != new_id("EV", (first,), "Lunch", "2027-03-08")
    True
    """
    number = seeded_int(prefix, *content) % 9000
    while f"{prefix}{1000 + number}" in taken:
        number = (number + 1) % 9000
    return f"{prefix}{1000 + number}"
