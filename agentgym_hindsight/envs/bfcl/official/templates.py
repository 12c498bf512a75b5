"""Copies of API objects, and the objects of a row in their initial states, which are cached.

The objects are copied by pickle, which is several times as fast as loading a scenario or ``deepcopy``. Their classes
are in no module that pickle could find, so they are stored by a number. The bytes never leave the process.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from threading import RLock
from typing import Any

from agentgym_hindsight.envs.bfcl.official.package import Modules
from agentgym_hindsight.envs.bfcl.official.rows import Entry
from agentgym_hindsight.envs.bfcl.official.state_text import state_text

__all__ = ["Template", "copy_objects", "forget_templates", "template"]

_STATELESS = frozenset({"MathAPI"})


#: The classes of the package that copies have met.
_KNOWN: list[type] = []


def _class_at(number: int) -> type:
    return _KNOWN[number]


class _Writer(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if type(value) is not type or "bfcl_eval" not in value.__module__:
            return NotImplemented
        if value not in _KNOWN:
            _KNOWN.append(value)
        return _class_at, (_KNOWN.index(value),)


class Stored:
    """Objects as bytes, from which copies are made."""

    def __init__(self, objects: Mapping[str, Any]) -> None:
        file = io.BytesIO()
        _Writer(file, protocol=pickle.HIGHEST_PROTOCOL).dump(dict(objects))
        self._data = file.getvalue()

    def copy(self) -> dict[str, Any]:
        """New objects, which share nothing that can change."""
        objects: dict[str, Any] = pickle.loads(self._data)
        return objects


def copy_objects(objects: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of API objects."""
    return Stored(objects).copy()


class Template(Stored):
    """The initial objects of a row, and the texts of their states."""

    def __init__(self, modules: Modules, entry: Entry) -> None:
        objects: dict[str, Any] = {}
        for name in entry.classes:
            instance = objects[name] = modules.classes[name]()
            if name not in _STATELESS:
                config = deepcopy(entry.initial_config.get(name, {}))
                instance._load_scenario(config, long_context=entry.long_context)
        super().__init__(objects)
        self.texts = {name: state_text(instance) for name, instance in objects.items()}


_LOCK = RLock()


def template(modules: Modules, entry: Entry) -> Template:
    """The template of a row."""
    with _LOCK:
        return _template(modules, entry)


def forget_templates() -> None:
    """Build all templates anew when they are next used."""
    _template.cache_clear()


@lru_cache(maxsize=1024)
def _template(modules: Modules, entry: Entry) -> Template:
    return Template(modules, entry)
