"""One trajectory as one line of JSON: schema, types, escapes. :mod:`jsonl` reads and writes whole files."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from agentgym_hindsight.errors import SchemaError, UsageError
from agentgym_hindsight.hindsight.analyses import Analysis
from agentgym_hindsight.hindsight.trajectory import Origin, Step, Trajectory

__all__ = ["SCHEMA", "SCHEMA_VERSION", "dump_trajectory", "load_trajectory"]

SCHEMA = "agentgym-hindsight/trajectory"
#: 2 added ``analyses`` and ``origin``. Version 1 is read as rollouts without any.
SCHEMA_VERSION = 2
_READABLE = (1, 2)


def dump_trajectory(trajectory: Trajectory) -> str:
    """One trajectory as one line of JSON, without the newline.

    >>> load_trajectory(dump_trajectory(Trajectory("1f", won=True))) == Trajectory("1f", won=True)
    True
    """
    try:
        document = {"schema": SCHEMA, "version": SCHEMA_VERSION, **_plain(trajectory, "trajectory")}
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except UsageError:
        raise
    except (ValueError, RecursionError) as error:  # an int of thousands of digits, or a list that contains itself
        raise UsageError(
            f"Expected a trajectory that JSON can hold, got {error!r}; try removing that value."
        ) from error
    return _UNSAFE.sub(_escape, text)


def load_trajectory(line: str) -> Trajectory:
    """Parse a line of :func:`dump_trajectory`. Raises :class:`~agentgym_hindsight.errors.SchemaError`."""
    try:
        document = json.loads(line.rstrip("\n"), parse_constant=_reject_constant, parse_float=_read_finite)
    except (ValueError, RecursionError) as error:
        raise SchemaError(
            f"Expected one JSON object on the line, got {_describe(error)}; try recording the rollout again."
        ) from error
    if not isinstance(document, dict):
        raise SchemaError(f"Expected one JSON object on the line, got {type(document).__name__}.")
    if document.get("schema") != SCHEMA:
        raise SchemaError(
            f"Expected schema {SCHEMA!r}, got {document.get('schema')!r}; try a file of recorded trajectories."
        )
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version not in _READABLE:
        raise SchemaError(f"Expected schema version 1 or 2, got {version!r}; try a matching release.")
    return Trajectory(**_typed(Trajectory, document, "trajectory"))


#: Characters that other programs treat as the end of a line, and surrogates, which have no UTF-8 encoding.
_UNSAFE = re.compile("[\x85\u2028\u2029\ud800-\udfff]")


def _escape(match: re.Match[str]) -> str:
    """``\\uXXXX``, except for a low surrogate right after a high one.

    If both were escaped, a JSON reader would join them to one character beyond U+FFFF. With the low one unescaped, the
    pair is read as it was written, but the line is not valid strict UTF-8. No other text is affected.
    """
    character, place = match.group(), match.start()
    if "\udc00" <= character <= "\udfff" and place and "\ud800" <= match.string[place - 1] <= "\udbff":
        return character
    return f"\\u{ord(character):04x}"


def _describe(error: Exception) -> str:
    # The decoder's own "line 1 column 7" would be confused with the line number in the file.
    return f"{error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else str(error)


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name}, which is not a JSON number")


def _read_finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text}, which is not a finite number")
    return value


def _plain(record: Step | Trajectory | Analysis | Origin, where: str) -> dict[str, Any]:
    """The fields of a dataclass as JSON values, with the type checks of the reader: every line written can be read."""
    plain: dict[str, Any] = {}
    for field in fields(record):
        path = f"{where}.{field.name}"
        try:
            plain[field.name] = _WRITERS[str(field.type)](getattr(record, field.name), path)
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"Expected {field.type} at {path}, got {getattr(record, field.name)!r}.") from error
    return plain


def _typed(
    kind: type[Step] | type[Trajectory] | type[Analysis] | type[Origin], document: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """The constructor arguments of a dataclass from JSON values, each checked against its annotated type."""
    typed: dict[str, Any] = {}
    for field in fields(kind):
        if field.name in document:
            typed[field.name] = _READERS[str(field.type)](document[field.name], f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise SchemaError(
                f"Expected the key {field.name!r} in {where}, found none; try recording the rollout again."
            )
    return typed


def _type_error(expected: str, value: object, where: str) -> SchemaError:
    return SchemaError(f"Expected {expected} at {where}, got {type(value).__name__} {str(value)[:40]!r}.")


def _read_str(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise _type_error("text", value, where)
    return value


def _read_bool(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise _type_error("true or false", value, where)
    return value


def _read_int(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _type_error("an integer", value, where)
    return value


def _read_float(value: object, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _type_error("a number", value, where)
    try:
        return float(value)
    except OverflowError:
        raise _type_error("a number that fits a float", "a longer integer", where) from None


def _read_list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise _type_error("a list", value, where)
    return value


def _read_span(value: object, where: str) -> tuple[int, int] | None:
    if value is None:
        return None
    span = tuple(_read_int(item, where) for item in _read_list(value, where))
    if len(span) != 2:
        raise _type_error("two integers", value, where)
    return span[0], span[1]


def _read_mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _type_error("an object", value, where)
    return value


def _read_steps(value: object, where: str) -> tuple[Step, ...]:
    items = ((f"{where}[{index}]", item) for index, item in enumerate(_read_list(value, where)))
    return tuple(Step(**_typed(Step, _read_mapping(item, path), path)) for path, item in items)


def _read_analyses(value: object, where: str) -> tuple[Analysis, ...]:
    items = ((f"{where}[{index}]", item) for index, item in enumerate(_read_list(value, where)))
    analyses = []
    for path, item in items:
        arguments = _typed(Analysis, _read_mapping(item, path), path)
        try:
            analyses.append(Analysis(**arguments))
        except UsageError as error:  # an unknown kind, or a negative step
            raise SchemaError(f"{error} (at {path})") from error
    return tuple(analyses)


def _read_origin(value: object, where: str) -> Origin | None:
    return None if value is None else Origin(**_typed(Origin, _read_mapping(value, where), where))


def _write_origin(value: Any, where: str) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, Origin):
        raise UsageError(f"Expected an Origin or None at {where}, got {type(value).__name__}; try None.")
    return None if value is None else _plain(value, where)


def _write_str(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"Expected text at {where}, got {type(value).__name__}; try str(…) before recording it.")
    return str.__str__(value)


def _write_bool(value: Any, where: str) -> bool:
    if isinstance(value, str) or value not in (0, 1):  # numpy's booleans are not bool, and bool("False") is True
        raise UsageError(f"Expected True or False at {where}, got {value!r}.")
    return bool(value)


def _write_float(value: Any, where: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise UsageError(f"Expected a finite number at {where}, got {number}; JSON has no such number.")
    return number


def _write_json(value: Any, where: str) -> Any:
    """A value of ``extra``: anything that JSON can represent. Errors name the key."""
    if isinstance(value, Mapping):
        plain = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise UsageError(f"Expected text as the key at {where}, got {key!r}; try str(key).")
            plain[key] = _write_json(item, f"{where}[{key!r}]")
        return plain
    if isinstance(value, list | tuple):
        return [_write_json(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float):
        return _write_float(value, where)
    if value is None or isinstance(value, str | bool | int):
        return value
    raise UsageError(
        f"Expected a value JSON can hold at {where}, got {type(value).__name__}; try text, numbers, lists or mappings."
    )


#: By the annotation of the dataclass field, as text. A field of a type that is not listed raises KeyError.
_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "str": _read_str,
    "bool": _read_bool,
    "int": _read_int,
    "float": _read_float,
    "int | None": lambda value, where: None if value is None else _read_int(value, where),
    "tuple[str, ...]": lambda value, where: tuple(_read_str(item, where) for item in _read_list(value, where)),
    "tuple[int, int] | None": _read_span,
    "Mapping[str, Any]": _read_mapping,
    "tuple[Step, ...]": _read_steps,
    "tuple[Analysis, ...]": _read_analyses,
    "Origin | None": _read_origin,
}
_WRITERS: Mapping[str, Callable[[Any, str], Any]] = {
    "str": _write_str,
    "bool": _write_bool,
    "int": lambda value, where: operator.index(value),
    "float": _write_float,
    "int | None": lambda value, where: None if value is None else operator.index(value),
    "tuple[str, ...]": lambda value, where: [_write_str(item, where) for item in value],
    "tuple[int, int] | None": lambda value, where: None if value is None else [operator.index(i) for i in value],
    "Mapping[str, Any]": _write_json,
    "tuple[Step, ...]": lambda value, where: [_plain(step, f"{where}[{i}]") for i, step in enumerate(value)],
    "tuple[Analysis, ...]": lambda value, where: [_plain(each, f"{where}[{i}]") for i, each in enumerate(value)],
    "Origin | None": _write_origin,
}
