"""Log-probabilities of responses: equal to TRL's, and computed without dropout."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("trl")

import torch
from trl import GRPOTrainer

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.scoring import score_rows
from agentgym_hindsight.baselines.training.sequences import Sequences
from tests.baselines.training.test_training_rows import PAIR, rows_of
from tests.baselines.training.tiny_runs import logps, make_trainer, model, serl
from tests.baselines.training.trl_release import needs_trls_scorer


@needs_trls_scorer
def test_scores_on_a_cpu_are_trls(tmp_path: Path) -> None:
    trainer = make_trainer(recipe("grpo"), tmp_path)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(8, 200, (5, 19), generator=generator)
    mask = torch.ones_like(ids)
    mask[0, :4] = mask[1, -3:] = 0  # a shorter prompt, a shorter response
    result = []
    for score in (trainer._score_on_cpu, partial(GRPOTrainer._get_per_token_logps_and_entropies, trainer)):
        trainer.model.zero_grad()
        logps, entropies, _ = score(trainer.model, ids, mask, 7, compute_entropy=True)
        (logps.sum() + entropies.sum()).backward()
        result.append((logps, entropies, [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]))
    for ours, theirs in zip(result[0][:2], result[1][:2], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(result[0][2], result[1][2], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_scores_are_computed_without_dropout(tmp_path: Path) -> None:
    with_dropout = model()
    for layer in with_dropout.model.layers:
        layer.self_attn.attention_dropout = 0.5
    trainer = make_trainer(serl(), tmp_path, model=with_dropout)
    (rows,) = trainer._play_update(0)
    scored, again = (list(trainer._scores(rows)) for _ in range(2))
    assert all(torch.equal(one, other) for (_, one), (_, other) in zip(scored, again, strict=True))
    row, result = scored[0]
    expected = logps(with_dropout.eval(), row.prompt_ids, row.response_ids)
    assert torch.allclose(result.double(), expected, atol=1e-5)
    trainer.model.train()
    trainer._score_teacher(rows[:1])
    assert trainer.model.training


def test_equal_rows_are_scored_once() -> None:
    """Siblings give the same response in the same state; the teacher reads it once."""
    rows = rows_of(PAIR, recipe("serl"))
    for row in rows:
        row.teacher_ids = row.prompt_ids
    doubled = [*rows, *(replace(row) for row in reversed(rows))]
    sizes: list[int] = []

    def score(sequences: Sequences) -> torch.Tensor:
        sizes.append(len(sequences.ids))
        return sequences.of_last(sequences.ids[:, -sequences.width :]).float()

    processes = Processes(SimpleNamespace(num_processes=1, process_index=0, device=torch.device("cpu")))
    scored = list(score_rows(doubled, score, processes, budget=10**6, pad=0, teacher=True))
    assert sum(sizes) == len({(row.teacher_ids, row.response_ids) for row in rows}) <= len(rows)
    assert sorted(id(row) for row, _ in scored) == sorted(map(id, doubled))
    for row, line in scored:
        assert line.tolist() == list(map(float, row.response_ids))


@needs_trls_scorer
def test_on_a_gpu_the_rows_of_a_chain_get_trls_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There TRL scores the last tokens of every sequence, and the rows are chosen from them."""
    trainer = make_trainer(recipe("grpo"), tmp_path)
    draw = torch.Generator().manual_seed(0)
    ids = tuple(torch.randint(8, 200, (40,), generator=draw).tolist())
    rows = [(ids[:9], ids[9:14]), (ids[:20], ids[20:23]), (ids[:30], ids[30:40]), (ids[5:12], ids[12:30])]
    sequences = Sequences.of_rows(rows, 0)
    assert len(sequences.ids) == 2
    assert sequences.keep is not None
    ours = trainer._row_scores(trainer.model, sequences, entropy=True)
    trls = partial(GRPOTrainer._get_per_token_logps_and_entropies, trainer)
    monkeypatch.setattr(trainer, "_get_per_token_logps_and_entropies", lambda *a, keep=None, **more: trls(*a, **more))
    monkeypatch.setattr(Sequences, "of_kept", Sequences.of_last)
    theirs = trainer._row_scores(trainer.model, sequences, entropy=True)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    for row, line in zip(rows, theirs[0], strict=True):
        expected = logps(trainer.model.eval(), *row)
        torch.testing.assert_close(line[: len(expected)].double(), expected, atol=1e-4, rtol=1e-4)
