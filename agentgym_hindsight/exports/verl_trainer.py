"""SERL in verl's v1 trainer: token weights of hindsight on verl's own advantages. For verl>=0.9,<0.10.

``trainer.use_v1=true trainer.v1.trainer_mode=agentgym_hindsight``, with this module imported by
``VERL_USE_EXTERNAL_MODULES=agentgym_hindsight.exports.verl_trainer``, and the agent loop of :mod:`verl_agent_loop`.
Options are a section of the configuration:
``+hindsight.what=success+immediate@anchor +hindsight.lam=0.5 +hindsight.clip=0.2
+hindsight.updates=50``. λ falls linearly to 0 in ``updates`` steps; 0 keeps it constant.

The teacher is the present policy: a second pass of the actor's workers over the teacher's prompts. Overwrite
``teacher_logps`` for another one. With advantages (verl's GRPO, one number a rollout) and ``old_log_probs`` as they are
in verl, the result is ``A · [(1 − λ) + λ·w_t]`` on the action tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentgym_hindsight.baselines.methods.signals import reweight
from agentgym_hindsight.exports.clients import missing_client
from agentgym_hindsight.exports.exact import from_exact_text
from agentgym_hindsight.exports.teacher_gaps import Prompt, TurnGaps, teacher_gaps
from agentgym_hindsight.exports.turn_tokens import TurnTokens
from agentgym_hindsight.exports.verl import AGENT_NAME
from agentgym_hindsight.exports.verl_agent_loop import ROLLOUT, TURN
from agentgym_hindsight.hindsight.control_text import break_control_text
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.wrappers.protocols import make_protocol

try:
    import torch
    import transfer_queue as tq
    from tensordict import TensorDict
    from verl.trainer.ppo.v1.trainer_base import register_trainer
    from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
    from verl.utils.tensordict_utils import list_of_dict_to_tensordict
except ImportError as error:
    raise missing_client("verl", "verl[verl-core]>=0.9,<0.10", error) from error

__all__ = ["HindsightPPOTrainer", "rows_to_gaps"]

_PARTITION = "agentgym_hindsight_teacher"


@register_trainer(AGENT_NAME)
class HindsightPPOTrainer(PPOTrainerSync):  # type: ignore[misc]
    """verl's synchronous trainer, whose advantages are weighed token by token before the update."""

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        batch = super()._compute_advantage(batch, metrics)
        lam = self._lam()
        metrics["hindsight/lam"] = lam
        if lam == 0:
            return batch
        fields = ["advantages", "response_mask", "old_log_probs", "extra_fields"]
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
        lengths = [len(row) for row in data["response_mask"].unbind()]
        extra = [_plain(value) for value in data["extra_fields"]]
        student = [row.tolist() for row in data["old_log_probs"].unbind()]
        found = self._gaps(batch.keys, extra, student, lengths)

        advantages = torch.nn.utils.rnn.pad_sequence(list(data["advantages"].unbind()), batch_first=True)
        gaps, mask = torch.zeros_like(advantages), torch.zeros_like(advantages, dtype=torch.bool)
        for row, of_turn in enumerate(found):
            if of_turn is not None:
                gaps[row, : lengths[row]] = torch.tensor(of_turn.gaps, dtype=gaps.dtype)
                mask[row, : lengths[row]] = torch.tensor(of_turn.mask)
        weighed = reweight(advantages, gaps, mask, lam, clip=float(self._option("clip", 0.2)))
        marked = mask & (advantages != 0)
        metrics["hindsight/rows"] = float(mask.any(-1).float().mean())
        metrics["hindsight/gap"] = float(gaps[mask].mean()) if mask.any() else 0.0
        metrics["hindsight/factor"] = float((weighed[marked] / advantages[marked]).mean()) if marked.any() else 1.0
        shorter = [weighed[row, :length] for row, length in enumerate(lengths)]
        fields_back = TensorDict(
            {"advantages": torch.nested.as_nested_tensor(shorter, layout=torch.jagged)}, batch_size=len(batch.keys)
        )
        return tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields_back)

    def teacher_logps(self, prompts: Sequence[Prompt], response_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        """The log-probabilities of responses by the actor's workers, at the temperature of the rollouts."""
        rows = [self._teacher_row(prompt, ids) for prompt, ids in zip(prompts, response_ids, strict=True)]
        multiple = self._workers()
        rows += rows[:1] * (-len(rows) % multiple)  # workers get equal shares
        keys = [f"teacher_0_{number}" for number in range(len(rows))]
        tags = [
            {
                "status": "success",
                "prompt_len": len(row["prompts"]),
                "response_len": len(row["responses"]),
                "seq_len": len(row["input_ids"]),
            }
            for row in rows
        ]
        try:
            meta = tq.kv_batch_put(
                keys=keys, partition_id=_PARTITION, fields=list_of_dict_to_tensordict(rows), tags=tags
            )
            temperature = self.config.actor_rollout_ref.rollout.temperature
            meta.extra_info.update({"calculate_entropy": False, "compute_loss": False, "temperature": temperature})
            self.actor_rollout_wg.compute_log_prob(meta)
            data = tq.kv_batch_get(keys=keys, partition_id=_PARTITION, select_fields=["log_probs"])
            # verl's rows are whole sequences, shifted by one: the value of a token stands at the one before it.
            whole = [
                row[-len(ids) - 1 : -1] for row, ids in zip(data["log_probs"].unbind(), response_ids, strict=False)
            ]
            return [row.tolist() for row in whole]
        finally:
            tq.kv_clear(keys=keys, partition_id=_PARTITION)

    def _gaps(
        self,
        keys: Sequence[str],
        extra: Sequence[Mapping[str, Any]],
        student: Sequence[Sequence[float]],
        lengths: Sequence[int],
    ) -> list[TurnGaps | None]:
        parser = (
            str(self._option("parser", ""))
            or make_protocol(str(self._option("protocol", "verl-agent-2025")), history=None).parser
        )
        return rows_to_gaps(
            keys,
            extra,
            student,
            lengths,
            self.teacher_logps,
            decode=lambda ids: self.tokenizer.decode(ids, skip_special_tokens=True),
            parser=parser,
            what=str(self._option("what", "success+immediate@anchor")),
        )

    def _teacher_row(self, prompt: Prompt, ids: Sequence[int]) -> dict[str, Any]:
        messages = [{**message, "content": break_control_text(message["content"])} for message in prompt]
        options = dict(self.config.data.get("apply_chat_template_kwargs", None) or {})
        before = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=False, **options
        )
        prompts, responses = torch.tensor(before, dtype=torch.int64), torch.tensor(list(ids), dtype=torch.int64)
        both = torch.cat([prompts, responses])
        return {
            "prompts": prompts,
            "responses": responses,
            "response_mask": torch.ones_like(responses),
            "loss_mask": torch.ones_like(responses),
            "input_ids": both,
            "position_ids": torch.arange(len(both)),
            "multi_modal_inputs": {},
        }

    def _workers(self) -> int:
        group = self.actor_rollout_wg
        if "actor" not in group._dispatch_info:
            group._dispatch_info["actor"] = group._query_dispatch_info("actor")
        return int(max(group._dispatch_info["actor"])) + 1

    def _lam(self) -> float:
        lam, updates = float(self._option("lam", 0.5)), int(self._option("updates", 50))
        return lam if updates <= 0 else lam * max(0.0, 1 - max(0, self.global_steps - 1) / updates)

    def _option(self, name: str, default: Any) -> Any:
        section = self.config.get("hindsight", None) or {}
        return section.get(name, default)


def rows_to_gaps(
    keys: Sequence[str],
    extra: Sequence[Mapping[str, Any]],
    student: Sequence[Sequence[float]],
    lengths: Sequence[int],
    teacher: Any,
    **options: Any,
) -> list[TurnGaps | None]:
    """The gaps of the rows of a batch. ``None`` for a row that no turn of a rollout in the batch belongs to.

    ``keys`` are verl's: prompt, session and number of the row. A rollout whose last row is not in the batch is left
    out, such as one that verl filtered.
    """
    sessions: dict[str, Trajectory] = {}
    places: dict[tuple[str, int], int] = {}
    for row, (key, fields) in enumerate(zip(keys, extra, strict=True)):
        session = key.rpartition("_")[0]
        if fields.get(ROLLOUT):
            sessions[session] = from_exact_text(str(fields[ROLLOUT]))
        if TURN in fields:
            places[session, int(fields[TURN])] = row
    names = list(sessions)
    recorded: list[list[Sequence[float]]] = []
    for name in names:
        of_turns: list[Sequence[float]] = []
        for place, step in enumerate(sessions[name].steps):
            tokens, found = TurnTokens.of(step), places.get((name, place))
            of_turns.append(tokens.logprobs if found is None else student[found])
        recorded.append(of_turns)
    found_gaps = teacher_gaps([sessions[name] for name in names], teacher, student_logps=recorded, **options)
    gaps: list[TurnGaps | None] = [None] * len(keys)
    for name, of_turns_gaps in zip(names, found_gaps, strict=True):
        for place, turn in enumerate(of_turns_gaps):
            row = places.get((name, place), -1)
            if row >= 0 and len(turn.gaps) == lengths[row]:
                gaps[row] = turn
    return gaps


def _plain(value: Any) -> Mapping[str, Any]:
    """The dict of a row, out of tensordict's wrapper of data that are not tensors."""
    value = getattr(value, "data", value)
    return value if isinstance(value, Mapping) else {}
