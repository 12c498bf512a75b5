"""The policy that remembers distributions gives the replies of the policy that it wraps."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from agentgym_hindsight.baselines.audit import remembered
from agentgym_hindsight.baselines.audit.remembered import RememberingPolicy
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
from agentgym_hindsight.baselines.rollout import Episode, assignments, play
from agentgym_hindsight.baselines.training.tiny import make_model, make_tokenizer
from agentgym_hindsight.stage import Stage

#: Random weights give almost uniform distributions. With a low temperature, replies begin alike.
COLD = 0.05
STAGE = Stage(settings={"data": "embedded", "difficulty": "bare", "max_steps": 4}, protocol="brief")


def tiny(**options: Any) -> TransformersPolicy:
    tokenizer = make_tokenizer(["go to the shelf 1", "<action>look</action>"] * 9, vocabulary=300)
    model = make_model(tokenizer, seed=1)
    return TransformersPolicy(model, PromptEncoder(tokenizer, 400), **{"max_new_tokens": 6, **options})


def played(policy: Any, envs: int = 6) -> list[Episode]:
    with closing(STAGE.vector(envs)) as venv:
        return list(play(venv, policy, assignments(list(STAGE.panel("train", 3, seed=0)), 6)))


@pytest.mark.slow
@pytest.mark.parametrize("batch_tokens", [16384, 700])
def test_the_same_replies_from_fewer_passes(batch_tokens: int) -> None:
    policy = tiny(batch_tokens=batch_tokens, temperature=COLD)
    passes = 0

    def count(*_: Any) -> None:
        nonlocal passes
        passes += 1

    with policy.model.register_forward_pre_hook(count):
        expected = played(policy)
        before, passes = passes, 0
        remembering = RememberingPolicy(policy)
        found = played(remembering)
        assert passes > 0
        passes = 0
        assert [episode.trajectory for episode in played(remembering, 4)] == [episode.trajectory for episode in found]
        assert passes == 0, "everything is known"
    assert before > 0
    different = {reply.text for episode in expected for reply in episode.replies}
    assert len(different) > 5
    for one, two in zip(expected, found, strict=True):
        assert one.trajectory.replace(policy="") == two.trajectory.replace(policy="")
        for a, b in zip(one.replies, two.replies, strict=True):
            assert (a.text, a.prompt_ids, a.response_ids, a.finished) == (
                b.text,
                b.prompt_ids,
                b.response_ids,
                b.finished,
            )
            assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tiny(temperature=COLD)
    expected = played(RememberingPolicy(policy))
    monkeypatch.setattr(remembered, "_MOST_NUMBERS", 1000)
    forgetful = RememberingPolicy(policy)
    assert played(forgetful) == expected
    assert forgetful._remembered < 1000 + 6 * 6 * 300


def test_which_policies_suit() -> None:
    assert RememberingPolicy.suits(tiny())
    assert not RememberingPolicy.suits(tiny(temperature=0.0))
    assert not RememberingPolicy.suits(tiny(native=True))
    large = tiny()
    large.model.config.vocab_size = 150_000
    assert not RememberingPolicy.suits(large)
    assert not RememberingPolicy.suits(object())
