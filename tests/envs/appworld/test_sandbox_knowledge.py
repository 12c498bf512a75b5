"""What code in a worker can find out: nothing about the host, the task's number, its split or its seed."""

# ruff: noqa: E501  # code in rows
from __future__ import annotations

import os
import random
import socket
import sys
from hashlib import blake2b
from pathlib import Path

import pytest

import agentgym_hindsight
from agentgym_hindsight.envs.appworld.env import AppWorldEnv
from agentgym_hindsight.envs.appworld.sandbox import Limits, Sandbox
from tests.envs.appworld.hostile import PRELUDE
from tests.envs.appworld.sandbox_helpers import answer, linux

#: Visits every object that can be reached, and prints the texts that contain one of ``needles``. The needles are given
#: in reverse, so that the program does not find itself.
SCAN = """
gc = sys.modules['gc']
gc.unfreeze()
needles = [text[::-1] for text in NEEDLES]
seen, waiting = set(map(id, needles)), list(gc.get_objects())
while waiting:
    each = waiting.pop()
    if id(each) in seen:
        continue
    seen.add(id(each))
    if type(each) is str or type(each) is bytes:
        text = each if type(each) is str else each.decode('latin-1')
        for needle in needles:
            if needle in text:
                print(repr(text[:200]))
        continue
    waiting += gc.get_referents(each)
    if type(each).__name__ == 'code':
        waiting += [each.co_filename, each.co_name, *each.co_consts]
print(len(seen) > 20000)
"""
LIMITS = Limits(seconds=60.0, memory_mb=512)


def scanning(needles: list[str]) -> str:
    return PRELUDE + SCAN.replace("NEEDLES", repr([needle[::-1] for needle in needles]))


def host_paths() -> list[str]:
    """Paths of this machine. Short ones such as /usr occur in constants of the standard library."""
    paths = [
        os.path.dirname(os.__file__),
        str(Path(agentgym_hindsight.__file__).parent.parent),
        sys.executable,
        os.path.realpath(sys.executable),
        os.getcwd(),
    ]
    prefixes = [each for each in (sys.prefix, sys.base_prefix, str(Path.home())) if len(each) > len("/usr")]
    return [*paths, *prefixes]


@linux
class TestHost:
    def test_no_object_holds_a_path_or_a_secret_of_the_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AGENTGYM_CANARY", "the-canary-sings-4711")
        sandbox = Sandbox(answer, limits=LIMITS, without=["audit"])
        assert sandbox.run(scanning([*host_paths(), "the-canary-sings", "AGENTGYM_"])).output == "True\n"
        sandbox.close()

    def test_the_scan_finds_what_there_is(self) -> None:
        sandbox = Sandbox(answer, limits=LIMITS, without=["audit"])
        sandbox.run("hidden = [{'a': ('a needle ' + 'in hay',)}]")
        assert "'a needle in hay'\n" in sandbox.run(scanning(["needle in ha"])).output
        sandbox.close()

    @pytest.mark.parametrize(
        ("code", "printed"),
        [
            ("import json\nprint(json)", "<module 'json'>"),
            ("import random\nprint(random)", "<module 'random'>"),
            (
                "try:\n    from json import nope\nexcept ImportError as error:\n    print(error)",
                "cannot import name 'nope' from 'json' (unknown location)",
            ),
            ("import sys\nprint(sys.argv, sys.orig_argv, sys.path, sys.executable, sys.prefix, sys.exec_prefix)", "[] [] []   "),
            ("import json\nprint(json.loads.__code__.co_filename)", "<python>/json/__init__.py"),
            (
                "import random\nprint(sorted(random._os.environ))",
                "['PYTHONHASHSEED', 'PYTHONUTF8', 'TZ']",
            ),
        ],
    )  # fmt: skip
    def test_python_shows_no_path(self, sandbox: Sandbox, code: str, printed: str) -> None:
        assert sandbox.run(code).output == f"{printed}\n"

    def test_tracebacks_show_no_path(self, sandbox: Sandbox) -> None:
        output = sandbox.run(
            "import json, traceback\ntry:\n    json.loads('{')\nexcept ValueError:\n    traceback.print_exc()"
        ).output
        assert 'File "<python>/json/decoder.py", line ' in output
        output = sandbox.run("try:\n    apis.mail.inbox(x={1})\nexcept TypeError:\n    traceback.print_exc()").output
        assert 'File "<sandbox>/worker.py", line ' in output

    def test_command_line_and_environment_are_overwritten(self) -> None:
        """Also in the memory of the process, which code reaches by ctypes, and in the list of processes."""
        sandbox = Sandbox(answer)
        sandbox.run("1")
        folder = Path(f"/proc/{sandbox._zygote.pid}")
        assert folder.joinpath("cmdline").read_bytes().rstrip(b"\0") == b"agentgym-sandbox"
        assert folder.joinpath("environ").read_bytes().strip(b"\0") == b""
        sandbox.close()

    def test_the_worker_holds_no_object_of_the_zygote(self) -> None:
        """Not the other workers' process ids, and not the socket on which the zygote is asked for workers."""
        sandbox = Sandbox(answer, without=["audit"])
        code = "gc = sys.modules['gc']\ngc.unfreeze()\nprint({type(o).__name__ for o in gc.get_objects()} & {'Zygote', 'socket', 'SocketIO'})"
        assert sandbox.run(PRELUDE + code).output == "set()\n"
        sandbox.close()

    def test_process_ids_do_not_count_the_episodes(self) -> None:
        sandbox = Sandbox(answer, without=["audit"])
        if "seccomp" not in sandbox.mode:
            pytest.skip("process ids are hidden by seccomp")
        code = PRELUDE + "print(os.getpid(), sys.modules['_thread'].get_native_id() % 2**64)"
        outputs = set()
        for _ in range(3):
            sandbox.reset()
            outputs.add(sandbox.run(code).output)
        assert outputs == {f"-1 {2**64 - 1}\n"}
        sandbox.close()

    def test_the_name_of_the_host_is_hidden_by_namespaces(self) -> None:
        sandbox = Sandbox(answer, without=["seccomp", "audit"])
        if "namespaces" not in sandbox.mode:
            pytest.skip("there are no namespaces here")
        output = sandbox.run(PRELUDE + "print(os.uname().nodename)").output
        assert output == "sandbox\n" != f"{socket.gethostname()}\n"
        sandbox.close()


class TestTask:
    """The task's number and its world's seed are small integers: what depends on them alone can be found by trial."""

    FIRST_DRAW = "import random\nprint(random.random())"
    LOGIN = (
        "row = next(r for r in apis.supervisor.show_account_passwords() if r['app'] == 'notes')\n"
        "print(apis.notes.login(username=row['username'], password=row['password'])['access_token'])"
    )

    def printed(self, env: AppWorldEnv, code: str, task_id: str) -> str:
        env.reset(options={"task_id": task_id})
        return env.step(code)[0]

    def tasks(self, env: AppWorldEnv) -> list[str]:
        return [env.backend.task("train", index).id for index in (0, 1, 100, 1400)]

    def test_random_numbers_do_not_reveal_the_number(self) -> None:
        env = AppWorldEnv()
        numbers = {str(random.Random(number).random()) for number in range(5_000)}
        draws = [self.printed(env, self.FIRST_DRAW, task) for task in self.tasks(env)]
        assert not numbers & set(draws)
        assert len(set(draws)) == len(draws)
        env.close()

    def test_random_numbers_depend_on_what_the_agent_is_shown(self) -> None:
        env, other = AppWorldEnv(), AppWorldEnv()
        task = self.tasks(env)[2]
        assert self.printed(env, self.FIRST_DRAW, task) == self.printed(other, self.FIRST_DRAW, task)
        env.close()
        other.close()

    def test_tokens_do_not_reveal_the_seed_of_the_world(self) -> None:
        env = AppWorldEnv()
        task = self.tasks(env)[1]
        token = self.printed(env, self.LOGIN, task)
        user, seed = env.backend.play.world.supervisor.email, env.backend.play.world.seed  # type: ignore[union-attr]
        for value in (seed, *range(3_000)):
            text = "\x1f".join(("hamlet-token", str(value), "notes", user, "1")).encode()
            assert token != f"notes-{blake2b(text, digest_size=12).hexdigest()}"
        assert self.printed(env, self.LOGIN, task) == token
        env.close()

    def test_no_object_holds_the_task(self) -> None:
        env = AppWorldEnv(limits={"seconds": 60.0, "memory_mb": 512})
        _, info = env.reset(options={"task_id": self.tasks(env)[2]})
        made = env.backend.play.made  # type: ignore[union-attr]
        code = made.job.solution[-1].splitlines()[-1]
        assert len(code) > 10
        needles = [made.id, made.template.name, info["goal"][:30], code]
        assert env.step(scanning(needles))[0] == "True"
        env.close()


class TestProcessorTime:
    LIMITS = Limits(seconds=60.0, cpu_seconds=1, grace=1.0)

    def test_the_end_of_the_processor_time_is_a_timeout_and_keeps_the_output(self) -> None:
        sandbox = Sandbox(answer, limits=self.LIMITS)
        outcome = sandbox.run("print('before')\nwhile True:\n    pass")
        assert (outcome.kind, outcome.fresh, outcome.output) == ("timeout", True, "before\n")
        assert "TimeoutError: the interpreter used up its 1 s of processor time; the interpreter was" in outcome.error
        assert sandbox.run("print(2+2)").output == "4\n"
        sandbox.close()

    def test_so_it_is_if_the_code_swallows_the_exception(self) -> None:
        sandbox = Sandbox(answer, limits=self.LIMITS)
        outcome = sandbox.run("while True:\n  try:\n    while True: pass\n  except BaseException: pass")
        assert (outcome.kind, outcome.fresh) == ("timeout", True)
        assert "TimeoutError: the interpreter used up its 1 s of processor time" in outcome.error
        sandbox.close()

    def test_it_counts_all_turns_of_an_episode(self) -> None:
        sandbox = Sandbox(answer, limits=self.LIMITS)
        work = "import time\nstart = time.process_time()\nwhile time.process_time() < start + 0.4: pass"
        kinds = [sandbox.run(work).kind for _ in range(4)]
        assert kinds.count("timeout") == 1
        assert kinds[0] == ""
        sandbox.close()
