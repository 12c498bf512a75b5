"""Dynamic sampling: which groups are trained on, how many tasks an update plays, and what the figures count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("trl")

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.settings import SettingError
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.dynamic_sampling import groups_that_vary, trained_episodes
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.trainer import HindsightTrainer
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.stage import Stage
from tests.baselines.training.tiny_runs import PLAN, make_trainer
from tests.baselines.training.trainer_probes import play_actions

ALONE = Processes(SimpleNamespace(num_processes=1, process_index=0))


def episode(task: str, reward: float, broken: bool = False) -> Episode:
    step = Step(0, "", "", "", "", reward=reward)
    return Episode(Trajectory(task, steps=(step,), broken="lost" if broken else ""), ())


def test_groups_with_one_return_are_left_out() -> None:
    flat, mixed = [episode("flat", 1.0), episode("flat", 1.0)], [episode("mixed", 1.0), episode("mixed", 0.0)]
    assert groups_that_vary([*flat, *mixed]) == {"mixed"}
    assert trained_episodes([*flat, *mixed], ALONE) == mixed
    # A broken rollout has no return, so it does not make a group vary.
    assert groups_that_vary([*flat, episode("flat", 0.0, broken=True)]) == set()
    # Without any group that varies everything stays: an update has rows, which a KL term may use.
    assert trained_episodes(flat, ALONE) == flat


def test_another_process_with_varying_groups_leaves_this_one_without_rows() -> None:
    processes = Processes(SimpleNamespace(num_processes=1, process_index=0))
    processes.total = lambda value: value + 1.0  # type: ignore[method-assign]
    assert trained_episodes([episode("flat", 1.0), episode("flat", 1.0)], processes) == []


def test_an_update_plays_on_until_enough_groups_vary(tmp_path: Path, stormy: Stage) -> None:
    plan = replace(PLAN, tasks=2, siblings=2, rounds=3, updates=2)
    tasks = stormy.panel("train", 12, seed=1)
    # Update 0 has one varying group in each of its first two rounds, update 1 none in any of its three.
    varying = {tasks[1].id, tasks[2].id, tasks[4].id}
    records: list[dict[str, Any]] = []
    trainer = make_trainer(
        recipe("grpo"),
        tmp_path,
        plan,
        HindsightTrainer,
        stage=stormy,
        tasks=tasks,
        on_update=lambda record, measured: records.append({**record, "measured": measured}),
    )
    play_actions(trainer, lambda turn: "east" if turn.task_id in varying and turn.sibling == 0 else "west")
    trainer.train()
    first, second = records
    trained = [[e.trajectory.task_id for e in record["measured"].episodes] for record in records]
    assert set(trained[0]) == {tasks[1].id, tasks[2].id}
    assert len(trained[0]) == 4
    assert first["episodes"] == 8
    assert first["groups_without_variance"] == 0.5
    assert first["rows"] == sum(len(e.trajectory) for e in first["measured"].episodes)
    # All turns count, also those of groups that are left out.
    assert first["turns"] > first["rows"]
    assert first["grad_norm"] > 0
    assert second["episodes"] == 12
    assert second["groups_without_variance"] == 1.0
    assert second["rows"] == second["turns"] - first["turns"]
    assert second["advantage_abs"] == 0
    assert [task.id for task in trainer.player.tasks_of(1, 2)] == [tasks[10].id, tasks[11].id]


def test_one_round_plays_as_before(tmp_path: Path) -> None:
    trainer = make_trainer(recipe("grpo"), tmp_path, kind=HindsightTrainer)
    assert [task.id for task in trainer.player.tasks_of(1)] == [task.id for task in trainer.player.tasks[2:4]]
    trainer._play_update(0)
    assert trainer._measured is not None
    assert trainer._measured.record["episodes"] == 8


def test_the_tasks_of_all_rounds_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"at least 8 training tasks.*plan.rounds\), got 6; try plan.tasks=1"):
        make_trainer(recipe("grpo"), tmp_path, replace(PLAN, rounds=4))


def test_a_method_that_replays_hard_groups_is_refused() -> None:
    with pytest.raises(SettingError, match=r"plan.rounds 1 with psp.*got 2"):
        Plan(rounds=2).check_method(recipe("psp"))
