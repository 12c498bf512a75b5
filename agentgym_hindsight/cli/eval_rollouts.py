"""The rollouts of ``agh eval``: played on a panel and written to a file as they finish."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.evaluation.panels import play_panel
from agentgym_hindsight.baselines.policies.base import Policy
from agentgym_hindsight.cli.earlier_rollouts import stored_rollouts
from agentgym_hindsight.cli.output_files import check_file, is_panel
from agentgym_hindsight.cli.progress import progress_display
from agentgym_hindsight.cli.terminal import console
from agentgym_hindsight.errors import BackendError, UsageError
from agentgym_hindsight.hindsight.jsonl import write_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import TaskPanel

__all__ = ["check_panel", "play", "save_panel"]


def check_panel(panel: TaskPanel, folder: Path, *, fresh: bool) -> None:
    """Raise if the folder contains another panel, or a file of another kind under its name."""
    path = check_file(folder / "panel.json", "panel", is_panel, fresh=fresh)
    if path.exists() and not fresh and (other := TaskPanel.load(path).fingerprint) != panel.fingerprint:
        raise UsageError(
            f"Expected panel {panel.fingerprint} in {folder}, got {other}; try another --out, or --fresh to replace it."
        )


def save_panel(panel: TaskPanel, folder: Path) -> None:
    """Write the panel into the folder of an evaluation."""
    folder.mkdir(parents=True, exist_ok=True)
    panel.save(folder / "panel.json")


def play(
    make_policy: Callable[[], Policy],
    stage: Stage,
    panel: TaskPanel,
    file: Path,
    terms: dict[str, Any],
    *,
    name: str,
    num_envs: int,
    fresh: bool,
    siblings: int = 1,
) -> list[Trajectory]:
    """The rollouts of the panel, in its order, ``siblings`` of each task.

    Rollouts that the file already contains are not played again. ``make_policy`` is not called if the file
    contains all of them.
    """
    stored = stored_rollouts(file, terms, fresh=fresh)
    seed, turns = terms["seed"], 0
    wanted = [(task.id, sibling) for task in panel for sibling in range(siblings)]
    missing = len(set(wanted) - stored.keys())  # the file may have more siblings than are wanted now
    if not missing:
        return [stored[each] for each in wanted]
    with progress_display(console) as bar:
        if "weights" in terms:  # a model: loading it can take minutes
            loading = bar.add_task(f"loading for {name}", total=1, note="")
            policy = make_policy()
            bar.advance(loading)
        else:
            policy = make_policy()
        line = bar.add_task(name, total=len(wanted), completed=len(wanted) - missing, note="")

        def count(new: int) -> None:
            nonlocal turns
            turns += new
            bar.update(line, note=f"{turns} turns")

        try:
            for trajectory in play_panel(
                policy,
                stage,
                panel,
                num_envs=num_envs,
                seed=seed,
                siblings=siblings,
                done=stored.keys(),
                progress=count,
            ):
                record = trajectory.replace(extra={**trajectory.extra, "run": terms})
                write_jsonl(file, [record], append=True)  # one by one, so that Ctrl-C loses only unfinished rollouts
                stored[record.task_id, record.sibling] = record
                bar.advance(line)
        except BackendError:
            finished = sum(not stored[each].broken for each in wanted if each in stored)
            console.print(
                f"{name}: {finished} of {len(wanted)} rollouts are finished and kept in {file}; the same command plays "
                "the others.",
                soft_wrap=True,
            )
            raise
    return [stored[each] for each in wanted]
