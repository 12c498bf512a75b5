"""Continuing a run with another number of updates or turns: what was done must stay as it is.

Nothing that an update does depends on the number of updates after it, except a learning rate that decays towards the
end of the run (``plan.trl.lr_scheduler_type=cosine``). λ depends on the number of the update only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.baselines.training.checkpoints import last_checkpoint, updates_in
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.errors import UsageError

__all__ = ["Done", "check_length", "done_in"]


@dataclass(frozen=True, slots=True)
class Done:
    """What a run has done.

    * ``updates``, ``turns``: so far. ``turns_before``: turns before the last of these updates.
    """

    updates: int = 0
    turns: int = 0
    turns_before: int = 0

    @classmethod
    def of(cls, metrics: Sequence[Mapping[str, Any]], updates: int | None = None) -> Done:
        """From the lines of metrics.jsonl; ``updates`` of them, all if None."""
        turns = {int(line["update"]): int(line["turns"]) for line in metrics if "turns" in line and "update" in line}
        count = max(turns, default=-1) + 1 if updates is None else updates
        return cls(count, turns.get(count - 1, 0), turns.get(count - 2, 0))

    def is_enough(self, plan: Plan) -> bool:
        """Whether the budget of the plan is spent."""
        return self.updates >= plan.updates or 0 < plan.turns <= self.turns


def done_in(folder: Path, log: RunLog, plan: Plan, *, is_complete: bool) -> Done:
    """What the run in the folder has done and keeps: up to its last checkpoint, or all if it is complete.

    Raises if a complete run has no checkpoint from which it could go on, but would have to.
    """
    metrics, checkpoint = log.read("metrics"), last_checkpoint(folder)
    if not is_complete:
        return Done() if checkpoint is None else Done.of(metrics, updates_in(checkpoint, plan))
    done = Done.of(metrics)
    if not done.updates:  # metrics.jsonl was deleted
        before = log.description().get("settings", {}).get("plan", {})
        done = Done(int(before.get("updates", 0)), int(before.get("turns", 0)))
    if checkpoint is None and not done.is_enough(plan):
        raise UsageError(
            f"Expected a checkpoint in {folder}, from which the complete run of {done.updates} updates goes on, "
            "got none; try another --out, or --fresh to delete the run."
        )
    return done


def check_length(folder: Path, done: Done, before: Mapping[str, Any], plan: Plan, schedule: str) -> None:
    """Raise if the plan's length differs from ``before``, the plan in run.json, in a way that changes the past.

    ``schedule`` is the argument by which the learning rate depends on the number of updates, or "".
    """
    if done.updates > plan.updates:
        raise _refused(folder, f"plan.updates ≥ {done.updates}", f"{done.updates} updates", plan.updates)
    if done.updates and 0 < plan.turns <= done.turns_before:
        raise _refused(folder, f"plan.turns above {done.turns_before}", f"{done.turns} turns", plan.turns)
    if schedule and done.updates and before.get("updates", plan.updates) != plan.updates:
        raise UsageError(
            f"Expected plan.updates={before['updates']} as at the start of the run in {folder}, got {plan.updates}: "
            f"with {schedule} the learning rate of past updates depends on the number of all updates; "
            "try another --out, or a constant learning rate, with which runs can be prolonged."
        )


def _refused(folder: Path, expected: str, made: str, got: int) -> UsageError:
    return UsageError(
        f"Expected {expected}, because the run in {folder} has made {made} already, got {got}; "
        "try a larger number to go on, another --out, or --fresh to delete the run."
    )
