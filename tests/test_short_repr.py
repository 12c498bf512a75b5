from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
import pytest

from agentgym_hindsight.short_repr import quoted, short_repr


class Pair(NamedTuple):
    left: Any
    right: Any


class Failing:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb\x1b", "'a\\nb\\x1b'"),
        ((), "()"),
        ((1,), "(1,)"),
        ((1, 2.5, None), "(1, 2.5, None)"),
        ([], "[]"),
        ({}, "{}"),
        ({"a": [True]}, "{'a': [True]}"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, … 100 items]"),
        ([[[[[1]]]]], "[[[[…]]]]"),
        (Pair(1, "x" * 200), f"Pair(left=1, right='{'x' * 59}…')"),
        (frozenset("cab"), "frozenset({'a', 'b', 'c'})"),
        (np.array([True, False]), "[True, False]"),
        (np.float64(0.5), "0.5"),
        (Failing(), "<Failing>"),
    ],
)
def test_short_reprs(value: object, text: str) -> None:
    assert short_repr(value) == text


@pytest.mark.skipif(not hasattr(sys, "get_int_max_str_digits"), reason="this Python writes integers of any length")
def test_an_integer_too_long_to_print_has_a_repr() -> None:
    assert short_repr((1, 10**5000)) == "(1, <int>)"


@pytest.mark.parametrize("width", [1, 2, 10, 60, 160])
def test_a_short_repr_fits_its_width_and_one_line(width: int) -> None:
    loop: list[object] = []
    loop.append(loop)
    nested: object = Pair(1, 2)
    for _ in range(2000):
        nested = Pair(nested, nested)
    for value in (
        nested,
        "\x1b\n" * 9999,
        ("ab\n" * 50,) * 99,
        {str(n): "x" * 99 for n in range(99)},
        loop,
        set("abcdefghi"),
    ):
        text = short_repr(value, width)
        assert len(text) <= width
        assert text.isprintable()


def test_a_quoted_text_is_a_literal() -> None:
    assert quoted("it's") == '"it\'s"'
    assert quoted("x" * 61) == f"'{'x' * 59}…'"
    assert quoted("x" * 60) == f"'{'x' * 60}'"
    assert quoted("") == "''"
