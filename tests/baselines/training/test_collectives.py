"""Collective calls of several processes, simulated by threads in one process."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("accelerate", reason="needs the extra [train]")

from agentgym_hindsight.baselines.training.collectives import Processes  # noqa: E402


class Meeting:
    """Exchanges one value per thread."""

    def __init__(self, count: int) -> None:
        self.values: list[Any] = [None] * count
        self._full, self._read = threading.Barrier(count), threading.Barrier(count)

    def exchange(self, index: int, value: Any) -> list[Any]:
        self.values[index] = value
        self._full.wait(60)
        found = list(self.values)
        self._read.wait(60)
        return found


class Accelerator:
    """The part of accelerate's Accelerator that Processes uses. As NCCL, it requires tensors of equal shapes."""

    def __init__(self, meeting: Meeting, index: int) -> None:
        self.meeting, self.process_index = meeting, index
        self.num_processes, self.device = len(meeting.values), torch.device("cpu")

    def gather(self, tensor: Any) -> Any:
        parts = self.meeting.exchange(self.process_index, tensor)
        assert len({part.shape for part in parts}) == 1
        return torch.cat(parts)

    def pad_across_processes(self, tensor: Any, pad_index: float) -> Any:
        width = max(len(part) for part in self.meeting.exchange(self.process_index, tensor))
        return torch.cat([tensor, torch.full((width - len(tensor),), pad_index)])


def on_two(monkeypatch: pytest.MonkeyPatch, work: Any) -> list[Any]:
    """The results of ``work(processes, index)`` on both of two processes."""
    meeting, results = Meeting(2), [None, None]
    own = threading.local()
    monkeypatch.setattr(
        "accelerate.utils.gather_object",
        lambda values: [each for part in meeting.exchange(own.index, values) for each in part],
    )

    def run(index: int) -> None:
        own.index = index
        results[index] = work(Processes(Accelerator(meeting, index)), index)

    threads = [threading.Thread(target=run, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_values_are_gathered_in_the_order_of_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_two(monkeypatch, lambda processes, index: processes.gather([index, "x"])) == [[0, "x", 1, "x"]] * 2
    assert on_two(monkeypatch, lambda processes, index: processes.total(index + 0.5)) == [2.0, 2.0]


def test_every_item_belongs_to_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_two(monkeypatch, lambda processes, index: processes.share("abcde")) == [["a", "c", "e"], ["b", "d"]]


def test_all_processes_get_the_same_number_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = ([[1], [2], [3]], [[4]])
    aligned = on_two(monkeypatch, lambda processes, index: processes.align(batches[index]))
    assert aligned == [[[1], [2], [3]], [[4], [], []]]


def test_tensors_of_different_lengths_are_padded_with_nan_inside_the_block_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def work(processes: Processes, index: int) -> list[float]:
        accelerator = processes._accelerator
        with processes.padded_gathers():
            result: list[float] = accelerator.gather(torch.full((index + 1,), float(index))).tolist()
        assert "gather" not in vars(accelerator)
        return result

    for result in on_two(monkeypatch, work):
        assert [value for value in result if not math.isnan(value)] == [0.0, 1.0, 1.0]
        assert len(result) == 4


def test_only_tensors_move_to_the_device() -> None:
    moved = Processes(Accelerator(Meeting(1), 0)).to_device({"ids": torch.ones(1), "lam": 0.5})
    assert moved["ids"].device.type == "cpu"
    assert moved["lam"] == 0.5
