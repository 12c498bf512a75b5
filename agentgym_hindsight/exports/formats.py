"""The formats of ``agh export`` and ``agh import``, by name. A module of a format is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.jsonl import LineProblem, ReadResult
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.names import known_name

__all__ = ["FORMATS", "export_rollouts", "import_rollouts"]

#: Format → what it is. The module of this name has ``write(trajectories, out, …) -> int`` and ``read(path)``.
FORMATS: dict[str, str] = {
    "atif": "Harbor's Agent Trajectory Interchange Format: a document a rollout",
    "messages": "chats as JSON Lines for TRL and others: a row a rollout, or a turn",
    "verl": "verl's Parquet of prompts: a row a task",
    "sts": "the Session Trace Simple Format of the Hugging Face Hub: a file a rollout",
    "parquet": "a table of turns with their tokens",
}


def export_rollouts(trajectories: Iterable[Trajectory], to: str, out: str | Path, **options: Any) -> int:
    """Write rollouts in a format of :data:`FORMATS`. Returns the number of rollouts.

    ``out`` appears when it is complete. ``rows="turn"`` is an option of ``"messages"``.

    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "rollouts.json"
    >>> export_rollouts([Trajectory("1f", won=True)], "atif", out)
    1
    >>> import_rollouts(out, "atif").trajectories
    (Trajectory('1f', 0 steps, won, score=0),)
    """
    name = known_name("format", to, FORMATS)
    if options and (name != "messages" or set(options) != {"rows"}):
        raise UsageError(f"Expected no further option for the format {name}, got {', '.join(options)}; try messages.")
    written: int = _module(name).write(iter(trajectories), Path(out), **options)
    return written


def import_rollouts(path: str | Path, source_format: str) -> ReadResult:
    """The rollouts of a file or folder in a format of :data:`FORMATS`, and the lines or rows that cannot be read."""
    items = list(_module(known_name("format", source_format, FORMATS)).read(Path(path)))
    return ReadResult(
        (item for item in items if isinstance(item, Trajectory)),
        (item for item in items if isinstance(item, LineProblem)),
    )


def _module(name: str) -> Any:
    return import_module(f"agentgym_hindsight.exports.{name}")
