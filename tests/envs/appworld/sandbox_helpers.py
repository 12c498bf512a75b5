"""What the tests of the sandbox share: a world that answers calls, and a look at processes through /proc."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agentgym_hindsight.envs.appworld.sandbox import ApiFailure, Limits, Outcome, Sandbox

NAMES = {"mail": ["send", "inbox"], "bank": ["pay", "balance"]}
LIMITS = Limits(calls=5)
#: For code that must be stopped: a short turn, and a long grace so that a worker on a busy machine can still report.
SHORT_TURN = Limits(seconds=0.2, grace=20.0)
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def answer(app: str, api: str, arguments: dict[str, Any]) -> Any:
    if api == "pay":
        raise ApiFailure(401, 'Log in first, "please".')
    return {"app": app, "api": api, **arguments}


def last_line(outcome: Outcome) -> str:
    return outcome.error.splitlines()[-1]


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Wait for a condition; return whether it holds. The limit only guards against a hang."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the process may have ended
        for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found |= {int(each)} | descendants(int(each))
    return found


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class Footprint(NamedTuple):
    """What a sandbox holds. Only anonymous memory is counted: shared pages depend on other processes."""

    descriptors: int  # of this process
    processes: int  # the zygote and its workers
    sandbox_kb: int
    host_kb: int


def footprint(sandbox: Sandbox) -> Footprint:
    home = sandbox._zygote.pid
    processes = [home, *descendants(home)]
    return Footprint(
        len(os.listdir("/proc/self/fd")),
        len(processes),
        sum(_anonymous_kb(pid) for pid in processes),
        _anonymous_kb(os.getpid()),
    )


def settled_footprint(sandbox: Sandbox) -> Footprint:
    """The footprint once the worker in reserve exists, which the zygote forks after it has answered a request."""
    gc.collect()  # sandboxes of other tests share the zygote
    expected = 4 if "namespaces" in sandbox.mode else 3  # with namespaces, the original process waits for the zygote
    assert wait_until(lambda: footprint(sandbox).processes >= expected)
    return footprint(sandbox)


def _anonymous_kb(pid: int) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):  # ended, or a zombie
        return int(Path(f"/proc/{pid}/status").read_text().partition("RssAnon:")[2].split()[0])
    return 0
