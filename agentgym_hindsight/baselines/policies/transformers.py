"""A transformers model as a policy, on a CPU or a GPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentgym_hindsight.baselines.models import model_source
from agentgym_hindsight.baselines.policies.base import Reply, TurnView
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.turn_prompts import encode_turns
from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.errors import MissingDataError

if TYPE_CHECKING:
    from agentgym_hindsight.baselines.policies.kept_cache import Kept, KeptCaches

__all__ = ["TransformersPolicy"]


class TransformersPolicy:
    """Samples the reply of each turn from a causal language model.

    * ``temperature``: 1.0 samples as in training, 0 takes the most probable token.
    * ``seed``: together with the task, the sibling and the turn it determines a reply; the rest of the batch has no
      influence.
    * ``batch_tokens``: maximum number of tokens in one batch of the model.
    * ``cache_mb``: memory for the KV caches that are kept between the turns of conversations; 0 keeps none.
    * ``native``: use ``model.generate`` instead of our own loop. It is slower for small models, and the replies of a
      batch share one random stream, but it supports architectures whose cache our loop does not support.
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
        cache_mb: int = 4096,
    ) -> None:
        self.model, self.encoder = model, encoder
        self.temperature, self.seed, self.max_new_tokens = temperature, seed, max_new_tokens
        self.batch_tokens, self.native, self.name = batch_tokens, native, name
        self._cache_mb = cache_mb
        self._caches: KeptCaches | None = None
        #: Number of prompt tokens and of sampled tokens so far.
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
        """Load a model and its tokenizer from a folder, a GGUF file, or by name from the Hugging Face hub.

        Models of :data:`~agentgym_hindsight.baselines.models.MODELS` are loaded by their name.

        The default ``dtype`` of the weights is bfloat16 on a GPU and float32 on a CPU.
        """
        require_train("loading a transformers model")
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        options.setdefault("name", os.path.basename(os.path.normpath(path)))
        path = model_source(path)
        device_name = device or ("cuda" if torch.cuda.is_available() else "cpu")
        weights_dtype = getattr(torch, dtype or ("bfloat16" if device_name.startswith("cuda") else "float32"))
        try:
            tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left")
            model = AutoModelForCausalLM.from_pretrained(path, dtype=weights_dtype).to(device_name).eval()
        except OSError as error:
            raise MissingDataError(
                f"Expected a model and its tokenizer at {os.fspath(path)!r}, got: {str(error).splitlines()[0]} "
                "Try the folder of a trained policy, such as runs/demo/serl-seed0/policy."
            ) from error
        return cls(model, PromptEncoder(tokenizer, max_prompt_tokens, template), **options)

    @property
    def stop(self) -> frozenset[int]:
        """The tokens that end a reply."""
        tokenizer = self.encoder.tokenizer
        declared = getattr(self.model.generation_config, "eos_token_id", None)
        ids = [] if declared is None else [declared] if isinstance(declared, int) else list(declared)
        return frozenset([*ids, tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else ids)

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        keys = [(turn.task_id, turn.sibling, turn.step) for turn in turns]
        encoded = encode_turns(self.encoder, turns)
        prompts = [each.ids for each in encoded]
        kept, keep = self._kept(turns, prompts)
        return [
            replace(reply, past_tokens=each.past_tokens, message=each.message)
            for reply, each in zip(self._replies(prompts, keys, kept, keep), encoded, strict=True)
        ]

    def generate(self, prompts: Sequence[tuple[int, ...]], keys: Sequence[tuple[object, ...]]) -> list[Reply]:
        """Replies to prompts in tokens. A reply depends on its prompt, its key and the policy's seed."""
        return self._replies(prompts, keys)

    def _replies(
        self,
        prompts: Sequence[tuple[int, ...]],
        keys: Sequence[tuple[object, ...]],
        kept: list[Kept | None] | None = None,
        keep: Callable[[int, Kept], None] | None = None,
    ) -> list[Reply]:
        from agentgym_hindsight.baselines.policies import generation

        pad = self.encoder.tokenizer.pad_token_id
        options: dict[str, Any] = {
            "stop": self.stop,
            "pad": pad if pad is not None else next(iter(self.stop)),
            "max_new_tokens": self.max_new_tokens,
            "temperature": self.temperature,
            "batch_tokens": self.batch_tokens,
        }
        training = self.model.training
        self.model.eval()  # with dropout the log-probabilities would be those of a different model
        try:
            if self.native:
                sampled = generation.sample_with_generate(self.model, prompts, seed=(self.seed, *keys), **options)
            else:
                sampled = generation.sample(
                    self.model,
                    prompts,
                    lambda i: generation.uniforms(self.max_new_tokens, "reply", self.seed, *keys[i]),
                    kept=kept,
                    keep=keep,
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

    @property
    def tokens_saved(self) -> int:
        """Number of prompt tokens that were not computed again, because their cache was kept."""
        return 0 if self._caches is None else self._caches.saved

    def forget(self) -> None:
        """Drop the kept caches. Needed only after weights were changed through ``.data``; other changes are noticed."""
        if self._caches is not None:
            self._caches.clear()

    def _kept(
        self, turns: Sequence[TurnView], prompts: Sequence[Sequence[int]]
    ) -> tuple[list[Kept | None] | None, Callable[[int, Kept], None] | None]:
        """The kept cache of every turn, and the function that keeps those after it."""
        in_chat = [bool(turn.info.get("conversation")) and not turn.messages for turn in turns]
        if self.native or not self._cache_mb or not any(in_chat):
            return None, None
        from agentgym_hindsight.baselines.policies.kept_cache import KeptCaches

        if self._caches is None:
            self._caches = KeptCaches(self._cache_mb << 20)
        caches, keys = self._caches, [(turn.task_id, turn.sibling) for turn in turns]
        caches.begin(self.model, keys)

        def keep(index: int, kept: Kept) -> None:
            if in_chat[index]:
                caches.put(keys[index], kept)

        return [caches.take(key, prompt) for key, prompt in zip(keys, prompts, strict=True)], keep

    def _text(self, ids: Sequence[int]) -> str:
        return self.encoder.decode(ids[:-1] if ids and ids[-1] in self.stop else ids)
