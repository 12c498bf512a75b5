"""Hostile code: what a policy in training may generate, and deliberate attacks on the sandbox.

Each snippet states how the turn must end. ``CANARY`` is replaced by the path of a file that it must not read or change,
``PORT`` by the port of a listener that it must not reach. The snippets take the real ``os`` from a module that has it.
"""

# ruff: noqa: E501  # one snippet per line
from __future__ import annotations

from typing import NamedTuple

__all__ = ["PRELUDE", "SNIPPETS", "Snippet"]

PRELUDE = """\
import random, sys
os = random._os
def every_class(kind=object, seen=None):
    seen = set() if seen is None else seen
    for sub in type.__subclasses__(kind):
        if sub not in seen:
            seen.add(sub)
            every_class(sub, seen)
    return seen
def named(name):
    return next(each for each in every_class() if each.__name__ == name)
def frames():
    frame = sys._getframe()
    while frame:
        yield frame
        frame = frame.f_back
def worker():
    return next(f.f_locals["self"] for f in frames() if hasattr(f.f_locals.get("self"), "_nonce"))
def send(text):
    data = text.encode()
    os.write(worker()._channel._descriptor, len(data).to_bytes(4, "big") + data)
"""


class Snippet(NamedTuple):
    """``kinds``: how the turn may end; ``says``: text in the output or error; ``calls``: API calls that were answered."""

    group: str
    name: str
    kinds: str  # separated by spaces; "ok" for a turn without an error
    code: str
    says: str = ""
    calls: int = 0  # -1: not checked

    def ends_as(self, kind: str) -> bool:
        return (kind or "ok") in self.kinds.split()


def _group(group: str, *rows: tuple[str, ...] | tuple[str, str, str, str, int]) -> list[Snippet]:
    return [Snippet(group, *row) for row in rows]  # type: ignore[arg-type]


_DENIED = "PermissionError"
_LOOP = "\nwhile True: pass"

SNIPPETS = [
    *_group(
        "processes",
        ("fork", "exception", "os.fork()", _DENIED),
        ("fork bomb", "timeout", "while True:\n  try: os.fork()\n  except OSError: pass"),
        ("system", "ok exception", "print(os.system('touch CANARY.new'))"),
        ("spawn", "exception", "os.posix_spawn('/bin/sh', ['sh', '-c', 'echo > CANARY'], {})", _DENIED),
        ("exec", "exception", "os.execv('/bin/sh', ['sh', '-c', 'cat CANARY'])", _DENIED),
        ("popen", "exception", "os.popen('cat CANARY').read()"),
        ("subprocess", "exception", "import subprocess", "No module named 'subprocess' here"),
        ("real import", "exception", "sys.modules['builtins'].__import__('subprocess')", "No module named"),
        ("thread", "exception", "sys.modules['_thread'].start_new_thread(print, (1,))", "start new thread"),
        ("kill all", "exception", "os.kill(-1, 9)", _DENIED),
        ("kill the zygote", "exception", "os.kill(1, 9)", _DENIED),
        ("kill the parent", "exception", "os.kill(os.getppid(), 9)", _DENIED),
        ("priority", "exception", "os.nice(-5)"),
    ),
    *_group(
        "files",
        ("open", "exception", "print(open('CANARY').read())", _DENIED),
        ("os.open", "exception", "print(os.read(os.open('CANARY', 0), 99))", _DENIED),
        ("raw file", "exception", "import io\nprint(io.FileIO('CANARY').read())", _DENIED),
        ("write", "exception", "open('/tmp/agent', 'w').write('x')", _DENIED),
        ("shared memory", "exception", "open('/dev/shm/agent', 'w').write('x')", _DENIED),
        ("unlink", "exception", "os.unlink('CANARY')", _DENIED),
        ("rename", "exception", "os.rename('CANARY', 'CANARY.new')", _DENIED),
        ("truncate", "exception", "os.truncate('CANARY', 0)", _DENIED),
        ("chmod", "exception", "os.chmod('CANARY', 0o777)", _DENIED),
        ("symlink", "exception", "os.symlink('CANARY', '/tmp/link')", _DENIED),
        ("hard link", "exception", "os.link('CANARY', '/tmp/link')", _DENIED),
        ("mkdir", "exception", "os.mkdir('CANARY.new')", _DENIED),
        ("list", "exception", "print(os.listdir('/'))", _DENIED),
        ("stat", "exception", "print(os.stat('CANARY'))", _DENIED),
        ("change root", "exception", "os.chroot('/tmp')", _DENIED),
        ("environment by proc", "exception", "print(open('/proc/self/environ').read())", _DENIED),
        ("environment of the parent", "exception", "print(open('/proc/1/environ').read())", _DENIED),
        ("memory by proc", "exception", "open('/proc/self/mem', 'wb')", _DENIED),
        ("anonymous file", "exception", "os.memfd_create('x')", _DENIED),
        ("pipe", "exception", "os.pipe()", _DENIED),
        ("terminal", "exception", "os.openpty()", _DENIED),
        ("loader", "exception", "named('SourceFileLoader')('x', 'CANARY').get_data('CANARY')", _DENIED),
        ("line cache", "ok", "print(sys.modules['linecache'].getlines('CANARY'))", "[]"),
        ("environment", "ok", "print(dict(os.environ))", "TZ"),
        ("guarded os", "exception", "import os as mine\nmine.listdir('/')", "not available here"),
    ),
    *_group(
        "network",
        ("socket module", "exception", "import socket", "No module named"),
        ("socket class", "exception", "named('socket')().connect(('127.0.0.1', PORT))", _DENIED),
        ("urllib", "exception", "import urllib.request", "No module named"),
        (
            "other descriptors",
            "ok",
            "found = []\nown = worker()._channel._descriptor\nfor fd in range(300):\n  try:\n"
            "    if fd != own: found.append(os.fstat(fd))\n  except OSError: pass\nprint(found)",
            "[]",
        ),
    ),
    *_group(
        "memory",
        ("ten gigabytes", "memory", "x = [0] * (10 * 2**30 // 8)", "variables are kept"),
        ("growing list", "memory died timeout", "x = []\nwhile True: x.append('y' * 10**6)"),
        ("growing dict", "memory died timeout", "x = {}\nwhile True: x[len(x)] = str(len(x)) * 10"),
        ("doubling text", "memory", "x = 'y'\nwhile True: x += x"),
        ("product", "memory died timeout", "import itertools\nx = list(itertools.product(range(100), repeat=6))"),
        ("swallowed", "timeout memory died", "x = []\nwhile True:\n  try: x.append(bytes(10**6))\n  except MemoryError: pass"),
        ("compression bomb", "memory", "import zlib\nc = zlib.compress(bytes(10**7))\nx = [zlib.decompress(c) for _ in range(99)]"),
        ("huge power", "memory timeout", "x = 10 ** 10 ** 10"),
        ("huge shift", "memory", "x = 1 << (1 << 40)"),
        ("huge format", "memory exception", "x = f'{1:>9999999999}'"),
    ),
    *_group(
        "time",
        ("endless loop", "timeout", "while True: pass", "variables are kept"),
        ("swallowing loop", "timeout", "while True:\n  try:\n    for _ in iter(int, 1): x = 1\n  except BaseException: y = 1", "variables are lost"),
        ("stubborn loop", "timeout", "def f():\n  try:\n    for _ in iter(int, 1): x = 1\n  finally: f()\nf()", "variables are lost"),
        ("sleep", "timeout", "import time\ntime.sleep(1e6)", "variables are kept"),
        ("loop in C", "timeout", "sum(range(10**15))", "variables are lost"),
        ("endless iterator", "timeout", "import collections, itertools\ncollections.deque(itertools.count(), 0)", "lost"),
        ("regex bomb", "timeout", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')"),
        ("timer off", "timeout", "sys.modules['signal'].setitimer(0, 0)" + _LOOP, "variables are lost"),
        ("limits lifted", "timeout exception", "worker()._limits['seconds'] = 1e9\nworker()._timer.stop()" + _LOOP),
        ("huge digits", "timeout", "getattr(sys, 'set_int_max_str_digits', int)(0)\nx = str(3 ** 20000000)"),
        ("endless finally", "timeout", "try:\n  while True: pass\nfinally:\n  while True: pass"),
        ("generator", "timeout", "def g():\n  while True:\n    try: yield\n    except BaseException: pass\nfor _ in g(): pass"),
    ),
    *_group(
        "exit",
        ("sys.exit", "exception", "sys.exit(0)", "SystemExit"),
        ("keyboard", "exception", "raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("generator exit", "exception", "raise GeneratorExit", "GeneratorExit"),
        ("os._exit", "died", "os._exit(0)", "variables are lost"),
        ("with a status", "died", "os._exit(86)", "status 86"),
        ("abort", "died", "os.abort()"),
        ("at exit", "exception", "import atexit", "No module named"),
    ),
    *_group(
        "signals",
        ("kill self", "exception died", "os.kill(os.getpid(), 9)"),
        ("stop self", "exception timeout", "os.kill(os.getpid(), 19)"),
        ("raise", "exception died", "sys.modules['signal'].raise_signal(15)"),
        ("ignore alarm", "exception timeout", "sys.modules['signal'].signal(14, 1)" + _LOOP),
        ("block alarm", "exception timeout", "sys.modules['_signal'].pthread_sigmask(0, range(1, 65))" + _LOOP),
    ),
    *_group(
        "introspection",
        ("subclasses", "ok", "print(len(().__class__.__base__.__subclasses__()) > 50)", "True"),
        # Every container is visited, so the strings directly in each are enough; repr of all of them needs much memory.
        (
            "garbage",
            "ok",
            "held = [o.values() if type(o) is dict else o for o in sys.modules['gc'].get_objects() if type(o) in (dict, list)]\n"
            "print(any(''.join(['canary-', 'sings']) in text for o in held for text in list(o) if type(text) is str))",
            "False",
        ),
        ("frames", "ok", "print(type(worker()).__name__)", "Worker"),
        ("C library", "ok exception", "print(named('CDLL')(None).syscall(39) > 0)"),
        ("C fork", "ok exception", "print(named('CDLL')(None).fork())"),
        (
            "C socket",
            "ok exception",
            "c = named('CDLL')(None)\nfd = c.socket(2, 1, 0)\n"
            "print(fd, c.connect(fd, (2).to_bytes(2, 'little') + (PORT).to_bytes(2, 'big') + bytes([127, 0, 0, 1]) + bytes(8), 16))",
        ),
        ("C open", "ok exception", "c = named('CDLL')(None)\nprint(c.open(b'CANARY', 1), c.unlink(b'CANARY'))"),
        ("C exec memory", "ok exception", "c = named('CDLL')(None)\nprint(c.mmap(None, 4096, 7, 34, -1, 0))"),
        ("x32 call", "died exception", "named('CDLL')(None).syscall(0x40000000 + 39)"),
        ("null pointer", "died exception", "named('CDLL')(None).strlen(None)"),
        ("code by hand", "died exception timeout", "f = lambda: 0\nf.__code__ = f.__code__.replace(co_code=bytes([100, 255] * 40), co_consts=())\nf()"),
        ("stack by hand", "died exception timeout ok", "f = lambda: 0\nf.__code__ = f.__code__.replace(co_code=bytes([1, 0] * 99 + [83, 0]))\nf()"),
        ("own function type", "ok", "print(type(lambda: 0)((lambda: 2).__code__, {})())", "2"),
        ("host modules", "ok", "print([m for m in sys.modules if m.partition('.')[0] in ('numpy', 'gymnasium') or m in ('agentgym_hindsight.errors', 'agentgym_hindsight.envs.base')])", "[]"),
    ),
    *_group(
        "tampering",
        ("builtins patched", "ok", "b = sys.modules['builtins']\nfor n in ('len', 'print', 'exec', 'compile', 'vars'): setattr(b, n, None)"),
        ("builtins emptied", "ok exception died", "vars(sys.modules['builtins']).clear()"),
        ("own builtins emptied", "ok exception", "__builtins__.clear() if isinstance(__builtins__, dict) else 0"),
        ("globals emptied", "ok", "globals().clear()"),
        ("strange globals", "ok", "globals().update({5: 1, (1, 2): 3, 'é': 4})"),
        ("modules emptied", "ok died", "sys.modules.clear()"),
        ("json patched", "ok died protocol", "import json\njson.JSONEncoder.encode = json.JSONEncoder.iterencode = lambda *_: '{}'\napis.bank.look()"),
        ("own names", "ok", "print = apis = sys.stdout = sys.stderr = None"),
        ("trace", "ok exception died", "def t(*a):\n  1 / 0\nsys.settrace(t); sys.setprofile(t)"),
        ("tiny recursion limit", "ok exception", "sys.setrecursionlimit(60)"),
        ("apis attributes", "ok exception", "type(apis).__getattr__ = None"),
        ("worker replaced", "ok died protocol exception", "w = worker()\nw._turn = lambda *_: {}\nw._restore = 1 and None"),
        ("collector off", "ok", "sys.modules['gc'].disable(); sys.modules['gc'].set_threshold(1, 1, 1)"),
        ("hooks", "ok exception", "sys.excepthook = sys.unraisablehook = None\n1 / 0"),
    ),
    *_group(
        "line",
        ("garbage", "protocol", "os.write(worker()._channel._descriptor, b'\\xff' * 99)", "variables are lost"),
        ("zero frame", "protocol", "send('')"),
        ("no JSON", "protocol", "send('import os')"),
        ("list", "protocol", "send('[1]')"),
        ("deep JSON", "protocol", "send('[' * 200000)"),
        ("deep but closed", "protocol", "send('{\"a\":' + '[' * 900 + ']' * 900 + '}')"),
        ("not a number", "protocol", "send('{\"a\": NaN}')"),
        ("huge number", "protocol", "send('{\"a\": ' + '9' * 9000 + '}')"),
        ("infinite number", "protocol", "send('{\"a\": 1e999}')"),
        ("bad UTF-8", "protocol", "os.write(worker()._channel._descriptor, b'\\0\\0\\0\\4\"\\xff\\xfe\"')"),
        ("surrogates", "protocol", "send('{\"a\": \"\\\\ud800\"}')"),
        ("other nonce", "ok protocol timeout died", "send('{\"type\": \"done\", \"nonce\": \"0\"}')"),
        ("odd call", "protocol", "import json\nsend(json.dumps({'type': 'call', 'nonce': worker()._nonce, 'app': ['bank'], 'api': 3, 'arguments': []}))"),
        ("long name", "protocol", "import json\nsend(json.dumps({'type': 'call', 'nonce': worker()._nonce, 'app': 'b' * 999, 'api': 'x', 'arguments': {}}))"),
        ("odd end", "protocol", "import json\nsend(json.dumps({'type': 'done', 'nonce': worker()._nonce, 'output': 3}))"),
        ("forged end", "ok", "import json\nsend(json.dumps({'type': 'done', 'nonce': worker()._nonce, 'output': 'forged', 'error': '', 'kind': '', 'spent': False, 'shape': ''}))", "forged"),
        ("unread replies", "timeout protocol", "import json\nm = json.dumps({'type': 'call', 'nonce': worker()._nonce, 'app': 'bank', 'api': 'much', 'arguments': {}})\nwhile True: send(m)", "", -1),
        ("too many calls", "exception", "while True: apis.bank.look()", "at most 50 API calls", 50),
        ("too many forged calls", "protocol", "w = worker()\nwhile True:\n  w._calls = 0\n  apis.bank.look()", "", 50),
        ("line closed", "died", "os.close(worker()._channel._descriptor)"),
        ("line closed, going on", "died", "os.close(worker()._channel._descriptor)" + _LOOP),
        ("half a frame", "timeout protocol", "os.write(worker()._channel._descriptor, b'\\0\\0\\1\\0x')" + _LOOP),
    ),
    *_group(
        "arguments",
        ("pickling trick", "exception", "class A:\n  def __reduce__(self): return (os.system, ('touch CANARY.new',))\napis.bank.pay(amount=A())", "TypeError"),
        ("pickle", "exception", "import pickle", "No module named"),
        ("set", "exception", "apis.bank.pay(amount={1})", "got set; try list(value)"),
        ("huge integer", "exception", "apis.bank.pay(amount=2**70)", "64 bits"),
        ("not finite", "exception", "apis.bank.pay(amount=float('nan'))", "finite"),
        ("lone surrogate", "exception", "apis.bank.pay(note='\\ud800')", "surrogates"),
        ("own cycle", "exception", "x = []\nx.append(x)\napis.bank.pay(amount=x)", "levels"),
        ("megabytes", "exception", "apis.bank.pay(note='x' * 3 * 10**6)", "bytes"),
        ("dict of its own", "ok exception", "class D(dict):\n  def items(self): return [(1, os)]\napis.bank.pay(amount=D(a=1))", "", -1),
        ("text of its own", "ok", "class S(str):\n  def __str__(self): return 'no'\napis.bank.pay(note=S('yes'))", "", 1),
        ("positional", "exception", "apis.bank.pay(3)", "keyword arguments only"),
        ("megabytes back", "exception", "apis.bank.much(n=5 * 10**6)", "Response status code is 413", 1),
    ),
    *_group(
        "recursion",
        ("plain", "exception", "def f(): f()\nf()", "RecursionError"),
        ("limit lifted", "exception memory died timeout", "sys.setrecursionlimit(10**9)\ndef f(): f()\nf()"),
        ("C stack", "exception memory died timeout", "sys.setrecursionlimit(10**9)\nclass A:\n  def __getattr__(self, n): return getattr(self, n + 'x')\nA().x"),
        ("deep repr", "exception died", "x = []\nfor _ in range(10**5): x = [x]\nrepr(x)"),
        ("deep compare", "exception died", "x = []; y = []\nfor _ in range(10**5): x = [x]; y = [y]\nx == y"),
        ("deep json", "exception died", "import json\njson.loads('[' * 10**6)"),
    ),
    *_group(
        "source",
        ("null byte", "syntax", "x = 1\0"),
        ("surrogate", "syntax", "x = '\ud800'"),
        ("parentheses", "syntax", "(" * 20000 + ")" * 20000),
        ("minus", "syntax exception memory ok died", "-" * 90000 + "1"),
        ("brackets", "syntax", "x = " + "[" * 300 + "]" * 300),
        ("attributes", "syntax exception memory died", "x = a" + ".b" * 40000),
        ("lambdas", "syntax exception memory ok died", "x = " + "lambda:" * 10000 + "0"),
        ("indentation", "syntax", "".join(" " * n + "if 1:\n" for n in range(200))),
        ("giant", "syntax", "x = 1\n" * 100_000, "at most 100000 characters"),
        ("large constant", "syntax memory timeout exception ok", "x = " + "*".join(["(1 << 90)"] * 5000)),
        ("exec of code", "exception", "exec('x = (')", "SyntaxError"),
        ("bad encoding", "syntax ok", "# -*- coding: nonsense -*-\nx = 1"),
    ),
    *_group(
        "output",
        ("flood", "timeout memory", "while True: print('x' * 10**6)"),
        ("many lines", "timeout", "while True: print(1)", "left out"),
        ("to stderr", "timeout", "while True: sys.stderr.write('x' * 1000)"),
        ("to the real one", "ok exception", "sys.__stdout__.write('x'); sys.__stdout__.flush()"),
        ("surrogates", "ok", "print('\\ud800 \\udfff')", "?"),
        ("null", "ok", "print('\\0\\x1b[2J')"),
        ("endless repr", "timeout", "class A:\n  def __repr__(self):\n    while True: pass\nprint(A())"),
        ("endless text of an error", "timeout exception", "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E"),
        ("leaving text of an error", "exception", "class E(Exception):\n  def __str__(self): sys.exit(3)\nraise E", "cannot be shown"),
        ("long error", "exception", "raise ValueError('x' * 10**6)", "left out"),
        ("surrogate error", "exception", "raise ValueError('\\ud800')", "ValueError"),
        ("odd metaclass", "exception", "class M(type):\n  __qualname__ = property(lambda s: 1 / 0)\n  __name__ = property(lambda s: 1 / 0)\nclass E(Exception, metaclass=M): pass\nraise E('x')"),
        ("chain", "exception", "e = None\nfor n in range(10000):\n  n = ValueError(n); n.__cause__ = e; e = n\nraise e"),
        ("circular chain", "exception", "a = ValueError(1); b = ValueError(2)\na.__cause__ = b; b.__cause__ = a\nraise a"),
        ("text of its own", "ok exception", "class S(str):\n  def __len__(self): return -5\n  def __getitem__(self, n): return 7\nsys.stdout.write(S('x'))"),
    ),
    *_group(
        "left behind",
        ("finalizer", "ok exception", "class A:\n  def __del__(self): 1 / 0\nA(); x = A(); x.me = x"),
        ("endless finalizer", "ok timeout", "class A:\n  def __del__(self):\n    while True: pass\nA()"),
        ("finalizer for later", "ok", "class A:\n  def __del__(self):\n    while True: pass\n  def __repr__(self): return self.x\n_a = A(); _a.me = _a; del _a"),
        ("stubborn generator", "ok exception", "def g():\n  while True:\n    try: yield 1\n    except GeneratorExit: yield 2\nx = g(); next(x); del x"),
        ("coroutine", "ok", "async def c(): pass\nc()"),
        ("odd lengths", "ok", "class A(list):\n  def __len__(self): return 1 / 0\nx = A()", ""),
        ("odd types", "ok", "class M(type):\n  __name__ = property(lambda s: 1 / 0)\n  __eq__ = lambda s, o: 1 / 0\n  __hash__ = lambda s: 1 / 0\nclass A(metaclass=M): pass\nx = A()"),
        ("many variables", "ok", "for n in range(5000): globals()[f'v{n}'] = n"),
        ("callback", "ok", "import functools\nr = named('ReferenceType') if 0 else None\nclass A: pass\nx = A()"),
    ),
]  # fmt: skip
