"""The sandbox as an env uses it: code in, outcome out; API calls answered on the way."""

from __future__ import annotations

import json
import os
import secrets
import signal
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import Any

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.sandbox.limits import KINDS, Limits, Outcome
from agentgym_hindsight.envs.appworld.sandbox.line import (
    BrokenLineError,
    ClosedLineError,
    HostLine,
    LateLineError,
)
from agentgym_hindsight.envs.appworld.sandbox.nursery import Born, Nursery, nursery
from agentgym_hindsight.errors import UnknownNameError, UsageError, WorkerError

__all__ = ["STRONG", "WALLS", "Sandbox"]

#: What ``without`` can leave out.
WALLS = ("namespaces", "seccomp", "audit")
_LOST = "the interpreter was replaced: variables are lost"
STRONG = "namespaces+seccomp"
_NAME_CHARS = 200
_HELLO_SECONDS = 10.0


class _StaleError(Exception):
    """The worker speaks of an earlier turn; nothing of this one has happened yet."""


class Sandbox:
    """Runs code in a worker process that holds nothing of ours.

    * ``call(app, api, arguments)`` answers ``apis.<app>.<api>(**arguments)`` here, in the host, with what JSON can
      carry, or raises :class:`ApiFailure`. Any other exception is a fault of the world and comes out of :meth:`run`.
    * ``names``: the API names of each app, for ``did you mean``; None lets every name through.
    * ``seed`` of the code's ``random``; ``now``, the date and time its calendar clocks stand at ("": the real ones).
    * ``without``: walls to leave out, for tests of the others.
    * ``python``: the interpreter of the worker; the one that runs now if "".

    ``AGENTGYM_SANDBOX=strict`` in the environment refuses to run on less than namespaces and seccomp.

    >>> sandbox = Sandbox(lambda app, api, arguments: arguments["n"] * 2, {"sums": ["double"]})
    >>> sandbox.run("x = apis.sums.double(n=21)").shape
    'x:int'
    >>> sandbox.run("print(x)").output
    '42\\n'
    >>> sandbox.close()
    """

    def __init__(
        self,
        call: Callable[[str, str, dict[str, Any]], Any],
        names: Mapping[str, Sequence[str]] | None = None,
        limits: Limits | None = None,
        *,
        seed: int = 0,
        now: str = "",
        without: Iterable[str] = (),
        python: str = "",
    ) -> None:
        for wall in (left_out := frozenset(without)):
            if wall not in WALLS:
                raise UnknownNameError("wall", wall, WALLS)
        self._call, self.limits = call, limits or Limits()
        self._names = None if names is None else {app: sorted(apis) for app, apis in names.items()}
        self._seed, self._now = seed, now
        if now:
            _check_moment(now)
        self._nursery = nursery(python, left_out)
        self._worker = _Worker(self._nursery)
        self._finalizer = weakref.finalize(self, self._worker.end)
        if os.environ.get("AGENTGYM_SANDBOX") == "strict" and self.mode != STRONG:
            raise WorkerError(
                f"Expected a sandbox of {STRONG} (AGENTGYM_SANDBOX=strict), got {self.mode}; "
                "try a kernel that allows user namespaces, or unset the variable."
            )

    @property
    def mode(self) -> str:
        """What confines the code: "namespaces+seccomp", "seccomp", "namespaces" or "rlimits" (weak)."""
        return self._nursery.mode

    def reset(self, *, seed: int | None = None, now: str | None = None) -> None:
        """A fresh interpreter; ``seed`` and ``now`` replace those given before."""
        self._seed = self._seed if seed is None else seed
        self._now = self._now if now is None else _check_moment(now)
        self._worker.end()
        self._start()

    def close(self) -> None:
        self._worker.end()

    def run(self, code: str) -> Outcome:
        """Runs ``code`` as the next cell; always comes back, about ``seconds + grace`` later at the latest."""
        if len(code) > self.limits.code_chars:
            said = f"SyntaxError: Expected at most {self.limits.code_chars} characters of code, got {len(code)}"
            return Outcome("", said, "syntax", False, self._worker.shape)
        lost = self._worker.line is not None and not self._worker.sound()
        if lost:
            self._worker.end()
        if self._worker.line is None:
            self._start()
        try:
            outcome = self._turn(code)
        except _StaleError:  # once at most: a fresh worker has no earlier turn
            self._worker.end()
            self._start()
            lost, outcome = True, self._turn(code)
        except BaseException:
            self._worker.end()
            raise
        if not lost:
            return outcome
        said = f"InterpreterError: before this turn {_LOST}"
        return outcome._replace(fresh=True, error=f"{outcome.error}\n{said}".strip(), kind=outcome.kind or "died")

    def _start(self) -> None:
        hello = json.dumps({"limits": vars(self.limits), "names": self._names, "seed": self._seed, "now": self._now})
        for _ in range(2):  # the one kept in reserve may have died while it waited
            try:
                self._worker.start(self.limits.frame_bytes).send(hello, monotonic() + _HELLO_SECONDS)
                return
            except (ClosedLineError, LateLineError):
                self._worker.end()
        raise WorkerError(
            "Expected a worker for the agent's code, got none that listens; try a machine under less load."
        )

    def _turn(self, code: str) -> Outcome:
        line = self._worker.line
        assert line is not None
        deadline = monotonic() + self.limits.seconds + self.limits.grace
        nonce, calls = secrets.token_hex(8), 0
        previous, self._worker.nonce = self._worker.nonce, nonce
        try:
            line.send(json.dumps({"nonce": nonce, "code": code}), deadline)
            while True:
                message = line.receive(deadline)
                if message.get("nonce") != nonce:
                    if calls == 0 and previous is not None and message.get("nonce") == previous:
                        raise _StaleError
                    raise BrokenLineError("a message of another turn")
                if message.get("type") == "done":
                    return self._outcome(message)
                calls += 1
                if calls > self.limits.calls:
                    raise BrokenLineError("more calls than a turn may have")
                line.send(self._answer(message), deadline)
        except LateLineError:
            said = f"TimeoutError: the turn ran longer than {self.limits.seconds:g} s and did not stop"
            return self._replaced("timeout", said)
        except BrokenLineError as error:
            return self._replaced("protocol", f"InterpreterError: the code disturbed the line to its apis ({error})")
        except ClosedLineError:
            return self._died()

    def _answer(self, message: dict[str, Any]) -> str:
        app, api, arguments = message.get("app"), message.get("api"), message.get("arguments")
        if message.get("type") != "call" or not isinstance(arguments, dict):
            raise BrokenLineError("a message of another shape")
        if not (isinstance(app, str) and isinstance(api, str) and max(len(app), len(api)) <= _NAME_CHARS):
            raise BrokenLineError("a call without a name")
        try:
            reply = json.dumps({"value": self._call(app, api, arguments)})
        except ApiFailure as failure:
            return json.dumps({"status": failure.status, "message": failure.message})
        if len(reply) > self.limits.reply_bytes:
            said = f"The answer has {len(reply)} bytes; at most {self.limits.reply_bytes} can be given at once."
            return json.dumps({"status": 413, "message": said})
        return reply

    def _outcome(self, message: dict[str, Any]) -> Outcome:
        output, error, kind, shape = (message.get(name) for name in ("output", "error", "kind", "shape"))
        if not (isinstance(output, str) and isinstance(error, str) and isinstance(shape, str) and kind in KINDS):
            raise BrokenLineError("a message of another shape")
        limits = self.limits
        output, error, shape = output[: limits.output_chars + 99], error[: limits.error_chars + 99], shape[:4_099]
        if message.get("spent") is True:
            return self._replaced(str(kind), error)._replace(output=output)
        self._worker.shape = shape
        return Outcome(output, error, str(kind), False, shape)

    def _died(self) -> Outcome:
        status = self._worker.end(tell=True)
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if number == getattr(signal, "SIGXCPU", None):
            return self._replaced("timeout", "TimeoutError: the interpreter used up its processor time")
        how = f"was ended by {signal.Signals(number).name}" if number else f"ended with status {status >> 8}"
        return self._replaced("died", f"InterpreterError: the interpreter {how}")

    def _replaced(self, kind: str, said: str) -> Outcome:
        """The outcome of a turn whose worker cannot be kept. The next turn starts another."""
        self._worker.end()
        return Outcome("", f"{said}; {_LOST}" if said else _LOST, kind, True, "")


def _check_moment(now: str) -> str:
    try:
        datetime.fromisoformat(now or "2000-01-01")
    except ValueError:
        raise UsageError(f"Expected a moment such as 2023-05-18T12:00:00, got {now!r}; try ISO format.") from None
    return now


class _Worker:
    """The worker that is alive now, if one is. Apart from the sandbox, so that a forgotten sandbox takes it along."""

    def __init__(self, home: Nursery) -> None:
        self._home = home
        self._born: Born | None = None
        self.nonce: str | None = None  # of its last turn
        self.shape = ""  # after its last turn
        self.line: HostLine | None = None

    def start(self, limit: int) -> HostLine:
        self._born, self.nonce, self.shape = self._home.spawn(), None, ""
        self.line = HostLine(self._born.sock, limit)
        return self.line

    def sound(self) -> bool:
        """Not if it died, speaks out of turn, or belongs to the process that this one was forked off."""
        return self._born is not None and self._home.owns(self._born) and self.line is not None and self.line.quiet()

    def end(self, tell: bool = False) -> int:
        born, self._born, self.line, self.shape = self._born, None, None, ""
        return self._home.end(born, tell) if born else 0
