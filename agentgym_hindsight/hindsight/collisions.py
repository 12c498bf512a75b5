"""How often text anchors and state anchors disagree on recorded rollouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from agentgym_hindsight.hindsight.anchors import anchor_key, state_key
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["Collision", "CollisionReport", "Direction", "collision_report"]


@dataclass(frozen=True, slots=True)
class Collision:
    """One anchor that merges several situations, as an example in the report."""

    task_id: str
    anchor: str
    holds: int  # number of distinct states behind one text, or of distinct texts behind one state
    steps: int
    text: str  # the observation, or the first one


@dataclass(frozen=True, slots=True)
class Direction:
    """How often one kind of anchor merges situations that the other kind distinguishes, counted within tasks.

    * ``merged`` of ``anchors``: anchors with more than one situation of the other kind.
    * ``merged_steps`` of ``steps``: turns at such an anchor.
    * ``merged_pairs`` of ``pairs``: pairs of different situations of one task that share an anchor.
    """

    anchors: int
    merged: int
    steps: int
    merged_steps: int
    pairs: int
    merged_pairs: int
    worst: tuple[Collision, ...]

    @property
    def anchor_rate(self) -> float:
        """Share of anchors with several situations."""
        return self.merged / self.anchors if self.anchors else 0.0

    @property
    def step_rate(self) -> float:
        """Share of turns at an anchor with several situations."""
        return self.merged_steps / self.steps if self.steps else 0.0

    @property
    def pair_rate(self) -> float:
        """Share of pairs of different situations that share an anchor."""
        return self.merged_pairs / self.pairs if self.pairs else 0.0


@dataclass(frozen=True, slots=True)
class CollisionReport:
    """``observation``: states that text anchors merge. ``state``: texts that state anchors merge.

    ``skipped`` counts turns without a recorded true state; they are not compared.
    """

    tasks: int
    observation: Direction
    state: Direction
    skipped: int

    def to_markdown(self) -> str:
        """Both directions in one table, then the worst examples."""
        lines = [
            "| anchor | merges | anchors | of them merging | steps in them | pairs merged |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        directions = (("observation", "states", self.observation), ("state", "texts", self.state))
        for name, kind, direction in directions:
            lines.append(
                f"| {name} | different {kind} | {direction.anchors} | {direction.merged} ({direction.anchor_rate:.1%}) "
                f"| {direction.merged_steps}/{direction.steps} ({direction.step_rate:.1%}) "
                f"| {direction.merged_pairs}/{direction.pairs} ({direction.pair_rate:.1%}) |"
            )
        lines.append("")
        lines.append(f"{self.tasks} tasks; {self.skipped} steps without a recorded state were left out.")
        for name, kind, direction in directions:
            if direction.worst:
                lines += [
                    "",
                    f"Worst {name} anchors:",
                    "",
                    f"| {kind} | steps | task | first text |",
                    "| --- | --- | --- | --- |",
                ]
                lines += [
                    f"| {collision.holds} | {collision.steps} | {collision.task_id} | {_cell(collision.text)} |"
                    for collision in direction.worst
                ]
        return "\n".join(lines) + "\n"


def collision_report(trajectories: Iterable[Trajectory], examples: int = 5) -> CollisionReport:
    """Compare the text of every recorded turn with its true state.

    >>> from agentgym_hindsight.hindsight.trajectory import Step
    >>> turns = [Step(i, "Nothing happens.", "look", "", "", anchor=f"s:{i}") for i in range(2)]
    >>> report = collision_report([Trajectory("1f", steps=tuple(turns))])
    >>> report.observation.step_rate, report.state.step_rate
    (1.0, 0.0)
    """
    by_text: _Table = {}
    by_state: _Table = {}
    texts: dict[str, str] = {}
    skipped = 0
    for trajectory in trajectories:
        for step in trajectory.steps:
            state = state_key(step)
            if not state:
                skipped += 1
                continue
            text = anchor_key("observation", step.observation, "")
            texts.setdefault(text, step.observation)
            for table, anchor, situation in ((by_text, text, state), (by_state, state, text)):
                situations = table.setdefault((trajectory.task_id, anchor), {})
                situations[situation] = situations.get(situation, 0) + 1
    return CollisionReport(
        tasks=len({task for task, _ in by_text}),
        observation=_compare(by_text, by_state, texts, examples),
        state=_compare(by_state, by_text, texts, examples),
        skipped=skipped,
    )


#: (task, anchor) -> situations of the other kind behind it, with their number of turns
_Table = dict[tuple[str, str], dict[str, int]]


def _compare(table: _Table, other: _Table, texts: dict[str, str], examples: int) -> Direction:
    merging = {key: situations for key, situations in table.items() if len(situations) > 1}
    per_task = Counter(task for task, _ in other)
    # A pair can share several anchors (two states with two texts in common). It counts once.
    shared: dict[str, set[tuple[str, str]]] = {}
    for (task, _), situations in merging.items():
        shared.setdefault(task, set()).update(combinations(sorted(situations), 2))
    worst = sorted(merging.items(), key=lambda item: (-sum(item[1].values()), -len(item[1]), item[0]))[:examples]
    return Direction(
        anchors=len(table),
        merged=len(merging),
        steps=sum(sum(situations.values()) for situations in table.values()),
        merged_steps=sum(sum(situations.values()) for situations in merging.values()),
        pairs=sum(count * (count - 1) // 2 for count in per_task.values()),
        merged_pairs=sum(map(len, shared.values())),
        worst=tuple(
            Collision(
                task,
                anchor,
                len(situations),
                sum(situations.values()),
                texts.get(anchor) or texts.get(next(iter(situations)), ""),
            )
            for (task, anchor), situations in worst
        ),
    )


def _cell(text: str, limit: int = 80) -> str:
    """A text as one table cell, truncated."""
    flat = " ".join(text.split()).replace("|", "\\|")
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"
