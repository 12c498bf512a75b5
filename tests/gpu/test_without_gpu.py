"""The functions behind the tests marked ``gpu``, on the CPU: they compute what those tests compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

import torch

from agentgym_hindsight.baselines.training.scoring_trainer import ScoringTrainer
from agentgym_hindsight.cli.bench.gpu.losses import whole_logits
from tests.gpu import on_device, test_on_gpu


@pytest.fixture(autouse=True)
def _cpu() -> None:
    if torch.cuda.is_available():
        pytest.skip("the tests marked gpu run here")


def test_greedy_replies_differ_by_prompt_and_repeat_themselves() -> None:
    replies = on_device.greedy("cpu")
    assert len({reply.response_ids for reply in replies}) > 1
    assert [reply.response_ids for reply in replies] == [reply.response_ids for reply in on_device.greedy("cpu")]


def test_the_scores_of_a_gpu_give_the_same_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU, TRL's fused head scores the rows. Its code for a CPU must give our numbers and gradients."""
    ours = on_device.update()
    assert on_device.norm(ours["gradients"]) > 0
    calls: list[int] = []

    def by_trl(self: Any) -> bool:
        calls.append(1)
        return True

    monkeypatch.setattr(ScoringTrainer, "_scores_by_trl", property(by_trl))
    theirs = on_device.update()
    assert calls
    assert theirs["loss"] == pytest.approx(ours["loss"], abs=1e-5)
    assert torch.allclose(theirs["teacher"], ours["teacher"], atol=1e-5)
    apart = on_device.distance(theirs["gradients"], ours["gradients"])
    assert 0 < apart < 1e-3 * on_device.norm(ours["gradients"])  # not 0: it is other code


def test_whole_logits_are_the_scores(tmp_path: Path) -> None:
    made = on_device.trainer(tmp_path)
    rows = [row for part in made._play_update(0) for row in part]
    scores = {id(row): logps for row, logps in made._scores(rows)}
    made.close()
    assert torch.allclose(torch.cat([scores[id(row)] for row in rows]), whole_logits(made, rows), atol=1e-5)
    given = torch.cat([row.teacher_logps for row in rows if row.teacher_logps is not None])
    assert torch.allclose(given, whole_logits(made, rows, teacher=True), atol=1e-5)
    assert not torch.allclose(given, whole_logits(made, rows), atol=1e-5)


@pytest.mark.slow
def test_training_and_resuming(tmp_path: Path) -> None:
    test_on_gpu.test_a_resumed_run_ends_where_the_whole_one_does(tmp_path)


@pytest.mark.slow
def test_the_update_of_another_process(tmp_path: Path) -> None:
    test_on_gpu.test_an_update_is_that_of_the_cpu(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("lora", [False, True])
def test_bfloat16(lora: bool, tmp_path: Path) -> None:
    test_on_gpu.test_bfloat16_stays_finite(lora, tmp_path)
