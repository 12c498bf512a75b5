"""Attempts to get unearned reward, and hostile or odd inputs to the host."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.envs.appworld.env import AppWorldEnv
from agentgym_hindsight.envs.appworld.miniature.backend import MiniatureBackend
from agentgym_hindsight.envs.appworld.miniature.library import MiniatureLibrary
from agentgym_hindsight.envs.appworld.miniature.world import World
from agentgym_hindsight.envs.appworld.official.replies import read_verdict
from agentgym_hindsight.envs.appworld.sandbox import Limits, Sandbox
from agentgym_hindsight.envs.appworld.sandbox.inside.zygote import Zygote
from agentgym_hindsight.envs.appworld.sandbox.zygote_client import ZygoteClient, zygote_client
from agentgym_hindsight.envs.thought import Thought
from agentgym_hindsight.errors import UsageError, WorkerError
from agentgym_hindsight.hindsight.jsonl import read_jsonl, write_jsonl
from agentgym_hindsight.vector import HindsightVectorEnv
from tests.envs.appworld.hostile import PRELUDE

ROOT = Path(__file__).parents[3]


def echo(app: str, api: str, arguments: dict[str, Any]) -> Any:
    return arguments


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(echo, None, Limits(seconds=2.0))
    yield made
    made.close()


@pytest.fixture
def env() -> Iterator[AppWorldEnv]:
    made = AppWorldEnv()
    yield made
    made.close()


class TestUnearnedReward:
    """Reward needs at least one wanted change or the right answer."""

    def test_completing_at_once_has_no_reward(self) -> None:
        for template in ("count_tagged", "send_money", "ask_the_time"):
            env = AppWorldEnv(templates=[template])
            for ending in ("", "status='fail'", "answer='?'", "answer=[1, 'a']", "answer=True"):
                env.reset(seed=0)
                _, reward, terminated, _, info = env.step(f"apis.supervisor.complete_task({ending})")
                assert (reward, terminated, info["won"]) == (0.0, True, False), (template, ending)
                assert info["score"] == 0.0, (template, ending)
            env.close()

    def test_tests_that_doing_nothing_passes_give_no_reward(self) -> None:
        """The genuine benchmark labels such tests ``no_op_pass``."""
        free, earned = ({"requirement": "a", "label": f"no_op_{label}"} for label in ("pass", "fail"))
        assert read_verdict({"passes": [free], "failures": [earned]}).reward == 0.0
        assert read_verdict({"passes": [earned], "failures": [free]}).reward == 0.5
        assert read_verdict({"passes": [free], "failures": [earned]}).closed().reward == 0.0
        assert read_verdict({"passes": [free], "failures": []}).reward == 1.0, "all tests pass"

    def test_code_after_complete_task_changes_nothing(self, env: AppWorldEnv) -> None:
        """It changes neither the answer nor a table."""
        env.reset(seed=0)
        code = (
            "passwords = {row['app']: row for row in apis.supervisor.show_account_passwords()}\n"
            "me = passwords['notes']\n"
            "token = apis.notes.login(username=me['username'], password=me['password'])['access_token']\n"
            "apis.supervisor.complete_task(answer='first')\n"
            "for call in (lambda: apis.supervisor.complete_task(answer='second'),\n"
            "             lambda: apis.notes.create_note(access_token=token, title='late')):\n"
            "    try: call()\n"
            "    except ApiError as error: print(error.status)"
        )
        observation, *_, terminated, _, _ = env.step(code)
        assert (observation, terminated) == ("409\n409\nThe task is completed.", True)
        assert env.backend.play.world.answer == "first"  # type: ignore[union-attr]
        assert not env.backend.play.world.delta()  # type: ignore[union-attr]


class TestForgedMessages:
    """Messages that code in the sandbox writes to the host's connection itself."""

    def test_a_first_message_without_a_nonce_is_a_protocol_error(self, sandbox: Sandbox) -> None:
        for message in ("{}", '{"type": "done"}', '{"nonce": null, "type": "done"}'):
            outcome = sandbox.run(f"{PRELUDE}send({message!r})")
            assert (outcome.kind, outcome.fresh) == ("protocol", True), message
            assert sandbox.run("print(1)").output == "1\n"

    def test_slowly_written_bytes_do_not_extend_the_time_limit(self) -> None:
        """The 99 bytes of this message would take two seconds; then it would be a protocol error."""
        sandbox = Sandbox(echo, None, Limits(seconds=0.3, grace=0.3))
        drip = "import time\nos.write(worker()._channel._descriptor, bytes([0, 0, 99, 0]))\nworker()._timer.stop()\n"
        drip += "while True:\n    os.write(worker()._channel._descriptor, b'x')\n    time.sleep(0.02)"
        assert sandbox.run(PRELUDE + drip).kind == "timeout"
        sandbox.close()

    def test_a_call_after_a_forged_end_message_reaches_no_later_turn(self) -> None:
        calls: list[str] = []
        sandbox = Sandbox(lambda app, api, arguments: calls.append(api), None, Limits(seconds=1.0, grace=0.5))
        forged = "import json, time\nnonce = worker()._nonce\n"
        forged += "done = {'type': 'done', 'nonce': nonce, 'output': 'x', 'error': '', 'kind': '', 'shape': ''}\n"
        forged += "send(json.dumps(done))\ntime.sleep(0.2)\n"
        forged += "send(json.dumps({'type': 'call', 'nonce': nonce, 'app': 'a', 'api': 'late', 'arguments': {}}))"
        assert sandbox.run(PRELUDE + forged).output == "x"
        time.sleep(0.4)
        assert sandbox.run("print(2)").output == "2\n"
        assert calls == []
        sandbox.close()


class TestHostTime:
    """The time limit of a turn does not cover the host, so no API may be slow, whatever an agent has stored."""

    def test_counting_tags_and_relationships_takes_linear_time(self) -> None:
        world = World.new(3)
        passwords = {row["app"]: row for row in world.call("supervisor", "show_account_passwords", {})}
        tokens = {
            app: world.call(app, "login", {name: passwords[app][name] for name in ("username", "password")})
            for app in ("notes", "phone")
        }
        notes, phone = ({"access_token": tokens[app]["access_token"]} for app in ("notes", "phone"))
        words = [[f"{50 * place + word:x}" for word in range(50)] for place in range(300)]
        for place, row in enumerate(words):
            world.call("notes", "create_note", {**notes, "title": "x", "tags": row})
            number = f"{1_000_000 + place}"
            world.call("phone", "add_contact", {**phone, "name": "x", "phone_number": number, "relationships": row})
        began = time.process_time()
        assert len(world.call("notes", "show_tags", notes)) >= 15_000
        assert len(world.call("phone", "show_relationships", phone)) >= 15_000
        assert time.process_time() - began < 2, "CPU seconds; counting each of 15,000 words by a scan takes ten"
        world.close()


class TestProcesses:
    @pytest.mark.parametrize("without", [(), ("namespaces",)])
    def test_a_sandbox_outlives_the_thread_that_started_it(self, without: tuple[str, ...]) -> None:
        """The parent-death signal of Linux is sent when the thread that started a process ends."""
        made: list[Sandbox] = []

        def begin() -> None:
            zygote_client(
                "", frozenset(without)
            ).close()  # else a zygote of another test, started in a live thread, is used
            made.append(Sandbox(echo, without=without))
            made[0].run("x = 1")

        thread = threading.Thread(target=begin)
        thread.start()
        thread.join()
        time.sleep(0.2)
        assert made[0].run("print(x)").output == "1\n"
        made[0].close()

    @pytest.mark.parametrize("scarce", ["fork", "socketpair"])
    def test_a_failed_fork_affects_no_other_sandbox(self, scarce: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A zygote that cannot fork reports it and keeps running; the host neither ends nor replaces it."""

        def none_left(*_: object) -> None:
            raise BlockingIOError

        ours, theirs = socket.socketpair()
        home = ZygoteClient("", frozenset())
        home._control = ours
        home._mode = "namespaces+seccomp"
        zygote = Zygote(theirs)
        with ours, theirs, zygote._requests:
            monkeypatch.setattr(os if scarce == "fork" else socket, scarce, none_left)
            made = zygote._fork()
            assert made is None
            zygote._hand_over(made)
            with pytest.raises(WorkerError, match="got none; try fewer processes"):
                home.spawn()
            assert home._control is ours

    def test_after_a_killed_zygote_the_episode_continues_without_variables(self, env: AppWorldEnv) -> None:
        env.reset(seed=0)
        env.step("x = 1")
        os.kill(env.backend._sandbox._zygote.pid, signal.SIGKILL)  # type: ignore[union-attr]
        time.sleep(0.2)
        observation, *_, info = env.step("print(apis.phone.show_time()['weekday'])")
        assert "variables are lost" in observation
        assert info["extra"].replaced
        assert not info["action_valid"]
        assert env.step("print(1)")[0] == "1"

    def test_a_killed_worker_of_a_vector_env_breaks_only_its_rollout(self) -> None:
        venv = HindsightVectorEnv("AppWorld-Hindsight-v0", 2, workers=2)
        venv.reset(seed=0)
        *_, infos = venv.step(["x = 1"] * 2)
        assert list(infos["broken"]) == ["", ""]
        os.kill(venv._pool._workers[0].process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        *_, infos = venv.step(["print(1)"] * 2)
        assert [bool(why) for why in infos["broken"]] == [True, False]
        observations, infos = venv.reset(seed=1)
        assert not any(infos["broken"])
        assert all(observations)
        venv.close()


class TestDeterminism:
    """The same code prints the same text in any process, with any hash seed, and after any other episode."""

    CODES = (
        "import uuid, secrets, random\nprint(uuid.uuid4(), uuid.uuid1(), secrets.token_hex(4), random.random())",
        "import random\nprint(random.Random().random(), random.SystemRandom().random(), random._os.urandom(3))",
        "import random\nrandom.seed()\nprint(random.random())",
        "print({None, 'a', 1.5, len, object}, object(), lambda: 0, apis)",
        "import time\nprint(time.time(), time.clock_gettime(time.CLOCK_REALTIME), time.ctime())",
        "class A: pass\nraise ValueError(A())",
    )

    def test_the_output_is_the_same_in_other_processes(self) -> None:
        code = (
            "import sys\nfrom agentgym_hindsight.envs.appworld.env import AppWorldEnv\n"
            "env = AppWorldEnv()\nenv.reset(seed=5)\n"
            "for code in eval(sys.stdin.read()):\n    print(env.step(code)[0], env._anchor)\nenv.close()"
        )
        pages = [
            subprocess.run(
                [sys.executable, "-c", code],
                input=repr(self.CODES),
                capture_output=True,
                text=True,
                check=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONHASHSEED": seed},
            ).stdout
            for seed in ("0", "1", "random")
        ]
        assert pages[0] == pages[1] == pages[2]
        assert " at 0x…>" in pages[0]

    def test_the_output_does_not_depend_on_another_backend(self) -> None:
        alone = MiniatureBackend(MiniatureLibrary())
        first, second = MiniatureBackend(MiniatureLibrary()), MiniatureBackend(MiniatureLibrary())
        for backend in (alone, first, second):
            backend.start(backend.task("train", 7))
        for code in self.CODES:
            expected = alone.act(code)
            for backend in (second, first):
                turn = backend.act(code)
                assert (turn.observation, turn.state) == (expected.observation, expected.state)
        for backend in (alone, first, second):
            backend.close()

    def test_random_values_depend_on_the_seed(self, sandbox: Sandbox) -> None:
        def drawn(seed: int) -> str:
            sandbox.reset(seed=seed)
            return sandbox.run("import uuid\nprint(uuid.uuid4(), uuid.uuid4())").output

        assert drawn(1) == drawn(1) != drawn(2)
        assert len(set(drawn(1).split())) == 2


class TestInputs:
    def test_a_thought_runs_no_code(self, env: AppWorldEnv) -> None:
        env.reset(seed=0)
        *_, info = env.step("apis.phone.show_time()\n1 / 0")
        assert (info["extra"].error, info["extra"].calls) == ("exception", 1)
        *_, info = env.step(Thought("hm"))
        assert (info["extra"].error, info["extra"].calls, info["extra"].changes) == ("", 0, "")
        assert info["extra"].template

    def test_code_that_is_too_long_does_not_change_the_state(self, env: AppWorldEnv) -> None:
        env.reset(seed=0)
        *_, before = env.step("x = 1")
        *_, after = env.step("y = 1\n" * 200_000)
        assert not after["action_valid"]
        assert after["anchor"] == before["anchor"]
        assert env.step("print(x)")[0] == "1"

    def test_surrogates_are_stored_and_read_again(self, tmp_path: Path) -> None:
        env = AppWorldEnv(max_steps=2)
        env.reset(seed=0)
        env.step("print('\ud800\x00')")
        *_, truncated, _ = env.step("")
        assert truncated
        write_jsonl(tmp_path / "t.jsonl", [env.trajectory()])
        assert read_jsonl(tmp_path / "t.jsonl").trajectories[0] == env.trajectory()
        env.close()
        env.close()

    def test_invalid_limits_are_errors(self) -> None:
        cases: list[dict[str, Any]] = [
            {"memory_mb": 256.5},
            {"output_chars": 10.5},
            {"calls": True},
            {"seconds": float("inf")},
            {"seconds": float("nan")},
            {"recursion": 3},
            {"cpu_seconds": 10**30},
            {"seconds": True},
        ]
        for limits in cases:
            with pytest.raises(UsageError, match=f"Expected {next(iter(limits))}.*, got .*; try "):
                AppWorldEnv(limits=limits)

    def test_the_smallest_recursion_limit_works(self) -> None:
        sandbox = Sandbox(echo, None, Limits(recursion=100))
        assert sandbox.run("print(apis.a.b(n=[[1]]))").output == "{'n': [[1]]}\n"
        assert sandbox.run("def f(): f()\nf()").error.splitlines()[-1].startswith("RecursionError")
        assert sandbox.run("print(apis.a.b())").output == "{}\n"
        sandbox.close()
