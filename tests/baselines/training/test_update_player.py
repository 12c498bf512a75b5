"""The rollouts of an update: which tasks are played, what becomes a row, and what happens to broken rollouts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
from agentgym_hindsight.baselines.policies.vllm import VLLMPolicy
from agentgym_hindsight.baselines.training.trainer import HindsightTrainer
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import TaskPanel
from tests.baselines.training.tiny_runs import (
    CUTTING_PLAN,
    PLAN,
    logps,
    make_trainer,
    model,
    panel,
    same_weights,
    serl,
    tokenizer,
    weights,
)
from tests.baselines.training.trainer_probes import key, play_actions


def test_rows_contain_exactly_the_sampled_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampled: list[tuple[str, int, int, Any]] = []
    act = TransformersPolicy.act

    def spy(self: Any, turns: Any) -> Any:
        replies = act(self, turns)
        sampled.extend((t.task_id, t.sibling, t.step, reply) for t, reply in zip(turns, replies, strict=True))
        return replies

    monkeypatch.setattr(TransformersPolicy, "act", spy)
    plan = replace(CUTTING_PLAN, temperature=0.8)
    trainer = make_trainer(serl(), tmp_path, plan)
    (rows,) = trainer._play_update(0)
    assert trainer._measured is not None
    episodes = trainer._measured.episodes
    replies = {(task, sibling, turn): reply for task, sibling, turn, reply in sampled}
    assert len(replies) == len(sampled) == len(rows) == 32
    changed = 0
    for row in rows:
        trajectory = episodes[row.episode].trajectory
        reply = replies[trajectory.task_id, trajectory.sibling, row.step.index]
        assert (row.prompt_ids, row.response_ids) == (reply.prompt_ids, reply.response_ids)
        assert row.prompt_ids == trainer.encoder.encode(row.step.prompt)
        assert row.step.response == trainer.encoder.decode(row.response_ids)
        expected = logps(trainer.model, *key(row), plan.temperature).float()
        torch.testing.assert_close(torch.tensor(row.logprobs), expected, atol=1e-4, rtol=1e-4)
        again = tokenizer()(row.step.response, add_special_tokens=False)["input_ids"]
        changed += tuple(again) != row.response_ids
    assert changed, "no response has other tokens when it is tokenized again: the test shows nothing"


def test_an_update_plays_its_own_tasks_in_groups(tmp_path: Path) -> None:
    trainer = make_trainer(serl(), tmp_path, kind=HindsightTrainer)
    played = []
    for update in range(3):
        (rows,) = trainer._play_update(update)
        assert trainer._measured is not None
        episodes = [episode.trajectory for episode in trainer._measured.episodes]
        tasks = [task.id for task in trainer.player.tasks_of(update)]
        assert Counter((t.task_id, t.sibling) for t in episodes) == Counter((i, s) for i in tasks for s in range(4))
        for task in tasks:
            siblings = [t for t in episodes if t.task_id == task]
            assert len({(t.goal, t.steps[0].observation, t.steps[0].admissible_actions) for t in siblings}) == 1
            assert len({t.steps[0].response for t in siblings}) > 1
        assert {episodes[row.episode].task_id == tasks[row.group] for row in rows} == {True}
        # No rollout wins within four turns.
        assert all(t.truncated and len(t) == 4 for t in episodes)
        assert trainer._measured.record["truncated"] == 1.0
        played += tasks
    assert played == [task.id for task in panel()]
    assert [task.id for task in trainer.player.tasks_of(3)] == played[:2]


def test_broken_rollouts_are_counted_and_not_trained_on(tmp_path: Path, stormy: Stage) -> None:
    records: list[dict[str, Any]] = []
    trainer = make_trainer(
        recipe("serl"),
        tmp_path,
        kind=HindsightTrainer,
        stage=stormy,
        tasks=stormy.panel("train", 6, seed=1),
        on_update=lambda record, measured: records.append({**record, "measured": measured}),
    )

    def action_of(turn: Any) -> str:
        if turn.sibling == 1:
            return "crash" if turn.step == 2 else "east"
        return {0: "east", 2: "fly", 3: "west"}[turn.sibling]

    play_actions(trainer, action_of)
    trainer.train()
    assert len(records) == 2
    for record in records:
        assert (record["episodes"], record["broken"], record["success"]) == (8, 2, pytest.approx(1 / 3))
        assert record["truncated"] == pytest.approx(2 / 3)
        assert record["grad_norm"] > 0.01
        rows, episodes = record["measured"].rows, record["measured"].episodes
        broken = [e.trajectory for e in episodes if e.trajectory.broken]
        assert [t.sibling for t in broken] == [1, 1]
        assert len(rows) == sum(len(e.trajectory) for e in episodes if not e.trajectory.broken)
    assert records[-1]["turns"] == sum(len(e.trajectory) for r in records for e in r["measured"].episodes)


@pytest.mark.parametrize("mini_batches", [1, 2])
def test_an_update_without_any_row_changes_nothing(tmp_path: Path, stormy: Stage, mini_batches: int) -> None:
    plan = replace(PLAN, mini_batches=mini_batches)
    tasks = stormy.panel("train", 4, seed=1)
    trainer = make_trainer(recipe("serl"), tmp_path, plan, HindsightTrainer, stage=stormy, tasks=tasks)
    play_actions(trainer, lambda turn: "crash")
    trainer.train()
    assert trainer.updates_done == 2
    assert same_weights(weights(trainer.model), weights(model()))


def test_fewer_tasks_than_an_update_plays_are_refused(tmp_path: Path) -> None:
    # The same task twice would give the same replies twice.
    with pytest.raises(UsageError, match="at least 2 training tasks"):
        make_trainer(serl(), tmp_path, tasks=TaskPanel(list(panel())[:1], name="one"))


class FakeGeneration:
    """The part of TRL's VLLMGeneration that the trainer uses."""

    logprobs, temperature = 0, 0.5

    def __init__(self) -> None:
        self.synced = 0

    def sync_weights(self) -> None:
        self.synced += 1


def test_vllm_gets_the_weights_once_a_step_and_is_drained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(serl(), tmp_path)
    trainer.plan, trainer.vllm_generation = replace(PLAN, vllm="colocate"), FakeGeneration()
    drained: list[float] = []
    monkeypatch.setattr(VLLMPolicy, "drain", lambda policy: drained.append(policy.generation.temperature))
    for global_step, synced in ((0, 1), (0, 1), (1, 2)):
        trainer.state.global_step = global_step
        with trainer.current_policy(0.9, seed="any") as policy:
            assert isinstance(policy, VLLMPolicy)
            assert policy.generation.temperature == 0.9
        assert trainer.vllm_generation.temperature == 0.5
        assert trainer.vllm_generation.synced == synced
    assert drained == [0.9, 0.9, 0.9]


def test_an_engine_that_cannot_take_weights_is_explained(tmp_path: Path) -> None:
    class Packed(FakeGeneration):
        """As vLLM's backend for CPUs: its weights are packed and have no loader."""

        def __init__(self, error: Exception) -> None:
            self.error = error

        def sync_weights(self) -> None:
            raise self.error

    trainer = make_trainer(serl(), tmp_path)
    packed = Packed(AttributeError("'Parameter' object has no attribute 'weight_loader'"))
    trainer.plan, trainer.vllm_generation = replace(PLAN, vllm="colocate"), packed
    with pytest.raises(UsageError, match=r"a GPU .*--set plan\.vllm="), trainer.current_policy(0.9, seed="any"):
        pass
    packed.error = AttributeError("another fault")
    with pytest.raises(AttributeError, match="another fault"), trainer.current_policy(0.9, seed="any"):
        pass


def test_models_with_their_own_kind_of_cache_play_by_generate(tmp_path: Path) -> None:
    trainer = make_trainer(serl(), tmp_path, replace(PLAN, generate=True))
    with trainer.current_policy(1.0, seed="any") as policy:
        assert policy.native
    assert trainer._play_update(0)[0]
