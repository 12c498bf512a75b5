"""Training rows as padded tensors: the inputs of a forward pass and the other inputs of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from agentgym_hindsight.baselines.padding import pad_left, pad_right
from agentgym_hindsight.baselines.training.training_row import TrainingRow

__all__ = ["Inputs", "credit_tensors", "no_rows", "old_policy_tensors", "text_tensors"]

#: Tensors under the names that TRL's loss uses, and a few of ours.
Inputs = dict[str, Any]


def text_tensors(batch: Sequence[TrainingRow], pad: int, *, teacher: bool = False) -> Inputs:
    """Prompts (with ``teacher``, the teacher's) and responses, with their masks."""
    prompts, prompt_mask = pad_left([row.teacher_ids if teacher else row.prompt_ids for row in batch], pad)
    return {
        "prompt_ids": prompts,
        "prompt_mask": prompt_mask,
        "completion_ids": pad_right([row.response_ids for row in batch], pad, torch.long),
        "completion_mask": pad_right([[1] * len(row.response_ids) for row in batch], 0, torch.long),
    }


def credit_tensors(batch: Sequence[TrainingRow], pad: int, *, teacher_prompts: bool = False) -> Inputs:
    """Advantages, the tokens to weight, and the teacher's log-probabilities; ``teacher_prompts`` adds its prompts.

    A row without teacher log-probabilities has no chosen tokens. Its prompt is used instead of the teacher's prompt.
    """
    chosen = [[False] * len(row.chosen) if row.teacher_logps is None else row.chosen for row in batch]
    inputs: Inputs = {
        "advantages": _advantages(batch),
        "chosen": pad_right(chosen, False, torch.bool),
        "marked": pad_right([row.chosen for row in batch], False, torch.bool),
    }
    if any(row.signals is not None for row in batch):
        signals = [torch.zeros(len(row.response_ids)) if row.signals is None else row.signals for row in batch]
        inputs["signals"] = pad_right(signals, 0.0, torch.float32)
    if any(row.row_signal is not None for row in batch):
        inputs["row_signals"] = torch.tensor([row.row_signal or 0.0 for row in batch])
    if any(row.teacher_logps is not None for row in batch):
        logps = [
            torch.zeros(len(row.response_ids)) if row.teacher_logps is None else row.teacher_logps for row in batch
        ]
        inputs["teacher_logps"] = pad_right(logps, 0.0, torch.float32)
    if teacher_prompts:
        prompts = [row.teacher_ids or row.prompt_ids for row in batch]
        inputs["teacher_ids"], inputs["teacher_mask"] = pad_left(prompts, pad)
    return inputs


def _advantages(batch: Sequence[TrainingRow]) -> torch.Tensor:
    """(B,), or (B, T) if the tokens of a row have different advantages."""
    if all(row.token_advantages is None for row in batch):
        return torch.tensor([row.advantage for row in batch])
    rows = [
        torch.full((len(row.response_ids),), row.advantage) if row.token_advantages is None else row.token_advantages
        for row in batch
    ]
    return pad_right(rows, 0.0, torch.float32)


def old_policy_tensors(batch: Sequence[TrainingRow]) -> Inputs:
    """Log-probabilities of the sampled tokens under the old policy: by the trained model, and by the sampler.

    An empty batch gives zeros for the token of :func:`no_rows`.
    """
    if not batch:
        return {"model_logps": torch.zeros(1, 1), "sampler_logps": torch.zeros(1, 1)}
    return {
        "model_logps": pad_right([row.old_logps for row in batch if row.old_logps is not None], 0.0, torch.float32),
        "sampler_logps": pad_right([row.logprobs for row in batch], 0.0, torch.float32),
    }


def no_rows(pad: int) -> Inputs:
    """One masked token for a process without rows: its forward pass keeps the collective calls aligned."""
    token = torch.full((1, 1), pad, dtype=torch.long)
    zero = torch.zeros_like(token)
    return {
        "prompt_ids": token,
        "prompt_mask": torch.ones_like(token),
        "completion_ids": token,
        "completion_mask": zero,
        "advantages": torch.zeros(1),
        "chosen": zero.bool(),
        "marked": zero.bool(),
        "teacher_ids": token,
        "teacher_mask": torch.ones_like(token),
        "lam": 0.0,
        "rows": [],
    }
