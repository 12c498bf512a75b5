"""The worker: waits for code, runs it as a cell of a notebook, says how it went. One per episode.

Nothing here is out of the agent's reach, for Python cannot hide objects from code that shares its process. So nothing
here is trusted by the host either: all this can break, and then the worker is replaced.
"""

from __future__ import annotations

import builtins
import gc
import json
import os
import signal
import sys
from types import ModuleType
from typing import Any

from agentgym_hindsight.envs.appworld.sandbox.inside.dice import load_dice
from agentgym_hindsight.envs.appworld.sandbox.inside.line import Line, plain
from agentgym_hindsight.envs.appworld.sandbox.inside.modules import GuardedImport, Refuse
from agentgym_hindsight.envs.appworld.sandbox.inside.report import Output, clean, cut, describe, describe_syntax, shape
from agentgym_hindsight.envs.appworld.sandbox.inside.view import ApiError, Apis

__all__ = ["Worker"]

_AGAIN = 0.25  # the clock rings on, for code that swallowed the first ring
_RESERVE = 8 << 20  # given up when memory runs out, to be able to say so; bytes(n) is mapped but not touched
_HEADROOM = 4 << 20
_SOURCES = 200
_BROKEN = 70


class TurnTimeout(BaseException):
    """Raised in the agent's code when its time is up; no ``except Exception`` stops it."""


class Clock:
    """Raises :class:`TurnTimeout`, but never in the middle of a message to the host."""

    def __init__(self) -> None:
        self._running = self._held = self._late = False
        signal.signal(signal.SIGALRM, self._ring)

    def _ring(self, *_: object) -> None:
        if self._held:
            self._late = True
        elif self._running:
            raise TurnTimeout

    def start(self, seconds: float) -> None:
        self._late, self._running = False, True
        signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)

    def stop(self) -> None:
        self._running = self._held = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def hold(self) -> None:
        self._held = True

    def release(self) -> None:
        self._held = False
        if self._late:
            raise TurnTimeout


class Worker:
    """Made before anybody waits for it; :meth:`begin` tells it whose it is."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._clock = Clock()
        self._limits: dict[str, Any] = {}
        self._apis: Apis | None = None
        self._sources: dict[str, str] = {}
        self._turns = self._calls = 0
        self._nonce = ""
        self._reserve: bytes | None = bytes(_RESERVE)
        self._real = builtins.__dict__  # got hold of now: behind a tampered vars() it would be out of reach
        self._builtins = dict(self._real)
        self._given = {**self._builtins, "__import__": GuardedImport(), "ApiError": ApiError}
        self._main = ModuleType("__main__")
        self._variables = self._main.__dict__
        sys.modules["__main__"] = self._main
        sys.meta_path[:] = [Refuse]
        sys.path[:] = sys.argv[:] = []
        sys.stdin = None
        for name in ("ctypes", "_ctypes", "socket", "_socket", "subprocess", "_posixsubprocess", "select", "resource"):
            sys.modules.pop(name, None)

    def begin(self, limits: dict[str, Any], names: dict[str, list[str]] | None, seed: int) -> None:
        self._limits = limits
        self._apis = Apis(self._call, names)
        load_dice(seed)

    def serve(self) -> None:
        try:
            while True:
                order = self._line.read()
                self._line.write(self._line.pack(self._turn(order["nonce"], order["code"])))
        except BaseException:  # whatever broke: better a dead worker than a strange one
            os._exit(_BROKEN)

    def _turn(self, nonce: str, code: str) -> dict[str, Any]:
        self._nonce, self._calls = nonce, 0
        self._turns += 1
        name = f"<turn {self._turns}>"
        if len(self._sources) == _SOURCES:
            del self._sources[next(iter(self._sources))]
        self._sources[name] = code
        output = self._tidy()
        kind, error = self._run(code, name)
        self._restore()
        spent = not self._room()
        if spent and not error:
            kind, error = "memory", "MemoryError: the variables take up all the memory there is"
        return {
            "type": "done",
            "nonce": nonce,
            "output": clean(output.text()),
            "error": clean(error),
            "kind": kind,
            "spent": spent,
            "shape": "" if spent else clean(shape(self._variables)),
        }

    def _room(self) -> bool:
        """Whether memory is left for another turn; a worker at its limit would die of the next trifle."""
        try:
            if self._reserve is None:
                self._reserve = bytes(_RESERVE)
            bytes(_HEADROOM)
        except MemoryError:
            return False
        return True

    def _run(self, code: str, name: str) -> tuple[str, str]:
        limit = self._limits["error_chars"]
        try:
            self._clock.start(self._limits["seconds"])
            try:
                return self._execute(code, name, limit)
            finally:
                self._clock.stop()
        except TurnTimeout as error:
            self._clock.stop()
            self._restore()
            said = (
                f"TimeoutError: the turn ran longer than {self._limits['seconds']:g} s and was stopped; "
                "variables are kept"
            )
            return "timeout", describe(error, self._sources, limit, said)
        except MemoryError as error:
            self._clock.stop()
            self._reserve = None
            self._restore()
            megabytes = self._limits["memory_mb"]
            said = f"MemoryError: more than {megabytes} MB were needed; variables are kept, del what is not needed"
            return "memory", describe(error, self._sources, limit, said)

    def _execute(self, code: str, name: str, limit: int) -> tuple[str, str]:
        try:
            # dont_inherit: else the agent's code would have our `from __future__ import annotations`
            program = compile(code, name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, OverflowError, RecursionError) as error:
            return "syntax", describe_syntax(error, limit)
        except MemoryError:  # what the parser says of code that is nested too deeply
            return "syntax", "SyntaxError: the code is too large or nested too deeply"
        try:
            exec(program, self._variables)
        except (MemoryError, TurnTimeout):
            raise
        except BaseException as error:  # SystemExit too: leaving is not the agent's to decide
            self._restore()
            return "exception", describe(error, self._sources, limit)
        return "", ""

    def _tidy(self) -> Output:
        """What every turn begins with, whatever the one before it left behind."""
        variables = self._variables
        variables.pop("print", None)  # the agent's two ways to the world, its mouth and its hands, are given back
        variables.update(__name__="__main__", __builtins__=dict(self._given), apis=self._apis)
        sys.modules["__main__"] = self._main
        output = Output(self._limits["output_chars"])
        sys.stdout = sys.stderr = output
        self._restore()
        return output

    def _restore(self) -> None:
        sys.settrace(None)
        sys.setprofile(None)
        sys.setrecursionlimit(self._limits["recursion"])
        self._real.update(self._builtins)
        sys.excepthook = sys.unraisablehook = sys.displayhook = _nothing
        gc.enable()

    def _call(self, app: str, api: str, arguments: dict[str, Any]) -> Any:
        """One API call: there and back."""
        limits = self._limits
        if self._calls >= limits["calls"]:
            raise RuntimeError(
                f"Expected at most {limits['calls']} API calls a turn, got more; try it in several turns"
            )
        given = {name: plain(value, f"{app}.{api}({name}=…)") for name, value in arguments.items()}
        frame = self._line.pack(
            {"type": "call", "nonce": self._nonce, "app": app, "api": api, "arguments": plain(given, f"{app}.{api}(…)")}
        )
        if len(frame) > limits["frame_bytes"]:
            raise ValueError(f"Expected at most {limits['frame_bytes']} bytes of arguments in {app}.{api}(…), got more")
        self._calls += 1
        self._clock.hold()
        try:
            self._line.write(frame)
            reply = self._line.read()
        finally:
            self._clock.release()
        if "value" in reply:
            return reply["value"]
        status, message = reply["status"], reply["message"]
        text = json.dumps({"message": message}, ensure_ascii=False)
        raise ApiError(f"Response status code is {status}: {cut(text, limits['error_chars'])}", status, message)


def _nothing(*_: object) -> None:
    pass
