"""Word lists, written as one reads them."""

from __future__ import annotations

__all__ = ["listed"]


def listed(text: str) -> tuple[str, ...]:
    """Parts of a text: between commas where it has any, else between blanks.

    >>> listed("oats, olive oil,tea"), listed("oats tea")
    (('oats', 'olive oil', 'tea'), ('oats', 'tea'))
    """
    return tuple(part.strip() for part in (text.split(",") if "," in text else text.split()))
