"""With λ = 0, SERL is GRPO bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("trl")

from agentgym_hindsight.baselines.methods import recipe
from tests.baselines.training.tiny_runs import model, same_weights, serl, trained, weights


def test_serl_with_lambda_0_is_grpo(tmp_path: Path) -> None:
    grpo = trained(recipe("grpo"), tmp_path / "grpo")
    assert not same_weights(grpo, weights(model()))
    assert same_weights(trained(serl(when="0"), tmp_path / "zero"), grpo)
    assert not same_weights(trained(serl(), tmp_path / "serl"), grpo)


@pytest.mark.slow
def test_after_the_end_of_its_schedule_serl_is_grpo(tmp_path: Path) -> None:
    first = trained(serl(when="0.5->0/1"), tmp_path / "serl", updates=1, save_every=1)
    start = tmp_path / "serl" / "checkpoint-1"
    one = trained(serl(when="0.5->0/1"), tmp_path / "serl", start)
    other = trained(recipe("grpo"), tmp_path / "grpo", start)
    assert not same_weights(one, first)
    assert same_weights(one, other)
    assert not same_weights(trained(serl(when="0.5"), tmp_path / "constant", start), one)
