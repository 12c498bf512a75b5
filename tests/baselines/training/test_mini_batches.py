"""Mini-batches: every row is used once, and all steps of an update use the same old policy."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from tests.baselines.training.tiny_runs import PLAN, HalfWonTrainer, logps, make_trainer, model, serl
from tests.baselines.training.trainer_probes import key, record_loss_inputs, unpadded_rows


class ThirteenRows(HalfWonTrainer):
    """Rollouts cut to 4, 3, 3 and 3 turns."""

    def _play(self, update: int, policy: Any) -> list[Episode]:
        cut = []
        for episode, turns in zip(super()._play(update, policy)[:4], (4, 3, 3, 3), strict=True):
            steps = episode.trajectory.steps[-turns:]  # the last turn has the reward
            cut.append(Episode(episode.trajectory.replace(steps=steps), episode.replies[-turns:]))
        return cut


@pytest.mark.parametrize("mini_batches", [1, 2, 3])
def test_every_row_is_used_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mini_batches: int) -> None:
    seen = record_loss_inputs(monkeypatch)
    played: list[TrainingRow] = []
    plan = replace(PLAN, updates=1, mini_batches=mini_batches, token_budget=700)
    trainer = make_trainer(
        serl(), tmp_path, plan, ThirteenRows, on_update=lambda record, measured: played.extend(measured.rows)
    )
    trainer.train()
    assert len(played) == 13
    assert Counter(row for batch in seen for row in unpadded_rows(batch)) == Counter(map(key, played))
    sizes = [
        sum(len(unpadded_rows(batch)) for batch in seen if batch["step"] == place) for place in range(mini_batches)
    ]
    assert sizes == {1: [13], 2: [7, 6], 3: [5, 4, 4]}[mini_batches]


def test_mini_batches_are_steps_from_one_old_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = record_loss_inputs(monkeypatch)
    trainer = make_trainer(recipe("grpo"), tmp_path, replace(PLAN, mini_batches=2, updates=2))
    records: list[dict[str, Any]] = []
    trainer._on_update = lambda record, measured: records.append(record)
    trainer.train()
    assert trainer.state.global_step == 4
    assert [record["update"] for record in records] == [0, 1]
    first, compared = model(), 0
    for batch in seen:
        mask = batch["completion_mask"].bool()
        difference = (batch["logps"] - batch["old_per_token_logps"])[mask].abs().max()
        assert (difference < 1e-5) == (batch["step"] % 2 == 0)
        if batch["step"] == 1:
            for (prompt, response), old in zip(unpadded_rows(batch), batch["old_per_token_logps"], strict=True):
                expected = logps(first, prompt, response).float()
                torch.testing.assert_close(old[: len(response)], expected, atol=1e-4, rtol=1e-4)
                compared += 1
    assert compared == 16
