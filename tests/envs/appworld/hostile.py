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


#: Forge the message that ends a turn.
FORGE = """\
import json
def done(**changed):
    message = {'type': 'done', 'nonce': worker()._nonce, 'output': 'forged', 'error': '', 'kind': '', 'spent': False}
    send(json.dumps({**message, 'shape': '', **changed}))
"""
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
        "forged ends",
        ("unknown kind", "protocol", FORGE + "done(kind='root')"),
        ("odd types", "protocol", FORGE + "done(shape=None)"),
        ("kind of another type", "protocol", FORGE + "done(kind=['timeout'])"),
        ("nonce of another type", "protocol", FORGE + "done(nonce=[worker()._nonce])"),
        ("huge texts", "ok", FORGE + "done(output='x' * 200000, error='', shape='z' * 200000)"),
        ("claims to be spent", "ok", FORGE + "done(spent=True, error='E' * 9000)", "variables are lost"),
        ("two ends", "ok", FORGE + "done()\ndone()", "forged"),
        ("end and garbage", "ok", FORGE + "done()\nos.write(worker()._channel._descriptor, bytes(99))", "forged"),
        ("end and a long sleep", "ok", FORGE + "done()\nimport time\ntime.sleep(1e6)", "forged"),
        ("end and a call", "ok", FORGE + "n = worker()._nonce\ndone()\nsend(json.dumps({'type': 'call', 'nonce': n, 'app': 'bank', 'api': 'look', 'arguments': {}}))", "forged"),
    ),
    *_group(
        "frames",
        ("wide JSON", "protocol", "send('{\"a\":[' + ','.join(['[]'] * 190000) + ']}')"),
        ("wider JSON", "protocol", "send('{\"a\":[' + ','.join(['{}'] * 250000) + ']}')"),
        ("a million digits", "protocol", "send('{\"a\": ' + '9' * 900000 + '}')", "no JSON"),
        ("a million decimals", "protocol", "send('{\"a\": 0.' + '9' * 900000 + '}')"),
        ("a huge exponent", "protocol", "send('{\"a\": 1e' + '9' * 900000 + '}')"),
        ("length of four gigabytes", "protocol", "os.write(worker()._channel._descriptor, b'\\xff' * 4)", "4294967295 bytes"),
        ("length without content", "timeout protocol", "os.write(worker()._channel._descriptor, (1 << 20).to_bytes(4, 'big'))" + _LOOP),
        ("length in pieces", "timeout protocol", "os.write(worker()._channel._descriptor, bytes(3))" + _LOOP),
        ("one key a thousand times", "protocol", "send('{' + ','.join(['\"type\": 1'] * 1000) + '}')"),
        ("a million escapes", "protocol", "send('{\"a\": \"' + '\\\\u0041' * 150000 + '\"}')"),
        ("wakeup descriptor", "exception protocol", "sys.modules['signal'].set_wakeup_fd(worker()._channel._descriptor)"),
        ("own limits", "protocol", "w = worker()\nw._limits['frame_bytes'] = 10**9\napis.bank.pay(note='x' * 2 * 10**6)"),
    ),
    *_group(
        "system calls",
        ("process id", "ok", "print(os.getpid() < 0)", "True"),
        ("name of the host", "exception ok", "print(os.uname().nodename)"),
        ("working folder", "exception ok", "print(os.getcwd())"),
        ("duplicate", "exception", "print(os.dup(worker()._channel._descriptor))"),
        ("trace", "ok exception", "c = named('CDLL')(None)\nprint(c.ptrace(16, 1, 0, 0), c.ptrace(0, 0, 0, 0))"),
        ("read another's memory", "ok exception", "c = named('CDLL')(None)\nprint(c.process_vm_readv(1, None, 0, None, 0, 0))"),
        ("new program", "ok exception", "c = named('CDLL')(None)\nprint(c.execv(b'/bin/sh', None))"),
        ("ring", "ok exception", "c = named('CDLL')(None)\nprint(c.syscall(425, 8, bytes(120)))", "-1"),
        ("new namespace", "ok exception", "c = named('CDLL')(None)\nprint(c.unshare(0x10000000))", "-1"),
        ("keys", "ok exception", "c = named('CDLL')(None)\nprint(c.syscall(250, 0, -3, 1))", "-1"),
        ("anonymous memory file", "ok exception", "c = named('CDLL')(None)\nprint(c.syscall(319, b'x', 0))", "-1"),
        ("executable pages", "ok exception", "c = named('CDLL')(None)\nprint(c.mprotect(0x400000, 4096, 7))", "-1"),
        ("limits lifted", "exception", "m = sys.modules['agentgym_hindsight.envs.appworld.sandbox.inside.confine']\nm.resource.setrlimit(0, (-1, -1))"),
        ("parent death signal", "ok exception", "m = sys.modules['agentgym_hindsight.envs.appworld.sandbox.inside.confine']\nm._prctl(1, 0)"),
        ("many small maps", "memory ok died", "c = named('CDLL')(None)\nfor n in range(10**5): c.mmap(None, 4096, n % 2, 34, -1, 0)"),
        ("large maps", "memory ok died", "c = named('CDLL')(None)\nfor n in range(999): c.mmap(None, 1 << 20, 0, 34, -1, 0)"),
        ("program break", "ok exception", "print(named('CDLL')(None).sbrk(1 << 30))", "-1"),
        ("shared library", "exception", "sys.modules['_imp'].create_dynamic(type(sys.__spec__)('x', None, origin='CANARY'))", "ImportError"),
        ("dump of other threads", "exception", "m = sys.modules['_imp'].create_builtin(type(sys.__spec__)('faulthandler', None))\nm.dump_traceback_later(0.01, repeat=True, file=worker()._channel._descriptor)"),
        ("variables of C", "ok", "c = named('CDLL')(None)\nprint(c.getenv(b'AGENTGYM_CANARY'), c.getenv(b'HOME'), c.getenv(b'PATH'))", "0 0 0"),
    ),
    *_group(
        "timers",
        ("storm of alarms", "timeout", "sys.modules['signal'].setitimer(0, 1e-6, 1e-6)" + _LOOP),
        ("profile timer", "died", "sys.modules['signal'].setitimer(2, 1e-3, 1e-3)" + _LOOP),
        ("virtual timer", "died", "sys.modules['signal'].setitimer(1, 1e-3, 1e-3)" + _LOOP),
        ("swallowed sleep", "timeout", "import time\nwhile True:\n  try: time.sleep(1e8)\n  except BaseException: pass"),
        ("collector callback", "ok timeout", "gc = sys.modules['gc']\ngc.set_threshold(1)\ngc.callbacks.append(lambda *_: [0 for _ in range(10**4)])"),
        ("own audit hook", "ok", "sys.addaudithook(lambda *_: [0 for _ in range(10)])"),
    ),
    *_group(
        "reports",
        ("file name with code", "timeout exception", "class S(str):\n  def __hash__(self):\n    while True: pass\nexec(compile('1/0', 'x', 'exec').replace(co_filename=S('<turn 1>')))"),
        ("line that is not there", "exception", "exec(compile('\\n' * 99999 + '1/0', '<turn 1>', 'exec'))", "ZeroDivisionError"),
        ("notes", "exception", "e = ValueError('x')\ne.__notes__ = ['y' * 10**6] * 9\nraise e", "ValueError: x"),
        ("length that lies", "exception", "class S(str):\n  __len__ = lambda s: 10**18\n  __str__ = lambda s: s\nclass E(Exception):\n  def __str__(self): return S('x' * 10**6)\nraise E", "left out"),
        ("cells cleared", "ok exception", "for f in frames(): f.f_locals.clear()"),
        ("memory of None", "ok died", "named('c_long').from_address(id(None)).value = 1\nx = [None] * 3\ndel x"),
        ("breakpoint", "ok exception", "breakpoint()"),
        ("input", "exception", "input()", "stdin"),
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
