"""The calculator against Python's own evaluation, and expressions that would hang it."""

from __future__ import annotations

import random
import time
import warnings
from typing import Any

import pytest

from agentgym_hindsight.envs.tau.calculator import calculate


def evaluated(expression: str) -> str:
    """What the benchmark documents: Python's evaluation, a float, two places."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value: Any = eval(expression, {"__builtins__": None}, {})
        return str(round(float(value), 2))
    except Exception as error:
        return f"Error: {error}"


def test_random_expressions_give_pythons_results_and_errors() -> None:
    draw = random.Random(0)
    for number in range(6000):
        alphabet = "12()*.+-" if number % 2 else "0123456789+-*/(). "
        text = "".join(draw.choice(alphabet) for _ in range(draw.randrange(1, 9)))
        if text.count("**") > 1:
            continue  # a random tower would hang the evaluation
        assert calculate(text) == evaluated(text), text


@pytest.mark.parametrize(
    "expression",
    [
        *("2**10", "2**0.5", "(-8)**0.5", "2**-1", "0.0**-1", "10.0**400", "10**400", "10**400/3", "(2)**(3)", "()*3"),
        *("()+()", "-()", "2**()", "(1)(1/0)", "1_0", "2 ** 3 ** 2", "-2**2", "  7", "7  ", "1" * 5000),
        *("2(*3)", "2(**3)", "2(*())", "2(**())", "2(1)(*3)", "...", "-...", "...()", "2(*...)", "2(*3+())", "()()"),
        "(" * 250 + "1" + ")" * 250,
    ],
)
def test_chosen_expressions_give_pythons_results_and_errors(expression: str) -> None:
    expected = "Error: invalid characters in expression" if "_" in expression else evaluated(expression)
    assert calculate(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "9**9**9**9",
        "2" + "**9" * 1000,
        "(9**9)**(9**9)",
        "9**99999*9**99999",
        "-" * 9000 + "1",
        "1" + "+1" * 4900,
        "(" * 5000 + ")" * 5000,
        "9" * 1_000_000,
        "(" * 1_000_000,
        "1+" * 500_000 + "1",
    ],
)
def test_what_would_hang_or_crash_is_refused_quickly(expression: str) -> None:
    started = time.process_time()
    answer = calculate(expression)
    assert time.process_time() - started < 2.0
    assert answer.startswith("Error: ") or float(answer)
    assert len(answer) < 400


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (None, "'NoneType' object is not iterable"),
        (3, "'int' object is not iterable"),
        ([1], "'in <string>' requires string as left operand, not int"),
    ],
)
def test_values_that_are_no_texts_raise_before_the_evaluation(value: Any, error: str) -> None:
    with pytest.raises(TypeError) as raised:
        calculate(value)
    assert str(raised.value) == error
    assert calculate(["1", "23", "+-"]) == calculate({}) == "Error: eval() arg 1 must be a string, bytes or code object"
    assert calculate(["21"]) == calculate([" 1"]) == "Error: invalid characters in expression"
