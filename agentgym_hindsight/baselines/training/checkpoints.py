"""The checkpoints in a run's folder: which there are, which are whole, how far each had got, what we keep in one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentgym_hindsight.atomic import atomic_file
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.errors import DamagedDataError

__all__ = [
    "STATE_FILE",
    "all_checkpoints",
    "delete_old_checkpoints",
    "last_checkpoint",
    "load_state",
    "save_state",
    "turns_in",
    "updates_in",
]

#: Written last into a checkpoint: one without it was cut off by a crash.
STATE_FILE = "hindsight.pt"


def last_checkpoint(folder: str | Path) -> Path | None:
    """The newest checkpoint that is whole; what a crash cut off is passed over."""
    return next((path for path in reversed(all_checkpoints(folder)) if (path / STATE_FILE).exists()), None)


def all_checkpoints(folder: str | Path) -> list[Path]:
    """All of them, the newest last."""
    return sorted(Path(folder).glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))


def delete_old_checkpoints(folder: str | Path, keep: int) -> None:
    """Delete all checkpoints but the newest ``keep``."""
    for old in all_checkpoints(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)


def updates_in(checkpoint: str | Path, plan: Plan) -> int:
    """How many updates a checkpoint holds."""
    return int(Path(checkpoint).name.rpartition("-")[2]) // plan.mini_batches


def turns_in(checkpoint: str | Path) -> int:
    """How many env turns were played for it."""
    import torch

    # Mapped and not read: a large teacher lies in the same file.
    state = torch.load(Path(checkpoint) / STATE_FILE, map_location="cpu", weights_only=True, mmap=True)
    return int(state["turns"])


def save_state(state: Mapping[str, Any], folder: Path, share: int = 0) -> None:
    """What a run has beside its policy; where weights are spread over processes, a file for the share of each."""
    import torch

    with atomic_file(_state_file(folder, share)) as part:
        torch.save(dict(state), part)


def load_state(folder: Path, share: int = 0, shares: int = 1) -> dict[str, Any]:
    """The inverse, for a run whose weights are spread over as many processes as before."""
    import torch

    path = _state_file(folder, share)
    state: dict[str, Any] = {}
    if path.exists():
        state = torch.load(path, map_location="cpu", weights_only=True)
    written = state.get("shares", 1)
    if not state or written != shares:
        raise DamagedDataError(
            f"Expected a checkpoint of weights spread over {shares} processes, got "
            f"{f'one of {written}' if state else f'no {path.name}'} in {folder}; try as many processes as before."
        )
    return state


def _state_file(folder: Path, share: int) -> Path:
    return folder / (f"hindsight-{share}.pt" if share else STATE_FILE)
