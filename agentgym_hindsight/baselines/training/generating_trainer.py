"""The trainer's models as policies: the current weights and the teacher's, in transformers or in vLLM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
from agentgym_hindsight.baselines.policies.vllm import VLLMPolicy
from agentgym_hindsight.baselines.training.scoring_trainer import ScoringTrainer
from agentgym_hindsight.baselines.training.sharding import whole_model
from agentgym_hindsight.errors import UsageError

__all__ = ["GeneratingTrainer"]


class GeneratingTrainer(ScoringTrainer):
    """The part of :class:`~.trainer.HindsightTrainer` that samples from its models. It is not used alone."""

    encoder: PromptEncoder
    #: The optimizer step and the model whose weights vLLM has.
    _synced: tuple[int, str]

    @contextmanager
    def current_policy(self, temperature: float, seed: object) -> Iterator[Any]:
        """The current weights as a policy, in vLLM if ``plan.vllm`` is set.

        All processes must enter the block. With vLLM, the end of the block waits for the rollouts of all processes.
        """
        with self._sampling("policy", temperature, seed, self.plan.response_tokens) as policy:
            yield policy

    @contextmanager
    def answering(self, who: str, temperature: float, seed: object, max_tokens: int) -> Iterator[Any]:
        """The policy or the teacher, to answer questions with at most ``max_tokens`` tokens. All processes enter."""
        weights = self.teacher.acting() if who == "teacher" and self.teacher is not None else nullcontext()
        with weights, self._sampling(who, temperature, seed, max_tokens) as policy:
            yield policy

    @property
    def answers_together(self) -> bool:
        """Whether the blocks above are collective calls: vLLM that processes share, or sharded weights."""
        return self.processes.count > 1 and bool(self.plan.vllm or self.is_fsdp_enabled or self.is_deepspeed_enabled)

    @contextmanager
    def _sampling(self, who: str, temperature: float, seed: object, max_tokens: int) -> Iterator[Any]:
        if self.plan.vllm:
            if (int(self.state.global_step), who) != self._synced:
                self._sync()
                self._synced = (int(self.state.global_step), who)
            changed = {"temperature": temperature}
            if max_tokens != self.plan.response_tokens:
                changed["max_completion_length"] = max_tokens
            before = {name: getattr(self.vllm_generation, name) for name in changed}
            try:
                for name, value in changed.items():
                    setattr(self.vllm_generation, name, value)
                policy = VLLMPolicy(self.vllm_generation, self.encoder.tokenizer, self.encoder)
                yield policy
                policy.drain()
            finally:
                for name, value in before.items():
                    setattr(self.vllm_generation, name, value)
            return
        gather = self.args.ds3_gather_for_generation
        with (
            whole_model(self.model_wrapped, self.accelerator, zero3=gather) as model,
            torch.no_grad(),
            self.accelerator.autocast(),
        ):
            yield TransformersPolicy(
                model,
                self.encoder,
                temperature=temperature,
                seed=seed,
                max_new_tokens=max_tokens,
                batch_tokens=self.plan.play_budget,
                cache_mb=self.plan.cache_mb,
                native=self.plan.generate,
                name=self.method.name,
            )

    def _sync(self) -> None:
        """Give vLLM the weights."""
        try:
            self.vllm_generation.sync_weights()
        except AttributeError as error:
            if self.accelerator.device.type != "cpu" or "weight_loader" not in str(error):
                raise
            raise UsageError(
                "Expected a GPU for training with vLLM, got a CPU, where vLLM packs the weights and cannot replace "
                "them; try --set plan.vllm= to sample without it."
            ) from error
