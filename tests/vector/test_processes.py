"""No process, pipe or file remains, however a vector env or its process ends."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.vector import HindsightVectorEnv
from tests.toy import CorridorEnv
from tests.vector.worlds import StormyEnv, children

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="reads processes and files from /proc")

# No `if __name__ == "__main__"`, and a class that exists only in the main script. "hang" prints a line when it begins.
SCRIPT = """
import os, sys, time
from agentgym_hindsight.vector import HindsightVectorEnv
from tests.vector.worlds import StormyEnv

class Local(StormyEnv):
    def step(self, action):
        if action == "hang":
            print("hanging", flush=True)
        return super().step(action)

venv = HindsightVectorEnv(Local, 2, workers=WORKERS, timeout_s=60)
venv.reset(seed=0)
print(*(worker.process.pid for worker in venv._pool._workers), flush=True)
"""


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def gone(pids: list[int], within: float = 30.0) -> bool:
    """Whether the processes end in time. Orphans may stay as zombies if no init reaps them."""
    deadline = time.monotonic() + within
    while any(running(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def script(rest: str, workers: int = 1) -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.replace("WORKERS", str(workers)) + rest],
        cwd=root,
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_no_process_remains_after_close() -> None:
    before = descriptors()
    for actions in (["east", "crash", "east", "east"], ["kill", "east", "hang", "east"]):
        venv = HindsightVectorEnv(StormyEnv, 4, workers=2, timeout_s=0.5)
        venv.reset(seed=0)
        venv.step(actions)
        assert len(children()) == 2
        venv.close()
        venv.close()
        assert not children(), "neither a worker nor a zombie nor a helper process"
        assert descriptors() == before
    with pytest.raises(UsageError, match="closed"):
        venv.reset()
    with pytest.raises(UsageError, match="closed"):
        venv.step(["east"] * 4)


def test_garbage_collection_closes_a_vector_env() -> None:
    before = descriptors()
    venv = HindsightVectorEnv(CorridorEnv, 2, workers=1)
    assert len(children()) == 1
    del venv
    gc.collect()
    assert not children()
    assert descriptors() == before


def test_an_interrupt_does_not_wait_for_a_hanging_worker() -> None:
    venv = HindsightVectorEnv(StormyEnv, 2, workers=2, timeout_s=60)
    venv.reset(seed=0)
    with pytest.raises(KeyboardInterrupt):
        venv.step(["interrupt", "east"])  # the env sends the signal to this process, then hangs
    assert not venv.active.any()
    assert not children(), "outstanding answers are not awaited"
    assert not any(venv.reset(seed=0)[1]["broken"])
    venv.step(["east", "east"])
    venv.close()
    assert not children()


def test_processes_started_by_an_env_end_with_its_worker() -> None:
    venv = HindsightVectorEnv(StormyEnv, 1, workers=1)
    venv.reset(seed=0)
    venv.step(["child"])
    (worker,) = children()
    grandchildren = [int(pid) for pid in Path(f"/proc/{worker}/task/{worker}/children").read_text().split()]
    assert len(grandchildren) == 1
    venv.close()
    assert gone([worker, *grandchildren])


def test_a_fork_of_the_parent_does_not_close_the_workers(shared_env: Callable[..., HindsightVectorEnv]) -> None:
    venv = shared_env(StormyEnv, 2, workers=1)
    venv.reset(seed=0)
    envs = venv._pool
    pid, envs._pid = envs._pid, -1  # type: ignore[attr-defined]
    envs.close()
    envs._pid = pid  # type: ignore[attr-defined]
    assert not any(venv.step(["east", "east"])[4]["broken"])


def test_workers_end_with_the_interpreter_however_it_ends() -> None:
    cases = {
        "": 0,
        "raise SystemExit(4)": 4,
        "os.kill(os.getpid(), 9)": -9,
        "os._exit(6)": 6,
        "venv.step(['kill', 'east'])": 0,
    }
    started = {rest: script(rest, workers=2 if "kill" in rest else 1) for rest in cases}  # all run in parallel
    for rest, process in started.items():
        out, err = process.communicate(timeout=120)
        assert process.returncode == cases[rest], (rest, err)
        workers = [int(pid) for pid in out.split()]
        assert len(workers) == (2 if "kill" in rest else 1), rest
        assert gone(workers), rest
        assert not err, rest


def test_workers_end_when_the_parent_is_killed_during_a_step() -> None:
    started = {killer: script("venv.step(['hang', 'east'])") for killer in (signal.SIGINT, signal.SIGTERM, 9)}
    workers = {}
    for killer, process in started.items():
        assert process.stdout is not None
        workers[killer] = [int(pid) for pid in process.stdout.readline().split()]
        assert process.stdout.readline() == "hanging\n"
        process.send_signal(killer)
    for killer, process in started.items():
        process.communicate(timeout=120)
        assert len(workers[killer]) == 1
        assert gone(workers[killer]), killer
