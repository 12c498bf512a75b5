"""Schedules: values computed by hand, writing as text and parsing."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods.schedules import Constant, LinearDecay, Schedule, Window, parse_schedule
from agentgym_hindsight.errors import UsageError


@pytest.mark.parametrize(
    ("update", "expected"), [(0, 0.5), (1, 0.49), (10, 0.4), (25, 0.25), (49, 0.01), (50, 0.0), (60, 0.0)]
)
def test_serl_decay(update: int, expected: float) -> None:
    assert LinearDecay()(update) == pytest.approx(expected, abs=1e-12)


def test_the_coefficient_is_exactly_zero_after_the_decay() -> None:
    # Trainers skip the teacher if the coefficient == 0; 1e-17 would run it needlessly.
    for steps in range(1, 200):
        assert LinearDecay(0.5, steps)(steps) == 0.0
        assert LinearDecay(0.5, steps)(steps - 1) > 0.0


def test_no_steps_means_no_decay() -> None:
    assert {LinearDecay(0.3, 0)(k) for k in (0, 1, 50, 10_000)} == {0.3}


def test_a_constant_is_constant() -> None:
    assert {Constant(0.01)(k) for k in (0, 7, 10_000)} == {0.01}


def test_a_window_includes_its_ends_and_does_not_shift_its_schedule() -> None:
    # FACTOR: η = 0.7·max(1 − k/50, 0) in steps 11 to 49.
    eta = Window(LinearDecay(0.7, 50), 11, 49)
    assert [round(eta(k), 9) for k in (0, 10, 11, 20, 49, 50)] == [0.0, 0.0, 0.546, 0.42, 0.014, 0.0]
    assert Window(Constant(2.0), 3, 3)(3) == 2.0


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("0.5", Constant(0.5)),
        ("0", Constant(0.0)),
        ("1e-05", Constant(1e-5)),
        ("-0.25", Constant(-0.25)),
        ("0.5->0/50", LinearDecay(0.5, 50)),
        ("1e-05->0/50", LinearDecay(1e-5, 50)),
        ("0.5->0/0", LinearDecay(0.5, 0)),
        ("0.5->0/50@11-49", Window(LinearDecay(0.5, 50), 11, 49)),
        ("0.1@25-25", Window(Constant(0.1), 25, 25)),
        ("1@0-9@5-20", Window(Window(Constant(1.0), 0, 9), 5, 20)),
    ],
)
def test_writing_and_parsing(text: str, schedule: Schedule) -> None:
    assert parse_schedule(text) == schedule
    assert str(schedule) == text
    assert parse_schedule(str(schedule)) == schedule


def test_text_keeps_every_digit() -> None:
    for value in (1 / 3, math.pi * 1e-7, 0.1 + 0.2, 1e22, 123456.75):
        assert parse_schedule(str(LinearDecay(value, 7))) == LinearDecay(value, 7)


def test_spaces_are_ignored() -> None:
    assert parse_schedule(" 0.5 -> 0 / 50 @ 11 - 49 ") == Window(LinearDecay(0.5, 50), 11, 49)


@pytest.mark.parametrize(
    "text",
    [
        *("", "half", "nan", "inf", "@1-2"),
        *("0.5->", "0.5->0", "0.5->0.1/50", "0.5->0/x", "0.5->0/5.5", "0.5->0/-3", "0.5->0/5/2", "0.5->0->0/50"),
        *("0.5@", "0.5@11", "0.5@9-3", "0.5@-1-2"),
    ],
)
def test_errors_of_parsing_give_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"Expected .*, got .*; try ") as caught:
        parse_schedule(text)
    assert "0.5" in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(math.nan),
        lambda: LinearDecay(math.inf, 3),
        lambda: LinearDecay(0.5, -1),
        lambda: Window(Constant(1.0), 5, 4),
        lambda: Window(Constant(1.0), -1, 4),
    ],
)
def test_errors_of_construction(make: object) -> None:
    with pytest.raises(UsageError, match="try"):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("schedule", [Constant(1.0), LinearDecay(), Window(Constant(1.0), 0, 4)])
def test_negative_updates_are_an_error(schedule: Schedule) -> None:
    with pytest.raises(UsageError, match="got -1"):
        schedule(-1)


def test_any_function_is_a_schedule() -> None:
    assert isinstance(lambda k: 1.0, Schedule)
    assert isinstance(LinearDecay(), Schedule)
