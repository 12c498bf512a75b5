"""Our sampling loop: compared with ``generate`` and a plain forward pass, and independence of the batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("transformers", reason="needs the extra [train]")

from agentgym_hindsight.baselines.policies import generation  # noqa: E402
from agentgym_hindsight.baselines.policies.generation import Sampled, sample, sample_with_generate, uniforms  # noqa: E402
from agentgym_hindsight.errors import UsageError  # noqa: E402
from tests.baselines.training.test_tiny import small_model, small_tokenizer  # noqa: E402

END = 1
#: Prompts of different lengths, unsorted; the last two are equal.
PROMPTS: list[tuple[int, ...]] = [
    tuple(int(token) for token in np.random.default_rng(n).integers(4, 300, size))
    for n, size in enumerate((7, 1, 19, 4, 12, 3, 30, 4))
] + [(5, 6, 7), (5, 6, 7)]


@pytest.fixture(scope="module")
def model() -> Any:
    model = small_model()
    with torch.no_grad():  # a more probable end token, so that some replies are short
        model.get_input_embeddings().weight[END] *= 1.6
    return model


def draws_of(*key: object) -> Callable[[int], Any]:
    return lambda i: uniforms(64, *key, i)


def run(model: Any, prompts: list[tuple[int, ...]] = PROMPTS, key: object = "k", **options: Any) -> list[Sampled]:
    arguments = {"stop": frozenset({END}), "pad": 0, "max_new_tokens": 12, **options}
    return sample(model, prompts, draws_of(key), **arguments)


def test_the_end_token_is_the_expected_one() -> None:
    assert small_tokenizer().eos_token_id == END


def test_greedy_equals_generate(model: Any) -> None:
    sampled = run(model, temperature=0.0)
    for prompt, reply in zip(PROMPTS, sampled, strict=True):
        output = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=12,
            do_sample=False,
            eos_token_id=END,
            pad_token_id=0,
        )
        assert reply.ids == tuple(output[0, len(prompt) :].tolist())
    assert len({reply.ids for reply in sampled}) > 5


@pytest.mark.parametrize("temperature", [1.0, 0.4, 2.0, 0.0])
def test_log_probabilities_equal_a_plain_forward_pass(model: Any, temperature: float) -> None:
    for prompt, reply in zip(PROMPTS, run(model, temperature=temperature), strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + reply.ids])).logits[0, len(prompt) - 1 : -1]
        expected = torch.log_softmax(logits / (temperature or 1.0), -1)
        expected = expected.gather(-1, torch.tensor(reply.ids)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(reply.logprobs), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("batch_tokens", [1, 60, 150, 100_000])
@pytest.mark.parametrize("temperature", [1.0, 0.0])
def test_the_batch_does_not_matter(model: Any, batch_tokens: int, temperature: float) -> None:
    together = run(model, temperature=temperature)
    assert [r.ids for r in run(model, temperature=temperature, batch_tokens=batch_tokens)] == [r.ids for r in together]


def test_the_order_does_not_matter(model: Any) -> None:
    together = run(model)
    order = [4, 0, 9, 2, 7, 1, 8, 3, 6, 5]
    shuffled = sample(
        model,
        [PROMPTS[i] for i in order],
        lambda place: uniforms(64, "k", order[place]),
        stop=frozenset({END}),
        pad=0,
        max_new_tokens=12,
    )
    assert [reply.ids for reply in shuffled] == [together[i].ids for i in order]


def test_only_the_seed_matters(model: Any) -> None:
    torch.manual_seed(1)
    first, before = run(model), torch.get_rng_state()
    torch.manual_seed(2)
    assert run(model) == first
    assert torch.equal(before, torch.manual_seed(1).get_state()), "the global random stream is unchanged"
    assert [reply.ids for reply in run(model, key="other")] != [reply.ids for reply in first]
    assert first[8].ids != first[9].ids, "equal prompts have their own random numbers"


def test_finished_rows_are_not_computed(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[tuple[int, int]] = []
    cache_rows: list[int] = []
    ends: list[list[int]] = []
    forward = type(model).forward

    @wraps(forward)  # the loop reads the name of the cache from the signature
    def spy(self: Any, *args: Any, **held: Any) -> Any:
        fed.append(tuple(held["input_ids"].shape))
        ends.append(held["position_ids"][:, -1].tolist())
        output = forward(self, *args, **held)
        cache_rows.append(output.past_key_values.layers[0].keys.shape[0])
        return output

    monkeypatch.setattr(type(model), "forward", spy)
    replies = run(model)
    monkeypatch.undo()
    lengths = [len(reply.ids) for reply in replies]
    assert min(lengths) < max(lengths) == 12
    expected = [sum(length > step for length in lengths) for step in range(12)]
    assert [rows for rows, _ in fed] == expected, "one row per unfinished reply"
    assert cache_rows == expected, "the cache holds the same rows"
    assert ends[0] == sorted(len(prompt) - 1 for prompt in PROMPTS), "padding does not count as a position"
    assert [width for _, width in fed] == [30] + [1] * 11


def test_the_loop_stops_when_all_replies_have_ended(model: Any) -> None:
    everything = frozenset(range(model.config.vocab_size))
    for reply in run(model, stop=everything):
        assert len(reply.ids) == len(reply.logprobs) == 1
        assert reply.finished


def test_finished_means_that_a_stop_token_was_sampled(model: Any) -> None:
    replies = run(model)
    assert {reply.finished for reply in replies} == {True, False}
    for reply in replies:
        assert reply.finished == (reply.ids[-1] == END)
        assert END not in reply.ids[:-1]
        assert len(reply.ids) == 12 or reply.finished
    assert not any(reply.finished for reply in run(model, stop=frozenset()))
    assert {len(reply.ids) for reply in run(model, max_new_tokens=1)} == {1}


def test_a_longer_limit_only_extends_replies(model: Any) -> None:
    for short, long in zip(run(model, max_new_tokens=4), run(model, max_new_tokens=12), strict=True):
        assert long.ids[: len(short.ids)] == short.ids


def test_each_of_several_stop_tokens_ends_a_reply(model: Any) -> None:
    plain = run(model, stop=frozenset())
    second = plain[0].ids[1]
    stopped = run(model, stop=frozenset({END, second}))[0]
    assert stopped.ids == plain[0].ids[: plain[0].ids.index(second) + 1]
    assert stopped.finished


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_frequencies_match_the_probabilities(model: Any, temperature: float) -> None:
    """2,000 samples of one next token: a chi-square test over the tokens expected at least five times."""
    prompt, count = PROMPTS[4], 2000
    replies = run(model, [prompt] * count, max_new_tokens=1, temperature=temperature, batch_tokens=8192)
    seen = Counter(reply.ids[0] for reply in replies)
    with torch.no_grad():
        logits = model(torch.tensor([prompt])).logits[0, -1].double()
    expected = (torch.softmax(logits / temperature, -1) * count).tolist()
    common = [token for token, times in enumerate(expected) if times >= 5]
    rest = count - sum(expected[token] for token in common)
    square = sum((seen[token] - expected[token]) ** 2 / expected[token] for token in common)
    square += (count - sum(seen[token] for token in common) - rest) ** 2 / max(rest, 1.0)
    assert len(common) >= 9
    assert square < len(common) + 4 * (2 * len(common)) ** 0.5, "four standard deviations of chi-square"


def test_draws_computed_by_hand() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.2, 0.0, 0.7]])).repeat(6, 1)
    numbers = torch.tensor([0.0, 0.0999, 0.1001, 0.2999, 0.3001, 1 - 2**-53], dtype=torch.float64)
    drawn, scores = generation._draw(logits, numbers, 1.0)
    assert drawn.tolist() == [0, 0, 1, 1, 3, 3], "a token of probability 0 is never drawn"
    assert scores.exp().tolist() == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.7, 0.7])
    drawn, _ = generation._draw(torch.log(torch.tensor([[0.0, 1.0]])), numbers[:1], 1.0)
    assert drawn.tolist() == [1], "not even for a uniform number of exactly 0"
    # At temperature 1/2 probabilities are squared: 1, 4, 49 of 54.
    drawn, scores = generation._draw(logits[:3], torch.tensor([1 / 55, 1 / 53, 5.1 / 54]).double(), 0.5)
    assert drawn.tolist() == [0, 1, 3]
    assert scores.exp().tolist() == pytest.approx([1 / 54, 4 / 54, 49 / 54])


def test_the_last_token_of_a_large_vocabulary_can_be_drawn() -> None:
    logits = torch.zeros(1, 200_000)
    drawn, _ = generation._draw(logits, torch.tensor([1 - 2**-53], dtype=torch.float64), 1.0)
    assert drawn.item() == 199_999
    drawn, _ = generation._draw(logits, torch.tensor([0.5], dtype=torch.float64), 1.0)
    assert abs(drawn.item() - 100_000) <= 1


def test_uniforms_depend_only_on_the_key() -> None:
    numbers = uniforms(500, "reply", 0, "1f", 0, 3)
    assert (numbers == uniforms(500, "reply", 0, "1f", 0, 3)).all()
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert abs(numbers.mean() - 0.5) < 0.06
    assert (numbers != uniforms(500, "reply", 0, "1f", 0, 4)).any()
    assert (numbers[:7] == uniforms(7, "reply", 0, "1f", 0, 3)).all()


def test_sample_with_generate_agrees_when_greedy(model: Any) -> None:
    options: dict[str, Any] = {"stop": frozenset({END}), "pad": 0, "max_new_tokens": 12, "temperature": 0.0}
    for tokens in (60, 100_000):
        generated = sample_with_generate(model, PROMPTS, seed=0, batch_tokens=tokens, **options)
        sampled = run(model, temperature=0.0)
        assert [reply.ids for reply in generated] == [reply.ids for reply in sampled]
        assert [reply.finished for reply in generated] == [reply.finished for reply in sampled]
        for a, b in zip(generated, sampled, strict=True):
            assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)


def test_sample_with_generate_follows_its_seed_and_its_log_probabilities_are_correct(model: Any) -> None:
    options: dict[str, Any] = {"stop": frozenset({END}), "pad": 0, "max_new_tokens": 6, "temperature": 0.7}
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = sample_with_generate(model, PROMPTS, seed=0, **options)
    assert torch.equal(torch.get_rng_state(), before)
    assert sample_with_generate(model, PROMPTS, seed=0, **options) == first
    assert sample_with_generate(model, PROMPTS, seed=1, **options) != first
    for prompt, reply in zip(PROMPTS, first, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + reply.ids])).logits[0, len(prompt) - 1 : -1]
        expected = torch.log_softmax(logits / 0.7, -1).gather(-1, torch.tensor(reply.ids)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(reply.logprobs), expected, atol=1e-5, rtol=1e-4)


def test_no_prompts_give_no_replies(model: Any) -> None:
    assert run(model, []) == []
    assert sample_with_generate(model, [], seed=0, stop=frozenset({END}), pad=0, max_new_tokens=3) == []


def test_errors(model: Any) -> None:
    with pytest.raises(UsageError, match="temperature"):
        run(model, temperature=-1.0)
    with pytest.raises(UsageError, match="max_new_tokens"):
        run(model, max_new_tokens=0)
