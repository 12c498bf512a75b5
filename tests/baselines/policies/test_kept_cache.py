"""KV caches between the turns of a conversation: replies are those without, whatever the batch and the memory."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("transformers", reason="needs the extra [train]")

from agentgym_hindsight.baselines.policies import TurnView  # noqa: E402
from agentgym_hindsight.baselines.policies.chat import PromptEncoder  # noqa: E402
from agentgym_hindsight.baselines.policies.generation import Sampled, sample, uniforms  # noqa: E402
from agentgym_hindsight.baselines.policies.kept_cache import Kept, KeptCaches  # noqa: E402
from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy  # noqa: E402
from agentgym_hindsight.baselines.rollout import Episode, assignments, play  # noqa: E402
from agentgym_hindsight.stage import Stage  # noqa: E402
from tests.baselines.policies.test_generation import END, PROMPTS  # noqa: E402
from tests.baselines.training.test_tiny import small_model, small_tokenizer  # noqa: E402

CHAT = Stage(
    protocol="brief", history="conversation", settings={"data": "embedded", "difficulty": "bare", "max_steps": 5}
)


def drawn(model: Any, prompts: list[tuple[int, ...]], **options: Any) -> list[Sampled]:
    arguments = {"stop": frozenset({END}), "pad": 0, "max_new_tokens": 9, **options}
    return sample(model, prompts, lambda i: uniforms(9, "kept", i), **arguments)


@pytest.mark.parametrize("batch_tokens", [1, 90, 100_000])
@pytest.mark.parametrize("temperature", [1.0, 0.0])
def test_a_kept_cache_changes_no_reply(batch_tokens: int, temperature: float) -> None:
    model = small_model()
    with torch.no_grad():  # a more probable end token, so that some replies are short
        model.get_input_embeddings().weight[END] *= 1.6
    kept: dict[int, Kept] = {}
    first = drawn(model, PROMPTS, batch_tokens=batch_tokens, temperature=temperature, keep=kept.__setitem__)
    assert first == drawn(model, PROMPTS, batch_tokens=batch_tokens, temperature=temperature)
    assert sorted(kept) == list(range(len(PROMPTS)))
    assert len({len(reply.ids) for reply in first}) > 1
    longer = []
    for i, (prompt, reply) in enumerate(zip(PROMPTS, first, strict=True)):
        assert kept[i].ids == prompt + reply.ids[:-1]
        assert {tensor.shape[1] for layer in kept[i].layers for tensor in layer} == {len(kept[i].ids)}
        longer.append(prompt + reply.ids + tuple(range(20, 21 + i)))
    some = [None if i % 3 == 0 else kept[i] for i in range(len(PROMPTS))]
    again: dict[int, Kept] = {}
    second = drawn(model, longer, batch_tokens=batch_tokens, temperature=temperature, kept=some, keep=again.__setitem__)
    expected: dict[int, Kept] = {}
    plain = drawn(model, longer, temperature=temperature, keep=expected.__setitem__)
    assert [reply.ids for reply in second] == [reply.ids for reply in plain]
    for one, other in zip(second, plain, strict=True):
        torch.testing.assert_close(torch.tensor(one.logprobs), torch.tensor(other.logprobs), atol=1e-5, rtol=1e-4)
    for i, other in expected.items():  # also the cache of the third turn
        assert again[i].ids == other.ids
        for one, two in zip(again[i].layers, other.layers, strict=True):
            torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


def test_only_new_tokens_are_computed() -> None:
    model, shapes = small_model(), []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    kept: dict[int, Kept] = {}
    (reply,) = drawn(model, [PROMPTS[6]], keep=kept.__setitem__)
    shapes.clear()
    drawn(model, [PROMPTS[6] + reply.ids + (21, 22, 23)], kept=[kept[0]])
    assert shapes[0] == (1, 4)  # the last token of the reply and the new ones


def episodes(num_envs: int = 8, prompt_tokens: int = 700, **options: Any) -> tuple[list[Episode], TransformersPolicy]:
    policy = TransformersPolicy(
        small_model(), PromptEncoder(small_tokenizer(), prompt_tokens), max_new_tokens=8, **options
    )
    with closing(CHAT.vector(num_envs, "train")) as venv:
        return list(play(venv, policy, assignments(CHAT.panel("train", 3), 2))), policy


def same(left: list[Episode], right: list[Episode]) -> bool:
    return [[reply.response_ids for reply in each.replies] for each in left] == [
        [reply.response_ids for reply in each.replies] for each in right
    ]


def test_rollouts_are_those_without_kept_caches() -> None:
    without, plain = episodes(cache_mb=0)
    assert plain.tokens_saved == 0
    kept, policy = episodes()
    assert same(kept, without)
    reread = sum(reply.past_tokens for episode in kept for reply in episode.replies)
    assert 0.8 * reread < policy.tokens_saved <= reread
    assert same(episodes(num_envs=2)[0], without)
    assert same(episodes(batch_tokens=1500)[0], without)


def test_rollouts_with_dropped_turns_are_those_without_kept_caches() -> None:
    short = 260
    without, _ = episodes(cache_mb=0, prompt_tokens=short)
    assert any("left out" in reply.message or not reply.past_tokens for e in without for reply in e.replies[1:])
    kept, policy = episodes(prompt_tokens=short)
    assert same(kept, without)
    assert policy.tokens_saved > 0


def cache_of(count: int) -> Kept:
    return Kept(tuple(range(count)), ((torch.zeros(1, count, 2), torch.zeros(1, count, 2)),))


def test_memory_is_bounded() -> None:
    model = small_model()
    size = cache_of(10).bytes
    caches = KeptCaches(3 * size)
    caches.begin(model, "abcd")
    for key in "abcd":
        caches.put(key, cache_of(10))
    assert caches.bytes == 3 * size
    assert caches.take("d", range(11)) is None  # no room, and all others are in play
    caches.begin(model, "cd")
    caches.put("d", cache_of(10))  # those of finished rollouts make room
    assert caches.bytes == 2 * size
    assert caches.take("a", range(11)) is None
    assert caches.take("c", range(11)) is not None
    assert caches.take("c", range(11)) is None  # taken
    assert caches.bytes == size
    KeptCaches(0).put("a", cache_of(1))


def test_a_cache_is_used_only_for_its_own_tokens_and_weights() -> None:
    model = small_model()
    caches = KeptCaches(1 << 20)
    for prompt, works in ((range(11), True), (range(10), False), ([*range(9), 77, 10], False), (range(3), False)):
        caches.begin(model, "a")
        caches.put("a", cache_of(10))
        assert (caches.take("a", prompt) is not None) is works
    caches.put("a", cache_of(10))
    with torch.no_grad():
        next(model.parameters()).add_(0.1)
    caches.begin(model, "a")
    assert caches.take("a", range(11)) is None
    assert caches.bytes == 0


def test_an_optimizer_step_drops_the_caches_of_a_policy() -> None:
    policy = TransformersPolicy(small_model(), PromptEncoder(small_tokenizer(), 300), max_new_tokens=4)
    view = TurnView("1f", 0, 0, "Now: a room.", {"conversation": True})
    (first,) = policy.act([view])
    second = TurnView("1f", 0, 1, "Now: a desk.", {"conversation": True}, (("Now: a room.", first),))
    optimizer = torch.optim.SGD(policy.model.parameters(), lr=10.0)
    for parameter in policy.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    fresh = TransformersPolicy(policy.model, policy.encoder, max_new_tokens=4)
    assert policy.act([second]) == fresh.act([second])
    assert policy.tokens_saved == 0
