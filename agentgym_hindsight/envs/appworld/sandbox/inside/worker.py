"""The worker process: receives code, runs it like a notebook cell, and reports the result. One per episode.

The agent's code can reach every object here, because Python cannot hide objects within a process. Therefore the host
does not trust the worker, and replaces it when it breaks.
"""

from __future__ import annotations

import builtins
import gc
import json
import os
import random
import signal
import sys
from types import ModuleType
from typing import Any

from agentgym_hindsight.envs.appworld.sandbox.inside.apis import ApiError, Apis
from agentgym_hindsight.envs.appworld.sandbox.inside.confine import memory_probe
from agentgym_hindsight.envs.appworld.sandbox.inside.modules import GuardedImport, RefusingFinder
from agentgym_hindsight.envs.appworld.sandbox.inside.randomness import seed_all_randomness
from agentgym_hindsight.envs.appworld.sandbox.inside.report import (
    Output,
    clean,
    cut,
    format_error,
    format_syntax_error,
    shape,
)
from agentgym_hindsight.envs.appworld.sandbox.inside.variables import decode, encode
from agentgym_hindsight.envs.appworld.sandbox.inside.worker_channel import WorkerChannel, to_json_value

__all__ = ["Worker"]

_REPEAT_SECONDS = 0.25  # the timer repeats, for code that caught the first timeout
_RESERVE = 8 << 20  # released when memory runs out, so that the error can be reported; bytes(n) maps but does not touch
_HEADROOM = 4 << 20
_SOURCES = 200
_BROKEN_STATUS = 70


class TurnTimeout(BaseException):
    """Raised in the agent's code when its time is up. ``except Exception`` does not catch it."""


class TurnTimer:
    """Raises :class:`TurnTimeout` in the agent's code, but never within a message to the host.

    ``no_cpu_left``: the process has used up its processor time. The kernel repeats that signal every second, and kills
    the process soon after.
    """

    def __init__(self) -> None:
        self._running = self._held = self._late = self.no_cpu_left = False
        signal.signal(signal.SIGALRM, self._on_alarm)
        signal.signal(signal.SIGXCPU, self._on_alarm)

    def _on_alarm(self, number: int, _: object) -> None:
        if number == signal.SIGXCPU:
            self.no_cpu_left = True
        if self._held:
            self._late = True
        elif self._running:
            raise TurnTimeout

    def start(self, seconds: float) -> None:
        self._late, self._running = False, True
        signal.setitimer(signal.ITIMER_REAL, seconds, _REPEAT_SECONDS)

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
    """Created in advance, as the reserve of the zygote; :meth:`begin` assigns it to a sandbox."""

    def __init__(self, channel: WorkerChannel) -> None:
        self._channel = channel
        self._timer = TurnTimer()
        self._limits: dict[str, Any] = {}
        self._apis: Apis | None = None
        self._sources: dict[str, str] = {}
        self._turns = self._calls = 0
        self._draws = random.Random(0)
        self._first_draws: list[Any] = []
        self._nonce = ""
        self._reserve: bytes | None = bytes(_RESERVE)
        self._fits = memory_probe(_HEADROOM)
        self._real = builtins.__dict__  # taken now, because the agent may replace vars() later
        self._builtins = dict(self._real)
        self._given = {**self._builtins, "__import__": GuardedImport(), "ApiError": ApiError}
        self._main = ModuleType("__main__")
        self._variables = self._main.__dict__
        sys.modules["__main__"] = self._main
        sys.meta_path[:] = [RefusingFinder]
        sys.path[:] = sys.argv[:] = []
        sys.stdin = None
        for name in ("ctypes", "_ctypes", "socket", "_socket", "subprocess", "_posixsubprocess", "select", "resource"):
            sys.modules.pop(name, None)

    def begin(self, limits: dict[str, Any], names: dict[str, list[str]] | None, seed: int) -> None:
        self._limits = limits
        self._apis = Apis(self._call, names)
        self._draws = seed_all_randomness(seed)
        self._first_draws = self._random_states()

    def serve(self) -> None:
        try:
            while True:
                request = self._channel.read()
                self._channel.write(self._channel.pack(self._answer(request)))
        except BaseException:  # after any fault, exit: the host replaces a dead worker
            os._exit(_BROKEN_STATUS)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        nonce = request["nonce"]
        if "save" in request:
            return {"type": "saved", "nonce": nonce, "state": self._save(request["save"])}
        if "load" in request:
            self._load(request["load"])
            return {"type": "loaded", "nonce": nonce, "shape": clean(shape(self._variables))}
        return self._turn(nonce, request["code"])

    def _random_states(self) -> list[Any]:
        """The states of ``random`` and of ``os.urandom``, as JSON values."""
        return [[state[0], list(state[1]), state[2]] for state in (random.getstate(), self._draws.getstate())]

    def _save(self, limit: int) -> dict[str, Any]:
        """The state of the interpreter between two turns, as far as it is data."""
        self._restore()
        states = self._random_states()
        saved = encode(self._variables, self._sources, self._apis, limit)
        return {**saved, "turns": self._turns, "random": None if states == self._first_draws else states}

    def _load(self, state: dict[str, Any]) -> None:
        """Set the state of a new interpreter."""
        self._prepare()
        decode(state, self._variables, self._sources, self._apis, self._given["__import__"])
        self._turns = state["turns"]
        if state["random"] is not None:
            for source, (version, words, gauss) in zip((random._inst, self._draws), state["random"], strict=True):
                source.setstate((version, tuple(words), gauss))

    def _turn(self, nonce: str, code: str) -> dict[str, Any]:
        self._nonce, self._calls = nonce, 0
        self._turns += 1
        name = f"<turn {self._turns}>"
        if len(self._sources) == _SOURCES:
            del self._sources[next(iter(self._sources))]
        self._sources[name] = code
        output = self._prepare()
        kind, error = self._run(code, name)
        self._restore()
        spent = self._timer.no_cpu_left or not self._has_memory_left()
        if self._timer.no_cpu_left and kind != "timeout":
            kind, error = "timeout", f"{error}\n{self._no_cpu_message}".strip()
        elif spent and not error:
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

    @property
    def _no_cpu_message(self) -> str:
        return f"TimeoutError: the interpreter used up its {self._limits['cpu_seconds']} s of processor time"

    def _has_memory_left(self) -> bool:
        """Whether the memory suffices for another turn. A worker at its limit would die in the next turn."""
        try:
            if self._reserve is None:
                self._reserve = bytes(_RESERVE)
            if not self._fits():
                bytes(_HEADROOM)  # free memory of the interpreter itself is enough too
        except MemoryError:
            return False
        return True

    def _run(self, code: str, name: str) -> tuple[str, str]:
        limit = self._limits["error_chars"]
        try:
            self._timer.start(self._limits["seconds"])
            try:
                return self._execute(code, name, limit)
            finally:
                self._timer.stop()
        except TurnTimeout as error:
            self._timer.stop()
            self._restore()
            message = (
                self._no_cpu_message
                if self._timer.no_cpu_left
                else f"TimeoutError: the turn ran longer than {self._limits['seconds']:g} s and was stopped; "
                "variables are kept"
            )
            return "timeout", format_error(error, self._sources, limit, message)
        except MemoryError as error:
            self._timer.stop()
            self._reserve = None
            self._restore()
            megabytes = self._limits["memory_mb"]
            message = f"MemoryError: more than {megabytes} MB were needed; variables are kept, del what is not needed"
            return "memory", format_error(error, self._sources, limit, message)

    def _execute(self, code: str, name: str, limit: int) -> tuple[str, str]:
        try:
            # dont_inherit: otherwise `from __future__ import annotations` of this file would apply to the agent's code
            program = compile(code, name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, OverflowError, RecursionError) as error:
            return "syntax", format_syntax_error(error, limit)
        except MemoryError:  # raised by the parser for code that is nested too deeply
            return "syntax", "SyntaxError: the code is too large or nested too deeply"
        try:
            exec(program, self._variables)
        except (MemoryError, TurnTimeout):
            raise
        except BaseException as error:  # SystemExit too: the agent must not end the worker
            self._restore()
            return "exception", format_error(error, self._sources, limit)
        return "", ""

    def _prepare(self) -> Output:
        """Restore the state with which every turn starts, whatever the previous turn changed."""
        variables = self._variables
        variables.pop("print", None)  # print and apis come back if the agent has overwritten them
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
        """Send one API call to the host and return its reply."""
        limits = self._limits
        if self._calls >= limits["calls"]:
            raise RuntimeError(
                f"Expected at most {limits['calls']} API calls a turn, got more; try it in several turns"
            )
        given = {name: to_json_value(value, f"{app}.{api}({name}=…)") for name, value in arguments.items()}
        frame = self._channel.pack(
            {
                "type": "call",
                "nonce": self._nonce,
                "app": app,
                "api": api,
                "arguments": to_json_value(given, f"{app}.{api}(…)"),
            }
        )
        if len(frame) > limits["frame_bytes"]:
            raise ValueError(f"Expected at most {limits['frame_bytes']} bytes of arguments in {app}.{api}(…), got more")
        self._calls += 1
        self._timer.hold()
        try:
            self._channel.write(frame)
            reply = self._channel.read()
        finally:
            self._timer.release()
        if "value" in reply:
            return reply["value"]
        status, message = reply["status"], reply["message"]
        text = json.dumps({"message": message}, ensure_ascii=False)
        raise ApiError(f"Response status code is {status}: {cut(text, limits['error_chars'])}", status, message)


def _nothing(*_: object) -> None:
    pass
