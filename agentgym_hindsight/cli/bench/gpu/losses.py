"""What bfloat16 changes: log-probabilities, the teacher's gaps, SERL's factors, losses and gradients.

The reference are float32 weights and passes, scored from whole logits. The weights are random. The last norm is scaled
so that the logits differ as much as those of a trained model; otherwise all tokens would be nearly equally probable.
"""

# ruff: noqa: E402  # the check of the extra comes before torch is imported

from __future__ import annotations

from agentgym_hindsight.baselines.requirements import require_train

require_train("measuring training")

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from agentgym_hindsight.baselines.methods.signals import weights
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.baselines.training.scoring import pack_rows, without_dropout
from agentgym_hindsight.baselines.training.sequences import Sequences, tokens_of
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.cli.bench.gpu.cases import Case, Figures, Run
from agentgym_hindsight.cli.bench.gpu.device import device_name, free_memory, peak_gib
from agentgym_hindsight.cli.bench.gpu.models import DRY, shape_of
from agentgym_hindsight.cli.bench.gpu.played import Lengths, Played, played
from agentgym_hindsight.cli.bench.gpu.step import METHODS, Setup, make_trainer, method_of
from agentgym_hindsight.cli.bench.gpu.stored_rollouts import StoredRollouts

__all__ = ["FORMS", "Scored", "cases", "differences", "scored"]

#: The standard deviation of the logits.
_LOGITS = 3.0
#: The standard deviation of random weights in transformers.
_SPREAD = 0.02
_CLIP = 0.2


class Form(NamedTuple):
    """A way to compute: the type of the weights, and whether passes compute in bfloat16."""

    dtype: str
    bf16: bool


#: By name. The first is compared with the reference too: the trainer does not make whole logits on a GPU.
FORMS: Mapping[str, Form] = {
    "float32": Form("float32", False),
    "bfloat16 passes": Form("float32", True),
    "bfloat16 weights": Form("bfloat16", True),
}


@dataclass
class Scored:
    """What a form computes for the response tokens of all rows, one after the other."""

    student: Tensor
    teacher: Tensor
    whole_logits: tuple[Tensor, Tensor]
    sampled: Tensor
    rescored: Tensor
    advantages: Tensor
    chosen: Tensor
    loss: float = 0.0
    gradients: dict[str, Tensor] = field(default_factory=dict)


def cases(run: Run) -> Iterator[Case]:
    """A case for each size. The gradients of 7B are left out: they would have to be kept twice."""
    lengths = Lengths.of(run.dry)
    sizes = ((DRY, True),) if run.dry else (("0.5B", True), ("1.5B", True), ("7B", False))
    for size, with_gradients in sizes:
        settings = {
            "seed": run.seed,
            "shape": shape_of(size),
            "gradients": with_gradients,
            "lengths": asdict(lengths),
            "rollouts": 4,
            "logits": _LOGITS,
        }

        def measure(size: str = size, with_gradients: bool = with_gradients) -> Figures:
            return _compared(size, played(lengths, run.seed), with_gradients)

        yield Case(size, settings, measure, 30.0)


def _compared(size: str, rollouts: Played, with_gradients: bool) -> Figures:
    reference: Scored | None = None
    figures: dict[str, float | int | str] = {}
    for name, form in FORMS.items():
        found = scored(size, form, rollouts, with_gradients)
        if reference is None:
            reference = found
            figures["tokens"] = len(found.student)
            figures["mean gap, absolute"] = float((found.teacher - found.student).abs().mean())
        figures.update({f"{name}: {what}": value for what, value in differences(found, reference).items()})
        if found is not reference:
            found.gradients.clear()
    return {**figures, **peak_gib()}


def scored(size: str, form: Form, rollouts: Played, with_gradients: bool, replies: int = 8) -> Scored:
    """One step of SERL without the optimizer, its scores, and ``replies`` sampled by the model and scored again."""
    setup = Setup(size, dtype=form.dtype, rollouts=4, budget=8192)
    # The teacher is the policy itself, so that there is no second copy of the weights. It has the same values.
    method = method_of(METHODS[2]).changed(who="current")
    with quiet_libraries(), tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(setup, method, rollouts, folder, trl={"bf16": form.bf16})
        with closing(trainer):
            with torch.no_grad():
                trainer.model.model.norm.weight.mul_(_LOGITS / (_SPREAD * sqrt(shape_of(size)["hidden_size"])))
            found = _scored(trainer, with_gradients, replies)
        del trainer
    free_memory()
    return found


def _scored(trainer: StoredRollouts, with_gradients: bool, replies: int) -> Scored:
    trainer.current_gradient_accumulation_steps = 1  # as Trainer.train sets it
    model, loss = trainer.model, 0.0
    model.train()
    if with_gradients:
        loss = float(trainer.training_step(model, None))
        rows = [row for part in trainer._mini_batches for row in part]
    else:
        rows = [row for part in trainer._play_update(0) for row in part]
    gradients = {name: p.grad.float().cpu() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    student = {id(row): logps for row, logps in trainer._scores(rows)}
    again, rescored = _sampled_rows(trainer, rows[:replies])
    chosen = [list(row.chosen) for row in rows]
    return Scored(
        student=torch.cat([student[id(row)] for row in rows]),
        teacher=torch.cat([row.teacher_logps for row in rows if row.teacher_logps is not None]),
        whole_logits=(whole_logits(trainer, rows), whole_logits(trainer, rows, teacher=True)),
        sampled=torch.cat([torch.tensor(row.logprobs) for row in again]),
        rescored=rescored,
        advantages=torch.cat([torch.full((len(row.response_ids),), float(row.advantage)) for row in rows]),
        chosen=torch.tensor([mark for marks in chosen for mark in marks]),
        loss=loss,
        gradients=gradients,
    )


def _sampled_rows(trainer: StoredRollouts, rows: list[TrainingRow]) -> tuple[list[TrainingRow], Tensor]:
    """The rows with replies of the model, and the log-probabilities of the trainer's pass for these replies."""
    with trainer.current_policy(trainer.plan.temperature, "bench") as policy:
        policy.max_new_tokens = min(64, trainer.plan.response_tokens)
        replies = policy.generate([row.prompt_ids for row in rows], [(number,) for number in range(len(rows))])
    again = [
        replace(row, response_ids=reply.response_ids, logprobs=reply.logprobs)
        for row, reply in zip(rows, replies, strict=True)
    ]
    found = {id(row): logps for row, logps in trainer._scores(again)}
    return again, torch.cat([found[id(row)] for row in again])


def whole_logits(trainer: StoredRollouts, rows: list[TrainingRow], teacher: bool = False) -> Tensor:
    """Log-probabilities of all response tokens from whole logits, which the trainer makes on a CPU only."""
    found: dict[int, Tensor] = {}
    for batch in pack_rows(rows, trainer.plan.token_budget, teacher=teacher):
        sequences = Sequences.of_rows(tokens_of(batch, teacher), trainer._pad).to(trainer.accelerator.device)
        with torch.no_grad(), without_dropout(trainer.model):
            logps, _ = trainer._scorer.logps_and_entropies(
                trainer.model, sequences.ids, sequences.mask, sequences.width, False
            )
        for row, line in zip(batch, sequences.of_last(logps).float().cpu(), strict=True):
            found[id(row)] = line[: len(row.response_ids)]
    return torch.cat([found[id(row)] for row in rows])


def differences(found: Scored, reference: Scored) -> dict[str, float]:
    """Largest and mean absolute differences to the whole logits of the reference."""
    student, teacher = reference.whole_logits
    figures = {
        **_both("log-probabilities", found.student - student),
        **_both("the teacher's log-probabilities", found.teacher - teacher),
        **_both("gaps", (found.teacher - found.student) - (teacher - student)),
        **_both("SERL's weights", _weights(found, found.teacher - found.student) - _weights(found, teacher - student)),
        **_both("log-probabilities from whole logits", found.whole_logits[0] - student),
        **_both("sampler and trainer", found.sampled - found.rescored),
    }
    if found.gradients:
        figures["loss"] = found.loss
        figures["loss, difference"] = abs(found.loss - reference.loss)
        ours, theirs, product = _products(found.gradients, reference.gradients)
        figures["gradient norm, relative to float32"] = sqrt(ours / theirs) if theirs else 0.0
        figures["gradients, cosine to float32"] = product / sqrt(ours * theirs) if ours and theirs else 0.0
    return figures


def _products(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> tuple[float, float, float]:
    """The products of the gradients: of each side with itself, and of both."""
    totals = torch.zeros(3, dtype=torch.float64)
    for name, values in left.items():
        a, b = (each.to(device_name()).double().flatten() for each in (values, right[name]))
        totals += torch.stack([a @ a, b @ b, a @ b]).cpu()
    own, other, both = totals.tolist()
    return own, other, both


def _both(name: str, values: Tensor) -> dict[str, float]:
    sizes = values.double().abs()
    return {f"{name}, largest difference": float(sizes.max()), f"{name}, mean difference": float(sizes.mean())}


def _weights(found: Scored, gaps: Tensor) -> Tensor:
    """SERL's weights of the tokens, as one column of rows of one token."""
    return weights(found.advantages, gaps[:, None], found.chosen[:, None], clip=_CLIP)[:, 0]
