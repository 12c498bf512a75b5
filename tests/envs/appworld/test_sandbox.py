"""Ordinary code in the sandbox, and the sandbox as a guest of its host."""

# ruff: noqa: E501  # code in rows
from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.envs.appworld.sandbox import ApiFailure, Limits, Outcome, Sandbox
from agentgym_hindsight.envs.appworld.sandbox.inside import seccomp
from agentgym_hindsight.envs.appworld.sandbox.inside.report import Output, shape
from agentgym_hindsight.envs.appworld.sandbox.host_channel import is_safe_json
from agentgym_hindsight.envs.appworld.sandbox.zygote_client import zygote_client
from agentgym_hindsight.errors import UnknownNameError, UsageError, WorkerError

NAMES = {"mail": ["send", "inbox"], "bank": ["pay", "balance"]}
LIMITS = Limits(calls=5)
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def answer(app: str, api: str, arguments: dict[str, Any]) -> Any:
    if api == "pay":
        raise ApiFailure(401, 'Log in first, "please".')
    return {"app": app, "api": api, **arguments}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(answer, NAMES, LIMITS)
    yield sandbox
    sandbox.close()


def last(outcome: Outcome) -> str:
    return outcome.error.splitlines()[-1]


class TestCells:
    def test_variables_live_on(self, sandbox: Sandbox) -> None:
        assert sandbox.run("x = [1, 2]\ndef f(n):\n    return [n * each for each in x]") == Outcome(
            "", "", "", False, "f:function x:list[2]"
        )
        assert sandbox.run("x.append(3)\nprint(f(2))").output == "[2, 4, 6]\n"

    def test_only_what_is_printed_is_output(self, sandbox: Sandbox) -> None:
        assert sandbox.run("1 + 1\n'text'").output == ""

    def test_order_of_printing(self, sandbox: Sandbox) -> None:
        code = "import sys\nprint('a', end='')\nsys.stderr.write('b')\nsys.stdout.write('c')\nprint('d', flush=True)"
        assert sandbox.run(code).output == "abcd\n"

    def test_print_into_a_buffer(self, sandbox: Sandbox) -> None:
        code = "import io, contextlib\nb = io.StringIO()\nwith contextlib.redirect_stdout(b): print('x')\nprint(b.getvalue())"
        assert sandbox.run(code).output == "x\n\n"

    def test_what_was_printed_before_an_error_is_kept(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("print(1)\nnope")
        assert outcome.output == "1\n"
        assert last(outcome) == "NameError: name 'nope' is not defined"

    def test_reset_forgets(self, sandbox: Sandbox) -> None:
        sandbox.run("x = 1")
        sandbox.reset()
        outcome = sandbox.run("print(x)")
        assert (outcome.kind, outcome.fresh, last(outcome)) == (
            "exception",
            False,
            "NameError: name 'x' is not defined",
        )

    def test_closed_and_used_again(self, sandbox: Sandbox) -> None:
        sandbox.close()
        sandbox.close()
        assert sandbox.run("print(1)").output == "1\n"

    def test_main_guard_classes_and_dataclasses(self, sandbox: Sandbox) -> None:
        code = (
            "from __future__ import annotations\nfrom dataclasses import dataclass\n"
            "@dataclass\nclass P:\n    x: int = 1\nif __name__ == '__main__':\n    print(P(), [P(n) for n in range(2)])"
        )
        assert sandbox.run(code).output == "P(x=1) [P(x=0), P(x=1)]\n"

    def test_future_of_ours_is_not_theirs(self, sandbox: Sandbox) -> None:
        assert sandbox.run("def f(x: int): pass\nprint(f.__annotations__)").output == "{'x': <class 'int'>}\n"

    def test_print_and_apis_come_back(self, sandbox: Sandbox) -> None:
        sandbox.run("print = apis = 3")
        assert sandbox.run("print(apis.mail.inbox())").output == "{'app': 'mail', 'api': 'inbox'}\n"

    def test_same_seed_same_numbers(self) -> None:
        texts = []
        for seed in (3, 3, 4):
            box = Sandbox(answer, seed=seed)
            texts.append(box.run("import random\nprint(random.random(), {'b', 'a', 'c', 'd'})").output)
            box.close()
        assert texts[0] == texts[1] != texts[2]


class TestDate:
    CODE = (
        "import datetime as d, time\nfrom datetime import datetime, date\n"
        "print(datetime.now(), date.today(), d.datetime.utcnow().hour, time.strftime('%A'), time.localtime().tm_year)\n"
        "print(repr(datetime.now()), int(time.time()), datetime.now(d.timezone.utc), time.ctime(), time.gmtime(0).tm_year)"
    )

    def test_clocks_stand_at_the_worlds_date(self) -> None:
        box = Sandbox(answer, now="2023-05-18T12:30:00")
        outcome = box.run(self.CODE)
        assert outcome.output == (
            "2023-05-18 12:30:00 2023-05-18 12 Thursday 2023\n"
            "datetime.datetime(2023, 5, 18, 12, 30) 1684413000 2023-05-18 12:30:00+00:00 Thu May 18 12:30:00 2023 1970\n"
        )
        box.reset(now="1999-12-31")
        assert (
            box.run("from datetime import *\nprint(datetime.now() + timedelta(days=1))").output
            == "2000-01-01 00:00:00\n"
        )
        box.reset(now="")
        assert box.run("from datetime import *\nprint(datetime.now().year > 2023)").output == "True\n"
        box.close()

    def test_stopwatches_go_on(self) -> None:
        box = Sandbox(answer, now="2023-05-18")
        code = "import time\na = time.perf_counter()\ntime.sleep(0.01)\nprint(time.perf_counter() - a > 0.009)"
        assert box.run(code).output == "True\n"
        box.close()

    def test_other_formats_are_refused(self) -> None:
        with pytest.raises(UsageError, match="Expected a moment such as 2023-05-18T12:00:00, got 'tomorrow'"):
            Sandbox(answer, now="tomorrow")


class TestErrors:
    def test_traceback_shows_the_agents_lines_and_no_others(self, sandbox: Sandbox) -> None:
        sandbox.run("def f(n):\n    return 1 / n")
        outcome = sandbox.run("x = 3\n\nf(0)")
        assert (outcome.kind, outcome.fresh) == ("exception", False)
        assert outcome.error == (
            "Traceback (most recent call last):\n"
            '  File "<turn 2>", line 3, in <module>\n    f(0)\n'
            '  File "<turn 1>", line 2, in f\n    return 1 / n\n'
            "ZeroDivisionError: division by zero"
        )

    def test_frames_of_the_standard_library_are_left_out(self, sandbox: Sandbox) -> None:
        error = sandbox.run("import json\njson.loads('{')").error
        assert error.startswith('Traceback (most recent call last):\n  File "<turn 1>", line 2, in <module>')
        assert "decoder.py" not in error
        assert "JSONDecodeError: Expecting property name" in error

    def test_syntax(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("x = 1\ny = (2 +\nz = 3")
        assert outcome.kind == "syntax"
        assert '  File "<turn 1>", line 2\n' in outcome.error
        assert "^" in outcome.error
        assert last(outcome).startswith("SyntaxError: ")

    def test_nothing_of_broken_code_runs(self, sandbox: Sandbox) -> None:
        assert sandbox.run("print(1)\nx = (").output == ""

    def test_cause_and_context(self, sandbox: Sandbox) -> None:
        error = sandbox.run("try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('bad') from e").error
        assert "KeyError: 'k'\n\nwhich was the cause of:\n\nTraceback" in error
        assert error.endswith("ValueError: bad")

    def test_deep_recursion_is_shortened(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("def f(n): return f(n + 1)\nf(0)")
        assert "more frames …" in outcome.error
        assert outcome.error.count("\n") < 25
        assert last(outcome).startswith("RecursionError: maximum recursion depth exceeded")

    def test_recursion_within_the_limit(self, sandbox: Sandbox) -> None:
        assert sandbox.run("def f(n): return n and f(n - 1)\nprint(f(900))").output == "0\n"

    def test_timeout_keeps_variables(self) -> None:
        box = Sandbox(answer, limits=Limits(seconds=0.2))
        outcome = box.run("x = 5\nwhile True:\n    pass")
        assert (outcome.kind, outcome.fresh) == ("timeout", False)
        assert last(outcome) == "TimeoutError: the turn ran longer than 0.2 s and was stopped; variables are kept"
        assert box.run("print(x)").output == "5\n"
        box.close()

    def test_except_exception_does_not_swallow_the_clock(self) -> None:
        box = Sandbox(answer, limits=Limits(seconds=0.2))
        code = "for _ in iter(int, 1):\n    try:\n        for _ in iter(int, 1): pass\n    except Exception: pass"
        outcome = box.run(code)
        assert (outcome.kind, outcome.fresh) == ("timeout", False)
        box.close()

    def test_memory_keeps_variables(self, sandbox: Sandbox) -> None:
        sandbox.run("x = 5")
        outcome = sandbox.run("y = bytearray(10 ** 10)")
        assert (outcome.kind, outcome.fresh) == ("memory", False)
        assert last(outcome).startswith("MemoryError: more than 256 MB were needed")
        assert sandbox.run("print(x)").output == "5\n"

    def test_long_output_loses_its_middle(self) -> None:
        box = Sandbox(answer, limits=Limits(output_chars=100))
        output = box.run("for n in range(1000): print(n)").output
        assert output.startswith("0\n1\n2\n")
        assert output.endswith("998\n999\n")
        assert "\n… 3790 characters left out …\n" in output
        box.close()


class TestModules:
    @pytest.mark.parametrize(
        ("code", "printed"),
        [
            ("import datetime\nprint(datetime.datetime.strptime('2023-05-18', '%Y-%m-%d').strftime('%A %d %B'))", "Thursday 18 May"),
            ("from collections import Counter\nprint(Counter('aab').most_common(1))", "[('a', 2)]"),
            ("import re, json\nprint(json.dumps(re.findall(r'\\d+', 'a1b22')))", '["1", "22"]'),
            ("import statistics, math\nprint(statistics.mean([1, 2]), math.isqrt(17))", "1.5 4"),
            ("import hashlib\nprint(hashlib.md5(b'a').hexdigest()[:6])", "0cc175"),
            ("import calendar\nprint(calendar.monthrange(2024, 2)[1])", "29"),
            ("from decimal import Decimal\nprint(Decimal('0.1') * 3)", "0.3"),
            ("import os\nprint(os.path.join('a', 'b.txt'), os.path.basename('x/y'))", "a/b.txt y"),
            ("import os.path\nprint(os.path.splitext('a.b'))", "('a', '.b')"),
            ("from os.path import dirname\nprint(dirname('a/b'))", "a"),
            ("import collections.abc\nprint(isinstance([], collections.abc.Sequence))", "True"),
            ("import pprint\npprint.pprint({'b': 1, 'a': 2})", "{'a': 2, 'b': 1}"),
            ("import csv, io\nprint(next(csv.reader(io.StringIO('a,b'))))", "['a', 'b']"),
            ("import uuid\nprint(len(str(uuid.uuid4())))", "36"),
            ("print('\\N{BULLET}', 'é'.encode('latin-1'))", "• b'\\xe9'"),
        ],
    )  # fmt: skip
    def test_honest_code_finds_what_it_needs(self, sandbox: Sandbox, code: str, printed: str) -> None:
        outcome = sandbox.run(code)
        assert (outcome.output, outcome.error) == (f"{printed}\n", "")

    @pytest.mark.parametrize("name", ["subprocess", "socket", "numpy", "agentgym_hindsight", "ctypes", "os.nope"])
    def test_others_are_refused_with_a_list(self, sandbox: Sandbox, name: str) -> None:
        assert last(sandbox.run(f"import {name}")).startswith(
            f"ModuleNotFoundError: No module named '{name}' here; available: abc, array"
        )


class TestApis:
    def test_answer_is_plain_data(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("r = apis.mail.send(to='ä', ids=(1, 2), deep={'a': None, 'b': 1.5})\nprint(r)")
        assert outcome.output == (
            "{'app': 'mail', 'api': 'send', 'to': 'ä', 'ids': [1, 2], 'deep': {'a': None, 'b': 1.5}}\n"
        )
        assert outcome.shape == "r:dict[5]"

    def test_failure_raises_where_it_happened(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("apis.bank.pay(amount=3)\nprint('not reached')")
        assert (outcome.output, outcome.kind) == ("", "exception")
        assert outcome.error == (
            'Traceback (most recent call last):\n  File "<turn 1>", line 1, in <module>\n    apis.bank.pay(amount=3)\n'
            'ApiError: Response status code is 401: {"message": "Log in first, \\"please\\"."}'
        )

    def test_failure_can_be_caught(self, sandbox: Sandbox) -> None:
        code = "try:\n    apis.bank.pay()\nexcept ApiError as e:\n    print(e.status, e.message)"
        assert sandbox.run(code).output == '401 Log in first, "please".\n'

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("apis.mial.send()", "AttributeError: There is no app 'mial'; did you mean 'mail'? there are: bank, mail"),
            (
                "apis.mail.snd()",
                "AttributeError: The app 'mail' has no API 'snd'; did you mean 'send'? there are: inbox, send",
            ),
            (
                "apis.mail.send('Ann')",
                "TypeError: Expected keyword arguments only in apis.mail.send(…), got 1 positional; "
                "try apis.mail.send(name=value)",
            ),
            ("apis.mail()", "TypeError: apis.mail is an app, not a function; try apis.mail.<api>(name=value)"),
            (
                "import datetime\napis.mail.send(at=datetime.date(2023, 5, 18))",
                "TypeError: Expected text, numbers, booleans, None, lists or dicts in mail.send(at=…), got date; "
                "try list(value) or str(value)",
            ),
        ],
    )
    def test_mistakes_are_explained(self, sandbox: Sandbox, code: str, said: str) -> None:
        assert last(sandbox.run(code)) == said

    def test_without_names_every_name_goes_through(self) -> None:
        box = Sandbox(answer)
        assert box.run("print(apis.any.thing(x=1))").output == "{'app': 'any', 'api': 'thing', 'x': 1}\n"
        box.close()

    def test_call_limit_is_per_turn(self, sandbox: Sandbox) -> None:
        code = "for n in range(6): print(apis.mail.inbox()['api'])"
        outcome = sandbox.run(code)
        assert outcome.output == "inbox\n" * 5
        assert last(outcome).startswith("RuntimeError: Expected at most 5 API calls a turn, got more")
        assert sandbox.run("print(apis.mail.inbox()['api'])").output == "inbox\n"

    def test_names_can_be_listed(self, sandbox: Sandbox) -> None:
        assert sandbox.run("print(dir(apis), dir(apis.mail))").output == "['bank', 'mail'] ['inbox', 'send']\n"

    def test_a_fault_of_the_world_is_not_feedback(self) -> None:
        def broken(app: str, api: str, arguments: dict[str, Any]) -> Any:
            raise ZeroDivisionError("the world's own fault")

        box = Sandbox(broken)
        with pytest.raises(ZeroDivisionError, match="own fault"):
            box.run("apis.a.b()")
        assert box.run("print(2+2)").output == "4\n"
        box.close()

    def test_large_answers_travel(self) -> None:
        box = Sandbox(lambda app, api, arguments: ["x" * 1000] * 1000)
        assert box.run("print(len(apis.a.b()))").output == "1000\n"
        box.close()


class TestPieces:
    def test_limits_are_checked(self) -> None:
        with pytest.raises(UsageError, match="Expected calls above 0, got -1"):
            Limits(calls=-1)
        with pytest.raises(UnknownNameError, match="did you mean 'seccomp'"):
            Sandbox(answer, without=["secomp"])

    def test_a_frame_holds_the_output_it_may_have(self) -> None:
        box = Sandbox(answer, limits=Limits(output_chars=500_000, frame_bytes=1))
        assert len(box.run("print('\\U0001f600' * 400_000)").output) == 400_001
        box.close()

    @pytest.mark.parametrize("size", [0, 1, 30, 39, 40, 41, 100, 10_000])
    def test_output_by_pieces_is_as_at_once(self, size: int) -> None:
        text = "".join(chr(97 + n % 26) for n in range(size))
        pieces, whole = Output(40), Output(40)
        for start in range(0, size, 7):
            pieces.write(text[start : start + 7])
        whole.write(text)
        assert pieces.text() == whole.text()
        expected = text if size <= 40 else f"{text[:30]}\n… {size - 40} characters left out …\n{text[-10:]}"
        assert whole.text() == expected

    def test_shape_is_canonical_and_bounded(self) -> None:
        assert shape({"b": {}, "a": 1.5, "sys": sys, "apis": 1, "_x": 1, "f": len}) == (
            "a:float b:dict[0] f:builtin_function_or_method"
        )
        assert len(shape({f"name{n:05}": n for n in range(9999)})) < 4_100

    @pytest.mark.parametrize(
        ("value", "good"),
        [
            ({"a": [1, -(2**63), 1.5e300, "ä\U0001f600", None, True]}, True),
            ({"a": 2**63}, False),
            ({"\ud800": 1}, False),
            ([float("inf")], False),
            ([float("nan")], False),
            ([0] * 300_000, False),
        ],
    )
    def test_harmless(self, value: Any, good: bool) -> None:
        assert is_safe_json(value) is good

    def test_depth(self) -> None:
        value: Any = 1
        for _ in range(31):
            value = [value]
        assert is_safe_json(value)
        assert not is_safe_json([[value]])

    def test_filter_never_allows_what_opens_the_world(self) -> None:
        opening = {2, 257, 437, 41, 42, 56, 57, 58, 435, 59, 322, 62, 101, 157, 165, 317, 321, 425, 426, 13, 72, 16}
        allowed = {numbers[0] for numbers in (*seccomp.ALLOWED.values(), *seccomp.NOT_EXECUTABLE.values())}
        assert (
            not allowed & opening
        )  # x86_64: open* socket connect clone* fork exec kill ptrace prctl mount bpf io_uring …
        assert len(allowed) == len(seccomp.ALLOWED) + len(seccomp.NOT_EXECUTABLE)


@linux
class TestGuest:
    """The processes behind it."""

    def test_zygote_is_shared_and_starts_late(self) -> None:
        first, second = Sandbox(answer), Sandbox(answer)
        first.run("x = 1")
        second.run("x = 2")
        assert first._zygote is second._zygote
        assert first.run("print(x)").output == "1\n"
        first.close()
        assert second.run("print(x)").output == "2\n"
        second.close()

    def test_dead_zygote_is_mended(self, sandbox: Sandbox) -> None:
        sandbox.run("x = 1")
        os.kill(sandbox._zygote.pid, signal.SIGKILL)
        time.sleep(0.2)
        outcome = sandbox.run("print(2+2)")
        assert (outcome.output, outcome.fresh) == ("4\n", True)
        assert "variables are lost" in outcome.error
        assert sandbox.run("print(2+2)") == Outcome("4\n", "", "", False, "")

    def test_dead_zygote_is_mended_by_reset(self, sandbox: Sandbox) -> None:
        sandbox.run("x = 1")
        os.kill(sandbox._zygote.pid, signal.SIGKILL)
        sandbox.reset()
        sandbox.run("1")
        assert sandbox.run("print(2+2)").output == "4\n"

    def test_dead_reserve_is_replaced(self, sandbox: Sandbox) -> None:
        sandbox.reset()
        for pid in tree(sandbox._zygote.pid):
            with contextlib.suppress(ProcessLookupError):
                if Path(f"/proc/{pid}/task/{pid}/children").read_text() == "":  # workers, and the one in reserve
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
        sandbox.reset()
        sandbox.run("1")
        assert sandbox.run("print(2+2)").output == "4\n"

    def test_forgotten_sandbox_takes_its_worker_along(self) -> None:
        box = Sandbox(answer)
        box.run("1")
        home = box._zygote
        alive = len(tree(home.pid))
        del box
        gc.collect()
        before = time.monotonic()
        while len(tree(home.pid)) >= alive and time.monotonic() - before < 3:
            time.sleep(0.02)
        assert len(tree(home.pid)) < alive

    @pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
    def test_a_fork_of_the_host_gets_its_own(self, sandbox: Sandbox) -> None:
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

    def test_nothing_outlives_the_host(self) -> None:
        code = (
            "from agentgym_hindsight.envs.appworld.sandbox import Sandbox\nimport os, signal\n"
            "s = Sandbox(lambda *_: 1); s.run('1'); print(s._zygote.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        pid = int(done.stdout)
        before = time.monotonic()
        while alive(pid) and time.monotonic() - before < 5:
            time.sleep(0.02)
        assert not alive(pid)

    def test_nothing_grows(self, sandbox: Sandbox) -> None:
        for _ in range(5):
            sandbox.reset()
            sandbox.run("x = 1")
        before = footprint(sandbox._zygote.pid)
        for _ in range(60):
            sandbox.reset()
            sandbox.run("x = 1")
        after = footprint(sandbox._zygote.pid)
        assert after[0] == before[0]  # descriptors here
        assert after[1] <= before[1] + 1  # processes
        assert after[2] <= before[2] + 1_000  # kB of the zygote

    def test_strict(self, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
        monkeypatch.setenv("AGENTGYM_SANDBOX", "strict")
        with pytest.raises(WorkerError, match=r"Expected a sandbox of namespaces\+seccomp .* got rlimits"):
            Sandbox(answer, without=["namespaces", "seccomp"])

    def test_no_interpreter(self) -> None:
        with pytest.raises(WorkerError, match="to start the sandbox's worker process, got no answer"):
            Sandbox(answer, python="/bin/false").run("1")

    @pytest.mark.parametrize("way", [(), ("namespaces",), ("seccomp",), ("namespaces", "seccomp")])
    def test_modes(self, way: tuple[str, ...]) -> None:
        box = Sandbox(answer, without=way)
        held = box.mode.split("+")
        assert not set(held) & set(way)
        assert box.mode in ("namespaces+seccomp", "namespaces", "seccomp", "rlimits")
        assert box.run("print(2+2)").output == "4\n"
        assert box.run("import random\nrandom._os.listdir('/')").kind == "exception"
        assert box.run("import random\nrandom._os.fork()").kind == "exception"
        box.close()

    @pytest.mark.parametrize("version", ["3.10", "3.12", "3.13"])
    def test_other_interpreters(self, version: str) -> None:
        home = Path.home() / ".pyenv" / "versions"
        found = sorted(home.glob(f"{version}.*/bin/python")) if home.is_dir() else []
        if not found:
            pytest.skip(f"no Python {version} here")
        box = Sandbox(answer, NAMES, replace(LIMITS, seconds=1.0), python=str(found[-1]), now="2023-05-18")
        assert box.run("from datetime import *\nprint(datetime.now(), date.today())").output == (
            "2023-05-18 00:00:00 2023-05-18\n"
        )
        assert box.run("import sys\nprint('%d.%d' % sys.version_info[:2])").output == f"{version}\n"
        assert box.run("print(apis.mail.inbox()['api'])").output == "inbox\n"
        assert last(box.run("1/0")) == "ZeroDivisionError: division by zero"
        assert box.run("while True: pass").kind == "timeout"
        assert box.run("x = [0] * 10**10").kind == "memory"
        assert box.run("x = (").kind == "syntax"
        box.close()


def tree(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found |= {int(each)} | tree(int(each))
    return found


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def footprint(pid: int) -> tuple[int, int, int]:
    memory = Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]
    return len(os.listdir("/proc/self/fd")), len(tree(pid)), int(memory)
