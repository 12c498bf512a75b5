"""Rollouts that a file holds already: what a command that goes on does not play again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentgym_hindsight.cli.shared import console
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.jsonl import read_jsonl, write_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["kept_rollouts"]


def kept_rollouts(out: Path, terms: dict[str, Any], *, fresh: bool) -> dict[tuple[str, int], Trajectory]:
    """What an earlier run on the same terms left in ``out``; broken rollouts are played again."""
    if fresh or not out.exists():
        out.unlink(missing_ok=True)
        return {}
    found = read_jsonl(out)
    for problem in found.problems:
        console.print(f"{out}, line {problem.line_number}: {problem.cause}; it will be played again.", soft_wrap=True)
    whole = [trajectory for trajectory in found.trajectories if not trajectory.broken]
    for trajectory in whole:
        theirs = trajectory.extra.get("run")
        if theirs != terms:
            raise UsageError(
                f"Expected rollouts of {terms} in {out}, got {theirs or 'rollouts of another origin'}; "
                "try another --out, or --fresh to begin anew."
            )
    if len(whole) < len(found.trajectories) or found.problems:
        write_jsonl(out, whole)
    return {(trajectory.task_id, trajectory.sibling): trajectory for trajectory in whole}
