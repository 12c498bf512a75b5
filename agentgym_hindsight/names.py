"""Names that a user types: known names without regard to case, and objects of the user's own as ``module:NAME``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from agentgym_hindsight.errors import UnknownNameError, UsageError

__all__ = ["import_object", "is_import_name", "known_name"]


def known_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The known name that equals ``name`` without regard to case and surrounding blanks.

    >>> known_name("split", "Train", ["train", "test"])
    'train'
    """
    names = list(known)
    if name in names:
        return name
    wanted = str(name).strip().casefold()
    equal = [candidate for candidate in names if candidate.casefold() == wanted]
    if len(equal) != 1:
        raise UnknownNameError(kind, name, names)
    return equal[0]


def is_import_name(name: str) -> bool:
    """Whether ``name`` has the form ``package.module:NAME``.

    >>> is_import_name("mypackage.mymodule:METHOD"), is_import_name("serl")
    (True, False)
    """
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")])


def import_object(kind: str, name: str) -> Any:
    """Import the object that ``package.module:NAME`` names. The current folder is searched too, as by ``python -m``.

    >>> import_object("function", "math:sqrt")(9.0)
    3.0
    """
    if not is_import_name(name):
        raise UsageError(f"Expected a {kind} as package.module:NAME, got {name!r}; try mypackage.mymodule:NAME.")
    module_name, _, path = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # last, so that a file in the folder does not hide an installed package
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise UsageError(
                f"Expected an importable module in {name!r}, got no module {missing!r}; "
                f"install it, or start the command in the folder that contains it."
            ) from error
        raise UsageError(f"Expected {kind} {name!r} to import, got: {error}; install what it needs.") from error
    except (Exception, SystemExit) as error:  # a script that ends the process when it is imported
        raise UsageError(f"Expected {kind} {name!r} to import, got {type(error).__name__}: {error}.") from error
    for attribute in path.split("."):
        if not hasattr(found, attribute):
            public = [known for known in vars(found) if not known.startswith("_")]
            raise UnknownNameError(f"name in {module_name}", attribute, public)
        found = getattr(found, attribute)
    return found
