"""Demonstrations for ReAct: the expert's rollouts of train tasks, with thoughts, as text in the form of a protocol.

For every task: two tasks of its category, in a seeded order of the train split, never the task itself. Where the split
has too few of the category, others follow. The embedded worlds, the catalogue and the expert are this library's, so no
demonstration of a publication is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from agentgym_hindsight.baselines.analysers.rollout_text import clipped
from agentgym_hindsight.baselines.evaluation.demonstration_thoughts import thoughts_of
from agentgym_hindsight.baselines.evaluation.panels import play_panel
from agentgym_hindsight.baselines.policies.scripted import ExpertPolicy
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import Task, TaskPanel
from agentgym_hindsight.wrappers.protocols import make_protocol

__all__ = ["SPLIT", "demonstration_text", "demonstrations_for"]

#: The split whose tasks are demonstrated.
SPLIT = "train"
_FIRST_DRAW = 32  # tasks looked at first, then eight times as many if a category has too few
_LAST_DRAW = 256  # then others follow
_MOST_CHARACTERS = 4000  # of a demonstration
_OPENING = 1200  # of them, of its first observation
_LEAST_REPLY = 120


def demonstrations_for(
    stage: Stage, panel: Sequence[Task], count: int = 2, *, seed: int = 0
) -> dict[str, tuple[str, ...]]:
    """``count`` demonstrations for every task of the panel, by its id.

    >>> stage = Stage(settings={"data": "embedded"}, protocol="react-2022")
    >>> panel = stage.panel("valid_unseen", 1)
    >>> first, second = demonstrations_for(stage, panel)[panel[0].id]
    >>> "\\n> think: The task is:" in first, first != second
    (True, True)
    """
    if count < 1 or not len(panel):
        return {task.id: () for task in panel}
    shown, world = _Shown(stage, seed), stage.world
    turn = getattr(make_protocol(stage.protocol), "turn", None)
    if turn is None:
        raise UsageError(
            f"Expected a protocol with turns of thinking, got {stage.protocol!r}; try react-2022, code-react or "
            "tools-react."
        )
    texts: dict[str, str] = {}
    result: dict[str, tuple[str, ...]] = {}
    for task in panel:
        found = shown.for_task(task, count)
        for rollout in found:
            if rollout.task_id not in texts:
                texts[rollout.task_id] = demonstration_text(rollout, turn, world)
        result[task.id] = tuple(texts[rollout.task_id] for rollout in found)
    return result


def demonstration_text(rollout: Trajectory, turn: Callable[[str, str], str], world: str) -> str:
    """A rollout with thoughts; ``turn`` writes an action and its reply. Long replies lose their middle."""
    thoughts = thoughts_of(rollout, world)
    share = max(_LEAST_REPLY, _MOST_CHARACTERS // (2 * max(1, len(rollout))))
    lines = [clipped(_opening(rollout), _OPENING)]
    for place, step in enumerate(rollout.steps):
        if place in thoughts:
            lines.append(turn(f"think: {clipped(thoughts[place], share)}", "OK."))
        lines.append(turn(step.action, clipped(step.feedback.strip(), share)))
    return "\n".join(filter(None, (line.strip() for line in lines)))


def _opening(rollout: Trajectory) -> str:
    """The first observation, from the task or the user's message on: the rest is the same in every task."""
    first = rollout.steps[0].observation.strip() if rollout.steps else ""
    if first.startswith("-= "):  # a banner of the engine, which the protocol leaves out too
        first = first.partition("\n\n")[2] or first
    for mark in ("\nUser: ", "\nYour task: "):
        before, found, after = first.rpartition(mark)
        if found and len(before) > len(after):
            return f"{mark.strip()} {after}"
    return first if rollout.goal in first else f"Your task is to: {rollout.goal}\n{first}"


class _Shown:
    """The expert's won rollouts, made when a category first needs them."""

    def __init__(self, stage: Stage, seed: int) -> None:
        # A demonstration is a whole solution, whatever the limit of the evaluation.
        settings = {name: value for name, value in stage.settings.items() if name != "max_steps"}
        self._stage, self._seed = replace(stage, settings=settings), seed
        self._size = stage.size(SPLIT)
        self._tasks: TaskPanel | None = None
        self._played: dict[str, Trajectory | None] = {}

    def for_task(self, task: Task, count: int) -> list[Trajectory]:
        found: dict[object, Trajectory] = {}
        for candidate in self._candidates(task, count):
            rollout = self._rollout(candidate)
            if rollout is not None:
                found.setdefault((rollout.goal, rollout.actions), rollout)  # the same twice would show nothing
            if len(found) == count:
                break
        if not found:
            raise UsageError(
                f"Expected an expert that wins tasks of the split {SPLIT!r} for demonstrations, got none that did; "
                "try an env with an expert, or a policy without react:."
            )
        return list(found.values())

    def _candidates(self, task: Task, count: int) -> Iterator[Task]:
        """Tasks of the category, in order, then those of others; the task itself is left out."""
        number = min(_FIRST_DRAW, self._size)
        seen: set[str] = {task.id}
        while True:
            drawn = self._draw(number)
            for each in drawn:
                if each.category == task.category and each.id not in seen:
                    seen.add(each.id)
                    yield each
            if number >= min(self._size, _LAST_DRAW):
                break
            number = min(8 * number, self._size)
        for each in self._draw(min(_FIRST_DRAW, self._size)):
            if each.id not in seen:
                yield each

    def _draw(self, number: int) -> TaskPanel:
        if self._tasks is None or len(self._tasks) < number:
            self._tasks = self._stage.panel(SPLIT, number, self._seed)
        return self._tasks[:number]

    def _rollout(self, task: Task) -> Trajectory | None:
        """The expert's rollout, if it won. A category's next tasks are not played before they are needed."""
        if task.id not in self._played:
            (played,) = play_panel(ExpertPolicy(), self._stage, [task], num_envs=1)
            self._played[task.id] = played if played.won and not played.broken else None
        return self._played[task.id]
