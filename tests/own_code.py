"""The example of docs/methods/your-own.md as a module in the current folder."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "methods" / "your-own.md"


def blocks(language: str) -> list[str]:
    """The code blocks of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def write_example(folder: Path, name: str = "my_method") -> Path:
    """Write the module of the page into the folder."""
    path = folder / f"{name}.py"
    path.write_text(blocks("python")[0].replace("my_method:", f"{name}:"), encoding="utf-8")
    return path


@contextmanager
def forgotten() -> Iterator[None]:
    """After the block, forget the modules ``my_…`` and the folders that were added to sys.path."""
    path = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in [name for name in sys.modules if name.startswith("my_")]:
            del sys.modules[name]
