"""Finds the package ``bfcl-eval`` and loads its API classes and checkers.

Two versions can be loaded in one process, because the modules are taken out of ``sys.modules`` after the import. The
multi-turn part needs only ``mpmath``; nothing else of the package is imported.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache, wraps
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from types import FunctionType, ModuleType
from typing import Any

from agentgym_hindsight.envs.trusted_folders import check_trusted
from agentgym_hindsight.errors import DamagedDataError, MissingDataError, UnknownNameError
from agentgym_hindsight.short_repr import short_repr

__all__ = ["DEFAULT_VERSION", "FOLDER_VARIABLE", "VERSIONS", "Modules", "Package", "find_package", "managed_folder"]

#: The versions that recordings cover → the prefix of their files.
VERSIONS: Mapping[str, str] = {"2026.3.23": "v4", "2025.7.17": "v3"}
DEFAULT_VERSION = "2026.3.23"
#: A folder that contains ``bfcl_eval`` (such as ``site-packages``).
FOLDER_VARIABLE = "BFCL_EVAL_DATA"

_NAME = "bfcl_eval"
_CHECKER = f"{_NAME}.eval_checker.multi_turn_eval.multi_turn_checker"
#: The multi-turn API classes → (module with the class, file with the schemas of its functions).
_CLASSES: Mapping[str, tuple[str, str]] = {
    "GorillaFileSystem": ("gorilla_file_system", "gorilla_file_system"),
    "MathAPI": ("math_api", "math_api"),
    "MessageAPI": ("message_api", "message_api"),
    "TwitterAPI": ("posting_api", "posting_api"),
    "TicketAPI": ("ticket_api", "ticket_api"),
    "TradingBot": ("trading_bot", "trading_bot"),
    "TravelAPI": ("travel_booking", "travel_booking"),
    "VehicleControlAPI": ("vehicle_control", "vehicle_control"),
}
_LOCK = RLock()


@dataclass(frozen=True, eq=False)  # hashed by identity: loaded once a folder
class Modules:
    """What is used of the package."""

    classes: Mapping[str, type]
    state_checker: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    response_checker: Callable[[list[str], list[str], int], dict[str, Any]]


@dataclass(frozen=True)
class Package:
    """An installed or unpacked package. ``folder`` contains ``bfcl_eval``; ``files`` is the prefix of its tasks."""

    folder: Path
    version: str
    files: str

    @property
    def name(self) -> str:
        """The version and the files, as they appear in results."""
        return f"bfcl-eval {self.version}, {self.files} files"

    def data(self, *parts: str) -> Path:
        """A file of the package's data."""
        return self.folder.joinpath(_NAME, "data", *parts)

    def schemas_file(self, class_name: str) -> Path:
        """The file with the schemas of a class's functions."""
        if class_name not in _CLASSES:
            raise UnknownNameError("multi-turn API class", class_name, _CLASSES)
        return self.data("multi_turn_func_doc", f"{_CLASSES[class_name][1]}.json")

    def modules(self) -> Modules:
        """The classes and checkers, imported at the first call."""
        return _load(self.folder)


def managed_folder(version: str) -> Path:
    """The folder of ``agh data install bfcl``: ``bfcl/<version>`` in the data folder."""
    configured = os.environ.get("AGENTGYM_HINDSIGHT_DATA")
    if configured:
        return Path(configured).expanduser() / "bfcl" / version
    base = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    return base / "agentgym_hindsight" / "bfcl" / version


def find_package(folder: str | os.PathLike[str] | None = None, version: str | None = None) -> Package:
    """The package in ``folder``, or the first that is found.

    The places are ``$BFCL_EVAL_DATA``, this interpreter, and the folders of ``agh data install bfcl``. With
    ``version``, a package of another version does not count. Raises
    :class:`~agentgym_hindsight.errors.MissingDataError`.
    """
    if version is not None and version not in VERSIONS:
        raise UnknownNameError("version of bfcl-eval", version, VERSIONS)
    if folder is not None:
        found = _package(Path(folder).expanduser())
        if found is None:
            raise MissingDataError(
                f"Expected a folder with the package bfcl_eval, got {short_repr(os.fspath(folder), 200)}; "
                f"try `pip install --no-deps --target FOLDER bfcl-eval=={version or DEFAULT_VERSION}`."
            )
        if version not in (None, found.version):
            raise MissingDataError(
                f"Expected bfcl-eval {version} in {folder}, got {found.version}; try `agh data install bfcl --version "
                f"{version}`, without a folder."
            )
        return found
    for place in _places():
        found = _package(place)
        if found is not None and place in map(managed_folder, VERSIONS):  # others could have made a folder of this name
            check_trusted(place / _NAME, f"{FOLDER_VARIABLE} with a folder of your own", below=place.parent)
        if found is not None and version in (None, found.version):
            return found
    wanted = version or DEFAULT_VERSION
    option = "" if wanted == DEFAULT_VERSION else f" --version {wanted}"
    raise MissingDataError(
        f"Expected the package bfcl-eval{'' if version is None else f' {version}'}, found none; try "
        f"`pip install --no-deps bfcl-eval=={wanted}` and `pip install mpmath`, or `agh data install bfcl{option}`."
    )


def _places() -> list[Path]:
    places = []
    configured = os.environ.get(FOLDER_VARIABLE)
    if configured:
        places.append(Path(configured).expanduser())
    spec = find_spec(_NAME)  # finds the package without importing it
    installed = (spec.submodule_search_locations or ()) if spec else ()
    return [*places, *(Path(each).parent for each in installed), *map(managed_folder, VERSIONS)]


def _package(folder: Path) -> Package | None:
    data = folder / _NAME / "data"
    if not data.is_dir():
        return None
    files = next((each for each in ("v4", "v3") if (data / f"BFCL_{each}_multi_turn_base.json").is_file()), None)
    if files is None:
        raise DamagedDataError(
            f"Expected the multi-turn tasks in {data}, got no such file; try installing bfcl-eval again."
        )
    versions = [re.fullmatch(r"bfcl_eval-(.+)\.dist-info", each.name) for each in folder.glob("bfcl_eval-*.dist-info")]
    version = next((each[1] for each in versions if each), "of unknown version")
    return Package(folder.resolve(), version, files)


@lru_cache(maxsize=4)
def _load(folder: Path) -> Modules:
    with _LOCK:
        hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_ours(name)}
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        try:
            checker = importlib.import_module(_CHECKER)
            classes = {name: getattr(_api_module(module), name) for name, (module, _) in _CLASSES.items()}
        except ModuleNotFoundError as error:
            raise MissingDataError(
                f"Expected the requirements of bfcl-eval's multi-turn part, got no {error.name}; "
                "try `pip install mpmath`."
            ) from error
        except (ImportError, AttributeError) as error:
            raise DamagedDataError(
                f"Expected bfcl-eval's API classes and checkers in {folder}, got {error}; "
                f"try bfcl-eval=={DEFAULT_VERSION}."
            ) from error
        finally:
            sys.path.remove(str(folder))
            for name in [name for name in sys.modules if _is_ours(name)]:
                del sys.modules[name]
            sys.modules.update(hidden)
    for each in classes.values():
        _protect_defaults(each)
    return Modules(classes, checker.state_checker, checker.response_checker)


def _protect_defaults(owner: type) -> None:
    """Give every call its own default values.

    ``post_tweet`` has lists as defaults, and ``mention`` extends them: later conversations would see the mentions of
    earlier ones, and the objects of the answer those of the agent.
    """
    for name, function in inspect.getmembers(owner, inspect.isfunction):
        if any(isinstance(each, (list, dict, set)) for each in function.__defaults__ or ()):
            setattr(owner, name, _with_own_defaults(function))


def _with_own_defaults(function: FunctionType) -> Callable[..., Any]:
    defaults = deepcopy(function.__defaults__)

    @wraps(function)
    def call(*positional: Any, **named: Any) -> Any:
        own = FunctionType(function.__code__, function.__globals__, function.__name__, deepcopy(defaults))
        own.__qualname__ = function.__qualname__  # stands in the texts of errors
        return own(*positional, **named)

    return call


def _api_module(name: str) -> ModuleType:
    return importlib.import_module(f"{_NAME}.eval_checker.multi_turn_eval.func_source_code.{name}")


def _is_ours(name: str) -> bool:
    return name == _NAME or name.startswith(f"{_NAME}.")
