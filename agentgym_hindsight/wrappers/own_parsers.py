"""Parsers of the user's own, named ``module:NAME``: how they are imported, checked, and how an action is written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.names import import_object

__all__ = ["import_parser", "own_format"]

#: An action that every parser should read back from a response in its format.
_PROBE = "look"


def import_parser(name: str) -> Callable[[str, str], Any]:
    """The function that ``module:NAME`` names. It takes the response and the name of the world."""
    found = import_object("parser", name)
    if not inspect.isroutine(found) and (isinstance(found, type) or not callable(found)):
        raise UsageError(
            f"Expected a function (response, world) -> ParsedAction as parser {name!r}, "
            f"got {found.__name__ if isinstance(found, type) else type(found).__name__}; try the name of a function."
        )
    try:
        inspect.signature(found).bind("", "")
    except ValueError:  # a function in C without a signature
        pass
    except TypeError as error:
        raise UsageError(
            f"Expected parser {name!r} to take the response and the name of the world, got a function for which this "
            f"fails: {error}; try def {name.rpartition(':')[2]}(response, world)."
        ) from error
    parser: Callable[[str, str], Any] = found

    def read(response: str, world: str) -> Any:
        try:
            return parser(response, world)
        except Exception as error:
            raise UsageError(
                f"Expected parser {name!r} to read every response, got {type(error).__name__}: {error}; "
                "try returning ParsedAction(…, valid=False, reason=…) for one that it cannot read."
            ) from error

    return read


def own_format(name: str, parse: Callable[[str], Any], formats: Iterable[Callable[[str], str]]) -> Callable[[str], str]:
    """The function that writes an action in the format of an own parser.

    It is the parser's attribute ``format_response``, or the first of the library's ``formats`` that the parser reads
    back unchanged.
    """
    written: Callable[[str], str] | None = getattr(import_object("parser", name), "format_response", None)
    if written is not None:
        return written
    for candidate in formats:
        parsed = parse(candidate(_PROBE))
        if parsed.valid and parsed.text == _PROBE:
            return candidate
    function = name.rpartition(":")[2]
    raise UsageError(
        f"Expected the parser {name!r} to define how an action is written, for expert play and scripted policies, "
        f"got no format that it reads; try {function}.format_response = lambda action: … beside the function."
    )
