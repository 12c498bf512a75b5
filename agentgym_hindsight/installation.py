"""How this library was installed, for the commands that error messages propose."""

from __future__ import annotations

import os
from importlib import metadata
from json import loads
from pathlib import Path
from shlex import quote
from urllib.parse import unquote, urlsplit

__all__ = ["pip_command"]


def pip_command(extra: str = "") -> str:
    """The command that installs an extra of this library from where the library itself comes.

    That is the source folder that is imported, else the folder or URL that pip installed from, else the index.
    """
    bracket = f"[{extra}]" if extra else ""
    name = f"agentgym-hindsight{bracket}"
    source = Path(__file__).parents[1]
    if (source / "pyproject.toml").is_file():
        folder = "." if str(source.resolve()) == os.path.abspath(".") else str(source)
        return f"pip install -e {quote(folder + bracket)}"
    try:  # PEP 610
        origin = loads(metadata.distribution("agentgym-hindsight").read_text("direct_url.json") or "{}")
        url, vcs = str(origin.get("url", "")), origin.get("vcs_info") or {}
        if "dir_info" in origin and Path(unquote(urlsplit(url).path)).is_dir():
            return f"pip install {quote(unquote(urlsplit(url).path) + bracket)}"
        if vcs:
            url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
        gone = url.startswith("file:") and not Path(unquote(urlsplit(url).path)).exists()
        if url and not gone:
            return f"pip install {quote(f'{name} @ {url}')}"
    except (metadata.PackageNotFoundError, ValueError, LookupError, AttributeError, TypeError):
        pass  # not installed by pip, or its record is damaged
    return f"pip install '{name}'"
