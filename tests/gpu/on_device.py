"""What the tests compare between devices; it runs on the device that the trainer chooses, a GPU where there is one.

``python -m tests.gpu.on_device FILE`` writes the result of :func:`update`, so that a process without a GPU can make it.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.cli.bench.gpu.models import DRY, make_model
from agentgym_hindsight.cli.bench.gpu.played import Lengths, Played, played
from agentgym_hindsight.cli.bench.gpu.step import METHODS, Setup, make_trainer, method_of
from agentgym_hindsight.cli.bench.gpu.stored_rollouts import StoredRollouts, train

Weights = dict[str, torch.Tensor]


def rollouts() -> Played:
    """Four short rollouts."""
    return played(Lengths.of(dry=True))


def greedy(device: str, count: int = 6) -> list[Any]:
    """The most probable replies of a model with random weights, the same on every device."""
    # With the usual spread, all tokens are nearly equally probable, and the last one is repeated.
    model = make_model(DRY, rollouts().encoder.tokenizer, seed=3, initializer_range=0.4)
    policy = TransformersPolicy(
        model.to(device).eval(), rollouts().encoder, temperature=0.0, max_new_tokens=12, batch_tokens=2048
    )
    return policy.generate(rollouts().prompts[:count], [(number,) for number in range(count)])


def trainer(folder: str | Path, *, bf16: bool = False, lora: bool = False, **plan: Any) -> StoredRollouts:
    """SERL with a teacher on every token, ready for single steps as well as for ``train``."""
    setup = Setup(DRY, lora=lora, rollouts=4, updates=plan.pop("updates", 2))
    values = {"learning_rate": 1e-3, "token_budget": 2048, **plan}
    with quiet_libraries():
        made = make_trainer(setup, method_of(METHODS[2]), rollouts(), str(folder), trl={"bf16": bf16}, **values)
    made.current_gradient_accumulation_steps = 1  # Trainer.train sets it
    return made


def update() -> dict[str, Any]:
    """Loss, gradients and the teacher's log-probabilities of one step in float32."""
    with tempfile.TemporaryDirectory() as folder, closing(trainer(folder)) as made:
        loss = float(made.training_step(made.model, None))
        rows = [row for part in made._mini_batches for row in part]
        return {
            "loss": loss,
            "teacher": torch.cat([row.teacher_logps for row in rows if row.teacher_logps is not None]),
            "gradients": {
                name: p.grad.float().cpu() for name, p in made.model.named_parameters() if p.grad is not None
            },
        }


def trained(folder: str | Path, *, resume: str | Path | None = None, **values: Any) -> tuple[Weights, list[Any]]:
    """The weights after training, on the CPU, and the records of the updates."""
    made = trainer(folder, **values)
    records: list[Any] = []
    with quiet_libraries(), closing(made):
        if resume is None:
            train(made, records)
        else:
            made.train(resume_from_checkpoint=str(resume))
    return weights(made.model), records


def weights(model: Any) -> Weights:
    """A copy of the weights on the CPU."""
    return {name: p.detach().float().cpu().clone() for name, p in model.named_parameters()}


def distance(left: Weights, right: Weights) -> float:
    """The norm of the difference."""
    assert left.keys() == right.keys()
    return float(sum(float(((left[name] - right[name]).double() ** 2).sum()) for name in left) ** 0.5)


def norm(values: Weights) -> float:
    """The norm of all values together."""
    return distance(values, {name: torch.zeros_like(value) for name, value in values.items()})


if __name__ == "__main__":
    torch.save(update(), sys.argv[1])
