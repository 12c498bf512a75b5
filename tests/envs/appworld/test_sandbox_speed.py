"""How fast, how small, how steady: ``python -m tests.envs.appworld.test_sandbox_speed [resets]`` prints a table."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, sleep

import pytest

from agentgym_hindsight.envs.appworld.sandbox import Limits, Outcome, Sandbox
from tests.envs.appworld.hostile import PRELUDE, SNIPPETS
from tests.envs.appworld.test_sandbox import tree

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
PLAIN = "squares = [n * n for n in range(100)]\nprint(sum(squares))"
CALLS = "for n in range(5):\n    print(apis.bank.balance(of=n)['balance'])"


def answer(app: str, api: str, arguments: dict[str, object]) -> dict[str, int]:
    return {"balance": 3}


def milliseconds(action: Callable[[], object], times: int, pause: float = 0.0) -> tuple[float, float]:
    """p50 and p99."""
    taken = []
    for _ in range(times):
        sleep(pause)
        began = perf_counter()
        action()
        taken.append((perf_counter() - began) * 1e3)
    taken.sort()
    return taken[times // 2], taken[int(times * 0.99)]


def memory(pid: int, kind: str) -> int:
    """In kB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.partition(f"{kind}:")[2].split()[0])


def footprint(sandbox: Sandbox) -> dict[str, int]:
    home = sandbox._zygote.pid
    processes = [home, *tree(home)]
    return {
        "descriptors of the host": len(os.listdir("/proc/self/fd")),
        "processes": len(processes),
        "PSS of all, kB": sum(memory(pid, "Pss") for pid in processes),
        "RSS of the host, kB": memory(os.getpid(), "Rss"),
    }


def processor(sandbox: Sandbox) -> float:
    """Seconds of the processor used here and by the zygote with the workers that have ended."""
    seconds = sum(os.times()[:2])
    for pid in tree(sandbox._zygote.pid):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        seconds += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return seconds


def main(resets: int) -> None:
    sandbox = Sandbox(answer, {"bank": ["balance"]})
    rows: list[tuple[str, object]] = [("mode", sandbox.mode)]
    sandbox.run(PLAIN)
    for name, code in (("turn", PLAIN), ("turn with 5 API calls", CALLS)):
        half, most = milliseconds(lambda code=code: sandbox.run(code), 1000)  # type: ignore[misc]
        rows.append((name, f"p50 {half:.2f} ms, p99 {most:.2f} ms"))
    half, most = milliseconds(sandbox.reset, 200, pause=0.02)
    rows.append(("reset, between turns", f"p50 {half:.2f} ms, p99 {most:.2f} ms"))
    half, most = milliseconds(lambda: (sandbox.reset(), sandbox.run(PLAIN)), 200)
    rows.append(("reset and first turn, at once", f"p50 {half:.2f} ms, p99 {most:.2f} ms"))
    sleep(0.2)
    worker = sandbox._worker._born
    assert worker is not None
    before = footprint(sandbox)
    began, worked = perf_counter(), processor(sandbox)
    for _ in range(resets):
        sandbox.reset()
        sandbox.run(PLAIN)
    per_second, each = resets / (perf_counter() - began), (processor(sandbox) - worked) / resets * 1e3
    rows.append(
        (f"{resets} resets with a turn each", f"{per_second:.0f} a second, {each:.2f} ms of the processor each")
    )
    sleep(0.2)
    after = footprint(sandbox)
    rows += [(name, f"{before[name]} before, {after[name]} after") for name in before]
    workers = [pid for pid in tree(sandbox._zygote.pid) if not tree(pid)]
    rows.append(("RSS, PSS of a worker, kB", [(memory(pid, "Rss"), memory(pid, "Pss")) for pid in workers]))
    for name, value in rows:
        print(f"{name:<34}{value}")
    sandbox.close()


@linux
@pytest.mark.slow
def test_two_thousand_resets_leave_nothing() -> None:
    sandbox = Sandbox(answer, {"bank": ["balance"]})
    for _ in range(20):
        sandbox.reset()
        sandbox.run(PLAIN)
    before = footprint(sandbox)
    for _ in range(2000):
        sandbox.reset()
        assert sandbox.run(PLAIN).output == "328350\n"
    sleep(0.2)
    after = footprint(sandbox)
    sandbox.close()
    assert after["descriptors of the host"] == before["descriptors of the host"]
    assert after["processes"] <= before["processes"]
    assert after["PSS of all, kB"] < before["PSS of all, kB"] + 3_000
    assert after["RSS of the host, kB"] < before["RSS of the host, kB"] + 3_000


def broken_programs(count: int, seed: int) -> list[str]:
    """Snippets cut, spliced and overwritten at random, and plain noise."""
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
def test_broken_programs_never_reach_the_host(way: tuple[str, ...], tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    sandbox = Sandbox(answer, {"bank": ["balance"]}, Limits(seconds=0.1, grace=0.1, memory_mb=64), without=way)
    for program in broken_programs(1500, seed=4):
        outcome = sandbox.run(program.replace("CANARY", str(canary)))
        assert isinstance(outcome, Outcome)
        (outcome.output + outcome.error + outcome.shape).encode()
        assert outcome.kind or not outcome.error
    sandbox.reset()
    assert sandbox.run("print(2+2)").output == "4\n"
    sandbox.close()
    assert canary.read_text() == "untouched"
    assert os.listdir(tmp_path) == ["canary"]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
