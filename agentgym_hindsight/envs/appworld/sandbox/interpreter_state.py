"""The state of an interpreter as the host keeps it: data of the worker that the host stores and never evaluates."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from agentgym_hindsight.envs.plain_values import mapping, row, text, texts, whole

__all__ = ["InterpreterState", "new_interpreter", "received_state"]


class InterpreterState(NamedTuple):
    """``data`` is JSON that only a worker reads; ``lost`` names the variables that it does not carry.

    An empty ``data`` is a new interpreter.
    """

    data: str
    lost: tuple[str, ...]


def new_interpreter() -> InterpreterState:
    """The state before the first turn."""
    return InterpreterState("", ())


def received_state(message: Any) -> InterpreterState:
    """The state in a message of a worker, or of a file: checked in its form, because neither is trusted.

    What is in the table of nodes is checked by the worker that loads it, which is confined.
    """
    state = mapping(message, "interpreter")
    names = mapping(state.get("names"), "interpreter.names")
    nodes = row(state.get("nodes"), "interpreter.nodes")
    for number in names.values():
        whole(number, "interpreter.names", 0, len(nodes))
    sources = mapping(state.get("sources"), "interpreter.sources")
    kept = {
        "names": names,
        "nodes": [_node(node) for node in nodes],
        "sources": {name: text(source, "interpreter.sources") for name, source in sources.items()},
        "turns": whole(state.get("turns"), "interpreter.turns", 0, 2**31),
        "random": None if state.get("random") is None else row(state["random"], "interpreter.random", 2),
    }
    return InterpreterState(json.dumps(kept, separators=(",", ":")), texts(state.get("lost"), "interpreter.lost"))


def _node(value: Any) -> list[Any]:
    node = row(value, "interpreter.nodes")
    text(node[0] if node else None, "interpreter.nodes")
    return node
