"""The topics of facts, and the words of questions about them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PROOF", "TOPICS"]

#: Words of a question for each topic of a fact, in the order in which facts are told.
TOPICS: Mapping[str, tuple[str, ...]] = {
    "user_id": ("user id", "customer id", "member id", "username"),
    "email": ("email", "e-mail"),
    "name": ("your name", "full name", "first name", "last name", "who am i speaking", "identity", "and name"),
    "zip": ("zip", "postal"),
    "order": ("order",),
    "reservation": ("reservation", "booking", "confirmation number"),
    "reason": ("reason", "why"),
    "item": ("item", "product", "variant", "option"),
    "address": ("address", "ship", "where"),
    "payment": ("payment", "refund", "pay", "card", "method"),
    "route": ("origin", "destination", "route", "airport", "from where", "fly"),
    "date": ("date", "day", "when"),
    "cabin": ("cabin", "class"),
    "passengers": ("passenger", "travel"),
    "bags": ("bag", "luggage", "suitcase"),
    "insurance": ("insurance",),
}
#: Topics of facts that prove who the user is.
PROOF = ("user_id", "email", "name", "zip")
