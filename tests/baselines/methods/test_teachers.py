"""The text form of teachers."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.errors import HindsightError, UnknownNameError, UsageError


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("current", TeacherSpec()),
        ("frozen", TeacherSpec("frozen")),
        ("sync:1", TeacherSpec("sync", 1)),
        ("sync:10", TeacherSpec("sync", 10)),
        ("ema:0.05", TeacherSpec("ema", 0.05)),
        ("ema:1", TeacherSpec("ema", 1.0)),
        ("sync:1234567", TeacherSpec("sync", 1234567)),
        ("ema:0.123456789", TeacherSpec("ema", 0.123456789)),
    ],
)
def test_writing_and_parsing(text: str, spec: TeacherSpec) -> None:
    assert TeacherSpec.parse(text) == spec
    assert str(spec) == text
    assert TeacherSpec.parse(str(spec)) == spec


def test_the_default_numbers_are_the_released_ones() -> None:
    assert TeacherSpec.parse("sync") == TeacherSpec("sync", 10)
    assert TeacherSpec.parse("ema") == TeacherSpec("ema", 0.05)


@pytest.mark.parametrize("text", ["sync:0", "sync:-3", "sync:1.5", "sync:nan", "ema:0", "ema:1.1", "ema:nan", "ema:x"])
def test_numbers_out_of_range(text: str) -> None:
    with pytest.raises(UsageError, match="try"):
        TeacherSpec.parse(text)
    with pytest.raises(UnknownNameError, match="sync"):
        TeacherSpec.parse("synch:10")


@pytest.mark.parametrize("text", ["frozen:3", "current:0.5", "sync:inf"])
def test_numbers_that_are_not_allowed(text: str) -> None:
    with pytest.raises(HindsightError, match="Expected"):
        TeacherSpec.parse(text)
