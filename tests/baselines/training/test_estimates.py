"""The length of a phase is said once, after its first steps."""

from __future__ import annotations

import itertools

from agentgym_hindsight.baselines.training.estimates import PhaseEstimate


def said(
    seconds_per_step: float, total: int, *, after: int = 1, at_most: bool = False, first: float = 0.0
) -> list[str]:
    """What is said if every step takes this time, and the first one ``first`` seconds more."""
    times = itertools.chain((0.0,), (first + seconds_per_step * n for n in itertools.count(1)))
    texts: list[str] = []
    estimate = PhaseEstimate(
        "warm start", total, "steps", texts.append, after=after, at_most=at_most, clock=lambda: 0.0
    )
    position = 0

    def clock() -> float:
        return next(itertools.islice(times_list, position, None))

    times_list = list(itertools.islice(times, total + 2))
    estimate._clock = clock
    for step in range(1, total + 1):
        position = step
        estimate.advance()
    return texts


def test_the_estimate_is_said_once() -> None:
    assert said(2.0, 60) == ["warm start: about 2.0 minutes for 60 steps (measured on 1)"]


def test_a_short_phase_says_nothing() -> None:
    assert said(0.1, 60) == []


def test_the_first_step_is_not_taken_for_the_others() -> None:
    assert said(1.0, 100, after=5, first=20.0) == ["warm start: about 2.0 minutes for 100 steps (measured on 4)"]


def test_an_upper_bound_is_called_one() -> None:
    assert said(1.0, 50, after=5, at_most=True) == ["warm start: at most about 50 seconds for 50 steps (measured on 4)"]


def test_nothing_is_said_when_the_phase_is_over() -> None:
    assert said(60.0, 5, after=5) == []
