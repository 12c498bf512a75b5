"""The processes behind the sandbox: shared, replaced when they die, ended with the host."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agentgym_hindsight.envs.appworld.sandbox import Outcome, Sandbox
from agentgym_hindsight.envs.appworld.sandbox.zygote_client import zygote_client
from agentgym_hindsight.errors import WorkerError
from tests.envs.appworld.sandbox_helpers import (
    LIMITS,
    NAMES,
    SHORT_TURN,
    answer,
    descendants,
    footprint,
    is_running,
    last_line,
    linux,
    settled_footprint,
    wait_until,
)


@linux
class TestLifetime:
    def test_sandboxes_share_a_zygote_but_no_variables(self) -> None:
        first, second = Sandbox(answer), Sandbox(answer)
        first.run("x = 1")
        second.run("x = 2")
        assert first._zygote is second._zygote
        assert first.run("print(x)").output == "1\n"
        first.close()
        assert second.run("print(x)").output == "2\n"
        second.close()

    def test_a_dead_zygote_is_replaced_by_the_next_turn(self, sandbox: Sandbox) -> None:
        sandbox.run("x = 1")
        os.kill(sandbox._zygote.pid, signal.SIGKILL)
        assert wait_until(lambda: not sandbox._worker.is_usable())
        outcome = sandbox.run("print(2+2)")
        assert (outcome.output, outcome.fresh) == ("4\n", True)
        assert "variables are lost" in outcome.error
        assert sandbox.run("print(2+2)") == Outcome("4\n", "", "", False, "")

    def test_a_dead_zygote_is_replaced_by_reset(self, sandbox: Sandbox) -> None:
        sandbox.run("x = 1")
        os.kill(sandbox._zygote.pid, signal.SIGKILL)
        # The signal takes effect later on a loaded machine; until then, reset would use the dying zygote.
        assert wait_until(lambda: not sandbox._worker.is_usable())
        sandbox.reset()
        sandbox.run("1")
        assert sandbox.run("print(2+2)").output == "4\n"

    def test_a_dead_worker_in_reserve_is_replaced(self, sandbox: Sandbox) -> None:
        sandbox.reset()
        workers = [pid for pid in descendants(sandbox._zygote.pid) if not descendants(pid)]  # also the one in reserve
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not any(map(is_running, workers)))
        sandbox.reset()
        sandbox.run("1")
        assert sandbox.run("print(2+2)").output == "4\n"

    def test_a_collected_sandbox_ends_its_worker(self) -> None:
        box = Sandbox(answer)
        box.run("1")
        home = box._zygote
        settled_footprint(box)
        count = len(descendants(home.pid))
        del box
        gc.collect()
        assert wait_until(lambda: len(descendants(home.pid)) < count)

    @pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
    def test_a_fork_of_the_host_starts_its_own_zygote(self, sandbox: Sandbox) -> None:
        sandbox.run("x = 1")
        pid = os.fork()
        if pid == 0:
            status = 1
            with contextlib.suppress(BaseException):
                outcome = sandbox.run("print(2+2)")
                status = 0 if outcome.output == "4\n" and outcome.fresh else 2
                zygote_client().close()
                sandbox._zygote.close()
            os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert sandbox.run("print(x)").output == "1\n"

    def test_threads_share_a_zygote(self) -> None:
        results: list[str] = []

        def play(n: int) -> None:
            box = Sandbox(lambda app, api, arguments: n)
            for _ in range(3):
                box.reset()
                results.append(box.run(f"print(apis.a.b() == {n})").output)
            box.close()

        threads = [threading.Thread(target=play, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == ["True\n"] * 18

    def test_the_zygote_ends_when_the_host_is_killed(self) -> None:
        code = (
            "from agentgym_hindsight.envs.appworld.sandbox import Sandbox\nimport os, signal\n"
            "s = Sandbox(lambda *_: 1); s.run('1'); print(s._zygote.pid, flush=True)\n"
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        pid = int(done.stdout)
        assert wait_until(lambda: not is_running(pid))

    def test_resets_leave_no_descriptor_process_or_memory(self, sandbox: Sandbox) -> None:
        for _ in range(5):
            sandbox.reset()
            sandbox.run("x = 1")
        before = settled_footprint(sandbox)
        for _ in range(60):
            sandbox.reset()
            sandbox.run("x = 1")
        assert wait_until(lambda: footprint(sandbox).processes <= before.processes)
        after = footprint(sandbox)
        assert after.descriptors == before.descriptors
        assert after.sandbox_kb <= before.sandbox_kb + 1_000


@linux
class TestModes:
    def test_strict_refuses_a_weaker_mode(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AGENTGYM_SANDBOX", "strict")
        with pytest.raises(WorkerError, match=r"Expected a sandbox of namespaces\+seccomp .* got rlimits"):
            Sandbox(answer, without=["namespaces", "seccomp"])

    def test_an_interpreter_that_does_not_start(self) -> None:
        with pytest.raises(WorkerError, match="to start the sandbox's worker process, got no answer"):
            Sandbox(answer, python="/bin/false").run("1")

    @pytest.mark.parametrize("without", [(), ("namespaces",), ("seccomp",), ("namespaces", "seccomp")])
    def test_the_mode_names_the_active_layers(self, without: tuple[str, ...]) -> None:
        box = Sandbox(answer, without=without)
        layers = box.mode.split("+")
        assert not set(layers) & set(without)
        assert box.mode in ("namespaces+seccomp", "namespaces", "seccomp", "rlimits")
        assert box.run("print(2+2)").output == "4\n"
        assert box.run("import random\nrandom._os.listdir('/')").kind == "exception"
        assert box.run("import random\nrandom._os.fork()").kind == "exception"
        box.close()

    @pytest.mark.parametrize("version", ["3.10", "3.12", "3.13"])
    def test_other_python_versions(self, version: str) -> None:
        home = Path.home() / ".pyenv" / "versions"
        found = sorted(home.glob(f"{version}.*/bin/python")) if home.is_dir() else []
        if not found:
            pytest.skip(f"no Python {version} here")
        box = Sandbox(answer, NAMES, LIMITS, python=str(found[-1]), now="2023-05-18")
        assert box.run("from datetime import *\nprint(datetime.now(), date.today())").output == (
            "2023-05-18 00:00:00 2023-05-18\n"
        )
        assert box.run("import sys\nprint('%d.%d' % sys.version_info[:2])").output == f"{version}\n"
        assert box.run("print(apis.mail.inbox()['api'])").output == "inbox\n"
        assert last_line(box.run("1/0")) == "ZeroDivisionError: division by zero"
        assert box.run("x = [0] * 10**10").kind == "memory"
        assert box.run("x = (").kind == "syntax"
        box.limits = SHORT_TURN
        box.reset()
        assert box.run("while True: pass").kind == "timeout"
        box.close()
