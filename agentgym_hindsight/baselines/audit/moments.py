"""Groups of rollouts with a snapshot before every turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from agentgym_hindsight.baselines.policies.base import Policy, Reply, TurnView
from agentgym_hindsight.baselines.rollout import Episode, assignments, play
from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.tasks import Task, content_hash
from agentgym_hindsight.vector import HindsightVectorEnv

__all__ = ["PlayedGroup", "Turn", "play_groups"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a group: the keys of the moments before it and after it.

    The moment after the last turn of a rollout is its end, which is worth ``outcome``; of other turns it is ``None``.
    """

    member: int
    step: int
    before: str
    after: str
    outcome: bool | None


@dataclass(frozen=True, slots=True)
class PlayedGroup:
    """The rollouts of a task without the broken ones, their turns, and the snapshot of every moment by its key.

    Rollouts that begin with the same replies share these moments.
    """

    task: Task
    episodes: tuple[Episode, ...]
    turns: tuple[Turn, ...]
    snapshots: dict[str, Snapshot]


class _Remembering:
    """A policy that takes a snapshot of every env before its turn."""

    def __init__(self, policy: Policy, venv: HindsightVectorEnv) -> None:
        self.policy, self.venv = policy, venv
        self.snapshots: dict[tuple[str, int, int], Snapshot] = {}

    @property
    def name(self) -> str:
        return self.policy.name

    def act(self, turns: Sequence[TurnView]) -> Sequence[str | Reply]:
        for turn, snapshot in zip(turns, self.venv.snapshots(), strict=True):
            self.snapshots[turn.task_id, turn.sibling, turn.step] = snapshot
        return self.policy.act(turns)


def play_groups(
    venv: HindsightVectorEnv,
    policy: Policy,
    tasks: Sequence[Task],
    siblings: int,
    *,
    seed: int = 0,
    on_turns: Callable[[int], object] | None = None,
) -> Iterator[PlayedGroup]:
    """Play a group of each task, as many groups at once as fit into the envs, and yield them one by one."""
    if not 1 <= siblings <= venv.num_envs:
        raise UsageError(f"Expected 1 to {venv.num_envs} siblings, the number of envs, got {siblings}; try 8.")
    at_once = venv.num_envs // siblings
    for start in range(0, len(tasks), at_once):
        remembering = _Remembering(policy, venv)
        wave = tasks[start : start + at_once]
        episodes = list(play(venv, remembering, assignments(wave, siblings), seed=seed, on_turns=on_turns))
        for number, task in enumerate(wave):
            yield _group(task, episodes[number * siblings : (number + 1) * siblings], remembering.snapshots)


def _group(task: Task, episodes: Sequence[Episode], taken: dict[tuple[str, int, int], Snapshot]) -> PlayedGroup:
    complete = tuple(each for each in episodes if not each.trajectory.broken and each.trajectory.steps)
    turns: list[Turn] = []
    snapshots: dict[str, Snapshot] = {}
    for member, (trajectory, replies) in enumerate(complete):
        texts = [reply.text for reply in replies]
        keys = [content_hash(task.id, *texts[:step]) for step in range(len(texts) + 1)]
        for step in range(len(texts)):
            last = step + 1 == len(texts)
            snapshots.setdefault(keys[step], taken[task.id, trajectory.sibling, step])
            turns.append(Turn(member, step, keys[step], keys[step + 1], trajectory.won if last else None))
    return PlayedGroup(task, complete, tuple(turns), snapshots)
