"""Functions as schemas: lists of names and signatures for prompts, from the JSON that chat templates take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["FunctionSchema", "function_names", "parameters_of", "signatures"]

#: ``{"type": "function", "function": {"name": …, "description": …, "parameters": {…}}}``.
FunctionSchema = Mapping[str, Any]


def function_names(schemas: Iterable[FunctionSchema]) -> tuple[str, ...]:
    """The names of the functions, in order.

    >>> function_names([{"type": "function", "function": {"name": "look"}}])
    ('look',)
    """
    return tuple(str(schema["function"]["name"]) for schema in schemas)


def parameters_of(schema: FunctionSchema) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All parameters of a function, and those that are required."""
    declared = schema["function"].get("parameters", {})
    return tuple(declared.get("properties", {})), tuple(declared.get("required", ()))


def signatures(schemas: Iterable[FunctionSchema]) -> str:
    """One line a function: its signature and what it does.

    >>> print(signatures([{"function": {"name": "look", "description": "See an object.", "parameters": {
    ...     "properties": {"at": {"type": "string"}, "n": {"type": "integer"}}, "required": ["at"]}}}]))
    look(at: string, n: integer = …): See an object.
    """
    return "\n".join(map(_signature, schemas))


def _signature(schema: FunctionSchema) -> str:
    function = schema["function"]
    properties = function.get("parameters", {}).get("properties", {})
    _, required = parameters_of(schema)
    shown = ", ".join(f"{name}: {_kind(each)}{'' if name in required else ' = …'}" for name, each in properties.items())
    return f"{function['name']}({shown}): {function.get('description', '')}".rstrip(": ")


def _kind(declared: Mapping[str, Any]) -> str:
    if "enum" in declared:
        return " | ".join(repr(value) for value in declared["enum"])
    kind = str(declared.get("type", "any"))
    if kind != "array":
        return kind
    item = declared.get("items", {})
    inner = item.get("properties")
    return f"array of {{{', '.join(inner)}}}" if inner else f"array of {item.get('type', 'any')}"
