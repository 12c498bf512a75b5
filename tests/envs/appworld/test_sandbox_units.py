"""Parts of the sandbox on their own: limits, output, shape, message validation, the seccomp filter."""

from __future__ import annotations

import sys
import tracemalloc
from typing import Any

import pytest

from agentgym_hindsight.envs.appworld.sandbox import Limits, Sandbox
from agentgym_hindsight.envs.appworld.sandbox.host_channel import is_safe_json
from agentgym_hindsight.envs.appworld.sandbox.inside import seccomp
from agentgym_hindsight.envs.appworld.sandbox.inside.report import Output, shape
from agentgym_hindsight.errors import UnknownNameError, UsageError
from tests.envs.appworld.sandbox_helpers import answer


class TestLimits:
    def test_values_and_names_are_checked(self) -> None:
        with pytest.raises(UsageError, match="Expected calls above 0, got -1"):
            Limits(calls=-1)
        with pytest.raises(UnknownNameError, match="did you mean 'seccomp'"):
            Sandbox(answer, without=["secomp"])

    def test_frame_bytes_are_raised_to_hold_the_output(self) -> None:
        box = Sandbox(answer, limits=Limits(output_chars=500_000, frame_bytes=1))
        assert len(box.run("print('\\U0001f600' * 400_000)").output) == 400_001
        box.close()


class TestReport:
    @pytest.mark.parametrize("size", [0, 1, 30, 39, 40, 41, 100, 10_000])
    def test_output_in_pieces_equals_output_at_once(self, size: int) -> None:
        text = "".join(chr(97 + n % 26) for n in range(size))
        pieces, whole = Output(40), Output(40)
        for start in range(0, size, 7):
            pieces.write(text[start : start + 7])
        whole.write(text)
        assert pieces.text() == whole.text()
        expected = text if size <= 40 else f"{text[:30]}\n… {size - 40} characters left out …\n{text[-10:]}"
        assert whole.text() == expected

    def test_empty_texts_take_no_memory(self) -> None:
        output = Output(40)
        tracemalloc.start()
        for _ in range(100_000):
            output.write("")
        grown = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert grown < 10_000
        assert output.text() == ""

    def test_shape_is_canonical_and_bounded(self) -> None:
        assert shape({"b": {}, "a": 1.5, "sys": sys, "apis": 1, "_x": 1, "f": len}) == (
            "a:float b:dict[0] f:builtin_function_or_method"
        )
        assert len(shape({f"name{n:05}": n for n in range(9999)})) < 4_100


class TestMessages:
    @pytest.mark.parametrize(
        ("value", "good"),
        [
            ({"a": [1, -(2**63), 1.5e300, "ä\U0001f600", None, True]}, True),
            ({"a": 2**63}, False),
            ({"\ud800": 1}, False),
            ([float("inf")], False),
            ([float("nan")], False),
            ([0] * 300_000, False),
        ],
    )
    def test_values(self, value: Any, good: bool) -> None:
        assert is_safe_json(value) is good

    def test_depth(self) -> None:
        value: Any = 1
        for _ in range(31):
            value = [value]
        assert is_safe_json(value)
        assert not is_safe_json([[value]])


class TestFilter:
    def test_dangerous_system_calls_are_not_allowed(self) -> None:
        # x86_64: open* fstat lseek socket connect clone* fork exec kill ptrace prctl mount bpf io_uring …
        dangerous = {2, 5, 8, 257, 437, 41, 42, 56, 57, 58, 435, 59, 322, 62, 101, 157, 165, 317, 321, 425, 426, 13, 72}
        dangerous |= {16, 222, 234, 434, 438}  # ioctl timer_create tgkill pidfd_open pidfd_getfd
        tables = seccomp.ALLOWED, seccomp.NOT_EXECUTABLE, seccomp.NOT_OF_PROCESSES
        allowed = {numbers[0] for table in tables for numbers in table.values()}
        assert not allowed & dangerous
        assert len(allowed) == sum(map(len, tables)) == 29  # docs/sandbox.md states the number
