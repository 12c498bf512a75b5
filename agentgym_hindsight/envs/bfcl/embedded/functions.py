"""Functions of an API: declared with their schemas, called with checked arguments."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentgym_hindsight.envs.bfcl.embedded.records import Records
from agentgym_hindsight.envs.bfcl.world import CallResult
from agentgym_hindsight.envs.tools import ToolCall
from agentgym_hindsight.envs.tools.schemas import FunctionSchema
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.short_repr import short_repr

__all__ = ["Api", "ApiFunction", "RefusedError", "call_function"]

#: Characters of a result, and of a text in an argument.
MOST_RESULT, MOST_TEXT = 12_000, 2_000
#: Items of a list in an argument, and the largest number.
MOST_ITEMS, MOST_NUMBER = 200, 1e12

_KINDS: Mapping[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "list[str]": {"type": "array", "items": {"type": "string"}},
    "list[float]": {"type": "array", "items": {"type": "number"}},
}
_WORDS = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false"}


class RefusedError(Exception):
    """A function cannot do what it was called for. The message is for the agent.

    ``reason`` has facts that explain the refusal and that the agent does not see.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class ApiFunction:
    """A function: how it is called, and its schema."""

    run: Callable[..., dict[str, Any]]
    schema: FunctionSchema
    kinds: Mapping[str, str]  # the kind of each parameter, in order
    required: tuple[str, ...]
    choices: Mapping[str, tuple[str, ...]]


@dataclass
class Api:
    """A set of functions over some tables of the state."""

    name: str
    functions: dict[str, ApiFunction] = field(default_factory=dict)

    def function(
        self, description: str, choices: Mapping[str, tuple[str, ...]] | None = None, /, **parameters: str
    ) -> Callable[[Callable[..., dict[str, Any]]], Callable[..., dict[str, Any]]]:
        """Declare a function. Its first parameter is the state; the others are described by ``parameters``."""

        def declare(run: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
            declared = list(inspect.signature(run).parameters.values())[1:]
            kinds = {each.name: str(each.annotation) for each in declared}
            required = tuple(each.name for each in declared if each.default is inspect.Parameter.empty)
            properties = {
                name: {
                    **_KINDS[kind],
                    **({"enum": list(choices[name])} if choices and name in choices else {}),
                    "description": parameters[name],
                }
                for name, kind in kinds.items()
            }
            schema = {
                "type": "function",
                "function": {
                    "name": run.__name__,
                    "description": description,
                    "parameters": {"type": "object", "properties": properties, "required": list(required)},
                },
            }
            self.functions[run.__name__] = ApiFunction(run, schema, kinds, required, dict(choices or {}))
            return run

        return declare


def call_function(records: Records, functions: Mapping[str, ApiFunction], call: ToolCall) -> CallResult:
    """Call a function by name. Every call has a result; errors are results with the key ``error``."""
    function = functions.get(call.name)
    if function is None:
        name = short_repr(printable_line(call.name, 60), 70)
        return _failed(f"there is no function {name}", f"The functions are: {', '.join(functions)}.")
    try:
        arguments = _bound(call, function)
        result = function.run(records, **arguments)
    except RefusedError as error:
        return _failed(str(error), error.reason)
    text = json.dumps(result, ensure_ascii=False)
    if len(text) > MOST_RESULT:
        return _failed(f"the result has {len(text)} characters and {MOST_RESULT} can be shown; ask for less")
    return CallResult(text)


def _failed(message: str, reason: str = "") -> CallResult:
    return CallResult(json.dumps({"error": message}, ensure_ascii=False), message, reason)


def _bound(call: ToolCall, function: ApiFunction) -> dict[str, Any]:
    names = list(function.kinds)
    if len(call.positional) > len(names):
        raise RefusedError(f"{call.name} takes {len(names)} arguments, got {len(call.positional)}")
    given = dict(zip(names, call.positional, strict=False))
    for name, value in call.arguments.items():
        if name not in function.kinds:
            raise RefusedError(
                f"{call.name} has no parameter {short_repr(printable_line(name, 40), 50)}; "
                f"it has {', '.join(names) or 'none'}"
            )
        if name in given:
            raise RefusedError(f"{call.name} got {name} twice")
        given[name] = value
    missing = [name for name in function.required if name not in given]
    if missing:
        raise RefusedError(f"{call.name} needs {' and '.join(missing)}")
    return {name: _checked(name, value, function) for name, value in given.items()}


def _checked(name: str, value: Any, function: ApiFunction) -> Any:
    kind = function.kinds[name]
    if kind.startswith("list["):
        if not isinstance(value, list) or len(value) > MOST_ITEMS:
            raise RefusedError(f"{name} has to be a list of at most {MOST_ITEMS} items, got {short_repr(value, 60)}")
        return [_single(f"each of {name}", item, kind[5:-1]) for item in value]
    value = _single(name, value, kind)
    if name in function.choices and value not in function.choices[name]:
        raise RefusedError(f"{name} has to be one of {', '.join(function.choices[name])}, got {short_repr(value, 60)}")
    return value


def _single(name: str, value: Any, kind: str) -> Any:
    if kind == "str":
        fits = isinstance(value, str)
    elif kind == "bool":
        fits = isinstance(value, bool)
    else:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if is_number and abs(value) > MOST_NUMBER:
            raise RefusedError(f"{name} has to be a number between -{MOST_NUMBER:g} and {MOST_NUMBER:g}")
        fits = is_number and (kind == "float" or float(value).is_integer())
        if fits:
            value = int(value) if kind == "int" else float(value)
    if not fits:
        raise RefusedError(f"{name} has to be {_WORDS[kind]}, got {short_repr(value, 60)}")
    if kind == "str" and len(value) > MOST_TEXT:
        raise RefusedError(f"{name} has {len(value)} characters and can have at most {MOST_TEXT}")
    return value
