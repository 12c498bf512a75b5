"""``make methods``: every method of the registry trains, resumes bit for bit, and runs in two processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from agentgym_hindsight.baselines.methods import RECIPES
from agentgym_hindsight.baselines.training.checkpoints import all_checkpoints
from tests.baselines.training.launching import launch
from tests.baselines.training.method_runs import PRESET, UPDATES, kind_of, small, state_of, train_method
from tests.baselines.training.tiny_runs import make_trainer, same_weights, save_start

pytestmark = pytest.mark.slow

#: TRL's means over micro-batches, which depend on how rows are packed.
_OF_THE_PACKING = ("kl", "ratio_clipped", "token_efficiency", "tokens_computed", "tokens_saved", "teacher_tokens")
#: Figures of the updates, and the final state.
Run = tuple[list[dict[str, Any]], dict[str, Any]]
RunAlone = Callable[[str], tuple[Path, Run]]
#: Metrics that depend on the machine, its load and the number of processes.
_OF_THE_MACHINE = ("seconds", "memory_mb", "rollout_tokens_per_second")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of an untrained policy: the KL penalty loads the initial policy from it."""
    return save_start(tmp_path_factory.mktemp("start") / "policy")


@pytest.fixture(scope="module")
def run_alone(start: str, tmp_path_factory: pytest.TempPathFactory) -> RunAlone:
    """Gives the folder, the figures and the state of a method's run in this process; every method is run once."""

    @cache
    def run(name: str) -> tuple[Path, Run]:
        folder = tmp_path_factory.mktemp(name)
        untrained = state_of(make_trainer(small(name), folder, PRESET, model=start))
        trainer, records = train_method(name, folder, start)
        trainer.close()
        return folder, (records, {**state_of(trainer), "untrained": untrained})

    return run


@pytest.mark.parametrize("name", RECIPES)
def test_ten_updates_train_and_a_run_resumed_in_the_middle_is_the_whole_run(
    name: str, run_alone: RunAlone, start: str, tmp_path: Path
) -> None:
    method = small(name)
    folder, (records, state) = run_alone(name)
    assert [record["update"] for record in records] == list(range(UPDATES))
    for record in records:
        assert isfinite(record["loss"])
        assert record["grad_norm"] > 1e-3
        assert record["success"] == 0.5
        assert ("gap_abs" in record) == method.has_teacher
        assert ("value_loss" in record) == (method.critic is not None)
    assert len({record["surprise"] for record in records}) == UPDATES, "every update plays with other weights"
    assert bool(state["critic"]) == (method.critic is not None)

    middle = all_checkpoints(folder)[0]
    assert middle.name == f"checkpoint-{UPDATES // 2}"
    resumed, rest = train_method(name, tmp_path / "resumed", start, middle)
    resumed.close()
    assert [_of_the_run(record) for record in rest] == [_of_the_run(record) for record in records[UPDATES // 2 :]]
    after = state_of(resumed)
    assert same_weights(after["weights"], state["weights"])
    assert same_weights(after["critic"], state["critic"])
    assert after["memory"] == state["memory"]


# All methods share one launch, because every process of it takes ten seconds to import its libraries.


def test_two_processes_give_the_results_of_one(run_alone: RunAlone, start: str, tmp_path: Path) -> None:
    _check_launched(list(RECIPES), None, run_alone, start, tmp_path)


def test_one_method_of_each_kind_gives_the_same_results_with_sharded_weights(
    run_alone: RunAlone, start: str, tmp_path: Path
) -> None:
    kinds = {kind_of(small(name)): name for name in RECIPES}
    assert kinds.keys() == {"critic", "graph", "group", "weight"}
    _check_launched(list(kinds.values()), "fsdp2", run_alone, start, tmp_path)


def _check_launched(names: list[str], sharding: str | None, run_alone: RunAlone, start: str, out: Path) -> None:
    """Run the methods in two processes and compare each with its run in one process; all differences are reported."""
    command = ["-m", "tests.baselines.training.method_runs", str(out), start, str(sharding), *names]
    launch(command, processes=2, sharding=sharding, seconds=900)
    failures = []
    for name in names:
        records = json.loads((out / name / "records.json").read_text(encoding="utf-8"))
        state = torch.load(out / name / "state.pt", weights_only=True)
        try:
            _check_same(run_alone(name)[1], (records, state))
        except AssertionError as error:
            failures.append(f"{name}: {error}")
    assert not failures, "\n".join(failures)


def _of_the_run(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if not key.startswith(_OF_THE_MACHINE)}


def _check_same(one: Run, other: Run) -> None:
    """The figures and states of two runs differ only by the order of sums."""
    for left, right in zip(one[0], other[0], strict=True):
        assert left.keys() == right.keys()
        for key, value in _of_the_run(left).items():
            if isinstance(value, (int, float)) and key not in _OF_THE_PACKING:
                assert value == pytest.approx(right[key], abs=1e-3, rel=1e-3), (left["update"], key)
    assert one[1]["memory"] == _nearly(other[1]["memory"])
    # Gathered weights have a name for the output layer too, which shares the embedding.
    assert other[1]["weights"].keys() - one[1]["weights"].keys() <= {"lm_head.weight"}
    assert one[1]["critic"].keys() == other[1]["critic"].keys()
    for part in ("weights", "critic"):
        assert _distance(one[1][part], other[1][part]) <= 0.02 * _distance(one[1][part], one[1]["untrained"][part])


def _distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The Euclidean distance of two sets of weights."""
    return float(sum((other[name] - weight).square().sum().double() for name, weight in one.items())) ** 0.5


def _nearly(memory: dict[str, Any]) -> dict[str, Any]:
    """The memory of a method, with tolerance for its numbers and lists of numbers."""
    return {key: pytest.approx(value, abs=1e-3, rel=1e-3) for key, value in memory.items()}
