"""Reads the benchmark's tasks: conversations, initial states, wanted calls, and the schemas of the functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentgym_hindsight.envs.bfcl.official.package import Package
from agentgym_hindsight.envs.tools.schemas import FunctionSchema
from agentgym_hindsight.errors import DamagedDataError
from agentgym_hindsight.files import read_text

__all__ = ["CATEGORIES", "MORE_FUNCTIONS", "Entry", "json_schema", "read_entries", "read_schemas"]

CATEGORIES = ("base", "miss_func", "miss_param", "long_context")
#: What the user says in a turn without a message, in which held-out functions are added: the benchmark's own words.
MORE_FUNCTIONS = "I have updated some more functions you can choose from. What about now?"

#: The types of the benchmark's schemas → JSON Schema, as the benchmark converts them for model servers.
_TYPES: Mapping[str, str] = {
    "float": "number",
    "dict": "object",
    "list": "array",
    "tuple": "array",
    "bool": "boolean",
    "any": "string",
}


@dataclass(frozen=True, eq=False)  # hashed by identity: rows are read once
class Entry:
    """A row of the benchmark with its answer."""

    id: str
    category: str
    number: int
    messages: tuple[str, ...]
    initial_config: Mapping[str, Any]
    classes: tuple[str, ...]
    held_out: Mapping[int, tuple[str, ...]]  # turn → the functions that are added in it
    answer: tuple[tuple[str, ...], ...]  # the wanted calls of each turn, as Python

    @property
    def long_context(self) -> bool:
        """Whether the API objects fill their states and results with additional data."""
        return self.category == "long_context"


def read_entries(package: Package, category: str) -> tuple[Entry, ...]:
    """The rows of a category, in the order of the file."""
    name = f"BFCL_{package.files}_multi_turn_{category}.json"
    answers = {
        str(row["id"]): row["ground_truth"] for row in _rows(package.data("possible_answer", name), "ground_truth")
    }
    entries = []
    for row in _rows(package.data(name), "question", "initial_config", "involved_classes"):
        identifier = str(row["id"])
        if identifier not in answers:
            raise DamagedDataError(
                f"Expected an answer to {identifier} in {package.data('possible_answer', name)}, got none; "
                "try installing bfcl-eval again."
            )
        answer = tuple(tuple(map(str, turn)) for turn in answers[identifier])
        held_out = {int(turn): tuple(names) for turn, names in row.get("missed_function", {}).items()}
        entries.append(
            Entry(
                identifier,
                category,
                int(identifier.rpartition("_")[2]),
                _messages(row["question"], held_out, len(answer)),
                row["initial_config"],
                tuple(row["involved_classes"]),
                held_out,
                answer,
            )
        )
    return tuple(entries)


def _messages(question: Sequence[Any], held_out: Mapping[int, Any], turns: int) -> tuple[str, ...]:
    """The user's message of each turn. One row of 2025.7.17 (base 154) has an answer to a turn without one: ""."""
    said = [
        MORE_FUNCTIONS if turn in held_out and not messages else "\n".join(str(each["content"]) for each in messages)
        for turn, messages in enumerate(question)
    ]
    return tuple((said + [""] * turns)[:turns])


def read_schemas(package: Package, class_name: str) -> tuple[FunctionSchema, ...]:
    """The schemas of a class's functions, in the order of the file, as chat templates take them."""
    return tuple(
        {
            "type": "function",
            "function": {
                "name": row["name"],
                "description": row["description"],
                "parameters": json_schema(row["parameters"]),
            },
        }
        for row in _rows(package.schemas_file(class_name), "name", "description", "parameters")
    )


def json_schema(declared: Any) -> Any:
    """The benchmark's declaration of a type as JSON Schema.

    >>> json_schema({"type": "dict", "properties": {"type": {"type": "float"}}, "required": ["type"]})
    {'type': 'object', 'properties': {'type': {'type': 'number'}}, 'required': ['type']}
    """
    if not isinstance(declared, dict):
        return declared
    made = dict(declared)
    if isinstance(made.get("type"), str):
        made["type"] = _TYPES.get(made["type"], made["type"])
    if isinstance(made.get("properties"), dict):
        made["properties"] = {name: json_schema(each) for name, each in made["properties"].items()}
    if "items" in made:
        made["items"] = json_schema(made["items"])
    return made


def _rows(path: Path, *keys: str) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines. The last line of some files has no line end."""
    try:
        text = read_text(path, "a file of bfcl-eval", "try installing bfcl-eval again.")
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        if all(isinstance(row, dict) and all(key in row for key in keys) for row in rows):
            return rows
        problem = f"a row without {' and '.join(keys)}"
    except (ValueError, RecursionError) as error:
        problem = str(error)
    raise DamagedDataError(f"Expected rows of JSON in {path}, got {problem}; try installing bfcl-eval again.")
