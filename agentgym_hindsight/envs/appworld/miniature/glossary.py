"""Default descriptions of API parameters, for APIs that do not describe a parameter themselves."""

from __future__ import annotations

__all__ = ["meaning"]

_MEANINGS = {
    "address": "where they live",
    "amount": "how much, in dollars",
    "birthday": "their birthday",
    "body": "the text",
    "city": "the city",
    "content": "the text",
    "day": "which day",
    "days": "weekdays on which it rings",
    "description": "what it is about",
    "email": "the person's email address",
    "enabled": "whether it is switched on",
    "ends_at": "when it ends",
    "expires_on": "the last day on which it is valid",
    "folder": "the folder",
    "genre": "the genre; see show_genres",
    "label": "the label",
    "location": "where it is",
    "max_amount": "only of this amount or less",
    "max_price": "only at this price or less",
    "min_amount": "only of this amount or more",
    "min_price": "only at this price or more",
    "min_rating": "only with this rating or better",
    "name": "the name",
    "note": "what it is for",
    "number": "the card's number",
    "path": "the path",
    "phone_number": "the phone number",
    "pinned": "whether it is pinned to the top",
    "postcode": "the postcode",
    "private": "whether it is hidden from friends' feeds",
    "public": "whether others can see it",
    "quantity": "how many",
    "query": "words that must all occur",
    "rating": "stars; 5 is best",
    "reason": "why",
    "recipients": "email addresses",
    "relationships": "what they are to you, such as friend",
    "reminder_minutes": "how many minutes before it you are reminded",
    "starts_at": "when it begins",
    "street": "house number and street",
    "subject": "the subject",
    "tag": "the tag",
    "tags": "its tags",
    "text": "the text",
    "time": "time of day",
    "title": "the title",
    "volume": "how loud; 0 is silent",
}


def meaning(name: str) -> str:
    """Return the default description of a parameter name, or "" if there is none.

    >>> meaning("order_id"), meaning("subject")
    ('id of the order', 'the subject')
    """
    if name.endswith("_id"):
        return f"id of the {name[:-3]}"
    return _MEANINGS.get(name, "")
