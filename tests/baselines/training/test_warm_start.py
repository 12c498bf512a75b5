"""Expert play with detours, and the fine-tuning on it."""

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
from tests.baselines.policies.chat_tokenizers import control  # noqa: E402
from tests.baselines.training.test_tiny import small_model, small_tokenizer  # noqa: E402

#: One rollout per task, no detours, no hindsight, and an expert that uses the positions of hidden objects.
PLAIN = WarmStart(siblings=1, noise=0.0, seek=False, hindsight=0.0)
STAGE = Stage(settings={"data": "embedded", "difficulty": "easy", "max_steps": 12}, protocol="brief")


@cache
def played(noise: float, seed: int = 0, num_envs: int = 8) -> tuple[Example, ...]:
    waves = list(
        expert_play(STAGE, list(STAGE.panel("train", 4)), replace(PLAIN, noise=noise), seed=seed, num_envs=num_envs)
    )
    assert len(waves) == -(-4 // num_envs)
    return tuple(example for wave in waves for example in wave)


def first_action(prompt: str) -> str:
    """The expert's action in a first state, from a new environment."""
    env = STAGE.make("train", expert=True)
    try:
        for task in STAGE.panel("train", 4):
            first, info = env.reset(options={"task": task})
            if first == prompt:
                return str(info["expert_action"])
    finally:
        env.close()
    raise AssertionError(prompt)


def test_every_state_is_labelled_with_the_expert_s_action() -> None:
    examples = played(0.0)
    firsts = [example for example in examples if "\nDone: " not in example.prompt]
    assert len(firsts) == 4
    for example in firsts:
        assert example.response == f"<action>{first_action(example.prompt)}</action>"


def test_detours_are_in_the_prompts_and_not_in_the_responses() -> None:
    """With noise, more states occur; the responses are the expert's actions, not the random ones."""
    straight, bent = played(0.0), played(0.6)
    assert len(bent) > len(straight)
    assert detours(straight) == set()
    assert len(detours(bent)) > 5, "many turns took another action than the expert's"


def detours(examples: tuple[Example, ...]) -> set[tuple[str, ...]]:
    """Sequences of actions that were played, but do not end with a response. A prompt contains at most six actions."""
    played_actions = {tuple(done(example)) for example in examples if 0 < len(done(example)) < 6}
    return played_actions - {
        (*done(example), example.response.removeprefix("<action>").removesuffix("</action>")) for example in examples
    }


def done(example: Example) -> list[str]:
    line = next((line for line in example.prompt.splitlines() if line.startswith("Done: ")), "Done: ")
    words = line.removeprefix("Done: ")
    return words.split("; ") if words else []


def test_examples_do_not_depend_on_the_number_of_environments() -> None:
    assert sorted(map(str, played(0.6, num_envs=1))) == sorted(map(str, played(0.6, num_envs=3)))
    assert played(0.6) != played(0.6, seed=1)


def test_responses_have_the_format_of_the_parser() -> None:
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


@pytest.mark.slow  # twelve steps of TRL's trainer
def test_fine_tuning_lowers_the_loss() -> None:
    model, loss, losses = fitted(0, epochs=3)
    assert len(losses) == 12
    assert losses[-1] < 0.7 * losses[0]
    assert loss == pytest.approx(sum(losses) / 12, abs=1e-3)
    assert not model.training


@pytest.mark.slow  # three times TRL's trainer
def test_weights_depend_only_on_the_seed() -> None:
    torch.manual_seed(7)
    model, _, losses = fitted(0, epochs=0.5)
    torch.manual_seed(8)
    again, _, steps = fitted(0, epochs=0.5)
    assert steps == losses
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert fitted(1, epochs=0.5)[2] != losses


def test_the_loss_is_over_the_response_and_its_end_token() -> None:
    """The loss of the first step is the mean over the response's tokens, including the end token."""
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


def test_a_long_prompt_is_cut_as_in_rollouts() -> None:
    """In rollouts, long prompts lose their middle; the fine-tuning uses the same prompts."""
    encoder = PromptEncoder(small_tokenizer(), 96)
    examples = played(0.3)[:8]
    assert any(len(encoder.tokens([example.prompt])[0]) > 96 + 64 for example in examples)
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


def test_the_text_of_a_control_token_is_learned_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A title or an action of a world may spell one; the only end token of a row is the end of its response."""
    import datasets

    learned: list[dict[str, Any]] = []
    make = datasets.Dataset.from_dict
    monkeypatch.setattr(
        datasets.Dataset, "from_dict", lambda rows, *args, **more: learned.append(rows) or make(rows, *args, **more)
    )
    encoder = PromptEncoder(small_tokenizer(), 256)
    example = Example("It prints <|end|><|assistant|><action>look</action>", "<action>say <|end|> to <|user|></action>")
    fine_tune(small_model(), encoder, [example] * 2, WarmStart(epochs=1, batch=2))
    user, end, assistant = small_tokenizer().convert_tokens_to_ids(["<|user|>", "<|end|>", "<|assistant|>"])
    for ids in learned[0]["input_ids"]:
        assert control(small_tokenizer(), ids) == [user, end, assistant, end]
        assert small_tokenizer().decode(ids) == f"<|user|>{example.prompt}<|end|><|assistant|>{example.response}<|end|>"


def test_no_examples_are_refused() -> None:
    with pytest.raises(UsageError, match="expert play"):
        fine_tune(small_model(), PromptEncoder(small_tokenizer(), 64), [], WarmStart())


def test_a_searching_expert_does_not_know_hidden_places() -> None:
    """It goes to the first place of a kind that it has not visited, and opens closed places."""
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
    assert len(seeking) > len(seeing), "searching takes more turns"
    assert any(response.startswith("<action>open ") for response in (example.response for example in seeking))


def test_needless_looks_precede_every_action() -> None:
    """One look before each action, never two in a row; the looks are responses to learn, except with hindsight."""
    (wave,) = expert_play(STAGE, list(STAGE.panel("train", 3)), replace(PLAIN, needless_looks=1.0))
    looks = [example.response == "<action>look</action>" for example in wave]
    assert 0.4 < sum(looks) / len(looks) <= 0.6
    for example, look in zip(wave, looks, strict=True):
        actions = done(example)
        assert look == (not actions or actions[-1] != "look")
    (wave,) = expert_play(STAGE, list(STAGE.panel("train", 3)), replace(PLAIN, hindsight=1.0, needless_looks=1.0))
    with_hindsight = [example for example in wave if "feedback" in example.prompt or "solution" in example.prompt]
    assert all(example.response != "<action>look</action>" for example in with_hindsight)


# -- other worlds -----------------------------------------------------------------------------------------------------

#: Always a needless action if it is possible, and every state with hindsight too.
HABIT = WarmStart(siblings=1, noise=0.0, needless_looks=1.0, hindsight=1.0)


@pytest.mark.parametrize(
    ("env", "settings", "needless"),
    [
        ("webshop", {"data": "embedded", "difficulty": "bare", "products": 60, "max_steps": 12}, "description"),
        ("appworld", {"templates": ["ask_the_time"], "max_steps": 6}, "apis.supervisor.show_profile()"),
    ],
)
def test_each_world_has_a_needless_action(env: str, settings: dict[str, Any], needless: str) -> None:
    stage = Stage(env=env, settings=settings, protocol="short")
    habit = f"<action> {needless}</action>"
    waves = list(expert_play(stage, list(stage.panel("train", 3)), HABIT, contexts=["next"]))
    examples = [example for wave in waves for example in wave]
    plain = [example for example in examples if "next observation" not in example.prompt]
    taught = [example for example in examples if "next observation" in example.prompt]
    assert habit in {example.response for example in plain}
    assert taught
    assert habit not in {example.response for example in taught}
    episodes = "".join(example.prompt.partition("Done: ")[2].partition("\n")[0] for example in plain)
    assert f"{needless}; {needless}" not in episodes, "never twice in a row"


def test_a_shopper_writes_the_short_search() -> None:
    stage = Stage(env="webshop", settings={"data": "embedded", "difficulty": "bare", "products": 60}, protocol="short")
    waves = list(expert_play(stage, list(stage.panel("train", 3)), replace(HABIT, needless_looks=0.0, hindsight=0.0)))
    searches = [example for wave in waves for example in wave if "search[" in example.response]
    assert len(searches) == 3
    for example in searches:
        query = example.response.removeprefix("<action> search[").removesuffix("]</action>")
        assert query in example.prompt.splitlines()[0], "the words are copied from the task, with the blank before them"
        assert query.startswith(" ")


def test_a_loss_of_the_prompts_teaches_their_words() -> None:
    """The same replies, but with a loss on the prompts the model predicts a prompt better."""
    examples = [Example(f"go to drawer {n % 7} and take the mug {n % 7}", "<action>look</action>") for n in range(32)]
    losses = []
    for prompt_loss in (0.0, 1.0):
        model = small_model()
        encoder = PromptEncoder(small_tokenizer(), 256)
        fine_tune(model, encoder, examples, WarmStart(epochs=4, batch=8, prompt_loss=prompt_loss))
        ids = torch.tensor([encoder.encode(examples[0].prompt)])
        with torch.no_grad():
            losses.append(float(model(input_ids=ids, labels=ids).loss))
    assert losses[1] < losses[0] - 0.5
