"""A transformers model as a policy: CPU or GPU, whatever is there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from agentgym_hindsight.baselines.policies.base import Reply, TurnView
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.errors import MissingDataError

__all__ = ["TransformersPolicy"]


class TransformersPolicy:
    """Answers each turn by sampling from a causal language model.

    * ``temperature``: 1.0 samples as in training, 0 takes the likeliest token.
    * ``seed``: with the task, the sibling and the turn it decides a reply; who else is in the batch does not.
    * ``batch_tokens``: how many tokens are computed at once.
    * ``native``: use ``model.generate`` in place of our own loop: slower at small sizes, and neighbours share a
      random stream, but right for architectures whose cache ours does not know.
    """

    def __init__(
        self,
        model: Any,
        encoder: PromptEncoder,
        *,
        temperature: float = 1.0,
        seed: object = 0,
        max_new_tokens: int = 512,
        batch_tokens: int = 16384,
        native: bool = False,
        name: str = "model",
    ) -> None:
        self.model, self.encoder = model, encoder
        self.temperature, self.seed, self.max_new_tokens = temperature, seed, max_new_tokens
        self.batch_tokens, self.native, self.name = batch_tokens, native, name
        #: Tokens read and written so far.
        self.tokens_read = self.tokens_written = 0

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        max_prompt_tokens: int = 2048,
        template: Mapping[str, Any] | None = None,
        device: str | None = None,
        dtype: str | None = None,
        **options: Any,
    ) -> TransformersPolicy:
        """Read a model and its tokenizer from a folder (or, where there is a network, from a hub).

        On a GPU the weights are bfloat16, elsewhere float32, unless ``dtype`` says otherwise.
        """
        require_train("a policy of transformers")
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        where = device or ("cuda" if torch.cuda.is_available() else "cpu")
        kind = getattr(torch, dtype or ("bfloat16" if where.startswith("cuda") else "float32"))
        try:
            tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left")
            model = AutoModelForCausalLM.from_pretrained(path, dtype=kind).to(where).eval()
        except OSError as error:
            raise MissingDataError(
                f"Expected a model and its tokenizer at {os.fspath(path)!r}, got: {str(error).splitlines()[0]} "
                "Try the folder of a trained policy, such as runs/demo/serl/policy."
            ) from error
        options.setdefault("name", os.path.basename(os.path.normpath(path)))
        return cls(model, PromptEncoder(tokenizer, max_prompt_tokens, template), **options)

    @property
    def stop(self) -> frozenset[int]:
        """The tokens that end a reply."""
        tokenizer = self.encoder.tokenizer
        declared = getattr(self.model.generation_config, "eos_token_id", None)
        ids = [] if declared is None else [declared] if isinstance(declared, int) else list(declared)
        return frozenset([*ids, tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else ids)

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        from agentgym_hindsight.baselines.policies import generation

        prompts = self.encoder.encode_all([turn.observation for turn in turns])
        pad = self.encoder.tokenizer.pad_token_id
        options: dict[str, Any] = {
            "stop": self.stop,
            "pad": pad if pad is not None else next(iter(self.stop)),
            "max_new_tokens": self.max_new_tokens,
            "temperature": self.temperature,
            "batch_tokens": self.batch_tokens,
        }
        training = self.model.training
        self.model.eval()  # dropout would make the log-probabilities those of another model
        try:
            if self.native:
                sampled = generation.sample_with_generate(self.model, prompts, seed=self._key(turns), **options)
            else:
                sampled = generation.sample(
                    self.model,
                    prompts,
                    lambda i: generation.uniforms(
                        self.max_new_tokens, "reply", self.seed, turns[i].task_id, turns[i].sibling, turns[i].step
                    ),
                    **options,
                )
        finally:
            self.model.train(training)
        self.tokens_read += sum(map(len, prompts))
        self.tokens_written += sum(len(reply.ids) for reply in sampled)
        return [
            Reply(self._text(reply.ids), prompt, reply.ids, reply.logprobs, reply.finished)
            for prompt, reply in zip(prompts, sampled, strict=True)
        ]

    def _text(self, ids: Sequence[int]) -> str:
        return self.encoder.decode(ids[:-1] if ids and ids[-1] in self.stop else ids)

    def _key(self, turns: Sequence[TurnView]) -> tuple[object, ...]:
        return (self.seed, *((turn.task_id, turn.sibling, turn.step) for turn in turns))
