"""The checkpoints of a run: list them, find the last complete one, save and load the state that TRL does not store."""

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

#: The last file written into a checkpoint. A checkpoint without it is incomplete, because the process was killed.
STATE_FILE = "hindsight.pt"


def last_checkpoint(folder: str | Path) -> Path | None:
    """The newest complete checkpoint; incomplete ones are skipped."""
    return next((path for path in reversed(all_checkpoints(folder)) if (path / STATE_FILE).exists()), None)


def all_checkpoints(folder: str | Path) -> list[Path]:
    """All checkpoints, the newest last."""
    return sorted(Path(folder).glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))


def delete_old_checkpoints(folder: str | Path, keep: int) -> None:
    """Delete all checkpoints but the newest ``keep``."""
    for old in all_checkpoints(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)


def updates_in(checkpoint: str | Path, plan: Plan) -> int:
    """The number of updates before a checkpoint."""
    return int(Path(checkpoint).name.rpartition("-")[2]) // plan.mini_batches


def turns_in(checkpoint: str | Path) -> int:
    """The number of environment turns played before a checkpoint."""
    import torch

    # Memory-mapped, because the same file contains the teacher's weights, which may be large.
    state = torch.load(Path(checkpoint) / STATE_FILE, map_location="cpu", weights_only=True, mmap=True)
    return int(state["turns"])


def save_state(state: Mapping[str, Any], folder: Path, share: int = 0) -> None:
    """Save the state that TRL's checkpoint lacks; with sharded weights, one file for each process."""
    import torch

    with atomic_file(_state_file(folder, share)) as part:
        torch.save(dict(state), part)


def load_state(folder: Path, share: int = 0, shares: int = 1) -> dict[str, Any]:
    """Load the result of :func:`save_state`. ``shares`` is the number of processes that share the weights."""
    import torch

    path = _state_file(folder, share)
    state: dict[str, Any] = {}
    if path.exists():
        state = torch.load(path, map_location="cpu", weights_only=True)
    saved_shares = state.get("shares", 1)
    if not state or saved_shares != shares:
        raise DamagedDataError(
            f"Expected a checkpoint of weights spread over {shares} processes, got "
            f"{f'one of {saved_shares}' if state else f'no {path.name}'} in {folder}; try the same number of processes."
        )
    return state


def _state_file(folder: Path, share: int) -> Path:
    return folder / (f"hindsight-{share}.pt" if share else STATE_FILE)
