"""Rollouts of an earlier run of the same command, which a resumed command does not play again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentgym_hindsight.cli.shared import console
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.jsonl import read_jsonl, write_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["kept_rollouts"]


def kept_rollouts(out: Path, terms: dict[str, Any], *, fresh: bool) -> dict[tuple[str, int], Trajectory]:
    """The rollouts in ``out`` by (task id, sibling), without the broken ones, which are also removed from the file.

    A rollout with other ``terms`` (policy, settings, …) raises :class:`UsageError`. ``fresh`` deletes the file.
    """
    if fresh or not out.exists():
        out.unlink(missing_ok=True)
        return {}
    found = read_jsonl(out)
    for problem in found.problems:
        console.print(f"{out}, line {problem.line_number}: {problem.cause}; it is played again.", soft_wrap=True)
    whole = [trajectory for trajectory in found.trajectories if not trajectory.broken]
    for trajectory in whole:
        other = trajectory.extra.get("run")
        if other != terms:
            raise UsageError(
                f"Expected rollouts of {terms} in {out}, got {other or 'rollouts of another program'}; "
                "try another --out, or --fresh to delete them."
            )
    if len(whole) < len(found.trajectories) or found.problems:
        write_jsonl(out, whole)
    return {(trajectory.task_id, trajectory.sibling): trajectory for trajectory in whole}
