"""The second set of hostile code is contained, and does not affect another worker of the same zygote."""

# ruff: noqa: E501  # code in rows
from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgym_hindsight.envs.appworld.sandbox import Limits, Sandbox
from tests.envs.appworld.hostile import FORGE, PRELUDE, SNIPPETS, Snippet
from tests.envs.appworld.hostile_second import (
    DISTURBS_WITHOUT_SECCOMP,
    SECOND_SNIPPETS,
    SLOW,
    SPOILS_ITS_OWN_APIS,
    SPOILS_THE_NEXT_TURN,
)
from tests.envs.appworld.sandbox_helpers import answer, footprint, is_running, linux
from tests.envs.appworld.test_sandbox_between_turns import idle_cpu_seconds
from tests.envs.appworld.test_sandbox_hostile import WAYS, Surroundings, check_contained, names

pytestmark = linux


@pytest.fixture
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Surroundings]:
    surroundings = Surroundings(tmp_path, monkeypatch)
    yield surroundings
    surroundings.listener.close()


@pytest.fixture(scope="module")
def bystanders() -> Iterator[dict[str, Sandbox]]:
    """A worker of each zygote, whose episode must go on."""
    made = {way: Sandbox(answer, without=left_out) for way, left_out in WAYS.items()}
    for each in made.values():
        each.run("kept = 41")
    yield made
    for each in made.values():
        each.close()


def check(snippet: Snippet, way: str, surroundings: Surroundings, bystanders: dict[str, Sandbox]) -> None:
    bystander = bystanders[way]
    before = footprint(bystander)
    exactly = way == "kernel" and "seccomp" in bystander.mode
    check_contained(snippet, surroundings, WAYS[way], exactly, SPOILS_ITS_OWN_APIS, SPOILS_THE_NEXT_TURN)
    after = footprint(bystander)
    assert after.descriptors == before.descriptors
    assert after.host_kb < before.host_kb + 50_000
    if "seccomp" not in bystander.mode and snippet.name in DISTURBS_WITHOUT_SECCOMP:
        bystander._zygote.close()
    outcome = bystander.run("print(kept + 1)")
    if outcome.kind:
        bystander.run("kept = 41")  # for the next test
    if not outcome.fresh or snippet.name not in DISTURBS_WITHOUT_SECCOMP:
        assert (outcome.output, outcome.kind) == ("42\n", ""), outcome


@pytest.mark.parametrize(
    "snippet",
    [
        pytest.param(each, marks=[pytest.mark.slow] if place % 20 or each.name in SLOW else [])
        for place, each in enumerate(SECOND_SNIPPETS)
    ],
    ids=names,
)
def test_the_kernel_layers_alone_contain(
    snippet: Snippet, surroundings: Surroundings, bystanders: dict[str, Sandbox]
) -> None:
    check(snippet, "kernel", surroundings, bystanders)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["all", "seccomp", "namespaces"])
@pytest.mark.parametrize("snippet", SECOND_SNIPPETS, ids=names)
def test_each_layer_contains(
    snippet: Snippet, way: str, surroundings: Surroundings, bystanders: dict[str, Sandbox]
) -> None:
    check(snippet, way, surroundings, bystanders)


def test_the_snippets_are_new_and_have_unique_names() -> None:
    assert len(SECOND_SNIPPETS) >= 110
    assert len({each.name for each in SECOND_SNIPPETS}) == len(SECOND_SNIPPETS)
    assert not {each.code for each in SECOND_SNIPPETS} & {each.code for each in SNIPPETS}
    listed = {*SLOW, *SPOILS_ITS_OWN_APIS, *SPOILS_THE_NEXT_TURN, *DISTURBS_WITHOUT_SECCOMP}
    assert listed <= {each.name for each in SECOND_SNIPPETS}


@pytest.mark.parametrize(
    "code", ["'[' * 1000000", """'{"a":' * 190000""", """'{"a": "\\\\\\\\", "b": ' + '[' * 900000"""]
)
def test_deep_messages_do_not_overflow_the_stack_of_a_host_with_a_high_limit_of_recursion(code: str) -> None:
    """Before Python 3.12, the JSON parser is only stopped by that limit, which many programs raise."""
    host = (
        "import sys; sys.setrecursionlimit(10**6)\nfrom agentgym_hindsight.envs.appworld.sandbox import Sandbox\n"
        "s = Sandbox(lambda *_: 1, without=['audit'])\n"
        f"print(s.run({PRELUDE + f'send({code})'!r}).kind, s.run('print(2+2)').output)"
    )
    done = subprocess.run([sys.executable, "-c", host], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "protocol 4\n\n"), done.stderr


@pytest.mark.slow
def test_a_message_of_an_earlier_turn_gives_no_second_time() -> None:
    """The worker sends it late in its turn, and the code of the turn, which then runs in a new worker, does not stop."""
    sandbox = Sandbox(answer, limits=Limits(seconds=1.5, grace=1.5), without=["audit"])
    late = FORGE + (
        "import time\nw, old = worker(), worker()._nonce\n"
        "def turn(*_):\n  time.sleep(2.7)\n  message = {'type': 'done', 'nonce': old}\n  return message\nw._turn = turn"
    )
    assert sandbox.run(PRELUDE + late).kind == ""
    began = time.monotonic()
    outcome = sandbox.run("def f():\n  try:\n    for _ in iter(int, 1): x = 1\n  finally: f()\nf()")
    took = time.monotonic() - began
    assert (outcome.kind, outcome.fresh) == ("timeout", True)
    assert took < 4.8, "with a second time it took 5.7 s"
    sandbox.close()


class TestWithoutSeccomp:
    """Such a worker can make any system call that its user may make."""

    #: A timer of the kernel that sends SIGCONT ten times a second.
    TIMER = (
        "import struct\nc = named('CDLL')(None)\ndef room(n, data=b''):\n  r = (named('c_char') * n)()\n  r.raw = data.ljust(n, b'\\0')\n  return r\n"
        "event, timer = room(64, struct.pack('QiI', 0, 18, 0)), room(8)\n"
        "create, settime = (222, 223) if sys.implementation._multiarch.startswith('x86_64') else (107, 110)\n"
        "print(c.syscall(create, 1, event, timer))\n"
        "c.syscall(settime, struct.unpack_from('i', timer.raw)[0], 0, room(32, struct.pack('qqqq', 0, 10**8, 0, 10**8)), None)\n"
    )

    @pytest.mark.parametrize("way", [("seccomp", "audit"), ("namespaces", "seccomp", "audit")])
    def test_no_timer_resumes_a_stopped_worker(self, way: tuple[str, ...]) -> None:
        sandbox = Sandbox(answer, limits=Limits(seconds=20.0), without=way)
        sandbox.run(f"{PRELUDE}{self.TIMER}{FORGE}done()\nwhile True: pass")
        assert idle_cpu_seconds(sandbox) < 0.2, "a loop would use 0.6 s"
        sandbox.close()

    @pytest.fixture
    def pair(self) -> Iterator[tuple[Sandbox, Sandbox]]:
        """A hostile episode and another one, of the same zygote."""
        first, second = (Sandbox(answer, without=("seccomp", "audit")) for _ in range(2))
        if first.mode != "namespaces":
            pytest.skip(f"this machine has {first.mode}")
        second.run("kept = 41")
        yield first, second
        first.close()
        second.close()

    def test_an_interrupt_does_not_end_the_zygote(self, pair: tuple[Sandbox, Sandbox]) -> None:
        hostile, other = pair
        hostile.run(f"{PRELUDE}os.kill(1, 2)\nos.killpg(0, 2)")
        assert other.run("print(kept + 1)").output == "42\n"

    @pytest.mark.parametrize("limit", [6, 7], ids=["processes", "open_files"])
    def test_a_zygote_with_lowered_limits_is_replaced(self, pair: tuple[Sandbox, Sandbox], limit: int) -> None:
        hostile, other = pair
        zygote = hostile._zygote.pid
        code = f"{PRELUDE}print(named('CDLL')(None).prlimit(1, {limit}, bytes(16), None))"
        assert hostile.run(code).output == "0\n"
        for _ in range(2):  # the first worker may be the one that the zygote kept in reserve
            other.reset()
            assert other.run("print(2+2)").output == "4\n"
        assert not is_running(zygote)
