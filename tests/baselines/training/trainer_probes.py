"""Functions that tests of the trainer use to make single steps and to record what the trainer computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from transformers import TrainerCallback
from trl import GRPOTrainer

from agentgym_hindsight.baselines.policies.base import TurnView
from agentgym_hindsight.baselines.training.trainer import HindsightTrainer
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from tests.baselines.training.tiny_runs import FixedPolicy, weights

#: Token ids of a prompt and of its response.
Key = tuple[tuple[int, ...], tuple[int, ...]]


def step(trainer: HindsightTrainer) -> torch.Tensor:
    """The loss of one training step without the optimizer; the gradients are kept."""
    trainer.model.zero_grad()
    return trainer.training_step(trainer.model, None)


def gradients(trainer: HindsightTrainer) -> dict[str, torch.Tensor]:
    """A copy of the gradients."""
    return {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}


def record_loss_inputs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The inputs of TRL's own loss from now on, and the log-probabilities of that pass."""
    seen: list[dict[str, Any]] = []
    original = GRPOTrainer._compute_loss

    def spy(self: Any, model: Any, inputs: dict[str, Any]) -> Any:
        logps = None if self._scored is None else self._scored[0].detach().clone()
        seen.append({**inputs, "logps": logps, "step": self.state.global_step})
        return original(self, model, inputs)

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", spy)
    return seen


def record_forward_shapes(trainer: HindsightTrainer) -> list[tuple[int, ...]]:
    """The shapes of the model's inputs from now on."""
    seen: list[tuple[int, ...]] = []
    trainer.model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    return seen


def key(row: TrainingRow) -> Key:
    """The tokens of a row."""
    return row.prompt_ids, row.response_ids


def unpadded_rows(inputs: dict[str, Any]) -> list[Key]:
    """The rows of a micro-batch without their padding; rows that are only padding are left out."""
    columns = (inputs["prompt_ids"], inputs["prompt_mask"], inputs["completion_ids"], inputs["completion_mask"])
    return [
        (tuple(p[pm.bool()].tolist()), tuple(c[cm.bool()].tolist()))
        for p, pm, c, cm in zip(*columns, strict=True)
        if cm.any()
    ]


def play_actions(trainer: HindsightTrainer, action_of: Callable[[TurnView], str]) -> None:
    """Make the trainer play given actions in place of its model's replies."""

    @contextmanager
    def current_policy(temperature: float, seed: object) -> Iterator[Any]:
        yield FixedPolicy(action_of)

    trainer.current_policy = current_policy  # type: ignore[method-assign]


class WeightRecorder(TrainerCallback):  # type: ignore[misc]
    """Records the weights of policy and teacher after every update."""

    def __init__(self, trainer: HindsightTrainer) -> None:
        self.trainer = trainer
        self.policy: list[dict[str, torch.Tensor]] = [weights(trainer.model)]
        self.teacher: list[dict[str, torch.Tensor]] = []
        trainer.add_callback(self)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.policy.append(weights(self.trainer.model))
        assert self.trainer.teacher is not None
        with self.trainer.teacher.acting():
            self.teacher.append(weights(self.trainer.model))
