"""What a part consists of: cases, each with its figures. A case that fails does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentgym_hindsight.printable import printable_line

__all__ = ["Case", "Figures", "Result", "Run", "Skipped", "results"]

#: A figure's name, with its unit, and its value.
Figures = Mapping[str, float | int | str]
_ERROR_LETTERS = 400


class Skipped(Exception):
    """A case cannot be measured here, such as without a package; the message says why."""


@dataclass(frozen=True)
class Run:
    """What the cases of a part depend on. ``seconds``: the time limit of the part."""

    seed: int = 0
    dry: bool = False
    seconds: float = 480.0
    started: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """The seconds until the limit."""
        return self.seconds - (time.monotonic() - self.started)


@dataclass(frozen=True)
class Case:
    """One measurement. ``settings`` are all values that its figures depend on, except for the machine.

    It is only started if ``least_seconds`` of the part's time are left.
    """

    name: str
    settings: Mapping[str, Any]
    measure: Callable[[], Figures]
    least_seconds: float = 0.0


@dataclass(frozen=True)
class Result:
    """The figures of a case; ``skipped`` or ``error`` says why there are none."""

    case: str
    settings: Mapping[str, Any]
    figures: Figures = field(default_factory=dict)
    skipped: str = ""
    error: str = ""
    seconds: float = 0.0


def results(
    cases: Iterable[Case],
    run: Run,
    is_done: Callable[[Case], bool] = lambda _: False,
    begin: Callable[[Case], object] = lambda _: None,
) -> Iterator[Result]:
    """The results of all cases that are not done, in order; each as soon as it is there."""
    from agentgym_hindsight.cli.bench.gpu.device import free_memory

    for case in cases:
        if is_done(case):
            continue
        if run.left < case.least_seconds and not run.dry:
            reason = f"{max(0.0, run.left):.0f} s of the part's time were left, at least {case.least_seconds:g} needed"
            yield Result(case.name, case.settings, skipped=reason)
            continue
        begin(case)
        free_memory()
        started = time.monotonic()
        figures, skipped, error = _measured(case)
        yield Result(case.name, case.settings, figures, skipped, error, round(time.monotonic() - started, 3))


def _measured(case: Case) -> tuple[Figures, str, str]:
    """Figures, or why there are none. The traceback is dropped, because it would keep the case's tensors alive."""
    from agentgym_hindsight.cli.bench.gpu.device import out_of_memory

    try:
        return case.measure(), "", ""
    except Skipped as reason:
        return {}, str(reason), ""
    except Exception as error:
        text = printable_line(f"{type(error).__name__}: {error}", _ERROR_LETTERS)
        return ({}, f"out of memory: {text}", "") if out_of_memory(error) else ({}, "", text)
