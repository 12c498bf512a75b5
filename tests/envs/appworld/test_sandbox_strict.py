"""``AGENTGYM_SANDBOX``: its values, and when they are checked."""

from __future__ import annotations

import os
import signal
import sys
import warnings

import pytest

from agentgym_hindsight.envs.appworld.sandbox import Sandbox, SandboxWarning, strictness, zygote_client
from agentgym_hindsight.envs.appworld.sandbox.strictness import STRONGEST, VARIABLE, is_strict
from agentgym_hindsight.envs.appworld.sandbox.zygote_client import ZygoteClient
from agentgym_hindsight.errors import UnknownNameError, WorkerError
from tests.envs.appworld.sandbox_helpers import answer, linux, wait_until

WEAK = ("namespaces", "seccomp")


def without_kernel_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, zygotes of this process find neither namespaces nor seccomp."""
    program = zygote_client._program()
    zygote = program["zygote"].replace('"namespaces" not in without and', "False and")
    zygote = zygote.replace('"seccomp" in without', "True or without")
    assert zygote.count("False and") == zygote.count("True or") == 1
    monkeypatch.setattr(zygote_client, "_program", lambda: {**program, "zygote": zygote})


class TestValues:
    @pytest.mark.parametrize("value", ["strict", "STRICT", " Strict ", "1", "true", "True", "yes", "on"])
    def test_strict(self, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(VARIABLE, value)
        assert is_strict()
        with pytest.raises(WorkerError, match=r"Expected a sandbox of namespaces\+seccomp .* got rlimits"):
            Sandbox(answer, without=WEAK)

    @pytest.mark.parametrize("value", ["", "  ", "auto", "AUTO", "0", "false", "no", "off"])
    def test_not_strict(self, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(VARIABLE, value)
        assert not is_strict()

    @pytest.mark.parametrize("value", ["stict", "2", "none", "strict please"])
    def test_unknown_values_are_refused_with_the_known_ones(self, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(VARIABLE, value)
        with pytest.raises(UnknownNameError, match=f"value of {VARIABLE}.*Known: .*auto.* strict, true, yes"):
            Sandbox(answer)


@linux
class TestEveryStart:
    def test_a_worker_is_refused_if_the_variable_was_set_after_the_zygote_started(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sandbox = Sandbox(answer, without=WEAK)
        assert sandbox.run("print(1)").output == "1\n"
        monkeypatch.setenv(VARIABLE, "strict")
        with pytest.raises(WorkerError, match="got rlimits"):
            sandbox.reset()
        sandbox.close()
        with pytest.raises(WorkerError, match="got rlimits"):
            sandbox.run("print(1)")

    def test_a_weaker_zygote_is_refused_when_one_restarts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        client = ZygoteClient(sys.executable, frozenset())
        if client.mode != STRONGEST:
            pytest.skip(f"this machine has {client.mode} only")
        monkeypatch.setenv(VARIABLE, "strict")
        worker = client.spawn()
        without_kernel_layers(monkeypatch)
        os.kill(client.pid, signal.SIGKILL)
        assert wait_until(lambda: worker.sock.recv(1) == b"")
        worker.close()
        with pytest.raises(WorkerError, match=r"Expected a sandbox of namespaces\+seccomp .* got rlimits"):
            client.spawn()
        assert client.pid == 0
        client.close()


@linux
class TestWarning:
    @pytest.fixture(autouse=True)
    def not_warned_yet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(strictness, "_warned", False)

    def test_falling_to_the_weakest_mode_warns_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        without_kernel_layers(monkeypatch)
        client = ZygoteClient(sys.executable, frozenset())
        with pytest.warns(SandboxWarning, match="contains accidents only; try Linux or WSL, or set AGENTGYM_SANDBOX"):
            assert client.mode == "rlimits"
        client.close()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            client.spawn().close()
        client.close()

    def test_no_warning_if_the_layers_are_left_out_on_purpose(self) -> None:
        client = ZygoteClient(sys.executable, frozenset(WEAK))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert client.mode == "rlimits"
        client.close()
