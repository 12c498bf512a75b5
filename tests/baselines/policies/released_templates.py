"""Chat templates of released models, as the installed TRL ships them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest


def released_template(name: str) -> str:
    """The text of a template; without it the test is skipped."""
    spec = find_spec("trl")
    path = Path(spec.origin or "").parent / "chat_templates" / f"{name}.jinja" if spec else Path()
    if not path.is_file():
        pytest.skip(f"this TRL ships no template {name}")
    return path.read_text(encoding="utf-8")
