"""Binds the arguments of a call to a tool's parameters, with the errors of the benchmark.

There a tool is a static method ``invoke(data, …)`` that gets the whole database, and a wrong argument raises Python's
TypeError. The texts are written here, so that they do not depend on the version of Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["ArgumentsError", "bind", "class_name"]


class ArgumentsError(TypeError):
    """The arguments do not fit the parameters."""


def class_name(tool: str) -> str:
    """The benchmark's class of a tool.

    >>> class_name("get_order_details")
    'GetOrderDetails'
    """
    return "".join(part.capitalize() for part in tool.split("_"))


def bind(tool: str, domain: str, parameters: Sequence[str], arguments: Mapping[str, Any]) -> list[Any]:
    """The values in the order of the parameters. Raises :class:`ArgumentsError`.

    >>> bind("think", "retail", ("thought",), {})
    Traceback (most recent call last):
    agentgym_hindsight.envs.tau.binding.ArgumentsError: Think.invoke() missing 1 required positional argument: 'thought'
    """
    if len(arguments) == len(parameters):
        try:
            return [arguments[name] for name in parameters]
        except KeyError:
            pass  # the error below names the first argument that does not fit
    method = f"{class_name(tool)}.invoke()"
    if "data" in arguments:  # the benchmark's tools get their database under this name
        module = f"tau_bench.envs.{domain}.tools.{tool}"
        raise ArgumentsError(f"{module}.{method} got multiple values for keyword argument 'data'")
    for name in arguments:
        if name not in parameters:
            raise ArgumentsError(f"{method} got an unexpected keyword argument '{name}'")
    missing = [repr(name) for name in parameters if name not in arguments]
    plural = "s" if len(missing) > 1 else ""
    listed = (
        missing[0] if len(missing) == 1 else f"{', '.join(missing[:-1])}{',' * (len(missing) > 2)} and {missing[-1]}"
    )
    raise ArgumentsError(f"{method} missing {len(missing)} required positional argument{plural}: {listed}")
