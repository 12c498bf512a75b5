"""Rows that begin other rows are computed in their sequence, with the numbers of separate rows."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.running_figures import TokenCounts
from agentgym_hindsight.baselines.training.scoring import Scorer, of_logits, pack_rows, score_rows
from agentgym_hindsight.baselines.training.sequences import Sequences, Tokens, chains
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.hindsight.trajectory import Step
from tests.baselines.training.tiny_runs import logps, make_trainer, model

PROCESSES = Processes(SimpleNamespace(num_processes=1, process_index=0, device=torch.device("cpu")))


def conversation(seed: int, turns: int, prompt: int = 9, response: int = 4, between: int = 3) -> list[Tokens]:
    """The rows of a conversation: each prompt begins with the prompt and response of the turn before."""
    draw = random.Random(seed)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(10, 200) for _ in range(count))

    rows, past = [], tokens(prompt + draw.randrange(5))
    for _ in range(turns):
        reply = tokens(response + draw.randrange(3))
        rows.append((past, reply))
        past = (*past, *reply, *tokens(between + draw.randrange(2)))
    return rows


def mixed() -> list[Tokens]:
    """Two conversations, a row of its own, and an equal row, in an order drawn by chance."""
    rows = [*conversation(0, 5), *conversation(1, 3), ((11, 12, 13), (14, 15)), conversation(0, 5)[2]]
    random.Random(3).shuffle(rows)
    return rows


def exact() -> Any:
    """The small policy in float64. Its norms and rotations still round to float32."""
    return model().double().eval()


class Exact(Scorer):
    """A scorer whose logits stay in float64."""

    def _kept(self, model: Any, ids: Any, mask: Any, width: int, keep: Any) -> Any:
        logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=width + 1 if keep is None else keep).logits
        return (logits[:, :-1] if keep is None else logits) / self.temperature


def scored(policy: Any, sequences: Sequences, temperature: float = 0.7) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and entropies (B, T) as the trainer computes them on a CPU."""
    scorer = Exact(temperature, lambda: torch.autocast("cpu", enabled=False))
    values = scorer.logps_and_entropies(policy, sequences.ids, sequences.mask, sequences.width, True, sequences.keep)
    chosen, entropies = (sequences.of_kept(each).where(sequences.present, 0.0) for each in values if each is not None)
    return chosen, entropies


def of_prompts(rows: list[Tokens]) -> list[TrainingRow]:
    step = Step(0, "a room", "look", "a room", "a room")
    return [
        TrainingRow(number, 0, step, prompt, response, (0.0,) * len(response), (True,) * len(response))
        for number, (prompt, response) in enumerate(rows)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_chains_by_trial(seed: int) -> None:
    draw = random.Random(seed)
    rows = [tuple(draw.randrange(2) for _ in range(draw.randrange(1, 6))) for _ in range(draw.randrange(1, 40))]
    found = chains(rows)
    assert sorted(number for chain in found for number in chain) == list(range(len(rows)))
    assert [chain[0] for chain in found] == sorted(chain[0] for chain in found)
    ends = [max((rows[number] for number in chain), key=len) for chain in found]
    for chain, end in zip(found, ends, strict=True):
        assert chain == sorted(chain)
        assert all(end[: len(rows[number])] == rows[number] for number in chain)
    for place, end in enumerate(ends):  # as few sequences as possible
        assert not any(other[: len(end)] == end for number, other in enumerate(ends) if number != place)


@pytest.mark.parametrize("choose", [True, False])
def test_a_chain_has_the_numbers_and_gradients_of_separate_rows(choose: bool) -> None:
    rows, policy = mixed(), exact()
    sequences = Sequences.of_rows(rows, pad=0)
    assert len(sequences.ids) == 3
    assert sequences.keep is not None
    if not choose:
        sequences = replace(sequences, keep=None)
    weights = torch.linspace(-1, 2, len(rows), dtype=torch.float64)[:, None]
    results = []
    chosen, entropies = scored(policy, sequences)
    ((chosen * weights).sum() + (entropies * weights.square()).sum()).backward()
    results.append([parameter.grad.clone() for parameter in policy.parameters()])
    policy.zero_grad()
    for number, row in enumerate(rows):
        one, alone = scored(policy, Sequences.of_rows([row], pad=0))
        size = len(row[1])
        torch.testing.assert_close(chosen[number, :size], one[0], atol=2e-6, rtol=1e-6)
        torch.testing.assert_close(chosen[number, :size], logps(policy, *row, 0.7), atol=2e-6, rtol=1e-6)
        torch.testing.assert_close(entropies[number, :size], alone[0], atol=2e-6, rtol=1e-6)
        assert not chosen[number, size:].any()
        ((one * weights[number]).sum() + (alone * weights[number].square()).sum()).backward()
    results.append([parameter.grad.clone() for parameter in policy.parameters()])
    for joined, separate in zip(*results, strict=True):
        torch.testing.assert_close(joined, separate, atol=1e-5, rtol=1e-5)


def test_logits_of_a_chain_are_those_of_separate_rows() -> None:
    rows, policy = mixed(), exact()
    scorer = Exact(1.0, lambda: torch.autocast("cpu", enabled=False))
    sequences = Sequences.of_rows(rows, pad=0)
    logits = scorer.logits(policy, sequences)
    targets = torch.zeros(sequences.present.shape, dtype=torch.long)
    for number, (_, response) in enumerate(rows):
        targets[number, : len(response)] = torch.tensor(response)
    values, _ = of_logits(logits, targets, sequences.present, False)
    torch.testing.assert_close(values, scored(policy, sequences, 1.0)[0], atol=2e-6, rtol=1e-6)


def test_all_rows_of_a_chain_are_in_one_micro_batch_and_scored_once() -> None:
    rows, policy = of_prompts(mixed()), exact()
    counts = TokenCounts()

    def score(sequences: Sequences) -> torch.Tensor:
        counts.add(sequences)
        return scored(policy, sequences, 1.0)[0].detach()

    for budget in (1, 60, 10**6):
        packed = pack_rows(rows, budget)
        assert sorted(row.episode for batch in packed for row in batch) == list(range(len(rows)))
        assert [len(batch) for batch in packed] == {1: [1, 3, 6], 60: [1, 3, 6], 10**6: [10]}[budget]
    for row, line in score_rows(rows, score, PROCESSES, budget=60, pad=0):
        torch.testing.assert_close(line.double(), logps(policy, row.prompt_ids, row.response_ids), atol=1e-6, rtol=1e-6)
    figures = counts.result(lambda values: values)
    whole = [row.prompt_ids + row.response_ids for row in rows]
    ends = [max((whole[number] for number in chain), key=len) for chain in chains(whole)]
    assert figures["token_efficiency"] == 1.0
    assert figures["tokens_computed"] == sum(map(len, ends))
    assert figures["tokens_saved"] == sum(map(len, whole)) - sum(map(len, ends))
    assert counts.result(lambda values: values)["tokens_computed"] == 0


def test_a_critic_values_a_chain_as_separate_rows(tmp_path: Path) -> None:
    trainer = make_trainer(recipe("vetta").changed(critic="1:turn+token", kl=0), tmp_path)
    critic = trainer.critic.model.eval()
    rows = mixed()
    joined = critic(Sequences.of_rows(rows, pad=0))
    for number, row in enumerate(rows):
        alone = critic(Sequences.of_rows([row], pad=0))
        size = len(row[1])
        for name, value in alone.items():
            found = joined[name][number]
            torch.testing.assert_close(found[:size] if name == "tokens" else found, value[0], atol=1e-5, rtol=1e-5)


def test_a_long_conversation_costs_its_own_length() -> None:
    """Not its square: thirty turns of equal length are thirty times, not 465 times, one turn."""
    rows = conversation(0, 30)
    sequences = Sequences.of_rows(rows, pad=0)
    lengths = list(accumulate(len(response) for _, response in rows))
    assert sequences.computed == len(rows[-1][0]) + len(rows[-1][1])
    assert sequences.row_tokens > 12 * sequences.computed
    assert sequences.keep is not None
    assert len(sequences.keep) == lengths[-1]
