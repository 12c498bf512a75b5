"""``agh bench training-speed``, as small as it gets: every row is there, and the figures agree with one another."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

from agentgym_hindsight.baselines.training.run import RunSettings
from agentgym_hindsight.cli import bench_command
from agentgym_hindsight.cli.bench import training_memory as bench_training_memory
from agentgym_hindsight.cli.bench import training_sampling as bench_training_sampling
from agentgym_hindsight.cli.bench import training_speed as bench_training_speed
from agentgym_hindsight.cli.bench import training_steps as bench_training_steps
from agentgym_hindsight.cli.bench.figures import Row
from agentgym_hindsight.cli.bench.training_memory import Memory, memory_of
from agentgym_hindsight.cli.bench.training_sampling import Sampling, served_rows
from agentgym_hindsight.cli.bench.training_steps import step_times
from agentgym_hindsight.errors import BackendError, UsageError
from tests.baselines.training.tiny_runs import make_run, model, save_start, tokenizer


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def training(tmp_path: Path) -> RunSettings:
    return make_run(save_start(tmp_path / "start"))


def numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*\.?\d*", text)]


def test_rows_and_ratios(training: RunSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered = {"grpo": Memory(400, 500, 2.5), "serl": Memory(400, 506, 2.5)}
    monkeypatch.setattr(bench_training_memory, "memory_of", lambda method, *_: remembered[method])
    told: list[str] = []
    rows = bench_training_speed.measure(
        training, updates=1, repeats=1, sizes=("S",), batches=(2,), note=lambda what: told.append(str(what))
    )
    values = [row.value for row in rows]
    steps = {
        row.what.partition(":")[0]: (numbers(row.value), values[place + 1 : place + 4])
        for place, row in enumerate(rows)
        if "rollout + rows" in row.what
    }
    assert list(steps) == ["grpo", "serl", "rlsd", "serl, every row asked"]
    *_, base = steps["grpo"][0]
    for name, ((rollout, made, teacher, update, whole), after) in steps.items():
        assert whole == pytest.approx(rollout + made + teacher + update, abs=0.003)
        assert rollout == steps["grpo"][0][0] > 0
        if name != "grpo":
            grpo = base - steps["grpo"][0][1]
            rounding = 0.01 + 0.003 / grpo  # the printed seconds are rounded to milliseconds
            assert numbers(after[0])[0] == pytest.approx(whole / base, rel=rounding)
            assert numbers(after[1])[0] == pytest.approx((whole - made) / grpo, rel=rounding)
    played = int(numbers(values[0])[0])
    assert numbers(steps["serl, every row asked"][1][2])[:2] == [played, 100]
    assert steps["serl, every row asked"][0][2] > 0

    sampled = [place for place, row in enumerate(rows) if row.what.endswith("our loop")]
    assert [rows[place].what for place in sampled] == [
        f"{name}, 2 prompts, {kind}: our loop" for name in (training.model, "tiny:S") for kind in ("greedy", "T=1")
    ]
    for place in sampled:
        ours, theirs, ratio = (numbers(value)[0] for value in values[place : place + 3])
        assert rows[place + 1].what.endswith("model.generate")
        rounding = 0.01 + ratio * 0.001 * (1 / ours + 1 / theirs)  # seconds are printed in milliseconds
        assert ratio == pytest.approx(theirs / ours, abs=rounding)

    assert [row.value for row in rows if row.what == "endpoint"] == ["none given: --endpoint URL#MODEL"]
    assert any(row.what == "vLLM" for row in rows)
    assert rows[-3:] == [
        Row("tiny:S: grpo, peak memory", "500 MiB (400 before the first update)"),
        Row("tiny:S: serl, peak memory", "506 MiB (400 before the first update)"),
        Row("  serl against grpo", "+6.0 MiB; a copy of the weights is 2.5 MiB"),
    ]
    assert any("tiny:S, 2 prompts" in what for what in told)


def test_all_methods_learn_from_the_same_episodes_and_leave_the_weights(
    training: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: dict[str, list[Any]] = {}
    original = bench_training_steps._Replay.timed

    def spy(self: Any, update: int) -> Any:
        before = [p.detach().clone() for p in self.model.parameters()]
        step = original(self, update)
        rows = [(row.prompt_ids, row.response_ids) for part in self._mini for row in part]
        assert all((p == b).all() for p, b in zip(self.model.parameters(), before, strict=True))
        assert any(p.grad is not None and p.grad.any() for p in self.model.parameters())
        trained.setdefault(self.method.name, []).append((update, rows, self.method.when(self.updates_done)))
        return step

    monkeypatch.setattr(bench_training_steps._Replay, "timed", spy)
    training = replace(training, plan=replace(training.plan, tasks=1))
    steps, prompts = step_times(training, model(), tokenizer(), updates=2, repeats=1)
    played = {update: rows for update, rows, _ in trained["grpo"]}
    assert played[0] != played[1]
    assert len(prompts) == sum(map(len, played.values()))
    assert all(rows == played[update] for each in trained.values() for update, rows, _ in each)
    # λ is the update's own.
    assert {(update, lam) for update, _, lam in trained["rlsd"]} == {(0, 0.5), (1, 0.49)}
    assert steps["grpo"].turns == len(prompts) / 2
    assert steps["grpo"].asked == steps["grpo"].teacher_tokens == 0
    worst = steps["serl, every row asked"]
    assert worst.asked == worst.turns
    assert worst.teacher_tokens > worst.tokens  # a context is longer than none


def test_reading_and_writing_apart() -> None:
    assert str(Sampling(read=800, written=40, first=0.25, whole=1.0, prompts=10)) == (
        "1.000 s; read 3,200, wrote 40 tokens/s"
    )
    # One token a prompt is written with the reading: nothing is left to be timed.
    assert str(Sampling(800, 10, 0.25, 0.2, 10)).endswith("wrote – tokens/s")


class _Server:
    name = "server"

    def __init__(self, patience: int) -> None:
        self.patience, self.asked = patience, []  # type: tuple[int, list[int]]

    def act(self, turns: Any) -> list[str]:
        self.asked.append(len(turns))
        if len(self.asked) > self.patience:
            raise BackendError("gone")
        return ["look"] * len(turns)


def test_a_server_that_goes_away_ends_its_own_rows_alone() -> None:
    server = _Server(3)
    rows = served_rows("endpoint", ["a", "b"], (1, 3), server, "")
    assert [row.what for row in rows] == ["endpoint, 1 prompts", "endpoint, 3 prompts"]
    assert rows[0].value.endswith("replies a second")
    assert rows[1].value == "failed: BackendError"
    assert server.asked == [1, 1, 1, 3]


def test_prompts_are_spread_over_what_was_played() -> None:
    prompts = [str(number) for number in range(6)]
    assert bench_training_sampling._filled(prompts, 3) == ["0", "2", "4"]
    assert bench_training_sampling._filled(prompts, 8) == [*prompts, "0", "1"]


def test_what_cannot_be_measured_is_refused(training: RunSettings) -> None:
    with pytest.raises(UsageError, match="at least one update and one repeat, got 0 and 3"):
        bench_training_speed.measure(training, updates=0)
    with pytest.raises(UsageError, match="server's address"):
        bench_training_speed.measure(training, endpoint="nowhere#model")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: dict[str, Any] = {}

    def measured(run: RunSettings, **options: Any) -> list[Row]:
        asked.update(options, run=run)
        return [Row("grpo", "1 s")]

    monkeypatch.setattr(bench_training_speed, "measure", measured)
    parser = argparse.ArgumentParser()
    bench_command.arguments(parser)
    words = "--model tiny:M --warm-tasks 5 --updates 1 --repeats 4 --large --set plan.tasks=2"
    page = tmp_path / "page.md"
    assert bench_command.run(parser.parse_args(f"training-speed {words} --seed 7 --out {page}".split())) == 0
    run = asked["run"]
    assert (run.model, run.warm.tasks, run.plan.tasks, run.plan.seed) == ("tiny:M", 5, 2, 7)
    assert (asked["updates"], asked["repeats"], asked["sizes"]) == (1, 4, ("S", "M", "L"))
    assert f"`agh bench training-speed {words} --seed 7`" in page.read_text()
    assert "| grpo | 1 s |" in page.read_text()
    assert "Training: speed" in capsys.readouterr().out
    bench_command.run(parser.parse_args(["training-speed", "--model", str(tmp_path)]))
    assert asked["sizes"] == ()


@pytest.mark.slow
def test_memory_of_a_process_of_its_own(training: RunSettings) -> None:
    grpo, serl = (memory_of(method, training.model, training) for method in ("grpo", "serl"))
    for each in (grpo, serl):
        assert 100 < each.before < each.peak
        weights = sum(p.numel() for p in model().parameters())
        assert each.weights == pytest.approx(4 * weights / 2**20)


def test_groups_without_variance_ask_no_teacher(training: RunSettings) -> None:
    """As in a run: with the run's penalty of 0 nobody is told apart whose siblings all lost."""
    run = replace(training, method=training.method.changed(penalty=0.0), plan=replace(training.plan, tasks=1))
    steps, _ = step_times(run, model(), tokenizer(), updates=1, repeats=1)
    assert steps["serl"].asked == 0, "a policy with random weights wins nothing"
    assert steps["serl, every row asked"].asked == steps["serl"].turns
