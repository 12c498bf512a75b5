"""Nothing of the agent's code runs between turns, and no process of an episode remains after it."""

# ruff: noqa: E501  # code in rows
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agentgym_hindsight.envs.appworld.env import AppWorldEnv
from agentgym_hindsight.envs.appworld.sandbox import Limits, Sandbox
from agentgym_hindsight.envs.appworld.sandbox.zygote_client import ZygoteClient
from tests.envs.appworld.hostile import PRELUDE
from tests.envs.appworld.sandbox_helpers import answer, descendants, is_running, linux, wait_until

pytestmark = linux

FORGED = (
    "import json\n"
    "send(json.dumps({'type': 'done', 'nonce': worker()._nonce, 'output': 'over', 'error': '', 'kind': '',"
    " 'spent': False, 'shape': ''}))\n"
)
#: Ways of code to run on after its turn. The worker has one thread in every mode, so these need no other.
GOES_ON = {
    "a forged end of the turn": FORGED + "while True: pass",
    "a forged end and a swallowed timeout": FORGED
    + "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    "another read function": "def burn(*_):\n  while True: pass\ntype(worker()._channel).read = burn",
    "another write function": "w = worker()._channel\nreal = w.write\ndef burn(frame):\n  real(frame)\n  while True: pass\nw.write = burn",
    "the alarm": (
        "def on(self, *_):\n  while True: pass\ntype(worker()._timer)._on_alarm.__code__ = on.__code__\n"
        "s = sys.modules['signal']\nreal = s.setitimer\ns.setitimer = lambda *_: None\nreal(0, 0.01, 0.01)"
    ),
    "a finalizer at the end of the turn": "class A:\n  def __del__(self):\n    while True: pass\ntype(worker()._channel).pack = lambda *_: A() and b''\n"
    + FORGED,
    "a callback of the collector": (
        FORGED
        + "def burn(*_):\n  while True: pass\nc = sys.modules['gc']\nc.set_threshold(1)\nc.callbacks.append(burn)\nx = [[] for _ in range(99)]"
    ),
}
WAYS = {
    "all": (),
    "seccomp": ("namespaces", "audit"),
    "namespaces": ("seccomp", "audit"),
    "none": ("namespaces", "seccomp", "audit"),
}
LIMITS = Limits(seconds=20.0)


def cpu_seconds(pids: set[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def idle_cpu_seconds(sandbox: Sandbox, pause: float = 0.6) -> float:
    """Processor time that the sandbox's processes use while no turn runs."""
    pids = descendants(sandbox._zygote.pid)
    before = cpu_seconds(pids)
    time.sleep(pause)
    return cpu_seconds(pids) - before


class TestBetweenTurns:
    @pytest.mark.parametrize("code", GOES_ON.values(), ids=[name.replace(" ", "_") for name in GOES_ON])
    def test_code_does_not_run_on(self, code: str) -> None:
        sandbox = Sandbox(answer, limits=LIMITS, without=("audit",))
        sandbox.run(PRELUDE + code)
        time.sleep(0.05)
        assert idle_cpu_seconds(sandbox) < 0.2, "a loop would use 0.6 s"
        sandbox.close()

    @pytest.mark.parametrize("way", ["seccomp", "namespaces", "none"])
    def test_in_every_mode(self, way: str) -> None:
        sandbox = Sandbox(answer, limits=LIMITS, without=WAYS[way])
        assert sandbox.run(f"{PRELUDE}{FORGED}while True: pass").output == "over"
        assert idle_cpu_seconds(sandbox) < 0.2
        sandbox.close()

    def test_without_process_descriptors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The zygote sends the signals where the host cannot: on macOS and on Linux before 5.3."""
        monkeypatch.delattr(signal, "pidfd_send_signal")
        sandbox = Sandbox(answer, limits=LIMITS, without=("audit",))
        assert sandbox.run("x = 1").kind == ""
        assert sandbox.run("print(x)").output == "1\n"
        assert sandbox.run(f"{PRELUDE}{FORGED}while True: pass").output == "over"
        assert idle_cpu_seconds(sandbox) < 0.2
        sandbox.close()

    def test_the_next_turn_goes_on(self, sandbox: Sandbox) -> None:
        for n in range(50):
            assert sandbox.run(f"x = {n}\nprint(x, apis.mail.inbox()['api'])").output == f"{n} inbox\n"

    def test_a_large_program_reaches_a_stopped_worker(self) -> None:
        """It does not fit into the buffer of the socket, so the worker must run while it is sent."""
        sandbox = Sandbox(answer, limits=Limits(code_chars=10**7))
        sandbox.run("x = 1")
        assert sandbox.run(f"y = '{'a' * 5 * 10**6}'\nprint(x, len(y))").output == "1 5000000\n"
        sandbox.close()


def episode_processes(zygote: ZygoteClient) -> int:
    """The processes of episodes: all but the zygote and the worker in reserve."""
    return len(descendants(zygote.pid)) - 1 - ("namespaces" in zygote.mode)


class TestAfterTheEpisode:
    @pytest.fixture
    def env(self) -> AppWorldEnv:
        return AppWorldEnv(max_steps=2)

    def playing(self, env: AppWorldEnv) -> ZygoteClient:
        env.reset(seed=0)
        env.step("x = 1")
        zygote: ZygoteClient = env.backend._sandbox._zygote  # type: ignore[union-attr]
        # The worker in reserve is forked after the request is answered, and until then no process seems to be left.
        assert wait_until(lambda: episode_processes(zygote) >= 1)
        return zygote

    @pytest.mark.parametrize(
        "end",
        [
            lambda env: env.step("apis.supervisor.complete_task()"),
            lambda env: env.step("x = 2"),
            lambda env: env.cut(),
            lambda env: env.close(),
        ],
        ids=["terminated", "truncated", "cut", "closed"],
    )
    def test_no_process_remains(self, env: AppWorldEnv, end: Callable[[AppWorldEnv], object]) -> None:
        zygote = self.playing(env)
        before = episode_processes(zygote)  # sandboxes of other tests may still wait for the garbage collector
        end(env)
        assert wait_until(lambda: episode_processes(zygote) < before, 10)
        assert isinstance(env.trajectory().won, bool)
        env.close()

    def test_reset_replaces_the_process(self, env: AppWorldEnv) -> None:
        zygote = self.playing(env)
        before = episode_processes(zygote)
        env.reset(seed=1)
        assert wait_until(lambda: episode_processes(zygote) <= before, 10)
        env.close()

    @pytest.mark.parametrize("way", WAYS)
    def test_stopped_workers_end_with_their_zygote(self, way: str) -> None:
        zygote = ZygoteClient(sys.executable, frozenset(WAYS[way]))
        worker = zygote.spawn()
        zygote.stop(worker)
        pids = {zygote.pid, *descendants(zygote.pid)}
        zygote.close()
        assert wait_until(lambda: not any(map(is_running, pids)), 10)
        worker.close()

    @pytest.mark.parametrize("way", WAYS)
    def test_stopped_workers_end_with_a_killed_host(self, way: str) -> None:
        code = (
            "import os, signal, sys\nfrom agentgym_hindsight.envs.appworld.sandbox import Sandbox\n"
            "from tests.envs.appworld.sandbox_helpers import descendants\n"
            f"s = Sandbox(lambda *_: 1, without={WAYS[way]!r}); s.run('x = 1')\n"
            "print(s._zygote.pid, *descendants(s._zygote.pid), flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        pids = [int(pid) for pid in done.stdout.split()]
        assert len(pids) >= 2  # the worker in reserve may not be there yet
        assert wait_until(lambda: not any(map(is_running, pids)), 10)
