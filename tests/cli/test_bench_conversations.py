"""``agh bench conversations`` on a small conversation: all rows are there, and sharing saves tokens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.cli.bench.training import conversation_times
from agentgym_hindsight.cli.bench.training.conversation_times import Shape, update_times
from agentgym_hindsight.cli.bench.training.step_times import EveryTurn, worst
from tests.baselines.training.tiny_runs import make_run, model, save_start, tokenizer

SMALL = Shape(turns=6, first=20, reply=4, message=6)


@pytest.mark.parametrize("with_teacher", [False, True])
def test_sharing_saves_tokens(with_teacher: bool, tmp_path: Path) -> None:
    run = make_run(save_start(tmp_path / "start"))
    plan = replace(run.plan, tasks=1, siblings=4, prompt_tokens=400)
    run = replace(run, plan=plan, stage=replace(run.stage, history="conversation"))
    method = worst() if with_teacher else replace(recipe("grpo"), credit=EveryTurn())
    together, apart = update_times(run, method, model(), tokenizer(), ((SMALL, True), (SMALL, False)), repeats=1)
    length = SMALL.first + 6 * SMALL.reply + 5 * SMALL.message
    if not with_teacher:
        assert together.tokens == 4 * length
        assert apart.tokens >= 4 * sum(
            SMALL.first + turn * (SMALL.reply + SMALL.message) + SMALL.reply for turn in range(6)
        )
    assert together.tokens < 0.7 * apart.tokens
    assert together.seconds > 0


def test_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run = make_run(save_start(tmp_path / "start"))
    monkeypatch.setattr(conversation_times, "update_times", lambda *_: [
        conversation_times.UpdateTime(2.0, 100), conversation_times.UpdateTime(9.0, 700),
        conversation_times.UpdateTime(1.0, 50),
    ])  # fmt: skip
    rows = conversation_times.measure(run, turns=4, repeats=1)
    values = {row.what: row.value for row in rows}
    assert values["conversations of an update"] == "4 of 4 turns, 240 tokens each"
    assert values["grpo: update"] == "2.000 s, 100 tokens computed"
    assert values["  as separate rows"] == "9.000 s, 700 tokens computed: 4.5× as long"
    assert values["  with 2 turns"] == "1.000 s: 4 turns take 2.00× as long"
    assert "× as long" in values["  without"]
    json.dumps(rows)
