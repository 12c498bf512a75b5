"""The benchmark's hash of a database, computed from cached pieces.

A value is converted recursively: a mapping becomes a tuple of (key, value) pairs sorted by the pair, a list a tuple.
The hash is the sha256 of Python's text of the result. The text of a mapping is the joined text of its pairs, so only
the records that changed have to be converted again.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

__all__ = ["canonical_text", "hash_of_text", "join_pairs", "join_rows"]


def canonical_text(value: Any) -> str:
    """The text of a converted value.

    >>> canonical_text({"b": [1, 2.0], "a": None})
    "(('a', None), ('b', (1, 2.0)))"
    >>> canonical_text([True])
    '(True,)'
    """
    return repr(_converted(value))


def _converted(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(sorted((key, _converted(inner)) for key, inner in value.items()))
    if isinstance(value, list):
        return tuple(map(_converted, value))
    return value


def join_pairs(pairs: list[tuple[str, str]]) -> str:
    """The text of a mapping, from its keys in order and the texts of its values.

    >>> join_pairs([("a", "1")]), join_pairs([])
    ("(('a', 1),)", '()')
    """
    return join_rows([f"({key!r}, {text})" for key, text in pairs])


def join_rows(rows: list[str]) -> str:
    """The text of a tuple, from the texts of its elements."""
    return f"({rows[0]},)" if len(rows) == 1 else f"({', '.join(rows)})"


def hash_of_text(text: str) -> str:
    """The hash of a converted value's text, in hexadecimal digits."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
