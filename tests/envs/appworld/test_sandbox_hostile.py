"""Hostile code is contained and reported, the world stays intact, no process is left, and the next turn works."""

from __future__ import annotations

import gc
import os
import socket
import time
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.envs.appworld.sandbox import KINDS, ApiFailure, Limits, Outcome, Sandbox
from agentgym_hindsight.envs.appworld.sandbox.zygote_client import ZygoteClient
from tests.envs.appworld.hostile import PRELUDE, SNIPPETS, Snippet
from tests.envs.appworld.sandbox_helpers import descendants, linux, wait_until

SECRET = "the-canary-sings-4711"
LIMITS = Limits(memory_mb=64, calls=50)
#: Snippets that may need a timeout. A worker that must stop by itself has a long grace, so that it can report even on
#: a busy machine; the others are killed soon.
STOPS = replace(LIMITS, seconds=0.4, grace=20.0)
KILLED = replace(LIMITS, seconds=0.4, grace=0.1)
#: The layers to leave out. The first entry tests the kernel's layers alone, which are the security boundary.
WAYS = {"kernel": ("audit",), "all": (), "seccomp": ("namespaces", "audit"), "namespaces": ("seccomp", "audit")}
#: Snippets that break ``apis`` in their own interpreter until the next episode.
SPOILS_ITS_OWN_APIS = ("apis attributes", "json patched", "modules emptied")
#: Snippets that leave something behind which may end the next turn of their own interpreter.
SPOILS_THE_NEXT_TURN = ("end and garbage", "end and a call", "trace")


class Bank:
    """A world that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, app: str, api: str, arguments: dict[str, Any]) -> Any:
        self.calls += 1
        if api == "much":
            return "x" * arguments.get("n", 50_000)
        if api == "refuse":
            raise ApiFailure(403, "No.")
        return {"calls": self.calls}


class Surroundings:
    """What hostile code must not change or reach: a file, its folder, the environment, a port."""

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
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Surroundings]:
    surroundings = Surroundings(tmp_path, monkeypatch)
    yield surroundings
    surroundings.listener.close()


def idle_process_count(zygote: ZygoteClient) -> int:
    """The worker in reserve and, with namespaces, the zygote below the process that waits for it."""
    return 1 + ("namespaces" in zygote.mode)


def limits_for(snippet: Snippet) -> Limits:
    if not snippet.ends_as("timeout"):
        return LIMITS
    return STOPS if snippet.says and "lost" not in snippet.says else KILLED


def check_contained(
    snippet: Snippet,
    surroundings: Surroundings,
    way: tuple[str, ...],
    exactly: bool,
    spoils_its_own_apis: Container[str] = SPOILS_ITS_OWN_APIS,
    spoils_the_next_turn: Container[str] = SPOILS_THE_NEXT_TURN,
) -> None:
    world, limits = Bank(), limits_for(snippet)
    sandbox = Sandbox(world, {"bank": ["look", "pay", "much", "refuse"]}, limits, without=way)
    zygote = sandbox._zygote
    # A sandbox of another test that waits for the garbage collector would be counted, and the reserve perhaps not yet.
    gc.collect()
    processes = max(len(descendants(zygote.pid)), idle_process_count(zygote))
    try:
        began = time.monotonic()
        outcome = sandbox.run(surroundings.code(snippet))
        took = time.monotonic() - began
        sandbox.limits = LIMITS  # a new worker may need longer to start on a busy machine
        surroundings.check(outcome)
        assert outcome.kind in KINDS
        if exactly:
            assert snippet.ends_as(outcome.kind), outcome
            assert snippet.says in outcome.output + outcome.error, outcome
        assert took < limits.seconds + limits.grace + 60.0  # detects a run that ignores its deadline
        (outcome.output + outcome.error + outcome.shape).encode()
        assert len(outcome.output) <= limits.output_chars + 99
        assert len(outcome.error) <= limits.error_chars + 199
        assert outcome.fresh == ("variables are lost" in outcome.error)
        if snippet.calls >= 0 and exactly:
            assert world.calls == snippet.calls
        after = sandbox.run("print(2+2)")
        if snippet.name in spoils_the_next_turn and after.kind in ("protocol", "timeout", "died"):
            assert after.fresh
            after = sandbox.run("print(2+2)")
        assert after.output == "4\n", after
        if sandbox.run("print(apis.bank.look()['calls'])").output != f"{world.calls}\n":
            assert snippet.name in spoils_its_own_apis
            sandbox.reset()
            assert sandbox.run("print(apis.bank.look()['calls'])").output == f"{world.calls}\n"
    finally:
        sandbox.close()
    surroundings.check(outcome)
    gc.collect()
    assert wait_until(lambda: len(descendants(zygote.pid)) <= processes), "a process is left"


def names(snippet: Snippet) -> str:
    return f"{snippet.group}-{snippet.name}".replace(" ", "_")


def test_the_snippets_have_unique_names() -> None:
    assert len(SNIPPETS) >= 40
    assert len({names(snippet) for snippet in SNIPPETS}) == len(SNIPPETS)


def sampled(snippets: Sequence[Snippet]) -> list[Any]:
    """Every twentieth snippet for the fast suite; the slow suite has the others."""
    return [pytest.param(each, marks=[pytest.mark.slow] if place % 20 else []) for place, each in enumerate(snippets)]


@linux
@pytest.mark.parametrize("snippet", sampled(SNIPPETS), ids=names)
def test_the_kernel_layers_alone_contain(snippet: Snippet, surroundings: Surroundings) -> None:
    check_contained(snippet, surroundings, WAYS["kernel"], exactly=True)


#: With the audit hook. The fast suite runs some of the groups that the hook affects; the slow suite runs all.
@linux
@pytest.mark.parametrize(
    "snippet", [each for each in SNIPPETS if each.group in ("processes", "files", "network", "signals")][::8], ids=names
)
def test_all_layers_contain(snippet: Snippet, surroundings: Surroundings) -> None:
    check_contained(snippet, surroundings, WAYS["all"], exactly=False)


@linux
@pytest.mark.slow
@pytest.mark.parametrize("way", ["all", "seccomp", "namespaces"])
@pytest.mark.parametrize("snippet", SNIPPETS, ids=names)
def test_each_layer_contains(snippet: Snippet, way: str, surroundings: Surroundings) -> None:
    check_contained(snippet, surroundings, WAYS[way], exactly=False)
