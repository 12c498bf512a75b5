"""The processes of a distributed run: collective calls, and the share of each process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import Tensor

__all__ = ["Processes"]

T = TypeVar("T")


class Processes:
    """Collective calls through ``accelerate``; in a run of one process they return their input.

    >>> from types import SimpleNamespace
    >>> processes = Processes(SimpleNamespace(num_processes=1, process_index=0))
    >>> processes.gather([3]), processes.total(2), processes.share(["a", "b"])
    ([3], 2.0, ['a', 'b'])
    """

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator

    @property
    def count(self) -> int:
        """The number of processes."""
        return int(self._accelerator.num_processes)

    @property
    def index(self) -> int:
        """The number of this process, from 0."""
        return int(self._accelerator.process_index)

    def share(self, items: Sequence[T]) -> list[T]:
        """This process's part of ``items``."""
        return list(items[self._accelerator.process_index :: self.count])

    def gather(self, values: list[Any]) -> list[Any]:
        """The values of all processes, in the order of the processes."""
        if self.count == 1:
            return values
        from accelerate.utils import gather_object

        gathered: list[Any] = gather_object(values)
        return gathered

    def total(self, value: float) -> float:
        """The sum over all processes."""
        return float(sum(self.gather([value])))

    def align(self, batches: list[list[T]]) -> list[list[T]]:
        """Append empty batches, so that every process has the same number of batches.

        Gathers and passes through sharded weights are collective calls: all processes must make the same number.
        """
        count = max(self.gather([len(batches)]))
        return batches + [[] for _ in range(count - len(batches))]

    def to_device(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The same mapping with its tensors on the device of this process."""
        device = self._accelerator.device
        return {key: value.to(device) if isinstance(value, Tensor) else value for key, value in inputs.items()}

    @contextmanager
    def padded_gathers(self) -> Iterator[None]:
        """Inside the block, ``accelerator.gather`` accepts tensors of different lengths.

        TRL's logs gather one number per row and assume that every process has the same number of rows. Here the numbers
        of rows differ. The padding is NaN, which TRL already uses for rows without tokens and ignores.
        """
        if self.count == 1:
            yield
            return
        accelerator, gather = self._accelerator, self._accelerator.gather
        accelerator.gather = lambda each: gather(accelerator.pad_across_processes(each, pad_index=float("nan")))
        try:
            yield
        finally:
            del accelerator.gather
