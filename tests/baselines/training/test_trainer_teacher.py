"""The teacher during training: when its weights change, what it scores, and which rows need no score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.policies.base import Reply
from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.trainer import HindsightTrainer
from tests.baselines.training.tiny_runs import (
    CUTTING_PLAN,
    PLAN,
    FixedPolicy,
    HalfWonTrainer,
    logps,
    make_trainer,
    model,
    same_weights,
    serl,
    tokenizer,
    weights,
)
from tests.baselines.training.trainer_probes import WeightRecorder, record_forward_shapes


def recorded(who: str, out: Path, updates: int) -> WeightRecorder:
    trainer = make_trainer(serl(who=who), out, replace(PLAN, updates=updates))
    recorder = WeightRecorder(trainer)
    trainer.train()
    assert not same_weights(recorder.policy[0], recorder.policy[1])
    return recorder


def test_a_synced_teacher_follows_every_second_update(tmp_path: Path) -> None:
    recorder = recorded("sync:2", tmp_path, 3)
    assert same_weights(recorder.teacher[0], recorder.policy[0])
    assert same_weights(recorder.teacher[1], recorder.policy[2])
    assert same_weights(recorder.teacher[2], recorder.policy[2])


def test_an_averaged_teacher_moves_by_its_rate(tmp_path: Path) -> None:
    average = recorded("ema:0.25", tmp_path, 2)
    expected = average.policy[0]
    for policy, teacher in zip(average.policy[1:], average.teacher, strict=True):
        expected = {name: 0.75 * expected[name] + 0.25 * policy[name] for name in policy}
        for name in expected:
            torch.testing.assert_close(teacher[name], expected[name], atol=1e-6, rtol=1e-5)


def test_a_frozen_teacher_keeps_the_initial_weights(tmp_path: Path) -> None:
    frozen = recorded("frozen", tmp_path, 2)
    assert all(same_weights(teacher, frozen.policy[0]) for teacher in frozen.teacher)


def test_the_current_policy_as_teacher_keeps_no_copy(tmp_path: Path) -> None:
    current = recorded("current", tmp_path, 2)
    assert all(map(same_weights, current.teacher, current.policy[1:]))
    assert current.trainer.teacher is not None
    assert not current.trainer.teacher.state_dict()["weights"]


def test_teacher_logps_are_those_of_its_weights_on_its_prompt(tmp_path: Path) -> None:
    plan = replace(CUTTING_PLAN, updates=1)
    trainer = make_trainer(serl(who="sync:2", what="success+immediate"), tmp_path, plan)
    trainer.train()
    trainer.model.train()
    after = weights(trainer.model)
    (rows,) = trainer._play_update(1)
    assert same_weights(weights(trainer.model), after)
    first = model()  # the teacher's weights after the first of two updates
    for row in rows:
        assert row.context is not None
        assert row.teacher_logps is not None
        assert row.teacher_ids != row.prompt_ids
        assert len(row.teacher_ids) <= trainer.encoder.max_tokens
        expected = logps(first, row.teacher_ids, row.response_ids).float()
        torch.testing.assert_close(row.teacher_logps, expected, atol=1e-4, rtol=1e-4)
    prompts = "\n".join(trainer.encoder.decode(row.teacher_ids) for row in rows)
    assert "Immediate feedback" in prompts


class NeverWon(HalfWonTrainer):
    """Rewards as if every other sibling had won, but no rollout is marked as won: no success can be a context."""

    def _play(self, update: int, policy: Any) -> list[Episode]:
        return [e._replace(trajectory=e.trajectory.replace(won=False)) for e in super()._play(update, policy)]


class NoActionTags(HalfWonTrainer):
    """No reply contains an action that the parser finds."""

    def _play(self, update: int, policy: Any) -> list[Episode]:
        ids = tuple(tokenizer()("look", add_special_tokens=False)["input_ids"])  # without tags

        def without_tags(episode: Episode) -> Episode:
            replies = [Reply("look", reply.prompt_ids, ids, (-1.0,) * len(ids)) for reply in episode.replies]
            return episode._replace(replies=tuple(replies))

        return [without_tags(episode) for episode in super()._play(update, policy)]


@pytest.mark.parametrize(
    ("method", "kind", "scored"),
    [
        (serl(), HalfWonTrainer, True),
        (serl(when="0"), HalfWonTrainer, False),
        (serl(what="success"), NeverWon, False),
        (serl(), HindsightTrainer, False),
        (recipe("serl"), NoActionTags, False),
    ],
    ids=["asked", "lambda-is-0", "no-context", "no-advantage", "no-action"],
)
def test_the_teacher_scores_only_rows_that_it_can_change(tmp_path: Path, method: Any, kind: Any, scored: bool) -> None:
    trainer = make_trainer(method, tmp_path, kind=kind)
    trainer._play(0, FixedPolicy(lambda turn: "look"))  # creates the environments
    trainer._make_teacher()
    policy = TransformersPolicy(trainer.model, trainer.encoder, max_new_tokens=PLAN.response_tokens)
    rows = trainer._rows(trainer._play(0, policy), method.when(0))
    assert any(row.advantage for row in rows) == (kind is not HindsightTrainer)
    shapes = record_forward_shapes(trainer)
    trainer._score_teacher([row for row in rows if row.teacher_ids])
    assert bool(shapes) is scored
    assert all((row.teacher_logps is not None) is scored for row in rows)
