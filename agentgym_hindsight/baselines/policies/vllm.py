"""Policies on vLLM: with the engine of a TRL trainer, which has the current weights, or with a separate engine."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from agentgym_hindsight.baselines.models import model_source
from agentgym_hindsight.baselines.policies.base import Reply, TurnView
from agentgym_hindsight.baselines.policies.conversation import Encoded
from agentgym_hindsight.baselines.policies.turn_prompts import encode_turns
from agentgym_hindsight.baselines.policies.vllm_adapter import Adapter, find_adapter
from agentgym_hindsight.baselines.policies.vllm_watch import watched
from agentgym_hindsight.errors import BackendError, MissingExtraError, UsageError
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.tasks import seeded_int

__all__ = ["Encoder", "Generation", "VLLMEnginePolicy", "VLLMPolicy", "end_tokens", "open_vllm"]

_LOG = logging.getLogger(__name__)
#: Arguments of the engine that :func:`open_vllm` sets, and what to use instead.
_OWN_ARGUMENTS = {
    "model": "vllm:MODEL",
    "max_model_len": "max_prompt_tokens and max_tokens (--max-prompt-tokens and --max-new-tokens)",
    "logprobs_mode": "no value",
}

#: Tokens that vLLM on a CPU reads at once, if the prompts are no longer.
_BATCHED_TOKENS = 8192


class Encoder(Protocol):
    """The methods of :class:`agentgym_hindsight.baselines.policies.chat.PromptEncoder` that this module uses."""

    def encode_all(self, prompts: Sequence[str]) -> list[tuple[int, ...]]: ...
    def decode(self, ids: Sequence[int]) -> str: ...


class Generation(Protocol):
    """The methods of ``trl.generation.vllm_generation.VLLMGeneration`` that this module uses.

    ``generate`` returns the prompts, the replies, the log-probabilities (a list per token; with ``logprobs=0`` it has
    only the sampled token's) and the token ids that they belong to.
    """

    def generate(
        self, prompts: list[list[int]], images: None, num_generations: int
    ) -> tuple[Any, Sequence[Sequence[int]], Sequence[Sequence[Sequence[float | None]]] | None, Any]: ...


class VLLMPolicy:
    """Plays with the vLLM engine of a TRL trainer, in colocate and in server mode.

    With a server shared by several processes, with tensor parallelism, or with an engine that sleeps between calls,
    ``generate`` is a collective call: every process must make the same number of calls with the same number of prompts,
    although their episodes end at different times. Therefore each call first gathers the largest batch size and pads
    its own batch with one-token dummy prompts. A process whose rollouts are finished calls :meth:`drain`, which takes
    part in the calls until all processes are finished::

        played = list(rollout(venv, policy, assignments))
        policy.drain()

    * ``generation``: TRL's object, made with ``logprobs=0``. The trainer updates its weights (``sync_weights``).
    * ``tokenizer``: gives the tokens that end a reply.
    * ``encoder``: maps prompts to tokens; a :class:`~.chat.PromptEncoder` by default.
    * ``gather``: concatenates one list per process, on every process; ``accelerate``'s function by default.

    ``missing_logprobs`` counts tokens without a log-probability from the engine; these are NaN in the reply.
    """

    def __init__(
        self,
        generation: Generation,
        tokenizer: Any,
        encoder: Encoder | None = None,
        *,
        gather: Callable[[list[int]], list[int]] | None = None,
        name: str = "vllm",
    ) -> None:
        if getattr(generation, "logprobs", 0) != 0:
            raise UsageError(
                "Expected a generation that returns only the sampled token's log-probability, got "
                f"logprobs={getattr(generation, 'logprobs', None)}; try VLLMGeneration(..., logprobs=0)."
            )
        self.generation, self.name = generation, name
        self.encoder = encoder or _encoder(tokenizer)
        self.end_ids = end_tokens(tokenizer, getattr(generation, "model", None))
        self.missing_logprobs = 0
        self._collective = _is_collective(generation)
        self._gather = gather or (_gather_object() if self._collective else None)

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        prompts = encode_turns(self.encoder, turns)
        replies = self.generate([prompt.ids for prompt in prompts])
        return [_in_chat(reply, prompt) for reply, prompt in zip(replies, prompts, strict=True)]

    def generate(self, prompts: Sequence[tuple[int, ...]], keys: Sequence[object] = ()) -> list[Reply]:
        """Replies to prompts in tokens; all processes take part, as in :meth:`act`. keys are not used."""
        _, ids, logprobs = self._generate([list(prompt) for prompt in prompts])
        return [
            self._reply(prompt, tuple(reply), token_logprobs)
            for prompt, reply, token_logprobs in zip(prompts, ids, logprobs, strict=True)
        ]

    def drain(self) -> int:
        """Take part in collective calls until all processes are finished; returns the number of calls."""
        calls = 0
        while self._collective and self._generate([])[0]:
            calls += 1
        return calls

    # -- private ------------------------------------------------------------------------------------------------------

    def _generate(
        self, prompts: list[list[int]]
    ) -> tuple[int, Sequence[Sequence[int]], Sequence[Sequence[Sequence[float | None]]]]:
        """The largest batch size of all processes, and the replies to this process's prompts with log-probabilities."""
        count = width = len(prompts)
        if self._collective and self._gather is not None:
            width = max(self._gather([count]))
        if width == 0:
            return 0, [], []
        padded = [*prompts, *([self._dummy] for _ in range(width - count))]
        _, ids, logprobs, _ = self.generation.generate(prompts=padded, images=None, num_generations=1)
        if logprobs is None:
            raise UsageError(
                "Expected log-probabilities with the replies, got none; try VLLMGeneration(..., logprobs=0)."
            )
        return width, ids[:count], logprobs[:count]

    @property
    def _dummy(self) -> int:
        return min(self.end_ids, default=0)  # any token of the vocabulary works

    def _reply(
        self, prompt: tuple[int, ...], ids: tuple[int, ...], token_logprobs: Sequence[Sequence[float | None]]
    ) -> Reply:
        logprobs = tuple(_number(token[0] if token else None) for token in token_logprobs)
        if len(logprobs) != len(ids):
            raise UsageError(
                f"Expected a log-probability for each of {len(ids)} tokens, got {len(logprobs)}; try logprobs=0."
            )
        self.missing_logprobs += sum(map(math.isnan, logprobs))
        finished = bool(ids) and ids[-1] in self.end_ids
        return Reply(self.encoder.decode(ids[:-1] if finished else ids), prompt, ids, logprobs, finished)


class VLLMEnginePolicy:
    """Plays with a ``vllm.LLM``; :func:`open_vllm` makes it.

    Each request has its own seed, computed from ``seed``, the task, the sibling and the turn, so the batch has no
    influence except for rounding in the kernels. ``temperature`` and ``seed`` may be changed between batches, because
    loading another engine would take minutes.
    """

    def __init__(
        self,
        llm: Any,
        encoder: Encoder,
        sampling: Callable[..., Any],
        *,
        temperature: float = 0.0,
        max_tokens: int = 512,
        seed: int = 0,
        end_ids: Collection[int] = (),
        adapter: Adapter | None = None,
        name: str = "vllm",
    ) -> None:
        if temperature < 0 or max_tokens < 1:
            raise UsageError(
                f"Expected temperature ≥ 0 and max_tokens ≥ 1, got {temperature} and {max_tokens}; try 0.0 and 512."
            )
        self.llm, self.encoder, self.name = llm, encoder, name
        self.temperature, self.max_tokens, self.seed = temperature, max_tokens, seed
        #: The tokens that end a reply. They are part of its tokens and not of its text.
        self.end_ids = frozenset(end_ids)
        self._sampling = sampling
        self._with: dict[str, Any] = {} if adapter is None else {"lora_request": adapter.request()}

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        if not turns:
            return []
        prompts = encode_turns(self.encoder, turns)
        try:
            with watched(self.llm):
                outputs = self.llm.generate(
                    [{"prompt_token_ids": list(prompt.ids)} for prompt in prompts],
                    sampling_params=[self._parameters(turn) for turn in turns],
                    use_tqdm=False,
                    **self._with,
                )
        except Exception as error:
            if type(error).__name__ != "EngineDeadError":  # by name: its module differs between versions
                raise
            raise BackendError(
                f"Expected replies of {self.name}, got {type(error).__name__}: {printable_line(str(error), 200)}; "
                "try a smaller --num-envs or gpu_memory_utilization if memory was used up, and the log of vLLM."
            ) from error
        return [self._reply(prompt, output.outputs[0]) for prompt, output in zip(prompts, outputs, strict=True)]

    def close(self) -> None:
        """End the engine and free its memory. May be called twice."""
        llm, self.llm = self.llm, None
        engine = getattr(getattr(llm, "llm_engine", None), "engine_core", None)
        if engine is not None:
            engine.shutdown()

    def _parameters(self, turn: TurnView) -> Any:
        seed = seeded_int("vllm", self.seed, turn.task_id, turn.sibling, turn.step) % 2**31
        return self._sampling(temperature=self.temperature, max_tokens=self.max_tokens, seed=seed, logprobs=0)

    def _reply(self, prompt: Encoded, output: Any) -> Reply:
        ids = tuple(output.token_ids)
        entries = (candidates.get(token) for token, candidates in zip(ids, output.logprobs, strict=True))
        logprobs = tuple(_number(None if entry is None else entry.logprob) for entry in entries)
        text = self.encoder.decode(ids[:-1] if ids and ids[-1] in self.end_ids else ids)
        finished = output.finish_reason != "length"
        return _in_chat(Reply(text, prompt.ids, ids, logprobs, finished), prompt)


def open_vllm(
    model: str,
    *,
    temperature: float = 0.0,
    max_tokens: int = 512,
    seed: int = 0,
    gpu_memory_utilization: float = 0.9,
    max_model_length: int | None = None,
    max_prompt_tokens: int = 2048,
    template: Mapping[str, Any] | None = None,
    **engine: Any,
) -> VLLMEnginePolicy:
    """A policy with its own vLLM engine; needs the extra ``[vllm]`` and a GPU, or vLLM's build for CPUs.

    ``engine`` contains arguments of ``vllm.LLM``, ``template`` arguments of the chat template. Prompts are shortened to
    ``max_prompt_tokens``, as for every local model. The engine keeps the cache of a prompt, so that the next turn of a
    conversation computes only its new tokens.

    vLLM's own default rounds a float32 checkpoint to 16 bits without a word. Here a CPU computes with the float32
    weights, as :class:`~.transformers.TransformersPolicy` does, and on a GPU a warning says that they are rounded;
    ``dtype="float32"`` keeps them there.

    The folder of a policy that was trained with adapters has no model: the engine loads its base model with the
    adapters.
    """
    _check_engine(engine)
    try:
        vllm: Any = import_module("vllm")
    except ImportError as error:
        if error.name not in (None, "vllm"):
            raise  # vllm is installed but broken: its own error is more specific
        raise MissingExtraError("vllm", "vllm", f"Running {model!r} with vLLM") from None
    source = model_source(model)
    adapter = find_adapter(source)
    if adapter is not None:
        source, engine = adapter.base, {**adapter.engine(), **engine}
    length = max_model_length or max_prompt_tokens + max_tokens
    engine.setdefault("enable_prefix_caching", True)
    engine.setdefault("dtype", _dtype(source))
    if _is_cpu_build():
        # Its engine ends when a request with a seed is read in parts ("CPU Generator does not use offset").
        engine.setdefault("enable_chunked_prefill", False)
        engine.setdefault("max_num_batched_tokens", max(length, _BATCHED_TOKENS))
    llm = vllm.LLM(
        model=source,
        gpu_memory_utilization=gpu_memory_utilization,
        max_model_len=length,
        seed=seed,
        # Log-probabilities of the sampling distribution, temperature included.
        logprobs_mode="processed_logprobs",
        **engine,
    )
    tokenizer = llm.get_tokenizer()
    encoder = _encoder(tokenizer, max_prompt_tokens, template)
    return VLLMEnginePolicy(
        llm,
        encoder,
        vllm.SamplingParams,
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        end_ids=end_tokens(tokenizer),
        adapter=adapter,
        name=f"vllm:{model}",
    )


def _check_engine(engine: Mapping[str, Any]) -> None:
    for name, cure in _OWN_ARGUMENTS.items():
        if name in engine:
            raise UsageError(f"Expected engine arguments other than {name!r}, which the policy sets; try {cure}.")


def _is_cpu_build() -> bool:
    """Whether vLLM computes on the CPU."""
    try:
        return bool(import_module("vllm.platforms").current_platform.is_cpu())
    except (ImportError, AttributeError):
        return False


def _dtype(model: str) -> str:
    """The ``dtype`` of the engine. "auto" takes that of the checkpoint, except float32."""
    config = Path(model, "config.json")
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
        stored = str(values.get("dtype") or values.get("torch_dtype") or "")
    except (OSError, ValueError, AttributeError, RecursionError):
        return "auto"  # a name on a hub, or a damaged file, whose error vLLM raises
    if stored.rpartition(".")[2] != "float32":
        return "auto"
    torch: Any = import_module("torch")
    if not torch.cuda.is_available():
        return "float32"
    _LOG.warning(
        "%s: vLLM rounds the float32 weights to 16 bits; dtype=float32 (--engine dtype=float32) keeps them.", model
    )
    return "auto"


def end_tokens(tokenizer: Any, model: Any = None) -> frozenset[int]:
    """The tokens that end a reply: those of the tokenizer and of the model's generation config.

    >>> from types import SimpleNamespace
    >>> sorted(end_tokens(SimpleNamespace(eos_token_id=7), SimpleNamespace(generation_config=None)))
    [7]
    """
    declared = [tokenizer.eos_token_id, getattr(getattr(model, "generation_config", None), "eos_token_id", None)]
    return frozenset(
        token for ids in declared if ids is not None for token in (ids if isinstance(ids, Collection) else (ids,))
    )


def _number(logprob: float | None) -> float:
    return math.nan if logprob is None else float(logprob)


def _is_collective(generation: Any) -> bool:
    """Whether ``generate`` is a collective call of all processes."""
    if getattr(getattr(generation, "accelerator", None), "num_processes", 1) < 2:
        return False
    # A sleeping engine reloads its weights inside generate; gathering sharded weights is a collective call too.
    return (
        getattr(generation, "mode", "colocate") == "server"
        or getattr(generation, "tensor_parallel_size", 1) > 1
        or bool(getattr(generation, "enable_sleep_mode", False))
    )


def _gather_object() -> Callable[[list[int]], list[int]]:
    gather: Callable[[list[int]], list[int]] = import_module("accelerate.utils").gather_object
    return gather


def _in_chat(reply: Reply, prompt: Encoded) -> Reply:
    return replace(reply, past_tokens=prompt.past_tokens, message=prompt.message)


def _encoder(tokenizer: Any, max_tokens: int = 2048, template: Mapping[str, Any] | None = None) -> Encoder:
    from agentgym_hindsight.baselines.policies.chat import PromptEncoder

    return PromptEncoder(tokenizer, max_tokens, template)
