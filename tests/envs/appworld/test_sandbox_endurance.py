"""Many episodes and many broken programs: nothing accumulates, and the host is not affected."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from agentgym_hindsight.envs.appworld.sandbox import Limits, Outcome, Sandbox
from tests.envs.appworld.hostile import PRELUDE, SNIPPETS
from tests.envs.appworld.sandbox_helpers import footprint, linux, settled_footprint, wait_until

PROGRAM = "squares = [n * n for n in range(100)]\nprint(sum(squares))"


def answer(app: str, api: str, arguments: dict[str, object]) -> dict[str, int]:
    return {"balance": 3}


@linux
@pytest.mark.slow
def test_two_thousand_resets_leave_nothing() -> None:
    sandbox = Sandbox(answer, {"bank": ["balance"]})
    for _ in range(20):
        sandbox.reset()
        sandbox.run(PROGRAM)
    before = settled_footprint(sandbox)
    for _ in range(2000):
        sandbox.reset()
        assert sandbox.run(PROGRAM).output == "328350\n"
    assert wait_until(lambda: footprint(sandbox).processes <= before.processes)
    after = footprint(sandbox)
    sandbox.close()
    assert after.descriptors == before.descriptors
    assert after.sandbox_kb < before.sandbox_kb + 3_000
    assert after.host_kb < before.host_kb + 3_000


def broken_programs(count: int, seed: int) -> list[str]:
    """Snippets that are cut, spliced and overwritten at random, and plain noise."""
    rng = random.Random(seed)
    sources = [PRELUDE + each.code for each in SNIPPETS if len(each.code) < 2_000]
    letters = "abc xyz ()[]{}'\"\\\n\t:=+-*.,0159\0é\ud800😀#@lambda def for while import"
    programs = []
    for _ in range(count):
        text = rng.choice(sources)
        for _ in range(rng.randrange(1, 4)):
            at, other = rng.randrange(len(text) + 1), rng.choice(sources)
            cut = rng.randrange(len(other) + 1)
            noise = "".join(rng.choice(letters) for _ in range(rng.randrange(12)))
            text = rng.choice((text[:at], text[:at] + noise + text[at:], text[:at] + other[cut:], noise + text[at:]))
        programs.append(text)
    return programs


@linux
@pytest.mark.slow
@pytest.mark.parametrize("way", [(), ("audit",)])
def test_broken_programs_do_not_affect_the_host(way: tuple[str, ...], tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    sandbox = Sandbox(answer, {"bank": ["balance"]}, Limits(seconds=0.1, grace=0.1, memory_mb=64), without=way)
    for program in broken_programs(1500, seed=4):
        outcome = sandbox.run(program.replace("CANARY", str(canary)))
        assert isinstance(outcome, Outcome)
        (outcome.output + outcome.error + outcome.shape).encode()
        assert outcome.kind or not outcome.error
    sandbox.limits = Limits()  # so that a busy machine has enough time for the last turn
    sandbox.reset()
    assert sandbox.run("print(2+2)").output == "4\n"
    sandbox.close()
    assert canary.read_text() == "untouched"
    assert os.listdir(tmp_path) == ["canary"]
