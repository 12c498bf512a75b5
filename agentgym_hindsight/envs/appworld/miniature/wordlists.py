"""Word lists written as one string."""

from __future__ import annotations

__all__ = ["listed"]


def listed(text: str) -> tuple[str, ...]:
    """Split a text at its commas, or at its blanks if it has no comma.

    >>> listed("oats, olive oil,tea"), listed("oats tea")
    (('oats', 'olive oil', 'tea'), ('oats', 'tea'))
    """
    return tuple(part.strip() for part in (text.split(",") if "," in text else text.split()))
