"""``react:POLICY`` and ``reflexion:POLICY`` of ``agh eval``: their names, protocol, demonstrations and trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.evaluation.demonstrations import demonstrations_for
from agentgym_hindsight.baselines.evaluation.panels import as_played
from agentgym_hindsight.baselines.evaluation.trials import play_trials
from agentgym_hindsight.baselines.policies.base import Policy
from agentgym_hindsight.baselines.policies.react import REACT_PROTOCOLS, ReActPolicy
from agentgym_hindsight.baselines.policies.reflexion import ReflexionPolicy
from agentgym_hindsight.cli.earlier_rollouts import stored_rollouts
from agentgym_hindsight.cli.progress import progress_display
from agentgym_hindsight.cli.terminal import console
from agentgym_hindsight.hindsight.jsonl import write_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.names import known_name
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import Task, TaskPanel

__all__ = ["PROMPT_TOKENS", "play_in_trials", "prompted", "react_protocol"]

#: The default length limit of a prompt: two demonstrations and the transcript need room.
PROMPT_TOKENS = 8192


def react_protocol(world: str, given: str | None) -> str:
    """The protocol of ReAct in a world; an error if another one was asked for."""
    suits = REACT_PROTOCOLS.get(world, "react-2022")
    return known_name("prompt protocol of react and reflexion in this environment", given, {suits}) if given else suits


def prompted(kind: str, inner: Policy, stage: Stage, panel: Sequence[Task], *, scripted: bool) -> ReActPolicy:
    """The policy of ``react`` or ``reflexion`` around another one."""
    policy, demonstrations = as_played(inner, stage), demonstrations_for(stage, panel)
    if kind == "react":
        return ReActPolicy(policy, demonstrations)
    return ReflexionPolicy(policy, demonstrations, scripted=scripted)


def play_in_trials(
    make_policy: Callable[[], Policy],
    stage: Stage,
    panel: TaskPanel,
    file: Path,
    terms: dict[str, Any],
    trials: int,
    *,
    name: str,
    num_envs: int,
    fresh: bool,
) -> list[Trajectory]:
    """The rollouts of all trials, in the order of the panel and of the trials; stored ones are not played again."""
    stored = {place: found for place, found in stored_rollouts(file, terms, fresh=fresh).items() if place[1] < trials}
    if not _is_complete(stored, panel, trials):
        policy = make_policy()
        assert isinstance(policy, ReflexionPolicy)
        _play(policy, stage, panel, file, terms, trials, stored, name, num_envs)
    return [stored[task.id, trial] for task in panel for trial in range(trials) if (task.id, trial) in stored]


def _is_complete(stored: Mapping[tuple[str, int], Trajectory], panel: TaskPanel, trials: int) -> bool:
    def ended(task: Task) -> bool:
        rollouts = [stored.get((task.id, trial)) for trial in range(trials)]
        return rollouts[-1] is not None or any(each is not None and each.won for each in rollouts)

    return all(map(ended, panel))


def _play(
    policy: ReflexionPolicy,
    stage: Stage,
    panel: TaskPanel,
    file: Path,
    terms: dict[str, Any],
    trials: int,
    stored: dict[tuple[str, int], Trajectory],
    name: str,
    num_envs: int,
) -> None:
    turns, later = 0, stored_rollouts(file, terms, fresh=False)
    with progress_display(console) as bar:
        line = bar.add_task(name, total=len(panel) * trials, completed=len(stored), note="")

        def count(new: int) -> None:
            nonlocal turns
            turns += new
            bar.update(line, note=f"{turns} turns")

        play = partial(play_trials, num_envs=num_envs, seed=terms["seed"], progress=count)
        for trajectory in play(policy, stage, panel, trials, stored=dict(stored)):
            record = trajectory.replace(extra={**trajectory.extra, "run": terms})
            place = record.task_id, record.sibling
            is_new = place not in later
            later[place] = stored[place] = record
            if is_new:
                write_jsonl(file, [record], append=True)
                bar.advance(line)
            else:  # its reflection was written
                write_jsonl(file, list(later.values()))
