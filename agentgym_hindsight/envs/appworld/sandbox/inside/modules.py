"""The modules that the agent may import. They are loaded before the process is confined: later it can read no file."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

__all__ = ["AVAILABLE", "GuardedImport", "RefusingFinder", "preload"]

_NAMES = (
    "abc array ast base64 bisect calendar cmath collections colorsys contextlib copy csv dataclasses datetime decimal "
    "difflib enum fractions functools graphlib hashlib heapq hmac html io itertools json keyword math numbers operator "
    "os pprint random re secrets statistics string struct sys textwrap time traceback types typing unicodedata uuid "
    "warnings zlib"
)
AVAILABLE = frozenset(_NAMES.split())
#: Modules that the ones above, or the interpreter, import later. Importable, but not listed in errors: strptime, for
#: example, imports with the globals of its caller.
_LATER_NAMES = (
    "__future__ _strptime collections.abc copyreg encodings.ascii encodings.cp1252 encodings.idna encodings.latin_1 "
    "encodings.punycode encodings.raw_unicode_escape encodings.unicode_escape encodings.utf_16 encodings.utf_16_le "
    "encodings.utf_8 encodings.utf_8_sig encodings.base64_codec encodings.hex_codec encodings.rot_13 html.entities "
    "json.decoder json.encoder linecache locale tokenize urllib.parse"
)
_LATER = frozenset(_LATER_NAMES.split())


def preload() -> None:
    for name in (*sorted(AVAILABLE), *sorted(_LATER)):
        importlib.import_module(name)
    import hashlib
    import time

    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        hashlib.new(algorithm, b"")  # OpenSSL reads its configuration file at the first use
    time.strptime("2023-05-18", "%Y-%m-%d")  # compiles its pattern and caches it
    time.localtime()
    "a".encode("idna")


class RefusingFinder:
    """The only import finder left: raises for every module that is not loaded yet."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        raise ModuleNotFoundError(refusal(name), name=name)


def refusal(name: str) -> str:
    return f"No module named {name!r} here; available: {', '.join(sorted(AVAILABLE))}"


class GuardedImport:
    """The agent's ``__import__``. It gives clear errors; the security boundary is in the kernel."""

    def __init__(self) -> None:
        self._import = __import__
        self._os = _path_only_os()

    def __call__(
        self,
        name: str,
        namespace: Mapping[str, object] | None = None,
        variables: Mapping[str, object] | None = None,
        wanted: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        root = name.partition(".")[0]
        if level or name not in sys.modules or (root not in AVAILABLE and name not in _LATER):
            raise ModuleNotFoundError(refusal(name), name=name)
        if root == "os":
            return self._os if name == "os" or not wanted else sys.modules["os.path"]
        return self._import(name, namespace, variables, wanted or (), level)


def _path_only_os() -> ModuleType:
    """``os`` without anything but path operations, which are useful without files too."""
    import os

    little = ModuleType("os", "Paths can be joined and split here; there are no files, processes or variables.")
    for name in ("path", "sep", "linesep", "extsep", "curdir", "pardir"):
        setattr(little, name, getattr(os, name))
    little.__dict__["__getattr__"] = _no_files
    return little


def _no_files(name: str) -> object:
    raise AttributeError(f"os.{name} is not available here: there are no files, processes or variables")
