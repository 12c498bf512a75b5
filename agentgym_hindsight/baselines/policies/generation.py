"""Batched sampling from one model: a loop over the KV cache that drops finished rows.

``model.generate`` draws from one global random stream, so a reply depends on the other rows of the batch. Here every
row has its own uniform numbers: the same (seed, task, sibling, turn) gives the same reply in any batch, with any number
of processes, and after a resume. Both are about equally fast (docs/benchmarks/training-speed.md).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from agentgym_hindsight.baselines.requirements import require_train

require_train("sampling from a model")

import torch  # noqa: E402

from agentgym_hindsight.baselines.padding import pad_left  # noqa: E402
from agentgym_hindsight.baselines.policies.kept_cache import Kept, joined, part  # noqa: E402
from agentgym_hindsight.errors import UsageError  # noqa: E402
from agentgym_hindsight.tasks import seeded_int  # noqa: E402

__all__ = ["Sampled", "cache_name", "sample", "sample_with_generate", "uniforms"]


class Sampled(NamedTuple):
    """The tokens of one reply and their log-probabilities; a sampled stop token is included."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finished: bool


def uniforms(count: int, *key: object) -> npt.NDArray[np.float64]:
    """``count`` numbers in [0, 1) that depend only on the key.

    >>> bool((uniforms(3, "a", 1) == uniforms(4, "a", 1)[:3]).all())
    True
    """
    stream: npt.NDArray[np.float64] = np.random.Generator(np.random.Philox(key=seeded_int(*key))).random(count)
    return stream


@torch.no_grad()
def sample(
    model: Any,
    prompts: Sequence[Sequence[int]],
    draws: Callable[[int], npt.NDArray[np.float64]],
    *,
    stop: frozenset[int],
    pad: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    batch_tokens: int = 16384,
    kept: Sequence[Kept | None] | None = None,
    keep: Callable[[int, Kept], object] | None = None,
) -> list[Sampled]:
    """One reply for every prompt, in order. ``draws(i)`` returns the uniform numbers of prompt i, one per token.

    Prompts are batched by length; a batch has at most ``batch_tokens`` tokens, padding and replies included.
    ``temperature=0`` takes the most probable token; its log-probability is that at temperature 1.

    ``kept[i]`` is the cache of the first tokens of prompt i, if there is one. ``keep(i, cache)`` is called with the
    cache of prompt i and its reply, except for the reply's last token, which the model has not read.
    """
    if temperature < 0:
        raise UsageError(f"Expected a temperature ≥ 0, got {temperature}; try 1.0, or 0 for the most probable token.")
    if max_new_tokens < 1:
        raise UsageError(f"Expected max_new_tokens ≥ 1, got {max_new_tokens}; try 64.")
    replies: list[Sampled | None] = [None] * len(prompts)
    known = [0 if kept is None or (each := kept[i]) is None else len(each.ids) for i in range(len(prompts))]
    # Prompts with and without a cache are in different batches: a batch is as wide as its longest cache and its longest
    # other part together.
    order = sorted(range(len(prompts)), key=lambda i: (known[i] > 0, len(prompts[i])))
    start = 0
    while start < len(order):
        end, old, new = start, 0, 0
        while end < len(order):
            i = order[end]
            old_width, new_width = max(old, known[i]), max(new, len(prompts[i]) - known[i])
            fits = (end + 1 - start) * (old_width + new_width + max_new_tokens) <= batch_tokens
            if end > start and (not fits or bool(known[i]) != bool(old)):
                break
            end, old, new = end + 1, old_width, new_width
        members = order[start:end]
        numbers = np.stack([draws(i)[:max_new_tokens] for i in members]) if temperature else None
        batch = [prompts[i] for i in members]
        caches = [None if kept is None else kept[i] for i in members]
        keep_row = None if keep is None else partial(_keep_member, keep, members)
        sampled = _sample_batch(model, batch, numbers, stop, pad, max_new_tokens, temperature, caches, keep_row)
        for i, reply in zip(members, sampled, strict=True):
            replies[i] = reply
        start = end
    return [reply for reply in replies if reply is not None]


def _sample_batch(
    model: Any,
    prompts: Sequence[Sequence[int]],
    numbers: npt.NDArray[np.float64] | None,
    stop: frozenset[int],
    pad: int,
    max_new_tokens: int,
    temperature: float,
    kept: Sequence[Kept | None],
    keep: Callable[[int, Kept], object] | None,
) -> list[Sampled]:
    from transformers import DynamicCache

    device = model.device
    unread = [prompt[0 if old is None else len(old.ids) :] for prompt, old in zip(prompts, kept, strict=True)]
    ids, mask = (tensor.to(device) for tensor in pad_left(unread, pad))
    cache = DynamicCache()
    read = joined(kept, cache)
    mask = mask if read is None else torch.cat([read, mask], dim=1)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.size(1) :]
    draws = None if numbers is None else torch.from_numpy(numbers).to(device)
    stops = torch.tensor(sorted(stop), device=device)
    cache_argument = {cache_name(model): cache}
    rows = list(range(len(prompts)))
    tokens: list[list[int]] = [[] for _ in prompts]
    logprobs: list[list[float]] = [[] for _ in prompts]
    finished = [False] * len(prompts)
    step_ids, step_positions = ids, positions
    for step in range(max_new_tokens):
        output = model(
            input_ids=step_ids,
            attention_mask=mask,
            position_ids=step_positions,
            use_cache=True,
            **cache_argument,
            logits_to_keep=1,
        )
        drawn, scores = _draw(output.logits[:, -1], None if draws is None else draws[:, step], temperature)
        ended = torch.isin(drawn, stops)
        for row, token, score, over in zip(rows, drawn.tolist(), scores.tolist(), ended.tolist(), strict=True):
            tokens[row].append(token)
            logprobs[row].append(score)
            finished[row] = over
        if keep is not None:
            is_last = step + 1 == max_new_tokens
            for place, (row, over) in enumerate(zip(rows, ended.tolist(), strict=True)):
                if over or is_last:
                    keep(row, Kept((*prompts[row], *tokens[row][:-1]), part(cache, place, mask[place])))
        if step + 1 == max_new_tokens or bool(ended.all()):
            break
        if bool(ended.any()):  # finished rows leave the batch and the cache
            unfinished = (~ended).nonzero().squeeze(-1)
            cache.batch_select_indices(unfinished)
            rows = [rows[i] for i in unfinished.tolist()]
            drawn, mask, step_positions = drawn[unfinished], mask[unfinished], step_positions[unfinished]
            draws = None if draws is None else draws[unfinished]
        mask = torch.cat([mask, mask.new_ones((len(rows), 1))], dim=1)
        step_ids, step_positions = drawn.unsqueeze(1), step_positions[:, -1:] + 1
    return [Sampled(tuple(t), tuple(p), f) for t, p, f in zip(tokens, logprobs, finished, strict=True)]


def _keep_member(keep: Callable[[int, Kept], object], members: Sequence[int], row: int, kept: Kept) -> None:
    keep(members[row], kept)


def cache_name(model: Any) -> str:
    """The name of the model's argument for the KV cache, which transformers 5 renamed."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # PEFT passes arguments by name
    return "cache" if "cache" in inspect.signature(type(base).forward).parameters else "past_key_values"


def _draw(logits: torch.Tensor, numbers: torch.Tensor | None, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (B,) and their log-probabilities (B,) from logits (B, V), by inverting the cumulative distribution."""
    scores = torch.log_softmax(logits.float() / (temperature or 1.0), dim=-1)
    if numbers is None:
        drawn = scores.argmax(-1)
    else:
        # In float64: with a large vocabulary, rounding of float32 sums would favour early tokens.
        cumulated = scores.double().exp().cumsum(-1)
        threshold = numbers.unsqueeze(-1) * cumulated[:, -1:]
        drawn = torch.searchsorted(cumulated, threshold, right=True).squeeze(-1).clamp(max=scores.size(-1) - 1)
    return drawn, scores.gather(-1, drawn.unsqueeze(-1)).squeeze(-1)


@torch.no_grad()
def sample_with_generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    seed: object,
    stop: frozenset[int],
    pad: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    batch_tokens: int = 16384,
) -> list[Sampled]:
    """As :func:`sample`, with ``model.generate``: for comparison, and for models whose cache the loop cannot use."""
    replies: list[Sampled] = []
    width = max(map(len, prompts), default=1)
    size = max(1, batch_tokens // (width + max_new_tokens))
    for start in range(0, len(prompts), size):
        batch = prompts[start : start + size]
        ids, mask = pad_left(batch, pad)
        width = ids.size(1)
        with torch.random.fork_rng():
            torch.manual_seed(seeded_int("generate", seed, start) % 2**63)
            output = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                max_new_tokens=max_new_tokens,
                do_sample=temperature > 0,
                **({"temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature > 0 else {}),
                eos_token_id=sorted(stop),
                pad_token_id=pad,
                return_dict_in_generate=True,
                output_logits=True,
            )
        scores = torch.log_softmax(torch.stack(output.logits, 1).float() / (temperature or 1.0), -1)
        reply_ids = output.sequences[:, width:]
        token_scores = scores.gather(-1, reply_ids.unsqueeze(-1)).squeeze(-1).tolist()
        for tokens, logprobs in zip(reply_ids.tolist(), token_scores, strict=True):
            end = next((index + 1 for index, token in enumerate(tokens) if token in stop), len(tokens))
            over = tokens[end - 1] in stop
            replies.append(Sampled(tuple(tokens[:end]), tuple(logprobs[:end]), over))
    return replies
