"""Times of sampling by this library's loop, ``model.generate``, vLLM and an endpoint, on the same prompts.

A separate pass of one token measures the time of reading the prompts. Models without a warm start have random weights:
most of their replies run to the length limit, so the loop seldom profits from dropping finished rows.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from statistics import median
from typing import Any, NamedTuple

import torch

from agentgym_hindsight.baselines.policies.base import Policy, Reply, TurnView
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.endpoint import EndpointPolicy
from agentgym_hindsight.baselines.policies.generation import Sampled, sample, sample_with_generate, uniforms
from agentgym_hindsight.baselines.policies.vllm import open_vllm
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.cli.bench.figures import Row
from agentgym_hindsight.cli.bench.training.step_times import clock
from agentgym_hindsight.cli.parsing import server_and_model
from agentgym_hindsight.errors import HindsightError

__all__ = ["Sampling", "open_endpoint", "open_engine", "sampling_rows", "served_rows"]


class Sampling(NamedTuple):
    """Tokens and seconds of a batch. ``reading_s``: seconds for the first token of every reply, to read the prompts."""

    prompt_tokens: int
    reply_tokens: int
    reading_s: float
    total_s: float
    prompts: int

    def __str__(self) -> str:
        reading = self.prompt_tokens / self.reading_s
        later_tokens, seconds = self.reply_tokens - self.prompts, self.total_s - self.reading_s
        writing = f"{later_tokens / seconds:,.0f}" if later_tokens and seconds > 0 else "–"
        return f"{self.total_s:.3f} s; read {reading:,.0f}, wrote {writing} tokens/s"


def sampling_rows(
    name: str,
    model: Any,
    encoder: PromptEncoder,
    prompts: Sequence[str],
    plan: Plan,
    batches: Sequence[int],
    repeats: int,
    note: Callable[[str], object] = lambda _: None,
) -> list[Row]:
    """Rows that compare the loop with ``generate``: each batch in one piece, greedy and at temperature 1."""
    rows = []
    for count in batches:
        ids = encoder.encode_all(_spread(prompts, count))
        for temperature, kind in ((0.0, "greedy"), (1.0, "T=1")):
            note(f"sampling: {name}, {count} prompts, {kind}")
            samplers = _samplers(model, ids, encoder.tokenizer, temperature)
            loop, generate = _time_alternately(samplers, ids, plan.response_tokens, repeats)
            rows += [
                Row(f"{name}, {count} prompts, {kind}: our loop", str(loop)),
                Row(f"{name}, {count} prompts, {kind}: model.generate", str(generate)),
                Row("  model.generate takes", f"{generate.total_s / loop.total_s:.2f}× as long"),
            ]
    return rows


#: Samples replies to the prompts; the argument limits the new tokens.
_Sampler = Callable[[int], Sequence[Sampled]]


def _samplers(
    model: Any, ids: Sequence[Sequence[int]], tokenizer: Any, temperature: float
) -> tuple[_Sampler, _Sampler]:
    model.eval()
    options: dict[str, Any] = {
        "stop": frozenset([tokenizer.eos_token_id]),
        "pad": tokenizer.pad_token_id,
        "temperature": temperature,
        "batch_tokens": sys.maxsize,  # in one piece
    }
    return (
        lambda new: sample(model, ids, lambda i: uniforms(new, "bench", i), max_new_tokens=new, **options),
        lambda new: sample_with_generate(model, ids, seed=0, max_new_tokens=new, **options),
    )


def _time_alternately(
    samplers: Sequence[_Sampler], ids: Sequence[Sequence[int]], limit: int, repeats: int
) -> list[Sampling]:
    times: dict[tuple[int, int], list[float]] = {
        (index, new): [] for index in range(len(samplers)) for new in (1, limit)
    }
    written = [0] * len(samplers)
    for _ in range(repeats + 1):  # the first pass warms up and is not counted
        for (index, new), seconds in times.items():
            started = clock()
            replies = samplers[index](new)
            seconds.append(clock() - started)
            written[index] = sum(len(reply.ids) for reply in replies)  # from the longer pass, which is the last one
    read = sum(map(len, ids))
    return [
        Sampling(read, written[index], median(times[index, 1][1:]), median(times[index, limit][1:]), len(ids))
        for index in range(len(samplers))
    ]


def open_endpoint(address: str, plan: Plan) -> Policy:
    """The policy of a server given as ``URL#MODEL``."""
    url, model = server_and_model("--endpoint ", address.removeprefix("endpoint:"))
    return EndpointPolicy(url, model, temperature=plan.temperature, max_tokens=plan.response_tokens)


def open_engine(model: str, plan: Plan) -> tuple[Policy | None, str]:
    """A vLLM engine, or ``None`` and the reason."""
    if find_spec("vllm") is None:
        return None, "not installed"
    if not torch.cuda.is_available():
        return None, "needs a GPU"
    try:
        engine = open_vllm(
            model,
            temperature=plan.temperature,
            max_tokens=plan.response_tokens,
            max_prompt_tokens=plan.prompt_tokens,
            gpu_memory_utilization=0.4,  # the policy is on the same GPU
        )
    except Exception as error:  # a failing engine must not lose the figures measured so far
        return None, f"did not start: {type(error).__name__}"
    return engine, ""


def served_rows(
    name: str,
    prompts: Sequence[str],
    batches: Sequence[int],
    policy: Policy | None,
    reason: str,
    note: Callable[[str], object] = lambda _: None,
) -> list[Row]:
    """Wall-clock times of whole batches: a server does not report reading and writing separately."""
    if policy is None:
        return [Row(name, reason)]
    rows: list[Row] = []
    for count in batches:
        note(f"sampling: {name}, {count} prompts")
        turns = [TurnView(str(i), 0, 0, prompt, {}) for i, prompt in enumerate(_spread(prompts, count))]
        try:
            policy.act(turns[:1])  # warm up
            started = time.perf_counter()
            replies = policy.act(turns)
        except HindsightError as error:
            return [*rows, Row(f"{name}, {count} prompts", f"failed: {type(error).__name__}")]
        seconds = time.perf_counter() - started
        complete = [reply for reply in replies if isinstance(reply, Reply)]  # some endpoints return only the text
        read, written = (
            sum(len(reply.prompt_ids) for reply in complete),
            sum(len(reply.response_ids) for reply in complete),
        )
        tokens = f"; {read / seconds:,.0f} tokens read, {written / seconds:,.0f} written a second" if written else ""
        rows.append(
            Row(f"{name}, {count} prompts", f"{seconds:.3f} s, {count / seconds:,.1f} replies a second{tokens}")
        )
    return rows


def _spread(prompts: Sequence[str], count: int) -> list[str]:
    """``count`` prompts, evenly spread over those that were played; repeated if there are fewer."""
    stride = max(1, len(prompts) // count)
    return [prompts[i * stride % len(prompts)] for i in range(count)]
