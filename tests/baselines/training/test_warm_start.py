"""Expert play with detours, and what a policy makes of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

from agentgym_hindsight.baselines.policies.chat import PromptEncoder  # noqa: E402
from agentgym_hindsight.baselines.training.warm_start import Example, WarmStart, expert_play, fine_tune  # noqa: E402
from agentgym_hindsight.errors import UsageError  # noqa: E402
from agentgym_hindsight.stage import Stage  # noqa: E402
from tests.baselines.training.test_tiny import small_model, small_tokenizer  # noqa: E402

#: The arguments of expert play that most tests start from: one rollout a task, no hindsight, an expert that sees all.
PLAIN = WarmStart(siblings=1, noise=0.0, seek=False, hindsight=0.0)
STAGE = Stage(settings={"data": "embedded", "difficulty": "easy", "max_steps": 12}, protocol="brief")


@cache
def played(noise: float, seed: int = 0, num_envs: int = 8) -> tuple[Example, ...]:
    waves = list(
        expert_play(STAGE, list(STAGE.panel("train", 4)), replace(PLAIN, noise=noise), seed=seed, num_envs=num_envs)
    )
    assert len(waves) == -(-4 // num_envs)
    return tuple(example for wave in waves for example in wave)


def advised(prompt: str) -> str:
    """The expert's word where nothing was done yet, asked anew."""
    env = STAGE.make("train", expert=True)
    try:
        for task in STAGE.panel("train", 4):
            first, info = env.reset(options={"task": task})
            if first == prompt:
                return str(info["expert_action"])
    finally:
        env.close()
    raise AssertionError(prompt)


def test_every_state_has_the_experts_action() -> None:
    examples = played(0.0)
    firsts = [example for example in examples if "\nDone: " not in example.prompt]
    assert len(firsts) == 4
    for example in firsts:
        assert example.response == f"<action>{advised(example.prompt)}</action>"


def test_detours_are_labelled_and_not_learnt() -> None:
    """With noise more states are seen: chance is in the prompt, the expert's word in the reply."""
    straight, bent = played(0.0), played(0.6)
    assert len(bent) > len(straight)
    assert strayed(straight) == set()
    assert len(strayed(bent)) > 5, "many turns went another way than the expert's"


def strayed(examples: tuple[Example, ...]) -> set[tuple[str, ...]]:
    """Roads that were gone although no reply leads there. (A prompt tells of six actions: no longer ones.)"""
    gone = {tuple(done(example)) for example in examples if 0 < len(done(example)) < 6}
    return gone - {
        (*done(example), example.response.removeprefix("<action>").removesuffix("</action>")) for example in examples
    }


def done(example: Example) -> list[str]:
    line = next((line for line in example.prompt.splitlines() if line.startswith("Done: ")), "Done: ")
    words = line.removeprefix("Done: ")
    return words.split("; ") if words else []


def test_the_same_whatever_the_width() -> None:
    assert sorted(map(str, played(0.6, num_envs=1))) == sorted(map(str, played(0.6, num_envs=3)))
    assert played(0.6) != played(0.6, seed=1)


def test_the_parsers_format() -> None:
    stage = Stage(settings=STAGE.settings)
    (wave,) = expert_play(stage, list(stage.panel("train", 1)), PLAIN)
    assert all(example.response.startswith("<think></think><action>") for example in wave)
    plain = Stage(settings=STAGE.settings, protocol="plain")
    (wave,) = expert_play(plain, list(plain.panel("train", 1)), PLAIN)
    assert not any("<" in example.response for example in wave)


def fitted(seed: int, epochs: float) -> tuple[Any, float, list[float]]:
    model, losses = small_model(spread=0.1), list[float]()
    firsts = sorted(played(0.6), key=lambda example: len(example.prompt))[:16]
    plan = WarmStart(epochs=epochs, batch=4, learning_rate=3e-2)
    loss = fine_tune(model, PromptEncoder(small_tokenizer(), 256), firsts, plan, seed=seed, on_step=losses.append)
    return model, loss, losses


@pytest.mark.slow  # twelve steps of TRL's
def test_studying_lowers_the_loss() -> None:
    model, loss, losses = fitted(0, epochs=3)
    assert len(losses) == 12
    assert losses[-1] < 0.7 * losses[0]
    assert loss == pytest.approx(sum(losses) / 12, abs=1e-3)
    assert not model.training


@pytest.mark.slow  # three times TRL's trainer
def test_the_seed_alone_decides() -> None:
    torch.manual_seed(7)
    model, _, losses = fitted(0, epochs=0.5)
    torch.manual_seed(8)
    again, _, steps = fitted(0, epochs=0.5)
    assert steps == losses
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert fitted(1, epochs=0.5)[2] != losses


def test_only_the_reply_is_learnt_and_its_end_too() -> None:
    """The loss of the first step is that of the completion's tokens, the end of the turn among them."""
    encoder = PromptEncoder(small_tokenizer(), 256)
    model = small_model(spread=0.1)
    examples = played(0.3)[:8]
    total, count = 0.0, 0
    with torch.no_grad():
        for example in examples:
            prompt = encoder.encode(example.prompt)
            reply = small_tokenizer()(example.response + "<|end|>", add_special_tokens=False)["input_ids"]
            assert reply[-1] == small_tokenizer().eos_token_id
            logits = model(torch.tensor([[*prompt, *reply]])).logits[0, len(prompt) - 1 : -1]
            total -= float(torch.log_softmax(logits, -1).gather(-1, torch.tensor(reply)[:, None]).sum())
            count += len(reply)
    losses: list[float] = []
    fine_tune(model, encoder, examples, WarmStart(epochs=1, batch=8), on_step=losses.append)
    assert losses == [pytest.approx(total / count, rel=1e-3)]


def test_a_prompt_beyond_the_limit_is_studied_as_it_is_played() -> None:
    """A policy meets long prompts without their middle: that is what it has to learn from."""
    encoder = PromptEncoder(small_tokenizer(), 96)
    examples = played(0.3)[:8]
    assert any(len(encoder._ids([encoder.text(example.prompt)])[0]) > 96 + 64 for example in examples)
    model = small_model(spread=0.1)
    total, count = 0.0, 0
    with torch.no_grad():
        for example in examples:
            prompt = encoder.encode(example.prompt)
            reply = small_tokenizer()(example.response + "<|end|>", add_special_tokens=False)["input_ids"]
            logits = model(torch.tensor([[*prompt, *reply]])).logits[0, len(prompt) - 1 : -1]
            total -= float(torch.log_softmax(logits, -1).gather(-1, torch.tensor(reply)[:, None]).sum())
            count += len(reply)
    losses: list[float] = []
    fine_tune(model, encoder, examples, WarmStart(epochs=1, batch=8), on_step=losses.append)
    assert losses == [pytest.approx(total / count, rel=1e-3)]


def test_nothing_to_learn_from() -> None:
    with pytest.raises(UsageError, match="expert play"):
        fine_tune(small_model(), PromptEncoder(small_tokenizer(), 64), [], WarmStart())


def test_an_expert_that_seeks_names_no_place_nobody_has_seen() -> None:
    """Every way into the unknown goes to the first unvisited place of its kind, and shut doors are opened."""
    tasks = list(STAGE.panel("train", 12))
    seeing, seeking = (
        [example for wave in expert_play(STAGE, tasks, replace(PLAIN, seek=seek)) for example in wave]
        for seek in (False, True)
    )
    first = {
        seek: [example.response for example in examples if "\nDone: " not in example.prompt]
        for seek, examples in ((False, seeing), (True, seeking))
    }
    assert first[False] != first[True]
    assert all(response.endswith(" 1</action>") for response in first[True])
    assert len(seeking) > len(seeing), "searching takes longer than knowing"
    assert any(response.startswith("<action>open ") for response in (example.response for example in seeking))


def test_who_dawdles_looks_before_every_deed() -> None:
    """Once before each, never twice in a row; what is learnt is what was done, so that the habit is learnt too."""
    (wave,) = expert_play(STAGE, list(STAGE.panel("train", 3)), replace(PLAIN, dawdle=1.0))
    looks = [example.response == "<action>look</action>" for example in wave]
    assert 0.4 < sum(looks) / len(looks) <= 0.6
    for example, look in zip(wave, looks, strict=True):
        deeds = done(example)
        assert look == (not deeds or deeds[-1] != "look")
    (plain,) = expert_play(STAGE, list(STAGE.panel("train", 3)), replace(PLAIN, hindsight=1.0, dawdle=1.0))
    told = [example for example in plain if "feedback" in example.prompt or "solution" in example.prompt]
    assert all(example.response != "<action>look</action>" for example in told), "with hindsight nobody dawdles"
