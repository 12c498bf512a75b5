"""``vllm:MODEL`` beside our own loop: the same tokens and log-probabilities, independent of the batch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm", reason="needs vLLM")

import torch

from agentgym_hindsight.baselines.evaluation.panels import play_panel
from agentgym_hindsight.baselines.policies.base import Reply, TurnView
from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
from agentgym_hindsight.baselines.policies.turn_prompts import encode_turns
from agentgym_hindsight.baselines.policies.vllm import VLLMEnginePolicy, open_vllm
from agentgym_hindsight.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.filterwarnings("default")]

PROMPT_TOKENS, NEW_TOKENS = 2048, 16


@pytest.fixture(scope="module")
def engine(smollm2: Path) -> Iterator[VLLMEnginePolicy]:
    """The engine, with the float32 weights of the checkpoint."""
    policy = open_vllm(str(smollm2), max_tokens=NEW_TOKENS, max_prompt_tokens=PROMPT_TOKENS, enforce_eager=True)
    yield policy
    policy.close()


@pytest.fixture(scope="module")
def ours(smollm2: Path) -> TransformersPolicy:
    return TransformersPolicy.load(smollm2, max_new_tokens=NEW_TOKENS, max_prompt_tokens=PROMPT_TOKENS, device="cpu")


@pytest.fixture(scope="module")
def turns() -> list[TurnView]:
    """First turns of tasks of two worlds."""
    stages = [
        Stage("ALFWorld-Hindsight-v0", {"data": "embedded"}, protocol="brief"),
        Stage("WebShop-Hindsight-v0", {"data": "embedded"}, protocol="plain"),
    ]
    views = []
    for stage in stages:
        env = stage.make("train")
        for task in stage.panel("train", 3, seed=0):
            observation, info = env.reset(options={"task": task})
            views.append(TurnView(task.id, 0, 0, observation, info))
        env.close()
    return views


def same(one: Sequence[Any], other: Sequence[Any]) -> None:
    """The same tokens and text, and log-probabilities up to rounding."""
    for left, right in zip(one, other, strict=True):
        assert left.prompt_ids == right.prompt_ids
        assert left.response_ids == right.response_ids
        assert (left.text, left.finished) == (right.text, right.finished)
        assert left.logprobs == pytest.approx(right.logprobs, abs=1e-3)


def test_greedy_replies_are_those_of_our_loop(
    engine: VLLMEnginePolicy, ours: TransformersPolicy, turns: list[TurnView]
) -> None:
    engine.temperature = ours.temperature = 0.0
    found, expected = engine.act(turns), ours.act(turns)
    same(found, expected)
    pairs = [pair for f, e in zip(found, expected, strict=True) for pair in zip(f.logprobs, e.logprobs, strict=True)]
    worst = max(abs(left - right) for left, right in pairs)
    print(f"{len(turns)} prompts, {len(pairs)} tokens, log-probabilities within {worst:.1e}")


def test_sampled_log_probabilities_are_those_of_the_sampling_distribution(
    engine: VLLMEnginePolicy, ours: TransformersPolicy, turns: list[TurnView]
) -> None:
    engine.temperature = 0.7
    for reply in engine.act(turns[:4]):
        ids = torch.tensor([[*reply.prompt_ids, *reply.response_ids]])
        with torch.no_grad():
            logits = ours.model(ids).logits[0, len(reply.prompt_ids) - 1 : -1].double() / 0.7
        expected = logits.log_softmax(-1).gather(-1, torch.tensor(reply.response_ids)[:, None])[:, 0]
        assert reply.logprobs == pytest.approx(expected.tolist(), abs=1e-3)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_order_and_company_do_not_matter(engine: VLLMEnginePolicy, turns: list[TurnView], temperature: float) -> None:
    engine.temperature = temperature
    together = engine.act(turns)
    same(engine.act(turns[::-1])[::-1], together)
    same(engine.act(turns[2:3]), together[2:3])
    if temperature:
        siblings = [replace(turns[2], sibling=number) for number in range(4)]
        assert len({reply.response_ids for reply in engine.act(siblings)}) > 1, "siblings have other seeds"


def test_more_prompts_than_are_read_at_once(tiny: Path) -> None:
    """The engine reads 512 tokens at once: with prompts in parts, one with a seed would end it."""
    texts = [f"Task {number}: " + "You see a desk 1, a drawer 1 and a bed 1. " * (26 + number) for number in range(5)]
    turns = [TurnView(str(number), 0, 0, text, {}) for number, text in enumerate(texts)]
    limits = {"max_tokens": 8, "max_prompt_tokens": 448, "max_num_batched_tokens": 512}
    policy = open_vllm(str(tiny), temperature=0.7, enforce_eager=True, **limits)
    try:
        replies = policy.act(turns)
    finally:
        policy.close()
    assert sum(len(reply.prompt_ids) for reply in replies) > 2 * 512
    assert all(reply.response_ids for reply in replies)


def test_prefix_caching_saves_what_turns_of_a_rollout_share(engine: VLLMEnginePolicy) -> None:
    """Each turn is answered with the cache emptied and with the cache of the turns before, in turn."""
    engine.temperature = 0.0
    plain, chat = rollout_turns(engine, None), rollout_turns(engine, "conversation")
    for name, views, least in (("prompts with a history", plain, 0.0), ("a conversation", chat, 0.5)):
        saved, read, seconds = measured(engine, views)
        print(
            f"{name}: {len(views)} turns, {read} prompt tokens, {saved} from the cache ({saved / read:.0%}); "
            f"{seconds[0]:.2f} s without, {seconds[1]:.2f} s with the cache"
        )
        assert saved / read >= least


def measured(engine: VLLMEnginePolicy, views: Sequence[TurnView]) -> tuple[int, int, tuple[float, float]]:
    """Prompt tokens from the cache, all prompt tokens, and the seconds without and with the cache."""
    prompts = [each.ids for each in encode_turns(engine.encoder, views)]
    one = engine._sampling(temperature=0.0, max_tokens=1)

    def answer(prompt: tuple[int, ...]) -> tuple[Any, float]:
        started = time.perf_counter()
        (output,) = engine.llm.generate([{"prompt_token_ids": list(prompt)}], sampling_params=one, use_tqdm=False)
        return output, time.perf_counter() - started

    without = with_cache = 0.0
    for prompt in prompts:
        engine.llm.reset_prefix_cache()
        without += answer(prompt)[1]
    engine.llm.reset_prefix_cache()
    saved = 0
    for prompt in prompts:
        output, seconds = answer(prompt)
        with_cache += seconds
        saved += output.num_cached_tokens or 0
    return saved, sum(map(len, prompts)), (without, with_cache)


def rollout_turns(engine: VLLMEnginePolicy, history: str | None) -> list[TurnView]:
    """The turns of a rollout, as the engine saw them."""
    settings = {"data": "embedded", "max_steps": 6}
    stage = Stage("ALFWorld-Hindsight-v0", settings, protocol="verl-agent-2025", history=history)
    seen: list[TurnView] = []

    class Watched:
        name = engine.name

        def act(self, views: Sequence[TurnView]) -> list[Reply]:
            seen.extend(views)
            return engine.act(views)

    list(play_panel(Watched(), stage, list(stage.panel("train", 1, seed=0))))
    assert len(seen) == 6
    return seen
