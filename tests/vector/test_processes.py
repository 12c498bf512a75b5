"""No process, pipe or file is left, however it ends."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.vector import HindsightVectorEnv
from tests.toy import CorridorEnv
from tests.vector.worlds import StormyEnv, children

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks processes and files up in /proc")

SCRIPT = """
import os, sys, time
from agentgym_hindsight.vector import HindsightVectorEnv
from tests.vector.worlds import StormyEnv

class Local(StormyEnv):  # no guard, and a class that lives in the main script alone
    pass

venv = HindsightVectorEnv(Local, 2, workers=2, timeout_s=60)
venv.reset(seed=0)
print(*(worker.process.pid for worker in venv._pool._workers), flush=True)
"""


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def gone(pids: list[int], within: float = 8.0) -> bool:
    """Whether the processes end in time. Orphans may stay as zombies where no init reaps them."""
    deadline = time.monotonic() + within
    while any(running(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def script(rest: str) -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT + rest],
        cwd=root,
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_close_leaves_nothing() -> None:
    before = descriptors()
    for word in ("east", "kill", "hang", "crash"):
        venv = HindsightVectorEnv(StormyEnv, 4, workers=2, timeout_s=0.5)
        venv.reset(seed=0)
        venv.step(["east", word, "east", "east"])
        assert len(children()) == 2
        venv.close()
        venv.close()
        assert not children(), "neither a worker nor a zombie nor a helper"
        assert descriptors() == before
    with pytest.raises(UsageError, match="closed"):
        venv.reset()
    with pytest.raises(UsageError, match="closed"):
        venv.step(["east"] * 4)


def test_what_nobody_holds_any_more_is_closed() -> None:
    before = descriptors()
    venv = HindsightVectorEnv(CorridorEnv, 2, workers=2)
    assert len(children()) == 2
    del venv
    gc.collect()
    assert not children()
    assert descriptors() == before


def test_close_does_not_wait_for_a_worker_that_is_busy_forever() -> None:
    venv = HindsightVectorEnv(StormyEnv, 2, workers=2, timeout_s=60)
    venv.reset(seed=0)
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        venv.step(["hang", "east"])
    assert not venv.active.any()
    assert not children(), "answers nobody awaits are not waited for"
    assert not any(venv.reset(seed=0)[1]["broken"])
    venv.step(["east", "east"])
    venv.close()
    assert not children()


def test_what_an_env_started_ends_with_its_worker() -> None:
    venv = HindsightVectorEnv(StormyEnv, 1, workers=1)
    venv.reset(seed=0)
    venv.step(["child"])
    (worker,) = children()
    grandchildren = [int(pid) for pid in Path(f"/proc/{worker}/task/{worker}/children").read_text().split()]
    assert len(grandchildren) == 1
    venv.close()
    assert gone([worker, *grandchildren])


def test_a_fork_of_the_parent_does_not_close_the_workers() -> None:
    venv = HindsightVectorEnv(CorridorEnv, 2, workers=1)
    venv.reset(seed=0)
    crew = venv._pool
    pid, crew._pid = crew._pid, -1  # type: ignore[attr-defined]
    crew.close()
    crew._pid = pid  # type: ignore[attr-defined]
    venv.step(["east", "east"])
    venv.close()


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        ("", 0),
        ("raise SystemExit(4)", 4),
        ("os.kill(os.getpid(), 9)", -9),
        ("os._exit(6)", 6),
        ("venv.step(['kill', 'east'])", 0),
    ],
)
def test_workers_end_with_the_interpreter_however_it_ends(rest: str, status: int) -> None:
    process = script(rest)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    workers = [int(pid) for pid in out.split()]
    assert len(workers) == 2
    assert gone(workers)
    assert not err


@pytest.mark.parametrize("killer", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_when_the_parent_is_struck_in_the_middle_of_a_step(killer: int) -> None:
    process = script("venv.step(['hang', 'hang'])")
    assert process.stdout is not None
    workers = [int(pid) for pid in process.stdout.readline().split()]
    time.sleep(0.3)
    process.send_signal(killer)
    process.communicate(timeout=60)
    assert gone(workers)
