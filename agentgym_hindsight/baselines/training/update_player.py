"""The rollouts of an update: which tasks are played, and by which process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agentgym_hindsight.baselines.rollout import Episode, assignments, play
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.dynamic_sampling import groups_that_vary
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import Task, TaskPanel

__all__ = ["UpdatePlayer", "check_tasks"]


def check_tasks(tasks: TaskPanel, plan: Plan) -> None:
    """Raise if there are fewer tasks than an update plays.

    Replies depend on seed, update, task and sibling: if a task occurred twice in an update, its rollouts would be
    played twice with the same replies.
    """
    most = plan.tasks * plan.rounds
    if len(tasks) < most:
        named = "plan.tasks" if plan.rounds == 1 else "plan.tasks × plan.rounds"
        cure = f"plan.tasks={len(tasks) // plan.rounds}" if len(tasks) >= plan.rounds else "plan.rounds=1"
        raise UsageError(
            f"Expected at least {most} training tasks, as many as an update plays ({named}), got {len(tasks)}"
            f"; try {cure}, or more training tasks (train_tasks=0 takes the whole split)."
        )


class UpdatePlayer:
    """Plays the tasks of an update in a vector environment, which is created at the first call.

    Update k plays ``plan.tasks`` tasks of the panel from position k · ``plan.tasks`` on, and continues at the start of
    the panel when it reaches the end. With dynamic sampling, every update has ``plan.rounds`` times as many positions.
    """

    def __init__(self, stage: Stage, tasks: TaskPanel, plan: Plan, processes: Processes) -> None:
        check_tasks(tasks, plan)
        self.stage, self.tasks, self.plan, self.processes = stage, tasks, plan, processes
        self._venv: Any = None

    def tasks_of(self, update: int, number: int = 0) -> list[Task]:
        """The tasks that all processes together play in a round of an update."""
        start = (update * self.plan.rounds + number) * self.plan.tasks
        return [self.tasks[(start + i) % len(self.tasks)] for i in range(self.plan.tasks)]

    def play_again(
        self, rollouts: Sequence[tuple[str, int]], update: int, policy: Any, on_turns: Callable[[int], object] | None
    ) -> list[Episode]:
        """Other rollouts of an update, by task id and sibling, in the environments of :meth:`play`."""
        tasks = {task.id: task for task in self.tasks_of(update)}
        todo = [(tasks[task_id], sibling) for task_id, sibling in rollouts]
        return list(play(self._venv, policy, todo, seed=self.plan.seed, on_turns=on_turns))

    def play(self, update: int, policy: Any, on_turns: Callable[[int], object] | None = None) -> list[Episode]:
        """The episodes of this process: whole groups, each of ``plan.siblings`` rollouts, of all rounds of the update.

        ``on_turns`` is called with the number of turns just played. All processes make the same number of rounds.
        """
        episodes: list[Episode] = []
        for number in range(self.plan.rounds):
            rollouts = assignments(self.processes.share(self.tasks_of(update, number)), self.plan.siblings)
            if self._venv is None:
                self._venv = self.stage.vector(self.plan.envs or len(rollouts), "train")
            # The environment's seed is the seed of the run, so siblings play the same world in every update.
            episodes += play(self._venv, policy, rollouts, seed=self.plan.seed, on_turns=on_turns)
            is_last = number + 1 == self.plan.rounds
            if not is_last and self.processes.total(len(groups_that_vary(episodes))) >= self.plan.tasks:
                break
        return episodes

    def close(self) -> None:
        """Close the environments."""
        if self._venv is not None:
            self._venv.close()
            self._venv = None
