"""Build settings from plain data (YAML, command line); every value is checked against the type of its field."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import lru_cache
from math import isfinite, isnan
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from agentgym_hindsight.errors import UnknownNameError, UsageError

__all__ = ["MAX_SEED", "SettingError", "build", "check_range", "checked", "checked_arguments", "mapping"]

#: The largest seed: numpy's seeds are below 2³², and libraries add the number of the process.
MAX_SEED = 2**31 - 1

T = TypeVar("T")


class SettingError(UsageError):
    """A setting whose value has the wrong type or is out of its range.

    >>> print(SettingError("updates", "≥ 1", 0, "150").within("plan"))
    Expected plan.updates ≥ 1, got 0; try 150.
    """

    def __init__(self, name: str, expected: str, got: object, hint: str) -> None:
        super().__init__(f"Expected {name} {expected}, got {_short(got)}; try {hint}.")
        self.name, self.expected, self.got, self.hint = name, expected, got, hint

    def within(self, part: str) -> SettingError:
        """The same error with the name of the part of the settings that contains the setting."""
        return SettingError(f"{part}.{self.name}" if part else self.name, self.expected, self.got, self.hint)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.name, self.expected, self.got, self.hint)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def check_range(
    settings: Any,
    *names: str,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    why: str = "",
) -> None:
    """Raise :class:`SettingError` if a number of the dataclass is not finite or not in the range.

    ``None`` as the value of a setting is in every range.
    """
    for name in names:
        value = getattr(settings, name)
        if value is None:
            continue
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise SettingError(name, "as a number", value, _default(settings, name))
        fits = isfinite(value) and (least is None or value >= least) and (above is None or value > above)
        if fits and (most is None or value <= most):
            continue
        if least is not None and most is not None:
            expected = f"from {least} to {most}"
        elif least is not None:
            expected = f"≥ {least}"
        else:
            expected = f"above {above}" if above is not None else "as a finite number"
        if not isfinite(value) and "finite" not in expected:
            expected = f"{expected} and finite"
        raise SettingError(name, expected, value, f"{_default(settings, name)}{why}")


def _default(settings: Any, name: str) -> str:
    default = next(each.default for each in fields(settings) if each.name == name)
    return "the default" if default is MISSING else f"{default!r}"


def build(kind: type[T], values: Mapping[str, Any], name: str) -> T:
    """An instance of the dataclass ``kind``. Fields that are not in ``values`` get their defaults.

    ``name`` is the prefix of a setting in errors, such as ``plan``; ``""`` for settings without one.
    """
    arguments = checked(kind, values, name)
    try:
        return kind(**arguments)
    except SettingError as error:
        raise error.within(name) from None


def checked(kind: type, values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Values for the fields of the dataclass ``kind``, each converted to the type of its field.

    If the type of the field is float or tuple, whole numbers become floats and lists become tuples. A text becomes a
    float too, because YAML reads ``1e-6`` as text.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Plan:
    ...     updates: int = 150
    ...     rate: float = 1e-6
    >>> checked(Plan, {"updates": 3, "rate": "1e-4"}, "plan")
    {'updates': 3, 'rate': 0.0001}
    """
    fields_by_name = {each.name: each for each in fields(kind)}
    hints = _hints(kind)
    result = {}
    for key, value in values.items():
        if key not in fields_by_name:
            raise UnknownNameError(f"setting of {name}" if name else "setting", key, fields_by_name)
        converted, fits = _converted(value, hints[key])
        if not fits:
            expected = f"as {_type_name(hints[key])}{_example(fields_by_name[key])}"
            raise SettingError(key, expected, value, "leaving it out for the default").within(name)
        result[key] = converted
    return result


def checked_arguments(function: Callable[..., Any], values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Values for the keyword arguments of a function or class, each converted to the type of its argument.

    A mapping for an argument that is a dataclass becomes an instance of it. ``name`` is the part of the settings.

    >>> def connect(url: str, *, timeout: float = 180.0) -> None: ...
    >>> checked_arguments(connect, {"url": "http://localhost", "timeout": 3}, "judge")
    {'url': 'http://localhost', 'timeout': 3.0}
    """
    target = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    parameters = {
        key: parameter
        for key, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    hints = get_type_hints(target)
    result = {}
    for key, value in values.items():
        if key not in parameters:
            raise UnknownNameError(f"setting of {name}", key, parameters)
        kinds = [kind for kind in get_args(hints[key]) or (hints[key],) if is_dataclass(kind)]
        if kinds and isinstance(value, Mapping):
            result[key] = build(kinds[0], value, f"{name}.{key}")  # type: ignore[arg-type]  # a dataclass
            continue
        converted, fits = _converted(value, hints[key])
        if not fits:
            raise SettingError(f"{name}.{key}", f"as {_type_name(hints[key])}", value, "leaving it out for the default")
        result[key] = converted
    missing = [key for key, each in parameters.items() if each.default is each.empty and key not in values]
    if missing:
        raise UsageError(f"Expected {name}.{missing[0]}, got none; try --set {name}.{missing[0]}=VALUE.")
    return result


def mapping(value: Any, name: str) -> dict[str, Any]:
    """A copy of a mapping of settings; other types raise :class:`UsageError`."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UsageError(f"Expected settings by name for {name}, got {value!r}; try {name}.NAME=VALUE.")
    return dict(value)


@lru_cache(maxsize=64)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _converted(value: Any, hint: Any) -> tuple[Any, bool]:
    """The value converted to the type, and whether it fits the type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value, True
    if origin in (Union, types.UnionType):
        for each in arguments:
            converted, fits = _converted(value, each)
            if fits:
                return converted, True
        return value, False
    if origin is Literal:
        same = [each for each in arguments if type(value) is type(each) and _folded(value) == _folded(each)]
        return (same[0], True) if same else (value, False)
    if hint is float:
        return _as_float(value)
    if hint is int:
        return value, isinstance(value, int) and not isinstance(value, bool)
    if origin is tuple:
        return (tuple(value), True) if isinstance(value, (list, tuple)) else (value, False)
    kind = origin or hint
    if kind in (Mapping, dict):
        return (dict(value), True) if isinstance(value, Mapping) else (value, False)
    if kind in (Sequence, list):
        return value, isinstance(value, (list, tuple))
    if kind is Callable or getattr(kind, "_is_protocol", False):
        return value, callable(value)
    return value, isinstance(value, kind)


def _folded(value: Any) -> Any:
    return value.strip().casefold() if isinstance(value, str) else value


def _as_float(value: Any) -> tuple[Any, bool]:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return value, False
    try:
        number = float(value)
    except (ValueError, OverflowError):  # not a number; an integer beyond the range of a float
        return value, False
    return number, not isnan(number)


def _type_name(hint: Any) -> str:
    if hint is type(None):
        return "null"
    arguments = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(map(_type_name, arguments))
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, arguments))
    kind = get_origin(hint) or hint
    name: str = kind.__name__
    if kind.__module__ in ("builtins", "collections.abc"):
        return {"mapping": "settings by name"}.get(name.lower(), name.lower())
    return name if getattr(kind, "_is_protocol", False) else f"text or {name}"


def _example(field: Field[Any]) -> str:
    return "" if field.default is MISSING or field.default is None else f" (such as {field.default!r})"
