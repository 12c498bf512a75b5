"""``agh bench hint-sd`` on the smallest run: both forms train on the same rollouts, and their counts are right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.cli.bench.training.hint_sd_times import Times, _rows, analyser_tokens, measure, times_of
from agentgym_hindsight.errors import UsageError
from tests.baselines.training.tiny_runs import make_run, model, save_start, tokenizer


def test_both_forms_are_measured_on_the_same_rollouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run = make_run(save_start(tmp_path / "start"))
    run = replace(run, plan=replace(run.plan, tasks=1, siblings=2))
    encoder = PromptEncoder(tokenizer(), run.plan.prompt_tokens)
    found = times_of(run, model(), encoder, updates=1, repeats=1)
    rollouts = [episode.trajectory for episode in found.episodes]
    failed = [rollout for rollout in rollouts if not rollout.won]
    assert failed
    selected, dense = found.forms["selected turns"], found.forms["every turn"]
    assert dense.target_rows == sum(map(len, failed))
    assert 1 <= selected.target_rows <= 3 * len(failed)
    assert selected.target_rows < dense.target_rows
    assert selected.teacher_tokens < dense.teacher_tokens
    assert selected.trained_tokens < dense.trained_tokens
    assert selected.time.rollout == dense.time.rollout > 0
    assert found.update_ratio > 0
    asked = analyser_tokens(rollouts, encoder)
    assert asked["selected turns"][0] == len(failed)
    assert asked["every turn"][0] == sum(map(len, failed))
    assert all(count > 0 for each in asked.values() for count in each)
    rows = {row.what: row.value for row in _rows(run, found, encoder)}
    assert rows["every turn by selected turns: whole update, median of pairs"] == f"{found.ratio:.2f}×"
    assert isinstance(found, Times)


def test_nothing_to_measure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one update"):
        measure(make_run(str(tmp_path)), updates=0, repeats=1)
