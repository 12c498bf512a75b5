"""``agh bench training-speed`` on the smallest run: all rows are there and agree with the measured figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods import RECIPES, recipe
from agentgym_hindsight.baselines.methods.crbc import BellmanClosure
from agentgym_hindsight.baselines.training.run import RunSettings
from agentgym_hindsight.cli import bench_command
from agentgym_hindsight.cli.bench.figures import Row
from agentgym_hindsight.cli.bench.training import sampling_times, speed, update_memory
from agentgym_hindsight.cli.bench.training.credit_times import credit_rows, random_walks
from agentgym_hindsight.cli.bench.training.sampling_times import Sampling, served_rows
from agentgym_hindsight.cli.bench.training.step_times import Replay, StepTime, step_times
from agentgym_hindsight.cli.bench.training.update_memory import Memory, memory_of
from agentgym_hindsight.cli.parsing import Parser
from agentgym_hindsight.errors import BackendError, UsageError
from tests.baselines.training.tiny_runs import make_run, model, save_start, tokenizer


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def training(tmp_path: Path) -> RunSettings:
    return make_run(save_start(tmp_path / "start"))


@pytest.mark.slow
def test_rows_and_ratios(training: RunSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row is written from the unrounded figures, which are recorded here."""
    peaks = {"grpo": Memory(400, 500, 2.5), "serl": Memory(400, 506, 2.5)}
    monkeypatch.setattr(update_memory, "memory_of", lambda method, *_: peaks[method])
    steps: dict[str, StepTime] = {}
    samplings: list[Sampling] = []

    def recorded_steps(*arguments: Any, **options: Any) -> Any:
        result, episodes = step_times(*arguments, **options)
        steps.update(result)
        return result, episodes

    def recorded_samplings(*arguments: Any) -> list[Sampling]:
        result = measured_samplings(*arguments)
        samplings.extend(result)
        return result

    measured_samplings = sampling_times._time_alternately
    monkeypatch.setattr(speed, "step_times", recorded_steps)
    monkeypatch.setattr(sampling_times, "_time_alternately", recorded_samplings)
    notes: list[str] = []
    rows = speed.measure(
        training, updates=1, repeats=1, sizes=("S",), batches=(2,), note=lambda what: notes.append(str(what))
    )

    assert list(steps) == ["grpo", "serl", "rlsd", "serl, teacher on every row"]
    base = steps["grpo"]
    expected = [Row(f"an update of {training.model}", f"{base.turns:,.0f} rows, {base.tokens:,.0f} tokens")]
    for name, step in steps.items():
        parts = (step.rollout, step.rows, step.teacher, step.update)
        assert step.total == pytest.approx(sum(parts))
        assert step.recorded == pytest.approx(step.rollout + step.teacher + step.update)
        assert step.rollout == base.rollout > 0
        written = " + ".join(f"{part:.3f}" for part in parts)
        expected.append(Row(f"{name}: rollout + rows + teacher + update", f"{written} = {step.total:.3f} s"))
        if name != "grpo":
            share = f"{step.teacher_rows / step.turns:.0%}"
            expected += [
                Row("  relative to grpo, whole update, median of pairs", f"{step.ratio:.3f}× (goal: ≤ 1.15×)"),
                Row("  relative to grpo, rollout + teacher + update", f"{step.recorded / base.recorded:.3f}×"),
                Row(
                    "  rows scored by the teacher",
                    f"{step.teacher_rows:,.0f} rows ({share}), {step.teacher_tokens:,.0f} tokens",
                ),
            ]
            assert step.ratio == pytest.approx(step.total / base.total)  # one update, measured once
    worst = steps["serl, teacher on every row"]
    assert worst.teacher_rows == worst.turns == base.turns
    assert worst.teacher > 0
    assert rows[: len(expected)] == expected
    credits = [row for row in rows if "of the update" in row.value]
    assert len(credits) == 1 + 3 * sum(not recipe(name).needs_model for name in RECIPES)
    rows = [row for row in rows if row not in credits and "estimated" not in row.what]

    pairs = list(zip(samplings[::2], samplings[1::2], strict=True))
    cases = [(name, kind) for name in (training.model, "tiny:S") for kind in ("greedy", "T=1")]
    for (name, kind), (loop, generate) in zip(cases, pairs, strict=True):
        assert loop.prompt_tokens == generate.prompt_tokens > 0
        assert loop.prompts == generate.prompts == 2
        expected += [
            Row(f"{name}, 2 prompts, {kind}: our loop", str(loop)),
            Row(f"{name}, 2 prompts, {kind}: model.generate", str(generate)),
            Row("  model.generate takes", f"{generate.total_s / loop.total_s:.2f}× as long"),
        ]
    assert rows[: len(expected)] == expected
    vllm, endpoint = rows[len(expected) : len(expected) + 2]
    assert vllm.what == "vLLM"
    assert endpoint == Row("endpoint", "not measured: --endpoint URL#MODEL was not given")
    assert rows[-3:] == [
        Row("tiny:S: grpo, peak memory", "500 MiB (400 before the first update)"),
        Row("tiny:S: serl, peak memory", "506 MiB (400 before the first update)"),
        Row("  serl minus grpo", "+6.0 MiB; a copy of the weights is 2.5 MiB"),
    ]
    assert any("tiny:S, 2 prompts" in note for note in notes)


def test_all_methods_train_on_the_same_episodes_and_keep_the_weights(
    training: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: dict[str, list[Any]] = {}
    original = Replay.timed

    def spy(self: Any, update: int) -> Any:
        before = [p.detach().clone() for p in self.model.parameters()]
        step = original(self, update)
        rows = [(row.prompt_ids, row.response_ids) for part in self._mini_batches for row in part]
        assert all((p == b).all() for p, b in zip(self.model.parameters(), before, strict=True))
        assert any(p.grad is not None and p.grad.any() for p in self.model.parameters())
        trained.setdefault(self.method.name, []).append((update, rows, self.method.when(self.updates_done)))
        return step

    monkeypatch.setattr(Replay, "timed", spy)
    training = replace(training, plan=replace(training.plan, tasks=1))
    steps, episodes = step_times(training, model(), tokenizer(), updates=2, repeats=1)
    played = {update: rows for update, rows, _ in trained["grpo"]}
    assert played[0] != played[1]
    turns = sum(len(episode.trajectory) for episode in episodes)
    assert turns == sum(map(len, played.values()))
    assert all(rows == played[update] for each in trained.values() for update, rows, _ in each)
    # λ is that of the update.
    assert {(update, lam) for update, _, lam in trained["rlsd"]} == {(0, 0.5), (1, 0.49)}
    assert steps["grpo"].turns == turns / 2
    assert steps["grpo"].teacher_rows == steps["grpo"].teacher_tokens == 0
    worst = steps["serl, teacher on every row"]
    assert worst.teacher_rows == worst.turns
    assert worst.teacher_tokens > worst.tokens  # the teacher's prompts contain a context


def test_the_share_of_a_credit_is_that_of_an_update_of_as_many_rows(training: RunSettings) -> None:
    training = replace(training, plan=replace(training.plan, tasks=1))
    steps, episodes = step_times(training, model(), tokenizer(), updates=1, repeats=1)
    update = steps["grpo"]._replace(rollout=1.0, rows=0.5, teacher=0.0, update=0.5, turns=16)
    first, columns, *credits = credit_rows(episodes, update, repeats=1, count=40)
    assert first == Row("an update of 40 rows, estimated", "5.0 s, from 2.000 s of 16 rows")
    assert columns.what == "columns of 48 played rows, anchor=observation"  # whole groups of 16 rows
    for row in (columns, *credits):
        milliseconds, share = float(row.value.split(" ms")[0]), float(row.value.split(", ")[1].split("%")[0])
        assert share == pytest.approx(milliseconds / 5000 * 100, abs=0.002)
    assert [row.what for row in credit_rows([], update, repeats=1)] == ["an update of 12,800 rows, estimated"]


def test_random_walks_have_loops_and_two_outcomes() -> None:
    rows = random_walks(1000)
    assert len(rows) == 1000
    assert np.unique(rows.group).tolist() == [0, 1, 2]
    assert 0 < rows.won.sum() < 1000
    assert len(set(zip(rows.group.tolist(), rows.anchors, strict=True))) < 600
    assert np.abs(BellmanClosure(w_group=0.0)(rows)).max() > 0


def test_reading_and_writing_are_timed_separately() -> None:
    assert str(Sampling(prompt_tokens=800, reply_tokens=40, reading_s=0.25, total_s=1.0, prompts=10)) == (
        "1.000 s; read 3,200, wrote 40 tokens/s"
    )
    # The first token of each reply counts as reading. With one token per reply no writing is timed.
    assert str(Sampling(800, 10, 0.25, 0.2, 10)).endswith("wrote – tokens/s")


class _Server:
    name = "server"

    def __init__(self, limit: int) -> None:
        self.limit, self.batches = limit, []  # type: tuple[int, list[int]]

    def act(self, turns: Any) -> list[str]:
        self.batches.append(len(turns))
        if len(self.batches) > self.limit:
            raise BackendError("gone")
        return ["look"] * len(turns)


def test_a_server_that_fails_ends_only_its_own_rows() -> None:
    server = _Server(3)
    rows = served_rows("endpoint", ["a", "b"], (1, 3), server, "")
    assert [row.what for row in rows] == ["endpoint, 1 prompts", "endpoint, 3 prompts"]
    assert rows[0].value.endswith("replies a second")
    assert rows[1].value == "failed: BackendError"
    assert server.batches == [1, 1, 1, 3]


def test_prompts_are_spread_over_those_that_were_played() -> None:
    prompts = [str(number) for number in range(6)]
    assert sampling_times._spread(prompts, 3) == ["0", "2", "4"]
    assert sampling_times._spread(prompts, 8) == [*prompts, "0", "1"]


def test_bad_arguments_are_refused(training: RunSettings) -> None:
    with pytest.raises(UsageError, match="at least one update and one repeat, got 0 and 3"):
        speed.measure(training, updates=0)
    with pytest.raises(UsageError, match="server's address"):
        speed.measure(training, endpoint="nowhere#model")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    received: dict[str, Any] = {}

    def measured(run: RunSettings, **options: Any) -> list[Row]:
        received.update(options, run=run)
        return [Row("grpo", "1 s")]

    monkeypatch.setattr(speed, "measure", measured)
    parser = Parser()
    bench_command.arguments(parser)
    words = "--model tiny:M --warm-tasks 5 --updates 1 --repeats 4 --large --updates-only --set plan.tasks=2"
    page = tmp_path / "page.md"
    assert bench_command.run(parser.parse_args(f"training-speed {words} --seed 7 --out {page}".split())) == 0
    run = received["run"]
    assert (run.model, run.warm.tasks, run.plan.tasks, run.plan.seed) == ("tiny:M", 5, 2, 7)
    assert (received["updates"], received["repeats"], received["sizes"]) == (1, 4, ("S", "M", "L"))
    assert received["updates_only"]
    assert f"`agh bench training-speed {words} --seed 7`" in page.read_text()
    assert "| grpo | 1 s |" in page.read_text()
    assert "Training: speed" in capsys.readouterr().out
    bench_command.run(parser.parse_args(["training-speed", "--model", str(tmp_path)]))
    assert received["sizes"] == ()


@pytest.mark.slow
def test_memory_is_measured_in_a_new_process(training: RunSettings) -> None:
    grpo, serl = (memory_of(method, training.model, training) for method in ("grpo", "serl"))
    for each in (grpo, serl):
        assert 100 < each.before < each.peak
        weights = sum(p.numel() for p in model().parameters())
        assert each.weights == pytest.approx(4 * weights / 2**20)


def test_the_teacher_is_not_run_on_groups_without_variance(training: RunSettings) -> None:
    """With a penalty of 0, as in the run, all rollouts of a group that never won have the same return."""
    run = replace(training, method=training.method.changed(penalty=0.0), plan=replace(training.plan, tasks=1))
    steps, _ = step_times(run, model(), tokenizer(), updates=1, repeats=1)
    assert steps["serl"].teacher_rows == 0, "a policy with random weights wins nothing"
    assert steps["serl, teacher on every row"].teacher_rows == steps["serl"].turns
