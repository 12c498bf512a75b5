"""The rollouts that an earlier run of the same command stored, so that they are not played again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentgym_hindsight.cli.output_files import check_file, has_rollouts
from agentgym_hindsight.cli.terminal import console
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.damaged_lines import first_foreign_line
from agentgym_hindsight.hindsight.jsonl import read_jsonl, write_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["check_rollout_file", "stored_rollouts"]


def check_rollout_file(out: Path, *, fresh: bool) -> None:
    """Raise if the file cannot be written, or if it contains anything but rollouts."""
    check_file(out, "rollouts", has_rollouts, fresh=fresh)


def stored_rollouts(out: Path, terms: dict[str, Any], *, fresh: bool) -> dict[tuple[str, int], Trajectory]:
    """The rollouts in ``out`` by (task id, sibling), without the broken ones, which are also removed from the file.

    A cut line, which a crash leaves, is removed and its rollout played again. A line of another program, and a rollout
    with other ``terms`` (policy, settings, …), raise :class:`UsageError`. ``fresh`` deletes the file.
    """
    check_file(out, "rollouts", lambda _: True, fresh=fresh)
    if fresh or not out.exists():
        out.unlink(missing_ok=True)
        return {}
    result = read_jsonl(out)
    foreign = first_foreign_line(out, result.problems)
    if foreign is not None:
        raise UsageError(
            f"Expected rollouts in {out}, got {foreign.excerpt!r} in line {foreign.line_number} ({foreign.cause}); "
            "try another --out, or --fresh to replace the file."
        )
    complete = [trajectory for trajectory in result.trajectories if not trajectory.broken]
    for trajectory in complete:
        stored_terms = trajectory.extra.get("run")
        if stored_terms != terms:
            raise UsageError(
                f"Expected rollouts of {terms} in {out}, got {stored_terms or 'rollouts of another program'}; "
                "try another --out, or --fresh to delete them."
            )
    for problem in result.problems:
        console.print(f"{out}, line {problem.line_number}: incomplete; the rollout is played again.", soft_wrap=True)
    if len(complete) < len(result.trajectories) or result.problems:
        write_jsonl(out, complete)
    return {(trajectory.task_id, trajectory.sibling): trajectory for trajectory in complete}
