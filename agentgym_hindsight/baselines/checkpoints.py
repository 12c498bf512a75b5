"""The checkpoints in a run's folder: which there are, which are whole, how far each had got."""

from __future__ import annotations

from pathlib import Path

from agentgym_hindsight.baselines.plan import Plan

__all__ = ["STATE_FILE", "all_checkpoints", "last_checkpoint", "updates_in"]

#: Written last into a checkpoint: one without it was cut off by a crash.
STATE_FILE = "hindsight.pt"


def last_checkpoint(folder: str | Path) -> Path | None:
    """The newest checkpoint that is whole; what a crash cut off is passed over."""
    return next((path for path in reversed(all_checkpoints(folder)) if (path / STATE_FILE).exists()), None)


def all_checkpoints(folder: str | Path) -> list[Path]:
    """All of them, the newest last."""
    return sorted(Path(folder).glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))


def updates_in(checkpoint: str | Path, plan: Plan) -> int:
    """How many updates a checkpoint holds."""
    return int(Path(checkpoint).name.rpartition("-")[2]) // plan.mini_batches
