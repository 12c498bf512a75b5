"""TRL: token weights of hindsight in ``GRPOTrainer``, beside the environments of ``baselines.trl_environment``.

For trl>=1.15,<1.17 (run with 1.16). TRL's loss takes advantages of shape (B, T) as they are; the mixin multiplies them.

    class Trainer(HindsightWeights, GRPOTrainer):
        hindsight = Weighting(what="success+immediate@anchor", lam=0.5)

    Trainer(model=…, args=…, train_dataset=…, environment_factory=to_trl_environment(…)).train()

This is SERL on whole conversations, with the present policy as teacher. The advantage itself stays TRL's, one number a
rollout.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentgym_hindsight.baselines.requirements import require_torch

require_torch("weighing the advantages of TRL")

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from agentgym_hindsight.baselines.masks import action_tokens, tool_call_spans  # noqa: E402
from agentgym_hindsight.baselines.methods.checks import check_unit  # noqa: E402
from agentgym_hindsight.baselines.methods.signals import reweight  # noqa: E402
from agentgym_hindsight.errors import UsageError  # noqa: E402
from agentgym_hindsight.hindsight.context import ContextSpec, TeacherContext, compose  # noqa: E402
from agentgym_hindsight.hindsight.control_text import break_control_text  # noqa: E402
from agentgym_hindsight.hindsight.trajectory import Trajectory, group_by_task  # noqa: E402

__all__ = ["HindsightWeights", "Weighting", "runs_of_ones"]


@dataclass(frozen=True)
class Weighting:
    """How hindsight weighs tokens.

    * ``what``: the teacher's context, see :func:`~agentgym_hindsight.hindsight.context.compose`.
    * ``lam``: SERL's λ in [0, 1], or a function of the number of optimizer steps. With 0, training is TRL's own.
    * ``clip``: the bound of a weight.
    """

    what: str = "success+immediate@anchor"
    lam: float | Callable[[int], float] = 0.5
    clip: float = 0.2

    def __post_init__(self) -> None:
        ContextSpec.parse(self.what)
        if not callable(self.lam):
            check_unit("lam", self.lam)
        if not 0 <= self.clip < 1:
            raise UsageError(f"Expected clip in [0, 1), got {self.clip}; try 0.2.")

    def lam_at(self, step: int) -> float:
        """λ at an optimizer step."""
        return float(self.lam(step)) if callable(self.lam) else float(self.lam)


class _Turn(NamedTuple):
    """A turn of the model in a row of the batch: its tokens are ``begin`` to ``end`` of the completion."""

    row: int
    begin: int
    end: int
    context: TeacherContext


class HindsightWeights:
    """A mixin for ``GRPOTrainer``, to its left. ``hindsight`` is the weighting.

    * A turn is a run of the model's tokens in ``tool_mask``; its steps are those of its calls of ``act``. The weighed
      tokens are the JSON of the calls. A turn with several calls has the context of the first.
    * The teacher reads the conversation up to the turn, then a user message with the context. Control tokens in it are
      broken by a space.
    * Turns without a context, rows of broken rollouts and evaluation are not weighed.
    * All processes contribute siblings.
    """

    hindsight: Weighting = Weighting()

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        trainer: Any = self
        lam = self.hindsight.lam_at(trainer.state.global_step)
        if not trainer.model.training or lam == 0:
            return output
        if trainer.environments is None or "tool_mask" not in output:
            raise UsageError(
                "Expected a GRPOTrainer with environment_factory, got one without environments; "
                "try environment_factory=to_trl_environment(…)."
            )
        output["advantages"] = self._weighed(output, lam)
        return output

    def _weighed(self, output: dict[str, Any], lam: float) -> Tensor:
        trainer: Any = self
        turns = list(self._turns(output, [environment.trajectory for environment in trainer.environments]))
        gaps = torch.zeros_like(output["completion_ids"], dtype=torch.float32)
        mask = torch.zeros_like(output["completion_ids"], dtype=torch.bool)
        # Each process must call the model equally often, because a sharded model communicates in its forward pass.
        most = int(trainer.accelerator.gather(torch.tensor([len(turns)], device=gaps.device)).max())
        if most:
            student = output.get("old_per_token_logps")
            if student is None:
                student = self._logps(
                    torch.cat([output["prompt_ids"], output["completion_ids"]], 1),
                    torch.cat([output["prompt_mask"], output["completion_mask"]], 1),
                    output["completion_ids"].size(1),
                )
            for turn, teacher in zip(turns, self._teacher(output, turns, most), strict=False):
                inside = slice(turn.begin, turn.end)
                ids = output["completion_ids"][turn.row, inside].tolist()
                gaps[turn.row, inside] = teacher - student[turn.row, inside].float()
                marked = action_tokens(self._decode, ids, extractor=tool_call_spans)
                mask[turn.row, inside] = torch.tensor(marked, device=mask.device)
        return reweight(output["advantages"], gaps, mask, lam, clip=self.hindsight.clip)

    def _turns(self, output: dict[str, Any], trajectories: Sequence[Trajectory]) -> Iterator[_Turn]:
        """The turns that have a context."""
        contexts = self._contexts(trajectories)
        own = output["completion_mask"] * output["tool_mask"]
        for row, (trajectory, flags) in enumerate(zip(trajectories, own.tolist(), strict=True)):
            place = 0
            for begin, end in runs_of_ones(flags):
                text = self._decode(output["completion_ids"][row, begin:end].tolist())
                first, place = place, _place_after(trajectory, place, text)
                context = contexts[row][first] if place > first else None
                if context is not None:
                    yield _Turn(row, begin, end, context)

    def _contexts(self, trajectories: Sequence[Trajectory]) -> list[Sequence[TeacherContext | None]]:
        trainer: Any = self
        everyone, start = list(trajectories), 0
        if trainer.accelerator.num_processes > 1:
            from accelerate.utils import gather_object

            start = trainer.accelerator.process_index * len(everyone)
            everyone = gather_object(everyone)
        found: list[Sequence[TeacherContext | None]] = [[None] * len(each.steps) for each in everyone]
        numbers: dict[str, list[int]] = {}
        for number, each in enumerate(everyone):
            if not each.broken:
                numbers.setdefault(each.task_id, []).append(number)
        for group in group_by_task(each for each in everyone if not each.broken):
            for number, of_turns in zip(numbers[group.task_id], compose(self.hindsight.what, group), strict=True):
                found[number] = of_turns
        return found[start : start + len(trajectories)]

    def _teacher(self, output: dict[str, Any], turns: Sequence[_Turn], most: int) -> Iterator[Tensor]:
        """The log-probabilities of each turn's tokens after the teacher's prompt."""
        generation = self._generation_prompt()
        rows: list[tuple[list[int], list[int]]] = []
        for turn in turns:
            prompt = output["prompt_ids"][turn.row][output["prompt_mask"][turn.row].bool()].tolist()
            completion = output["completion_ids"][turn.row].tolist()
            seen = [*prompt, *completion[: turn.begin]]
            if generation and seen[-len(generation) :] != generation:
                raise UsageError(
                    "Expected a prompt that ends with the generation prompt of the chat template, got another end; "
                    "try the chat template that TRL uses for this model."
                )
            said = seen[: len(seen) - len(generation)] + self._message(turn.context)
            rows.append((said, completion[turn.begin : turn.end]))
        rows += [([1], [1])] * (most - len(rows))
        pad = self._tokenizer_of().pad_token_id or 0
        size = max(1, int(self.args.per_device_train_batch_size))  # type: ignore[attr-defined]
        device = output["completion_ids"].device
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            left, right = (max(len(row[side]) for row in batch) for side in (0, 1))
            ids = [[pad] * (left - len(a)) + a + b + [pad] * (right - len(b)) for a, b in batch]
            seen_mask = [[0] * (left - len(a)) + [1] * (len(a) + len(b)) + [0] * (right - len(b)) for a, b in batch]
            logps = self._logps(torch.tensor(ids, device=device), torch.tensor(seen_mask, device=device), right)
            for place, (_, said) in enumerate(batch):
                yield logps[place, : len(said)].float()

    @torch.no_grad()
    def _logps(self, ids: Tensor, mask: Tensor, keep: int) -> Tensor:
        trainer: Any = self
        size = trainer.args.per_device_train_batch_size
        logps: Tensor = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, keep, size)[0]
        return logps

    def _message(self, context: TeacherContext) -> list[int]:
        """The ids of a user message with the context, and of the generation prompt after it."""
        dummy = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        message = {"role": "user", "content": break_control_text(context.prompt("").strip())}
        before, after = self._rendered(dummy, False), self._rendered([*dummy, message], True)
        if after[: len(before)] != before:
            raise UsageError(
                "Expected a chat template that keeps earlier messages unchanged, got another one; "
                "try the chat template that TRL uses for this model."
            )
        return after[len(before) :]

    def _generation_prompt(self) -> list[int]:
        chat = [{"role": "user", "content": "a"}]
        return self._rendered(chat, True)[len(self._rendered(chat, False)) :]

    def _rendered(self, chat: list[dict[str, str]], generation: bool) -> list[int]:
        trainer: Any = self
        ids: list[int] = trainer.processing_class.apply_chat_template(
            chat,
            add_generation_prompt=generation,
            tokenize=True,
            chat_template=getattr(trainer, "chat_template", None),
            return_dict=False,
            **trainer.chat_template_kwargs,
        )
        return ids

    def _tokenizer_of(self) -> Any:
        processor: Any = self.processing_class  # type: ignore[attr-defined]
        return getattr(processor, "tokenizer", processor)

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer_of().decode(ids, skip_special_tokens=True)
        return text


def runs_of_ones(flags: Sequence[int]) -> list[tuple[int, int]]:
    """The intervals in which the flags are 1.

    >>> runs_of_ones([1, 1, 0, 0, 1])
    [(0, 2), (4, 5)]
    """
    found, begin = [], None
    for place, flag in enumerate([*flags, 0]):
        if flag and begin is None:
            begin = place
        elif not flag and begin is not None:
            found.append((begin, place))
            begin = None
    return found


def _place_after(trajectory: Trajectory, place: int, text: str) -> int:
    """The place of the first step after those that a turn's calls of ``act`` made. Other calls made none."""
    for begin, end in tool_call_spans(text):
        try:
            call = json.loads(text[begin:end])
            action = call["arguments"]["action"] if call["name"] == "act" else None
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        if place < len(trajectory.steps) and trajectory.steps[place].response == action:
            place += 1
    return place
