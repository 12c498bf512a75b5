"""The rollouts that an earlier run of the same command stored, so that they are not played again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentgym_hindsight.cli.shared import console
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.jsonl import read_jsonl, write_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["stored_rollouts"]


def stored_rollouts(out: Path, terms: dict[str, Any], *, fresh: bool) -> dict[tuple[str, int], Trajectory]:
    """The rollouts in ``out`` by (task id, sibling), without the broken ones, which are also removed from the file.

    A rollout with other ``terms`` (policy, settings, …) raises :class:`UsageError`. ``fresh`` deletes the file.
    """
    if fresh or not out.exists():
        out.unlink(missing_ok=True)
        return {}
    result = read_jsonl(out)
    for problem in result.problems:
        console.print(
            f"{out}, line {problem.line_number}: {problem.cause}; the rollout is played again.", soft_wrap=True
        )
    complete = [trajectory for trajectory in result.trajectories if not trajectory.broken]
    for trajectory in complete:
        stored_terms = trajectory.extra.get("run")
        if stored_terms != terms:
            raise UsageError(
                f"Expected rollouts of {terms} in {out}, got {stored_terms or 'rollouts of another program'}; "
                "try another --out, or --fresh to delete them."
            )
    if len(complete) < len(result.trajectories) or result.problems:
        write_jsonl(out, complete)
    return {(trajectory.task_id, trajectory.sibling): trajectory for trajectory in complete}
