"""Hooks of a method that the trainer calls: when the teacher is asked, what is read from a pass, one rollout a task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

pytest.importorskip("trl")

import torch

from agentgym_hindsight.baselines.methods import RECIPES, recipe
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.batch import Batch, Scores
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.schedules import Constant
from agentgym_hindsight.baselines.training.metrics import add_weights, measure
from agentgym_hindsight.baselines.training.scoring import pack_rows
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.spec import ContextSpec
from tests.baselines.training.tiny_runs import PLAN, HalfWonTrainer, make_run, make_trainer, save_start, serl
from tests.baselines.training.trainer_probes import gradients, record_forward_shapes, step


@dataclass(frozen=True)
class Steady(Method):
    """Adds the mean squared difference of the hidden states of policy and teacher to the loss."""

    uses_hidden: ClassVar[bool] = True

    def extra_loss(self, batch: Batch, student: Scores, teacher: Scores | None) -> torch.Tensor | None:
        SEEN.append((student, teacher))
        if teacher is None:
            return None
        return batch.token_mean((student.hidden - teacher.hidden).square().mean(-1))


SEEN: list[tuple[Scores, Scores | None]] = []
STEADY = Steady("steady", GroupRelative(), what=ContextSpec.parse("immediate"), when=Constant(0.5)).changed(
    tokens="response"
)


def test_hidden_states_come_from_the_passes_of_the_logits(tmp_path: Path) -> None:
    trainer = make_trainer(STEADY, tmp_path, replace(PLAN, token_budget=10**6))  # one micro-batch
    SEEN.clear()
    step(trainer)  # plays the update
    shapes = record_forward_shapes(trainer)
    SEEN.clear()
    trainer._accumulate_gradients(trainer.model, trainer._mini_batches[0])
    assert len(SEEN) == 1
    # One pass of the policy and one of the teacher: no pass of its own for the hidden states.
    assert len(shapes) == 2
    ((student, teacher),) = SEEN
    assert teacher is not None
    assert student.hidden.shape[:2] == student.logps.shape == teacher.hidden.shape[:2]
    # The output layer makes the logits from them.
    for scores in (student, teacher):
        logits = trainer.model.get_output_embeddings()(scores.hidden)
        torch.testing.assert_close(logits, scores.logits, atol=1e-5, rtol=1e-5)
    assert student.hidden.requires_grad
    assert not teacher.hidden.requires_grad
    assert not student.detached().hidden.requires_grad


@pytest.mark.parametrize("mini_batches", [1, 2])
def test_the_teacher_is_read_once_if_a_loss_needs_its_logits(tmp_path: Path, mini_batches: int) -> None:
    """The pass of the loss gives the log-probabilities too, unless later mini-batches need those of the first."""
    method = serl(aux_kl=0.5, when="0.5", who="sync:2")
    trainer = make_trainer(method, tmp_path, replace(PLAN, mini_batches=mini_batches))
    before_loss: list[int] = []
    passes: list[int] = []
    score, read = trainer._scores, trainer._teacher_pass
    trainer._scores = lambda rows, **options: (before_loss.append(len(rows)), score(rows, **options))[1]
    trainer._teacher_pass = lambda *arguments: (passes.append(1), read(*arguments))[1]
    step(trainer)
    rows = [row for row in trainer._mini_batches[0] if row.teacher_ids]
    assert passes
    assert bool(before_loss) == (mini_batches > 1)
    with trainer.teacher.acting():
        for row, logps in score(rows, teacher=True):
            torch.testing.assert_close(row.teacher_logps, logps, atol=1e-5, rtol=1e-5)
    assert any(row.used is not None and row.used[0].abs().max() > 0 for row in rows)


def test_a_loss_on_hidden_states_has_a_gradient(tmp_path: Path) -> None:
    trainer = make_trainer(replace(STEADY, policy_weight=0.0, entropy=0.0), tmp_path)
    step(trainer)
    # The output layer is the embedding, which the hidden states depend on too.
    assert all(gradient.abs().max() > 0 for gradient in gradients(trainer).values())


def test_a_method_that_does_not_declare_them_has_no_hidden_states() -> None:
    with pytest.raises(UsageError, match="try uses_hidden = True"):
        _ = Scores(torch.zeros(1, 1), lambda: torch.zeros(1, 1, 2)).hidden


def test_entropies_and_log_probabilities_come_from_one_pass(tmp_path: Path) -> None:
    method = recipe("antisd").changed(when="0.5", kl=0.0)
    trainer = make_trainer(method, tmp_path)
    calls: list[bool] = []
    original = trainer._get_per_token_logps_and_entropies

    def spy(*arguments: Any, **options: Any) -> Any:
        calls.append(not torch.is_grad_enabled())
        return original(*arguments, **options)

    trainer._get_per_token_logps_and_entropies = spy
    step(trainer)
    rows = [row for row in trainer._mini_batches[0] if row.teacher_ids]
    different = {(row.teacher_ids, row.response_ids): row for row in rows}
    assert sum(calls) == len(pack_rows([*different.values()], trainer.plan.token_budget, teacher=True)) > 0
    with trainer.teacher.acting():
        for row, logps in trainer._scores(rows, teacher=True):
            assert torch.equal(logps, row.teacher_logps)
    assert all(row.teacher_entropies.shape == row.teacher_logps.shape for row in rows)
    assert all((row.teacher_entropies > 0).all() for row in rows)


@pytest.mark.parametrize("name", RECIPES)
def test_the_teacher_is_needed_while_lambda_is_above_0(name: str) -> None:
    method = recipe(name)
    for update in (0, 10, 30, 49, 50, 99, 100, 149):
        assert method.needs_teacher(update) == (method.has_teacher and method.when(update) > 0)


@pytest.mark.parametrize(
    ("name", "values", "asks"),
    [
        ("serl", {"when": "0"}, False),
        ("uniopsd", {"when": "0"}, False),
        ("uniopsd", {"when": "0", "always_fuse": True}, True),
        ("factor", {"when": "0", "eta": "0.5"}, True),
        ("factor", {"when": "0", "eta": "0"}, False),
    ],
)
def test_a_method_says_when_its_teacher_is_asked(name: str, values: dict[str, Any], asks: bool, tmp_path: Path) -> None:
    method = recipe(name).changed(kl=0.0, tokens=replace(recipe(name).tokens, part="response"), **values)
    if method.critic is not None:
        method = replace(method, critic=replace(method.critic, layers=1))
    trainer = make_trainer(method, tmp_path)
    step(trainer)
    rows = trainer._mini_batches[0]
    assert any(row.teacher_logps is not None for row in rows) == asks
    assert any(row.context is not None for row in rows) == asks
    if name == "factor" and asks:
        assert any((row.used[1] - 1).abs().max() > 1e-3 for row in rows if row.used is not None)


def test_the_weights_of_factor_do_not_contain_its_reduction(tmp_path: Path) -> None:
    method = recipe("factor").changed(kl=0.0, tokens="response", when="0.5", eta="0.5", critic="1:turn")
    trainer = make_trainer(method, tmp_path)
    step(trainer)
    used = [row.used[1] for row in trainer._mini_batches[0] if row.used is not None]
    assert used
    for factors in used:
        assert factors.mean().item() == pytest.approx(1, abs=1e-4)  # ω has mean one over an action


def _figures(trainer: HalfWonTrainer, rows: list[TrainingRow]) -> dict[str, Any]:
    measured = measure([], rows, trainer.method, 0.5)
    add_weights(measured, trainer.method)
    return measured.record


@pytest.mark.parametrize(("name", "clips"), [("serl", True), ("rlsd", True), ("agentopsd", False), ("factor", False)])
def test_only_methods_that_clip_as_serl_have_the_share_of_clipped_weights(
    name: str, clips: bool, tmp_path: Path
) -> None:
    method = recipe(name).changed(kl=0.0, tokens="response", when="0.5")
    if method.critic is not None:
        method = replace(method, critic=replace(method.critic, layers=1))
    trainer = make_trainer(method, tmp_path)
    step(trainer)
    figures = _figures(trainer, trainer._mini_batches[0])
    assert "weight_mean" in figures
    assert ("clipped" in figures) == clips
    assert method.weight_bounds == ((0.8, 1.2) if clips else None)


@pytest.mark.parametrize("name", [name for name in RECIPES if recipe(name).critic is not None])
def test_a_method_with_a_critic_may_play_every_task_once(name: str, tmp_path: Path) -> None:
    method = recipe(name).changed(kl=0.0, critic="1:turn+token" if name == "vetta" else recipe(name).critic)
    method = replace(method, critic=replace(method.critic, layers=1))
    trainer = make_trainer(method, tmp_path, replace(PLAN, siblings=1, tasks=4))
    trainer.train()
    assert trainer.updates_done == PLAN.updates
    rows = trainer._mini_batches[0]
    assert len({row.episode for row in rows}) == len({row.group for row in rows}) == 4


def test_a_method_that_compares_rollouts_needs_two(tmp_path: Path) -> None:
    plan = replace(PLAN, siblings=1)
    for name in ("grpo", "serl"):
        with pytest.raises(UsageError, match=r"plan\.siblings ≥ 2, got 1; try 8, because one rollout has no group"):
            make_trainer(recipe(name), tmp_path, plan)
    with pytest.raises(UsageError, match=r"plan\.siblings ≥ 2"):
        make_run(save_start(tmp_path / "start"), method=serl(), plan={"siblings": 1})
