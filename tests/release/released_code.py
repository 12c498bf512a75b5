"""Functions of SERL's released code, run from a checkout for comparison.

The variable AGENTGYM_HINDSIGHT_SERL_RELEASE names the checkout (github.com/OliverLeeXZ/SERL, read at 5a2a85b). Nothing
of it is part of this project. A file is executed statement by statement; names of packages that are not installed, such
as verl and ray, become empty classes, because the compared functions do not use them.
"""

from __future__ import annotations
import __future__

import ast
import os
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pytest

_FLAGS = __future__.annotations.compiler_flag
VARIABLE = "AGENTGYM_HINDSIGHT_SERL_RELEASE"
FOLDER = os.environ.get(VARIABLE, "")
needs_release = pytest.mark.skipif(not FOLDER, reason=f"{VARIABLE} names no checkout of SERL's release")


@lru_cache
def released(path: str) -> ModuleType:
    """A file of the release as a module."""
    file = Path(FOLDER, path)
    module = ModuleType(f"released_{file.stem}")
    module.__dict__.update(__file__=str(file), __package__="")
    sys.modules[module.__name__] = module  # where dataclasses look their annotations up
    source = file.read_text(encoding="utf-8")
    for statement in ast.parse(source).body:
        code = compile(
            ast.Module([statement], []),
            str(file),
            "exec",
            dont_inherit=True,
            flags=__future__.annotations.compiler_flag,
        )
        try:
            exec(code, module.__dict__)
        except ImportError:
            assert isinstance(statement, (ast.Import, ast.ImportFrom))
            for name in statement.names:
                bound = name.asname or name.name.split(".")[0]
                module.__dict__[bound] = type(bound, (), {})
    return module
