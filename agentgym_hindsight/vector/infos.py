"""The infos of many envs as one dictionary of arrays: Gymnasium's format, with constant types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from agentgym_hindsight.envs.base import INFO_KEYS, Extra
from agentgym_hindsight.errors import ConformanceError
from agentgym_hindsight.hindsight.info import Info
from agentgym_hindsight.hindsight.sources import Hindsight

__all__ = ["InfoTable", "object_array", "unstack"]

#: The array value for an env that has no value yet.
_DEFAULTS: Mapping[type, Any] = {
    bool: False,
    int: 0,
    float: 0.0,
    str: "",
    tuple: (),
    Hindsight: Hindsight(),
    Extra: Extra(),
    object: None,
}
#: Python's number types, and the NumPy scalars that are equivalent. An int is accepted for a float.
_NUMBERS: Mapping[type, tuple[type, ...]] = {
    bool: (bool, np.bool_),
    int: (int, np.integer),
    float: (float, np.floating, int, np.integer),
}


def object_array(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    """A one-dimensional array of objects. NumPy itself would turn tuples of equal length into rows of a matrix."""
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array


class InfoTable:
    """Stores the info of each env and builds the batch. Every key has one type.

    The standard keys exist from the first call on. A key added by a wrapper exists from the call in which it first
    appears, with the type it has then.
    """

    def __init__(self, num_envs: int) -> None:
        self._kinds: dict[str, type] = {**INFO_KEYS, "extra": Extra}
        self._numbers = [(key, kind) for key, kind in self._kinds.items() if kind in _NUMBERS]
        self._blank = {key: _DEFAULTS[kind] for key, kind in self._kinds.items()}
        self._infos = [self._blank] * num_envs
        self._absent: set[tuple[str, int]] = set()  # keys missing in an env's last info

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self._infos[index]

    def clear(self, envs: Iterable[int]) -> None:
        """Delete the values of some envs and keep the keys."""
        cleared = set(envs)
        for index in cleared:
            self._infos[index] = self._blank
        self._absent = {(key, env) for key, env in self._absent if env not in cleared}

    def store(self, index: int, info: dict[str, Any]) -> None:
        """Store an env's info. Raises :class:`ConformanceError`, and stores nothing, if a type has changed."""
        if self._absent or info.keys() != self._kinds.keys():
            info = self._complete(index, info)
        for key, kind in self._numbers:
            if type(info[key]) is not kind:
                _check_number(key, kind, info[key])
        self._infos[index] = info

    def update(self, index: int, **values: Any) -> None:
        """Change some values of an env's info."""
        self._infos[index] = {**self._infos[index], **values}

    def batch(self, updated: npt.NDArray[np.bool_], broken: Sequence[str]) -> dict[str, Any]:
        """The array and the mask of every key. An env that did not play keeps its last values and is masked out."""
        infos, batch = self._infos, Info()
        for key, kind in self._kinds.items():
            column = [info[key] for info in infos]
            batch[key] = np.array(column, dtype=kind) if kind in _NUMBERS else object_array(column)
            batch[f"_{key}"] = updated.copy()
        for key, index in self._absent:
            batch[f"_{key}"][index] = False
        batch["broken"], batch["_broken"] = object_array(broken), updated.copy()
        return batch

    def _complete(self, index: int, info: dict[str, Any]) -> dict[str, Any]:
        for key in [key for key in info if key not in self._kinds and key != "broken"]:
            self._add_key(key, info[key])
        for key in self._kinds:
            (self._absent.discard if key in info else self._absent.add)((key, index))
        return {key: info.get(key, blank) for key, blank in self._blank.items()}

    def _add_key(self, key: str, value: object) -> None:
        matching = (kind for kind, types in _NUMBERS.items() if isinstance(value, types))
        # bool is first, because isinstance accepts it as int; int is before float, because _NUMBERS accepts it as float
        kind = next(matching, str if isinstance(value, str) else tuple if isinstance(value, tuple) else object)
        self._kinds[key] = kind
        self._blank = {**self._blank, key: _DEFAULTS[kind]}
        self._infos = [{**info, key: _DEFAULTS[kind]} for info in self._infos]
        self._absent.update((key, env) for env in range(len(self._infos)))
        if kind in _NUMBERS:
            self._numbers.append((key, kind))


def _check_number(key: str, kind: type, value: object) -> None:
    fits = isinstance(value, _NUMBERS[kind]) and (kind is bool or not isinstance(value, bool))
    if not fits:
        raise ConformanceError(
            f"Expected info[{key!r}] of type {kind.__name__} on every reset and step, got {value!r}; "
            f"try always returning the type {kind.__name__}: the arrays of a vector env have one type."
        )


def unstack(infos: Mapping[str, Any]) -> list[dict[str, Any] | None]:
    """The batch as one plain info per env; ``None`` for an env that did not play in this call.

    >>> unstack({"won": np.array([True, False]), "_won": np.array([True, False])})
    [{'won': True}, None]
    """
    columns = [
        (key, infos[key].tolist(), infos[f"_{key}"].tolist())
        for key in infos
        if not (key.startswith("_") and key[1:] in infos)
    ]
    rows: Iterable[dict[str, Any]] = (
        Info((key, values[index]) for key, values, mask in columns if mask[index]) for index in range(_width(infos))
    )
    return [row or None for row in rows]


def _width(infos: Mapping[str, Any]) -> int:
    return next((len(array) for array in infos.values()), 0)
