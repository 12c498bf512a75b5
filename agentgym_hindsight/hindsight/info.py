"""The ``info`` of an env: a dict with a short repr, and its content as plain data for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from os import PathLike
from typing import Any

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.sources import Feedback, Hindsight
from agentgym_hindsight.short_repr import quoted, short_repr

__all__ = ["Info", "plain_info"]

_REPR_LENGTH = 1400
_DEEPEST = 50  # levels of containers; more is a container that contains itself


class Info(dict[str, Any]):
    """An env's ``info``: a dict whose repr is shorter than 1,500 characters. ``dict(info)`` has the full repr.

    ``info | {…}`` and ``info.copy()`` are an ``Info`` again; wrappers add their keys with ``|``.

    >>> info = Info(goal="Find the mug. " * 1000, admissible_actions=tuple("abcdefghijk"), won=False)
    >>> len(str(info)) < 300 < len(str(dict(info)))
    True
    >>> info | {"goal": "Find the mug."}
    {'goal': 'Find the mug.', 'admissible_actions': ('a', 'b', 'c', 'd', 'e', 'f', … 11 items), 'won': False}
    """

    __slots__ = ()

    def __or__(self, other: Mapping[str, Any]) -> Info:  # type: ignore[override]  # dict's returns a plain dict
        return Info({**self, **other}) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping[str, Any]) -> Info:  # type: ignore[override]
        return Info({**other, **self}) if isinstance(other, Mapping) else NotImplemented

    def copy(self) -> Info:
        return Info(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Info, (dict(self),)

    def __repr__(self) -> str:
        text = ""
        for width in (160, 80, 40, 20):  # an info of many keys shows less of each value
            text = "{" + ", ".join(f"{quoted(key)}: {short_repr(value, width)}" for key, value in self.items()) + "}"
            if len(text) <= _REPR_LENGTH:
                return text
        return f"{text[: _REPR_LENGTH - 20]}… {len(self)} keys}}"


def plain_info(info: Mapping[str, Any], *, episode: bool = False) -> dict[str, Any]:
    """The content of an ``info`` as plain data: ``json.dumps(plain_info(info), allow_nan=False)`` always works.

    Works for the infos of ``reset`` and ``step``, with or without wrappers, and for those of a vector env, whose arrays
    become lists. Functions in ``extra`` are called. A :class:`Hindsight` becomes a dict of the five sources; with
    ``episode`` also the hindsight of every step, which repeats the transcript for every step. NaN and infinity become
    ``None``, sets become sorted lists, dataclasses and named tuples become dicts.

    >>> plain = plain_info({"score": float("nan"), "hindsight": Hindsight(next_observation=Feedback("A hall."))})
    >>> plain["score"], plain["hindsight"]["next_observation"]
    (None, {'text': 'A hall.', 'detail': '', 'provenance': 'environment', 'step': 0})
    """
    if not isinstance(info, Mapping):
        raise UsageError(f"Expected the info of an env, got {type(info).__name__}; try plain_info(env.reset()[1]).")
    return {str(key): _Plain(episode).of(value, f"info[{str(key)[:100]!r}]", 0) for key, value in info.items()}


class _Plain:
    """Converts values. Errors name the place in the info."""

    def __init__(self, episode: bool) -> None:
        self._episode = episode

    def of(self, value: Any, where: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise UsageError(f"Expected at most {_DEEPEST} levels at {where[:200]}, got more; try removing that value.")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Enum):
            return self.of(value.value, where, depth + 1)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return _integer(value, where)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else None
        if isinstance(value, Hindsight):
            return self._hindsight(value, where, depth)
        if isinstance(value, Feedback):
            return {
                "text": value.text,
                "detail": value.detail,
                "provenance": value.provenance.value,
                "step": value.step,
            }
        return self._container(value, where, depth + 1)

    def _hindsight(self, value: Hindsight, where: str, depth: int) -> dict[str, Any]:
        plain = {name: self.of(feedback, f"{where}.{name}", depth + 1) for name, feedback in value}
        if self._episode:
            plain["episode"] = [_Plain(False).of(each, f"{where}.episode", depth + 1) for each in value.episode]
        return plain

    def _container(self, value: Any, where: str, depth: int) -> Any:
        if hasattr(value, "tolist"):  # an array or a scalar of NumPy
            return self.of(value.tolist(), where, depth)
        if isinstance(value, Mapping):
            return {str(key): self.of(item, f"{where}[{str(key)[:100]!r}]", depth) for key, item in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return self._fields(zip(value._fields, value, strict=True), where, depth)
        if isinstance(value, (list, tuple)):
            return [self.of(item, f"{where}[{index}]", depth) for index, item in enumerate(value)]
        if isinstance(value, (set, frozenset)):
            return sorted((self.of(item, where, depth) for item in value), key=_by_type_and_text)
        if is_dataclass(value) and not isinstance(value, type):
            return self._fields(((field.name, getattr(value, field.name)) for field in fields(value)), where, depth)
        if isinstance(value, PathLike):
            return str(value)
        raise UsageError(
            f"Expected a value that JSON can hold at {where[:200]}, got {type(value).__name__}; try removing the "
            "key, or a value of text, numbers, lists and mappings."
        )

    def _fields(self, pairs: Iterable[tuple[str, Any]], where: str, depth: int) -> dict[str, Any]:
        return {name: self.of(item, f"{where}.{name}", depth) for name, item in pairs}


def _integer(value: int, where: str) -> int:
    if value.bit_length() > 4096:  # json refuses to write an integer of thousands of digits
        raise UsageError(f"Expected an integer that JSON can hold at {where[:200]}, got {value.bit_length()} bits.")
    return int(value)


def _by_type_and_text(value: Any) -> tuple[str, str]:
    return type(value).__name__, str(value)
