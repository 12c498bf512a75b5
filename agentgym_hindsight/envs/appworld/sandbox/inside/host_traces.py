"""Removes what the zygote knows about its machine: paths, arguments, environment variables, the name of the host.

Code in a worker can reach every Python object of its process, and Python shows paths in tracebacks, in the ``repr`` of
modules and in the text of an ImportError. Afterwards no object and no environment variable holds a path of the host.
The interpreter's own memory outside of objects still holds the path it was started from.
"""

from __future__ import annotations

import _imp
import ctypes
import gc
import linecache
import os
import sys
from importlib.machinery import ModuleSpec
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ["erase_arguments", "forget_host"]

_KEPT_VARIABLES = ("PYTHONHASHSEED", "PYTHONUTF8", "TZ")
_UNUSED_MODULES = ("platform", "socket", "_socket", "tempfile", "sysconfig")


def erase_arguments(title: bytes) -> None:
    """Overwrite the memory of the command line and the initial environment by ``title``, which `ps` then shows.

    Linux only, and only while /proc can be read. Variables that are kept are set again, in other memory.
    """
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    os.environ.clear()
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
            start, end = (int(field) for field in file.read().rpartition(")")[2].split()[45:49:3])
    except (OSError, ValueError):
        start = end = 0
    if 0 < start < end:
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, title, min(len(title), end - start - 1))
    os.environ.update(kept)


def forget_host() -> None:
    """Remove paths from all objects. No module can be loaded from a file afterwards."""
    for name in _UNUSED_MODULES:
        sys.modules.pop(name, None)
    threading: Any = sys.modules.get("threading")
    if threading is not None:  # loaded before Python 3.11
        threading.main_thread()._native_id = None  # the process id of the program before it had a namespace
    home = os.path.dirname(os.__file__)
    executables = (sys.executable, getattr(sys, "_base_executable", ""))
    for name in ("executable", "_base_executable", "prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
        setattr(sys, name, "")
    for name in ("_stdlib_dir", "_home", "pycache_prefix", "_framework"):
        if hasattr(sys, name):
            setattr(sys, name, None)
    for values in (sys.path, sys.argv, sys.orig_argv, sys.path_hooks, sys.warnoptions):
        values[:] = []
    sys.path_importer_cache.clear()
    linecache.clearcache()
    objects = gc.get_objects()
    for each in objects:
        if type(each) is ModuleType:
            _forget_files(vars(each))
        elif type(each) is dict and type(each.get("__file__")) is str:  # the interpreter's copy of a module
            _forget_files(each)
        elif type(each) is FunctionType:
            _rename_file(each.__code__, home)
            if each.__defaults__ and any(value in executables for value in each.__defaults__ if type(value) is str):
                each.__defaults__ = tuple("" if type(value) is str else value for value in each.__defaults__)


def _forget_files(module: dict[str, Any]) -> None:
    for name in ("__file__", "__cached__", "__warningregistry__"):
        module.pop(name, None)
    if "__loader__" in module:
        module["__loader__"] = None
    package = "__path__" in module
    if package:
        module["__path__"] = []
    if module.get("__spec__") is not None:
        module["__spec__"] = ModuleSpec(module["__name__"], None, is_package=package)


def _rename_file(code: CodeType, home: str) -> None:
    """Give code of the standard library a file name without the folder in which it lies."""
    name = code.co_filename
    if os.path.isabs(name):
        inside = name[len(home) :].lstrip(os.sep) if name.startswith(home) else os.path.basename(name)
        _imp._fix_co_filename(code, f"<python>/{inside}")  # type: ignore[attr-defined]  # changes nested code too
