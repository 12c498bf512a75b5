"""Hostile code: contained, told, the world intact, nothing left over, the next turn works."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.envs.appworld.sandbox import KINDS, ApiFailure, Limits, Outcome, Sandbox
from agentgym_hindsight.envs.appworld.sandbox.zygote_client import ZygoteClient
from tests.envs.appworld.hostile import PRELUDE, SNIPPETS, Snippet

SECRET = "the-canary-sings-4711"
LIMITS = Limits(memory_mb=64, calls=50)
SHORT = replace(LIMITS, seconds=0.3, grace=0.4)  # for what does not end by itself
#: Each leaves out other walls. The kernel's walls alone come first, for they are the boundary.
WAYS = {"kernel": ("audit",), "all": (), "seccomp": ("namespaces", "audit"), "namespaces": ("seccomp", "audit")}
#: What an agent breaks in its own interpreter stays broken until the next episode.
SPOILS_ITS_OWN_APIS = ("apis attributes", "json patched", "modules emptied")
linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's means are Linux's")


class Bank:
    """A world that counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, app: str, api: str, arguments: dict[str, Any]) -> Any:
        self.calls += 1
        if api == "much":
            return "x" * arguments.get("n", 50_000)
        if api == "refuse":
            raise ApiFailure(403, "No.")
        return {"calls": self.calls}


class Ground:
    """What must stay as it is: a file, its folder, the environment, a port, the processes."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.canary = folder / "canary"
        self.canary.write_text(SECRET)
        patch.setenv("AGENTGYM_CANARY", SECRET)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)

    def code(self, snippet: Snippet) -> str:
        code = snippet.code if snippet.group == "source" else PRELUDE + snippet.code
        return (
            code.replace("CANARY'", f"{self.canary}'")
            .replace("CANARY.", f"{self.canary}.")
            .replace("PORT", str(self.listener.getsockname()[1]))
        )

    def check(self, outcome: Outcome) -> None:
        assert SECRET not in outcome.output + outcome.error
        assert self.canary.read_text() == SECRET
        assert os.listdir(self.canary.parent) == ["canary"]
        assert os.environ["AGENTGYM_CANARY"] == SECRET
        assert not Path("/tmp/agent").exists()
        assert not Path("/dev/shm/agent").exists()
        with pytest.raises(BlockingIOError):
            self.listener.accept()


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    ground = Ground(tmp_path, monkeypatch)
    yield ground
    ground.listener.close()


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(FileNotFoundError):  # it has just ended
        for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found |= {int(each)} | descendants(int(each))
    return found


def settled(home: ZygoteClient) -> int:
    """How many processes the zygote has left, after a moment to bury those that have ended."""
    before = time.monotonic()
    count = len(descendants(home.pid))
    while count > resting(home) and time.monotonic() - before < 3:
        time.sleep(0.02)
        count = len(descendants(home.pid))
    return count


def resting(home: ZygoteClient) -> int:
    """The one in reserve and, with namespaces, the zygote below the process that waits for it."""
    return 1 + ("namespaces" in home.mode)


def contained(snippet: Snippet, ground: Ground, way: tuple[str, ...], exactly: bool) -> None:
    world, limits = Bank(), SHORT if snippet.ends_as("timeout") else LIMITS
    sandbox = Sandbox(world, {"bank": ["look", "pay", "much", "refuse"]}, limits, without=way)
    try:
        began = time.monotonic()
        outcome = sandbox.run(ground.code(snippet))
        took = time.monotonic() - began
        ground.check(outcome)
        assert outcome.kind in KINDS
        if exactly:
            assert snippet.ends_as(outcome.kind), outcome
            assert snippet.says in outcome.output + outcome.error, outcome
        assert took < limits.seconds + limits.grace + 10.0  # a machine under load is slow, not broken
        (outcome.output + outcome.error + outcome.shape).encode()
        assert len(outcome.output) <= limits.output_chars + 99
        assert len(outcome.error) <= limits.error_chars + 199
        assert outcome.fresh == ("variables are lost" in outcome.error)
        if snippet.calls >= 0 and exactly:
            assert world.calls == snippet.calls
        after = sandbox.run("print(2+2)")
        assert after.output == "4\n", after
        if sandbox.run("print(apis.bank.look()['calls'])").output != f"{world.calls}\n":
            assert snippet.name in SPOILS_ITS_OWN_APIS
            sandbox.reset()
            assert sandbox.run("print(apis.bank.look()['calls'])").output == f"{world.calls}\n"
    finally:
        sandbox.close()
    ground.check(outcome)
    assert settled(sandbox._zygote) == resting(sandbox._zygote)


def names(snippet: Snippet) -> str:
    return f"{snippet.group}-{snippet.name}".replace(" ", "_")


def test_there_are_enough() -> None:
    assert len(SNIPPETS) >= 40
    assert len({names(snippet) for snippet in SNIPPETS}) == len(SNIPPETS)


@linux
@pytest.mark.parametrize("snippet", SNIPPETS, ids=names)
def test_the_kernel_alone_contains(snippet: Snippet, ground: Ground) -> None:
    contained(snippet, ground, WAYS["kernel"], exactly=True)


#: With the audit hook: the groups that it changes, in the quick suite; everything in the slow one.
@linux
@pytest.mark.parametrize(
    "snippet", [each for each in SNIPPETS if each.group in ("processes", "files", "network", "signals")], ids=names
)
def test_all_walls_contain(snippet: Snippet, ground: Ground) -> None:
    contained(snippet, ground, WAYS["all"], exactly=False)


@linux
@pytest.mark.slow
@pytest.mark.parametrize("way", ["all", "seccomp", "namespaces"])
@pytest.mark.parametrize("snippet", SNIPPETS, ids=names)
def test_each_wall_contains(snippet: Snippet, way: str, ground: Ground) -> None:
    contained(snippet, ground, WAYS[way], exactly=False)
