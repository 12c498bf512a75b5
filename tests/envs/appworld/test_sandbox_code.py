"""Ordinary code in the sandbox: variables, printing, errors, imports, API calls."""

# ruff: noqa: E501  # code in rows
from __future__ import annotations

from typing import Any

import pytest

from agentgym_hindsight.envs.appworld.sandbox import Limits, Outcome, Sandbox
from agentgym_hindsight.errors import UsageError
from tests.envs.appworld.sandbox_helpers import SHORT_TURN, answer, last_line


class TestCells:
    def test_variables_are_kept_between_turns(self, sandbox: Sandbox) -> None:
        assert sandbox.run("x = [1, 2]\ndef f(n):\n    return [n * each for each in x]") == Outcome(
            "", "", "", False, "f:function x:list[2]"
        )
        assert sandbox.run("x.append(3)\nprint(f(2))").output == "[2, 4, 6]\n"

    def test_only_what_is_printed_is_output(self, sandbox: Sandbox) -> None:
        assert sandbox.run("1 + 1\n'text'").output == ""

    def test_stdout_and_stderr_share_one_output_in_order(self, sandbox: Sandbox) -> None:
        code = "import sys\nprint('a', end='')\nsys.stderr.write('b')\nsys.stdout.write('c')\nprint('d', flush=True)"
        assert sandbox.run(code).output == "abcd\n"

    def test_print_can_be_redirected(self, sandbox: Sandbox) -> None:
        code = "import io, contextlib\nb = io.StringIO()\nwith contextlib.redirect_stdout(b): print('x')\nprint(b.getvalue())"
        assert sandbox.run(code).output == "x\n\n"

    def test_output_before_an_error_is_kept(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("print(1)\nnope")
        assert outcome.output == "1\n"
        assert last_line(outcome) == "NameError: name 'nope' is not defined"

    def test_reset_deletes_variables(self, sandbox: Sandbox) -> None:
        sandbox.run("x = 1")
        sandbox.reset()
        outcome = sandbox.run("print(x)")
        assert (outcome.kind, outcome.fresh, last_line(outcome)) == (
            "exception",
            False,
            "NameError: name 'x' is not defined",
        )

    def test_a_closed_sandbox_can_be_used_again(self, sandbox: Sandbox) -> None:
        sandbox.close()
        sandbox.close()
        assert sandbox.run("print(1)").output == "1\n"

    def test_main_guard_classes_and_dataclasses(self, sandbox: Sandbox) -> None:
        code = (
            "from __future__ import annotations\nfrom dataclasses import dataclass\n"
            "@dataclass\nclass P:\n    x: int = 1\nif __name__ == '__main__':\n    print(P(), [P(n) for n in range(2)])"
        )
        assert sandbox.run(code).output == "P(x=1) [P(x=0), P(x=1)]\n"

    def test_future_imports_of_the_worker_do_not_apply(self, sandbox: Sandbox) -> None:
        assert sandbox.run("def f(x: int): pass\nprint(f.__annotations__)").output == "{'x': <class 'int'>}\n"

    def test_print_and_apis_are_restored_each_turn(self, sandbox: Sandbox) -> None:
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

    def test_calendar_clocks_show_the_given_date(self) -> None:
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

    def test_so_does_every_calendar_clock_that_python_reads_by_number(self) -> None:
        box = Sandbox(answer, now="2023-05-18T12:30:00")
        code = "import time\nfor n in range(12):\n  try: print(int(time.clock_gettime(n)), time.clock_gettime_ns(n) // 10**9)\n  except OSError: pass"
        times = {int(value) for value in box.run(code).output.split()}
        assert {value for value in times if value > 1_600_000_000} == {1684413000}
        box.close()

    def test_monotonic_clocks_keep_running(self) -> None:
        box = Sandbox(answer, now="2023-05-18")
        code = "import time\na = time.perf_counter()\ntime.sleep(0.01)\nprint(time.perf_counter() - a > 0.009)"
        assert box.run(code).output == "True\n"
        box.close()

    def test_other_formats_are_refused(self) -> None:
        with pytest.raises(UsageError, match="Expected a moment such as 2023-05-18T12:00:00, got 'tomorrow'"):
            Sandbox(answer, now="tomorrow")


class TestErrors:
    def test_traceback_shows_only_the_agents_lines(self, sandbox: Sandbox) -> None:
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

    def test_a_syntax_error_shows_line_and_caret(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("x = 1\ny = (2 +\nz = 3")
        assert outcome.kind == "syntax"
        assert '  File "<turn 1>", line 2\n' in outcome.error
        assert "^" in outcome.error
        assert last_line(outcome).startswith("SyntaxError: ")

    def test_nothing_of_broken_code_runs(self, sandbox: Sandbox) -> None:
        assert sandbox.run("print(1)\nx = (").output == ""

    def test_the_cause_is_shown_before_the_error(self, sandbox: Sandbox) -> None:
        error = sandbox.run("try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('bad') from e").error
        assert "KeyError: 'k'\n\nwhich was the cause of:\n\nTraceback" in error
        assert error.endswith("ValueError: bad")

    def test_deep_recursion_is_shortened(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("def f(n): return f(n + 1)\nf(0)")
        assert "more frames …" in outcome.error
        assert outcome.error.count("\n") < 25
        assert last_line(outcome).startswith("RecursionError: maximum recursion depth exceeded")

    def test_recursion_within_the_limit(self, sandbox: Sandbox) -> None:
        assert sandbox.run("def f(n): return n and f(n - 1)\nprint(f(900))").output == "0\n"

    def test_timeout_keeps_variables(self) -> None:
        box = Sandbox(answer, limits=SHORT_TURN)
        outcome = box.run("x = 5\nwhile True:\n    pass")
        assert (outcome.kind, outcome.fresh) == ("timeout", False)
        assert last_line(outcome) == "TimeoutError: the turn ran longer than 0.2 s and was stopped; variables are kept"
        assert box.run("print(x)").output == "5\n"
        box.close()

    def test_except_exception_does_not_catch_the_timeout(self) -> None:
        box = Sandbox(answer, limits=SHORT_TURN)
        code = "for _ in iter(int, 1):\n    try:\n        for _ in iter(int, 1): pass\n    except Exception: pass"
        outcome = box.run(code)
        assert (outcome.kind, outcome.fresh) == ("timeout", False)
        box.close()

    def test_memory_keeps_variables(self, sandbox: Sandbox) -> None:
        sandbox.run("x = 5")
        outcome = sandbox.run("y = bytearray(10 ** 10)")
        assert (outcome.kind, outcome.fresh) == ("memory", False)
        assert last_line(outcome).startswith("MemoryError: more than 256 MB were needed")
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
    def test_common_modules_can_be_imported(self, sandbox: Sandbox, code: str, printed: str) -> None:
        outcome = sandbox.run(code)
        assert (outcome.output, outcome.error) == (f"{printed}\n", "")

    @pytest.mark.parametrize("name", ["subprocess", "socket", "numpy", "agentgym_hindsight", "ctypes", "os.nope"])
    def test_other_modules_are_refused_with_a_list(self, sandbox: Sandbox, name: str) -> None:
        assert last_line(sandbox.run(f"import {name}")).startswith(
            f"ModuleNotFoundError: No module named '{name}' here; available: abc, array"
        )


class TestApis:
    def test_a_reply_is_plain_data(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("r = apis.mail.send(to='ä', ids=(1, 2), deep={'a': None, 'b': 1.5})\nprint(r)")
        assert outcome.output == (
            "{'app': 'mail', 'api': 'send', 'to': 'ä', 'ids': [1, 2], 'deep': {'a': None, 'b': 1.5}}\n"
        )
        assert outcome.shape == "r:dict[5]"

    def test_a_refused_call_raises_at_its_line(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("apis.bank.pay(amount=3)\nprint('not reached')")
        assert (outcome.output, outcome.kind) == ("", "exception")
        assert outcome.error == (
            'Traceback (most recent call last):\n  File "<turn 1>", line 1, in <module>\n    apis.bank.pay(amount=3)\n'
            'ApiError: Response status code is 401: {"message": "Log in first, \\"please\\"."}'
        )

    def test_a_refused_call_can_be_caught(self, sandbox: Sandbox) -> None:
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
        assert last_line(sandbox.run(code)) == said

    def test_without_names_every_name_is_passed_on(self) -> None:
        box = Sandbox(answer)
        assert box.run("print(apis.any.thing(x=1))").output == "{'app': 'any', 'api': 'thing', 'x': 1}\n"
        box.close()

    def test_call_limit_is_per_turn(self, sandbox: Sandbox) -> None:
        code = "for n in range(6): print(apis.mail.inbox()['api'])"
        outcome = sandbox.run(code)
        assert outcome.output == "inbox\n" * 5
        assert last_line(outcome).startswith("RuntimeError: Expected at most 5 API calls a turn, got more")
        assert sandbox.run("print(apis.mail.inbox()['api'])").output == "inbox\n"

    def test_names_can_be_listed(self, sandbox: Sandbox) -> None:
        assert sandbox.run("print(dir(apis), dir(apis.mail))").output == "['bank', 'mail'] ['inbox', 'send']\n"

    def test_an_exception_of_the_world_is_raised_in_the_host(self) -> None:
        def broken(app: str, api: str, arguments: dict[str, Any]) -> Any:
            raise ZeroDivisionError("the world's own fault")

        box = Sandbox(broken)
        with pytest.raises(ZeroDivisionError, match="own fault"):
            box.run("apis.a.b()")
        assert box.run("print(2+2)").output == "4\n"
        box.close()

    def test_large_replies_arrive(self) -> None:
        box = Sandbox(lambda app, api, arguments: ["x" * 1000] * 1000)
        assert box.run("print(len(apis.a.b()))").output == "1000\n"
        box.close()
