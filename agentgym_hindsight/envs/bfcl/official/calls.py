"""Calls methods of the benchmark's API objects, and words results and errors as its executor does.

The executor evaluates the model's text as Python. Here a call is a name and values, so no text is ever code.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from decimal import localcontext
from functools import lru_cache
from threading import RLock
from typing import Any

from agentgym_hindsight.envs.bfcl.official.guards import (
    MOST_DIGITS_IN_EPISODE,
    MOST_PRECISION,
    MOST_TREE,
    RefusedError,
    digits_of,
    guarded,
    overgrown,
)
from agentgym_hindsight.envs.bfcl.official.package import Modules
from agentgym_hindsight.envs.bfcl.official.rows import Entry
from agentgym_hindsight.envs.bfcl.official.templates import copy_objects, template

__all__ = ["BLOCKED", "ApiObjects", "failure_text", "render_result"]

#: Names that the benchmark's executor refuses.
BLOCKED = frozenset({"kill", "exit", "quit", "remove", "unlink", "popen", "Popen", "run"})
_PRECISION_LOCK = RLock()


def render_result(result: Any) -> str:
    """The text of a result: JSON for a dict if it has one, else Python's text.

    >>> render_result({"a": 1}), render_result(None), render_result("text"), render_result({"a": {1}})
    ('{"a": 1}', 'None', 'text', "{'a': {1}}")
    """
    if type(result) is str:
        return result
    if type(result) is dict:
        try:
            return json.dumps(result)
        except Exception:  # the benchmark falls back for whatever json raises
            return str(result)
    return str(result)


def failure_text(error: BaseException) -> str:
    """The text of a call that raised."""
    return f"Error during execution: {error}"


class ApiObjects:
    """The private API objects of one episode."""

    def __init__(self, modules: Modules, entry: Entry) -> None:
        self.instances: dict[str, Any] = template(modules, entry).copy()
        #: Method → class. As in the benchmark, the last class with a method of that name has it.
        self.owners = _owners(tuple(modules.classes[name] for name in entry.classes), entry.classes)
        self.overgrown = False  # the file system has too many entries, and no call is carried out on it
        self._digits = 0.0  # of the calls with a high precision

    def copy(self, names: Collection[str]) -> ApiObjects:
        """Objects in the same states. Those of the named classes are new; the others are shared."""
        made = copy(self)
        new = copy_objects({name: each for name, each in self.instances.items() if name in names})
        made.instances = {name: new.get(name, each) for name, each in self.instances.items()}
        return made

    def method(self, name: str) -> Callable[..., Any]:
        """The method of this name. Raises NameError, also for names that the executor blocks."""
        owner = self.owners.get(name)
        if owner is None:
            last = name.split(".")[1] if "." in name else name
            if last in BLOCKED:
                raise NameError(f"Function call {last} is not allowed.")
            raise NameError(f"name '{name.partition('.')[0]}' is not defined")
        method: Callable[..., Any] = getattr(self.instances[owner], name)
        return method

    def call(self, name: str, positional: Sequence[Any] = (), arguments: Mapping[str, Any] | None = None) -> Any:
        """The result of a call. Raises what the method raises."""
        method, owner, given = self.method(name), self.owners[name], dict(arguments or {})
        if owner == "GorillaFileSystem" and self.overgrown:
            raise RefusedError(f"Refused: the file system has more than {MOST_TREE} entries.")
        if owner == "MathAPI":
            values = _by_name(method, positional, given)
            guard = guarded(owner, name)
            known = None if guard is None else guard(values)
            if known is not None:
                return known
            self._count_digits(digits_of(name, values))
            with _own_precision():
                return _printed_now(method(*positional, **given))
        result = method(*positional, **given)
        if name == "cp":  # folders are copied with shared contents: a few copies make millions of paths
            self.overgrown = overgrown(self.instances[owner].root)
        return result

    def _count_digits(self, digits: float) -> None:
        if digits > MOST_PRECISION:
            raise RefusedError(f"Refused: the precision is above {MOST_PRECISION} digits.")
        self._digits += digits if digits > 1_000 else 0
        if self._digits > MOST_DIGITS_IN_EPISODE:
            raise RefusedError("Refused: too many calls with a high precision.")

    def run(self, name: str, positional: Sequence[Any] = (), arguments: Mapping[str, Any] | None = None) -> str:
        """The text that the benchmark's executor gives for a call. Never raises."""
        try:
            return render_result(self.call(name, positional, arguments))
        except Exception as error:
            return failure_text(error)


def _printed_now(result: Any) -> Any:
    """Numbers of ``mpmath`` have a text that depends on the precision, so results with them are printed at once."""
    if type(result) is dict and any(type(value).__module__.partition(".")[0] == "mpmath" for value in result.values()):
        return render_result(result)
    return result


@contextmanager
def _own_precision() -> Iterator[None]:
    """``logarithm`` and ``square_root`` set the precision of the whole process: it is set back after the call."""
    import mpmath

    with _PRECISION_LOCK, localcontext(), mpmath.workdps(mpmath.mp.dps):
        yield


def _by_name(method: Callable[..., Any], positional: Sequence[Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    names = list(inspect.signature(method).parameters)
    return {**dict(zip(names, positional, strict=False)), **arguments}


@lru_cache(maxsize=256)
def _owners(classes: tuple[type, ...], names: tuple[str, ...]) -> Mapping[str, str]:
    return {method: name for name, api in zip(names, classes, strict=True) for method in _methods(api)}


@lru_cache(maxsize=64)
def _methods(api: type) -> tuple[str, ...]:
    """The names of the public methods, in the order of ``inspect.getmembers``."""
    return tuple(name for name, _ in inspect.getmembers(api, inspect.isfunction) if not name.startswith("_"))
