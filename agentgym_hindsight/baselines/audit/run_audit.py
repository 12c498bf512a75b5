"""An audit: plays groups, measures the truth of their turns, and stores both as it goes. A restart goes on.

Files of the folder: ``audit.json`` (the settings), ``rollouts.jsonl`` (the groups), ``truth.jsonl`` (one line per
measured turn), ``models.jsonl`` (what teachers and judges say, one line per turn), and at the end ``turns.jsonl`` and
``turns.parquet``: the whole table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from agentgym_hindsight.atomic import write_text
from agentgym_hindsight.baselines.audit.credits import add_credits
from agentgym_hindsight.baselines.audit.distance import expert_distances
from agentgym_hindsight.baselines.audit.moments import PlayedGroup, Turn, play_groups
from agentgym_hindsight.baselines.audit.shared_continuations import Ended, SharedContinuations
from agentgym_hindsight.baselines.audit.stored import Key, Stored
from agentgym_hindsight.baselines.audit.truth import Precision, measure_groups
from agentgym_hindsight.baselines.audit.turn_table import COST, SAYS, TurnTable, has_parquet, turn_rows
from agentgym_hindsight.baselines.policies.base import Policy
from agentgym_hindsight.baselines.rollout import Continuation
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Group
from agentgym_hindsight.tasks import Task, seeded_int
from agentgym_hindsight.vector import HindsightVectorEnv

__all__ = ["PROGRESS", "Audit", "Critics", "Plan", "Says", "as_json_values", "run_audit", "table_of", "write_facts"]

#: The column of the turns by which the expert's distance became shorter; none where the expert does not win.
PROGRESS = "expert-progress"
_CONTINUATIONS_OF_A_GROUP = 128  # that are played at once
_COSTS = ("continuations", "played_turns", "seconds", "cpu_seconds")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is audited.

    * ``siblings``: rollouts of a group. ``turns``: audited turns of a group, drawn by the seed; 0: all.
    * ``mixed``: audit only groups in which some rollouts won and some lost.
    * ``distance``: measure the expert's distance to the goal too.
    """

    siblings: int = 8
    turns: int = 0
    mixed: bool = False
    distance: bool = True
    precision: Precision = field(default_factory=Precision)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.siblings < 1 or self.turns < 0:
            raise UsageError(f"Expected siblings ≥ 1 and turns ≥ 0, got {self.siblings}, {self.turns}; try 8 and 0.")


class Says(Protocol):
    """What a model says of the turns of a group: numbers by column, for each (member, step)."""

    def __call__(self, group: PlayedGroup) -> Mapping[tuple[int, int], Mapping[str, float]]: ...


class Critics(Protocol):
    """What critics that are fitted to all groups say: numbers by column, for each (task, member, step)."""

    def __call__(self, groups: Sequence[Group]) -> Mapping[str, Mapping[tuple[str, int, int], float]]: ...
    def cost(self, groups: Sequence[Group]) -> float: ...


@dataclass(slots=True)
class Audit:
    """The progress of an audit. ``seconds`` and ``cpu_seconds`` are those of the continuations of this run."""

    turns: int = 0
    continuations: int = 0
    played_turns: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    skipped_groups: int = 0
    #: Continuations, seconds and CPU seconds of the complete groups, those of earlier runs included.
    total: dict[str, float] = field(default_factory=dict)


def run_audit(
    venv: HindsightVectorEnv,
    policy: Policy,
    tasks: Sequence[Task],
    folder: Path,
    terms: Mapping[str, Any],
    plan: Plan,
    *,
    says: Sequence[Says] = (),
    critics: Critics | None = None,
    expert: Policy | None = None,
    on_group: Callable[[Audit], object] | None = None,
    on_turns: Callable[[Audit], object] | None = None,
    fresh: bool = False,
) -> tuple[TurnTable, Audit]:
    """Audit a group of every task, and return the table of all turns.

    ``venv`` needs ``expert=True`` if there is an ``expert``, the policy whose number of turns is the distance to the
    goal. Turns that ``folder`` has already are not measured again. ``terms`` are stored with the audit: a folder with
    others is refused. ``critics`` are fitted to the rollouts of all tasks at the end.
    """
    stored = Stored(folder, terms, fresh=fresh)
    progress = Audit()
    todo = [task for task in tasks if not stored.is_complete(task.id)]
    for _ in tasks[len(todo) :]:
        if on_group is not None:
            on_group(progress)
    auditing = _Auditing(venv, policy, stored, plan, says, expert, progress, on_turns)
    waiting = play_groups(venv, policy, todo, plan.siblings, seed=plan.seed)
    while groups := list(islice(waiting, auditing.groups_at_once)):
        for group in groups:
            stored.begin(group)
        before = [getattr(progress, name) for name in _COSTS]
        auditing.measure(groups)
        for group in groups:
            auditing.ask_models(group)
            after = [getattr(progress, name) for name in _COSTS]
            # The first of the groups bears the cost of all.
            stored.complete(group.task.id, {n: round(b - a, 3) for n, a, b in zip(_COSTS, before, after, strict=True)})
            before = after
            if on_group is not None:
                on_group(progress)
    progress.total = {name: stored.cost(name) for name in _COSTS}
    table = table_of(folder, tasks)
    if critics is not None:
        table = _with_critics(table, stored.groups(), critics)
    table.save(folder / "turns.jsonl")
    if has_parquet():
        table.save(folder / "turns.parquet")
    return table, progress


@dataclass(frozen=True, slots=True)
class _Auditing:
    """What is needed to audit groups."""

    venv: HindsightVectorEnv
    policy: Policy
    stored: Stored
    plan: Plan
    says: Sequence[Says]
    expert: Policy | None
    progress: Audit
    on_turns: Callable[[Audit], object] | None

    @property
    def continuations_at_once(self) -> int:
        return max(self.venv.num_envs, int(getattr(self.policy, "turns_at_once", 0)))

    @property
    def groups_at_once(self) -> int:
        """So many that the continuations of the last undecided turns are not played alone."""
        return max(1, self.continuations_at_once // _CONTINUATIONS_OF_A_GROUP)

    def _is_audited(self, group: PlayedGroup) -> bool:
        won = {episode.trajectory.won for episode in group.episodes}
        return bool(group.episodes) and not (self.plan.mixed and len(won) < 2)

    def measure(self, groups: Sequence[PlayedGroup]) -> None:
        """Measure and store the truth of the turns that have none."""
        stored, plan, progress = self.stored, self.plan, self.progress
        work: list[tuple[PlayedGroup, list[Turn]]] = []
        for group in groups:
            if not self._is_audited(group):
                progress.skipped_groups += 1
                continue
            turns = [turn for turn in _chosen(group, plan) if stored.key(group, turn) not in stored.truth]
            if turns:
                work.append((group, turns))
        if not work:
            return
        distances = {
            group.task.id: {} if self.expert is None else expert_distances(self.venv, self.expert, group, turns)
            for group, turns in work
        }
        shared = SharedContinuations(self.venv, self.policy, [group for group, _ in work], self.continuations_at_once)

        def count(turns: int) -> None:
            progress.played_turns += turns

        def play(starts: Sequence[Continuation]) -> Iterator[Ended]:
            started, busy = time.perf_counter(), time.process_time()
            for end in shared.play(starts, count):
                progress.continuations += 1
                yield end
            progress.seconds += time.perf_counter() - started
            progress.cpu_seconds += time.process_time() - busy

        for group, turn, estimate in measure_groups(work, play, plan.precision):
            if not estimate.pairs:
                continue  # every continuation broke
            line: dict[str, Any] = {"advantage": estimate.value, **estimate._asdict()}
            del line["value"]
            if self.expert is not None:
                found = distances[group.task.id]
                line["distance"], line["distance_after"] = found.get(turn.before), found.get(turn.after)
            stored.add_truth(stored.key(group, turn), line)
            progress.turns += 1
            if self.on_turns is not None:
                self.on_turns(progress)

    def ask_models(self, group: PlayedGroup) -> None:
        """Store what teachers and judges say of a group."""
        if not self._is_audited(group):
            return
        numbers: dict[tuple[int, int], dict[str, float]] = {}
        for each in self.says:
            for place, values in each(group).items():
                numbers.setdefault(place, {}).update(values)
        for (member, step), values in numbers.items():
            self.stored.add_says(Key(group.task.id, member, step), values)


def _chosen(group: PlayedGroup, plan: Plan) -> list[Turn]:
    """The turns to audit, in order."""
    if not plan.turns or len(group.turns) <= plan.turns:
        return list(group.turns)
    drawn = sorted(
        range(len(group.turns)),
        key=lambda n: seeded_int("audit", plan.seed, group.task.id, group.turns[n].member, group.turns[n].step),
    )
    return [group.turns[number] for number in sorted(drawn[: plan.turns])]


def table_of(folder: Path, tasks: Sequence[Task]) -> TurnTable:
    """The table of the audited groups in a folder, with the credit of every method that needs no model."""
    stored = Stored(folder, None)
    categories = {task.id: task.category for task in tasks}
    rows: list[dict[str, Any]] = []
    for group in stored.groups():
        task = group[0].task_id
        fixed = turn_rows(group, categories.get(task, ""))
        for row in fixed:
            key = Key(task, row["member"], row["step"])
            rows.append({**row, **stored.truth.get(key, {}), **stored.says.get(key, {})})
    if not any("advantage" in row for row in rows):
        raise UsageError(f"Expected at least one measured turn in {folder}, got none; try more tasks, or --groups all.")
    measured = {row["task"] for row in rows if "advantage" in row}
    table = add_credits(TurnTable(tuple(row for row in rows if row["task"] in measured)))
    progress = table.column("distance") - table.column("distance_after")
    return table.with_column(SAYS + PROGRESS, progress) if np.isfinite(progress).any() else table


def _with_critics(table: TurnTable, groups: Sequence[Group], critics: Critics) -> TurnTable:
    found = critics(groups)
    cost = critics.cost(groups) if found else 0.0
    for name, numbers in found.items():
        values = [numbers.get((row["task"], row["member"], row["step"]), np.nan) for row in table.rows]
        table = table.with_column(SAYS + name, np.array(values))
        table = table.with_column(COST + name, np.full(len(table), cost))
    return table


def as_json_values(tree: Any) -> Any:
    """The tree with ``None`` in the place of NaN, which figures of too few turns are."""
    if isinstance(tree, Mapping):
        return {name: as_json_values(value) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [as_json_values(value) for value in tree]
    return None if isinstance(tree, float) and not np.isfinite(tree) else tree


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the figures of an audit as ``summary.json``."""
    write_text(folder / "summary.json", json.dumps(facts, indent=1, allow_nan=False) + "\n")
