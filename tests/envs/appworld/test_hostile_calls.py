"""Hostile calls of the APIs of a real world: from the agent's program, through the sandbox, to the host.

Every program gives feedback in bounded time, no API has a bug, and the episode, the world of another episode and the
host go on.
"""

# ruff: noqa: E501  # code in rows
from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from agentgym_hindsight.envs.appworld.env import AppWorldEnv
from agentgym_hindsight.envs.appworld.miniature.backend import MiniatureBackend
from agentgym_hindsight.envs.appworld.miniature.world import World
from agentgym_hindsight.envs.appworld.sandbox import KINDS
from tests.envs.appworld.hostile import PRELUDE
from tests.envs.appworld.sandbox_helpers import linux

pytestmark = linux

LOGIN = """\
account, = [row for row in apis.supervisor.show_account_passwords() if row['app'] == 'notes']
token = apis.notes.login(username=account['username'], password=account['password'])['access_token']
def note(**more): return apis.notes.create_note(**{'access_token': token, 'title': 'x', **more})
def refused(call, /, **more):
    try:
        call(**more)
    except Exception as error:
        return type(error).__name__, getattr(error, 'status', 0)
"""
FORGE = """\
import json
def call(app='notes', api='show_notes', arguments=None, **more):
    send(json.dumps({'type': 'call', 'nonce': worker()._nonce, 'app': app, 'api': api, 'arguments': arguments or {}, **more}))
    return worker()._channel.read()
"""
#: name -> the program, and what it must print.
PROGRAMS = {
    "a megabyte of text": ("print(refused(note, content='x' * 10**6))", "('ApiError', 422)"),
    "more than a message": ("print(refused(note, content='x' * 10**7))", "('ValueError', 0)"),
    "a text one too long": ("print(note(content='x' * 20000)['message'], refused(note, content='x' * 20001))", "Note created. ('ApiError', 422)"),
    "characters of four bytes": ("print(note(content='\\U0001f600' * 20000)['message'])", "Note created."),
    "combining characters": ("print(note(title='a' + '\\u0301' * 199)['message'], len(apis.notes.show_notes(access_token=token, query='\\u0301' * 200)))", "Note created."),
    "words by thousands": ("print(len(apis.notes.show_notes(access_token=token, query='a ' * 100)) >= 0)", "True"),
    "zero and half characters": ("print(refused(note, title='\\0'), refused(note, title='\\ud800'))", "('ApiError', 422) ('ValueError', 0)"),
    "SQL in every place": ("evil = \"x' OR 1=1; DROP TABLE notes_notes; --\"\nprint(note(title=evil)['message'], [row['title'] for row in apis.notes.show_notes(access_token=token, query='DROP')], refused(apis.notes.show_note, access_token=evil, note_id=1))", "DROP TABLE"),
    "format texts": ("print(apis.notes.show_note(access_token=token, note_id=note(title='{0.__class__} %s %n $HOME {world.seed}')['note_id'])['title'])", "{0.__class__} %s %n $HOME {world.seed}"),
    "nesting": ("x = 'y'\nfor _ in range(20): x = [x]\nprint(refused(note, tags=x), refused(note, tags=[{}]), refused(note, title=x))", "('ApiError', 422) ('ApiError', 422) ('ApiError', 422)"),
    "a cycle": ("x = []; x.append(x); y = {}; y['y'] = y\nprint(refused(note, tags=x), refused(note, tags=y))", "('ValueError', 0) ('ValueError', 0)"),
    "a list of a hundred thousand": ("print(refused(note, tags=['x'] * 10**5), refused(note, tags=[]), refused(note, tags=[''] * 50))", "('ApiError', 422) None ('ApiError', 422)"),
    "numbers at their limits": ("print({refused(apis.notes.show_note, access_token=token, note_id=n) for n in (2**63 - 1, -2**63, 0, -1)}, {refused(apis.notes.show_note, access_token=token, note_id=n) for n in (1.0, True, None, '1', [1])})", "422"),
    "numbers that are none": ("print([refused(apis.notes.show_note, access_token=token, note_id=float(n)) for n in ('nan', 'inf', '-inf', '1e308', '-0')])", "('ValueError', 0), ('ValueError', 0), ('ValueError', 0), ('ApiError', 422), ('ApiError', 422)"),
    "pages beyond the end": ("print(refused(apis.notes.show_notes, access_token=token, page_index=2**40, page_limit=2**40), refused(apis.notes.show_notes, access_token=token, page_index=-1), refused(apis.notes.show_notes, access_token=token, page_index=10**12))", "ApiError"),
    "parameters of Python": ("print([refused(apis.notes.show_notes, access_token=token, **{name: 1}) for name in ('call', 'db', '__class__', '', 'page_index\\0', 'x' * 10**5)])", "('ApiError', 422), ('ApiError', 422), ('ApiError', 422), ('ApiError', 422), ('ApiError', 422), ('ApiError', 422)"),
    "parameters by thousands": ("print(refused(apis.notes.show_notes, **{f'p{n}': n for n in range(20000)}))", "('ApiError', 422)"),
    "tokens of other kinds": ("print([refused(apis.notes.show_notes, access_token=t) for t in (token * 999, [token], {'$ne': None}, 0, True, token.upper(), token + ' ', token.replace('notes', 'mail'))])", "ApiError"),
    "classes of its own": ("class S(str):\n  def encode(self, *_): return b''\n  def __iter__(self): return iter('evil')\nclass N(int):\n  def __int__(self): return 10**30\n  def __lt__(self, o): return True\n  __le__ = __lt__\nprint(refused(note, title=S('plain')), refused(apis.notes.show_note, access_token=token, note_id=N(1)))", ""),
    "a dict that claims to be shorter": ("class D(dict):\n  def items(self): return [('a', 1)] * 10**4\n  def __iter__(self): return iter(())\nprint(refused(note, tags=D()))", "('ApiError', 422)"),
    "a call in each special method": ("class A(str):\n  def __iter__(self): return iter(note()['message'])\nclass B:\n  def __del__(self): note()\nprint(note(title=A('x'))['message'])\nB()\nprint(len(apis.notes.show_notes(access_token=token, query='x', page_limit=20)) >= 2)", "True"),
    "a call while another is written": ("real = os.write\ndef write(fd, data):\n  os.write = real\n  note(title='inner')\n  return real(fd, data)\nos.write = write\nprint(note(title='outer')['message'])", "Note created."),
    "a call while another is read": ("real = os.read\ndef read(fd, n):\n  os.read = real\n  data = real(fd, n)\n  note(title='inner')\n  return data\nos.read = read\nprint(note(title='outer')['message'])", "Note created."),
    "calls from threads": ("start = sys.modules['_thread'].start_new_thread\nprint([refused(lambda: start(note, ())) for _ in range(20)][-1])", "('RuntimeError', 0)"),
    "calls from coroutines": ("async def f(n): return note(title=f'c{n}')\nfor n in range(9):\n  try: f(n).send(None)\n  except StopIteration as end: print(end.value['message'])", "Note created."),
    "five hundred calls and one": ("n = 0\ntry:\n  while True: note(); n += 1\nexcept RuntimeError as error: print(n >= 490, error)", "True Expected at most 500 API calls a turn"),
    "calls whose errors are ignored": ("for _ in range(10**4): refused(apis.notes.show_note, access_token=token, note_id='x')\nprint('through')", "through"),
    "all that storage takes": ("n = 0\nwhile (status := refused(note, content='x' * 20000)) is None: n += 1\nprint(n > 100, status, refused(apis.notes.show_notes, access_token=token))", "True ('ApiError', 409) None"),
    "a reply of many rows": ("for _ in range(40): note(title='y' * 200, tags=['z' * 190 + str(n) for n in range(50)])\nprint(len(apis.notes.show_notes(access_token=token, page_limit=20)), len(str(apis.notes.show_tags(access_token=token))))", ""),
    "forged names": (FORGE + "print(call(api='__init__'))", "disturbed the line"),
    "forged system tables": (FORGE + "print(call(app='system', api='world'))", "disturbed the line"),
    "forged private method": (FORGE + "print(call(app='supervisor', api='_find_api'))", "disturbed the line"),
    "forged arguments of thirty levels": (FORGE + "x = 1\nfor _ in range(28): x = [x]\nprint(call(arguments={'access_token': token, 'query': x}))", "'status': 422"),
    "forged argument names": (FORGE + "print(call(arguments={'access_token': token, '\\0': 1, '': 2}))", "'status': 422"),
    "forged text with a zero": (FORGE + "print(call(api='create_note', arguments={'access_token': token, 'title': 'a\\0b', 'content': '\\0'}))", "'status': 422"),
    "forged wide arguments": (FORGE + "print(call(api='create_note', arguments={'access_token': token, 'title': 'x', 'tags': [[]] * 150000}))", "'status': 422"),
    "forged end after completing": (FORGE + "call('supervisor', 'complete_task', {'answer': 'x' * 19000})\nsend(json.dumps({'type': 'done', 'nonce': worker()._nonce, 'output': 'forged', 'error': '', 'kind': '', 'spent': False, 'shape': ''}))", "The task is completed."),
    "an answer of every kind": ("print([refused(apis.supervisor.complete_task, answer=a) for a in ({}, [[]], ['x'] * 51, 'x' * 20001, 2**62, [None], [True])])", "422"),
    "completed, and going on": ("apis.supervisor.complete_task(status='fail')\nprint(refused(note), refused(apis.supervisor.complete_task), len(apis.notes.show_notes(access_token=token)) >= 0)", "('ApiError', 409) ('ApiError', 409) True"),
    "completed in a finalizer": ("class A:\n  def __del__(self): apis.supervisor.complete_task(status='fail')\nA()\n1 / 0", "The task is completed."),
    "completed within a failed call": ("class L(list):\n  def __iter__(self): apis.supervisor.complete_task(status='fail'); return iter(())\nprint(refused(note, tags=L()))", "('ApiError', 409)"),
    "paths out of the files": ("row, = [r for r in apis.supervisor.show_account_passwords() if r['app'] == 'files']\nt = apis.files.login(username=row['username'], password=row['password'])['access_token']\nprint({refused(apis.files.show_file, access_token=t, path=p) for p in ('/etc/passwd', '/../etc/passwd', '//etc', '/a/' * 99, '/', '', '/\\n', '/\\u202e', '~', 'file:///etc/passwd')})", "ApiError"),
}  # fmt: skip


def world_of(env: AppWorldEnv) -> World:
    assert isinstance(env.backend, MiniatureBackend)
    return env.backend.play.world


@pytest.fixture(scope="module")
def bystander() -> Iterator[AppWorldEnv]:
    """Another episode, whose world and variables must stay as they are."""
    env = AppWorldEnv()
    env.reset(seed=3)
    env.step("kept = 41")
    yield env
    env.close()


@pytest.fixture(scope="module")
def env() -> Iterator[AppWorldEnv]:
    env = AppWorldEnv()
    yield env
    env.close()


def test_there_are_enough() -> None:
    assert len(PROGRAMS) >= 20


@pytest.mark.parametrize("name", PROGRAMS, ids=[name.replace(" ", "_") for name in PROGRAMS])
def test_hostile_calls_give_feedback_only(name: str, env: AppWorldEnv, bystander: AppWorldEnv) -> None:
    code, said = PROGRAMS[name]
    still = world_of(bystander).delta_key()
    env.reset(seed=5)
    world = world_of(env)
    env.step(PRELUDE + LOGIN)
    began = time.monotonic()
    observation, reward, terminated, _, info = env.step(code)
    assert time.monotonic() - began < 30.0
    assert said in observation
    assert 0 < len(observation) < 20_000
    assert info["extra"].error in ("", *KINDS)
    assert 0.0 <= reward <= 1.0
    assert world.bugs == []
    assert world.db.intact()
    assert terminated == bool(world.completed)
    if not terminated:
        assert env.step("print(2+2)")[0] == "4"
        assert env.step("print(apis.supervisor.show_profile()['email'])")[0] == world.supervisor.email
    assert world_of(bystander).delta_key() == still
    assert bystander.backend._sandbox.run("print(kept + 1)").output == "42\n"  # type: ignore[union-attr]


def test_the_token_of_another_episode_is_refused(env: AppWorldEnv) -> None:
    env.reset(seed=5)
    token = env.step(f"{LOGIN}print(token)")[0]
    env.reset(seed=5)
    assert "ApiError: Response status code is 401" in env.step(f"apis.notes.show_notes(access_token={token!r})")[0]


def test_a_full_world_is_judged_in_bounded_time(env: AppWorldEnv) -> None:
    env.reset(seed=5)
    env.step(PRELUDE + LOGIN)
    for _ in range(5):
        env.step("for n in range(499): note(title='t' * 100, tags=['a' * 99, 'b' * 99])")
    began = time.monotonic()
    _, _, terminated, _, info = env.step("apis.supervisor.complete_task(answer='x')")
    took = time.monotonic() - began
    detail: Any = info["extra"].evaluation
    assert terminated
    assert took < 10.0
    assert len(detail) < 100_000
