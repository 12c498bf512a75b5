"""Random programs to test a world: valid ones, broken ones, and other text that a language model may write.

One random generator draws all of them, so the same seed gives the same programs on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

__all__ = ["programs"]

_VALUES = (
    "None", "True", "-1", "0", "1", "2**70", "1e308", "float('nan')", "''", "'x' * 30000", "'\\ud800'", "'\\x00'", "[]",
    "[[[]]]", "{}", "{'a': 1}", "'2026-01-01'", "'ada@hamlet.example'", "b'bytes'", "object()", "token", "{1, 2}",
    '"\'; DROP TABLE notes_notes; --"', "print", "range(9)", "['a'] * 2000", "'tea'", "12.5", "'12:00'", "20",
)  # fmt: skip
_LINES = (
    "x = {value}", "print({value})", "print(x)", "y = [i for i in range(50)]", "z = dict(a={value})",
    "print(apis.api_docs.show_api_descriptions(app_name={value}))", "print(apis.{app})", "apis.{app}.{api}",
    "apis.{app}.{api}({value})", "for i in range(3): print(i)", "import json; print(json.dumps([1, 2]))", "1 / 0",
    "raise ValueError({value})", "def f(): return {value}", "print(f())", "while True: break", "del x", "import os",
    "open('/etc/passwd').read()", "__import__('subprocess').run(['ls'])", "import socket; socket.socket()",
    "print(().__class__.__base__.__subclasses__()[:3])", "apis = None", "print = None", "exit()", "raise SystemExit",
    "raise KeyboardInterrupt", "assert False, {value}", "try:\n    1 / 0\nfinally:\n    print('done')", "lambda: 0",
    "print('é' * 200)", "x = x if 'x' in dir() else 0", "globals().clear()", "import sys; sys.setrecursionlimit(5)",
    "print(*range(9000))", "class A:\n    def __repr__(self): raise Exception('no')\nprint(A())", "yield 1", "return 1",
    "await x", "{value} = 1", "print(apis.supervisor.show_profile())", "print(apis.supervisor.show_active_task())",
)  # fmt: skip
_NOISE = "()[]{}'\"\\:=,.#@ \t\n0aπ\u200b\x00"
_LOGIN = (
    "pw = {row['app']: row for row in apis.supervisor.show_account_passwords()}\n"
    "token = apis.APP.login(username=pw['APP']['username'], password=pw['APP']['password'])['access_token']"
)
_SUBMITS = 0.01  # share of the programs that complete the task; most episodes end with the turn limit


def programs(random: Random, names: Mapping[str, Sequence[str]], arguments: Mapping[str, Sequence[str]]) -> str:
    """Draw one program. ``names``: APIs by app; ``arguments``: parameter names by "app.api"."""
    app = random.choice(sorted(names))
    api = random.choice(names[app])
    if random.random() < _SUBMITS:
        return f"apis.supervisor.complete_task(answer={random.choice(_VALUES)})"
    kind = random.randrange(8)
    if kind == 0 and "login" in names[app]:
        return _LOGIN.replace("APP", app)
    if kind == 1:
        return "".join(random.choice(_NOISE) for _ in range(random.randrange(1, 60)))
    if kind in (2, 3, 4):
        return _call(random, app, api, arguments.get(f"{app}.{api}", ()))
    lines = [_line(random, app, api) for _ in range(random.randrange(1, 4))]
    program = "\n".join(lines)
    if kind == 5:  # insert or overwrite a character
        place = random.randrange(len(program) + 1)
        program = program[:place] + random.choice(_NOISE) + program[place + random.randrange(3) :]
    return program


def _line(random: Random, app: str, api: str) -> str:
    line = random.choice(_LINES)
    for hole, filling in (("{value}", random.choice(_VALUES)), ("{app}", app), ("{api}", api)):
        line = line.replace(hole, filling)
    return line


def _call(random: Random, app: str, api: str, known: Sequence[str]) -> str:
    given = {
        name: "token" if name == "access_token" else random.choice(_VALUES) for name in known if random.random() < 0.7
    }
    if random.random() < 0.1:
        given["no_such_parameter"] = random.choice(_VALUES)
    text = ", ".join(f"{name}={value}" for name, value in given.items())
    return f"print(apis.{app}.{api}({text}))"
