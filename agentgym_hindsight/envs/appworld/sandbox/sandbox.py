"""The sandbox that an env uses: it runs code, answers the API calls of that code, and returns an outcome."""

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
from agentgym_hindsight.envs.appworld.sandbox.host_channel import (
    ChannelClosedError,
    ChannelProtocolError,
    ChannelTimeoutError,
    HostChannel,
)
from agentgym_hindsight.envs.appworld.sandbox.interpreter_state import (
    InterpreterState,
    new_interpreter,
    received_state,
)
from agentgym_hindsight.envs.appworld.sandbox.limits import KINDS, Limits, Outcome
from agentgym_hindsight.envs.appworld.sandbox.strictness import is_strict
from agentgym_hindsight.envs.appworld.sandbox.worker_process import WorkerProcess
from agentgym_hindsight.envs.appworld.sandbox.zygote_client import Ending, ZygoteClient, zygote_client
from agentgym_hindsight.errors import SchemaError, UnknownNameError, UsageError, WorkerError

__all__ = ["LAYERS", "Sandbox"]

#: Isolation layers that ``without`` can leave out.
LAYERS = ("namespaces", "seccomp", "audit")
_LOST = "the interpreter was replaced: variables are lost"
_NAME_CHARS = 200
_HELLO_SECONDS = 10.0


class _StaleError(Exception):
    """The worker sent a message of an earlier turn before anything of this turn had happened."""


class Sandbox:
    """Runs code in a worker process that contains nothing of the host.

    * ``call(app, api, arguments)`` answers ``apis.<app>.<api>(**arguments)`` in the host process. It returns a JSON
      value or raises :class:`ApiFailure`. Any other exception is a bug of the world, and :meth:`run` raises it.
    * ``names``: the API names of each app. No other name is passed to ``call``, and errors suggest similar ones. With
      None, every name is passed to ``call``, also names such as ``__class__``.
    * ``seed``: the seed of the code's ``random``.
    * ``now``: the date and time that the code's clocks show, in ISO format; "" for the real ones.
    * ``without``: isolation layers to leave out, to test the others.
    * ``python``: the interpreter of the worker; "" for the running one.

    ``AGENTGYM_SANDBOX=strict`` in the environment refuses any mode weaker than namespaces and seccomp.

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
        for layer in (left_out := frozenset(without)):
            if layer not in LAYERS:
                raise UnknownNameError("isolation layer", layer, LAYERS)
        self._call, self.limits = call, limits or Limits()
        self._names = None if names is None else {app: sorted(apis) for app, apis in names.items()}
        self._seed, self._now = seed, now
        self._lost = False  # the worker was ended by save(), which the next turn reports
        self._pending: InterpreterState | None = None  # of load(), for the interpreter that the next turn starts
        if now:
            _check_moment(now)
        self._zygote = zygote_client(python, left_out)
        self._worker = _CurrentWorker(self._zygote)
        self._finalizer = weakref.finalize(self, self._worker.end)
        if is_strict():
            self._zygote.check()  # raise here, not in the first turn

    @property
    def mode(self) -> str:
        """The active kernel layers: "namespaces+seccomp", "seccomp", "namespaces" or "rlimits" (weak)."""
        return self._zygote.mode

    def reset(self, *, seed: int | None = None, now: str | None = None) -> None:
        """Start a new interpreter. ``seed`` and ``now`` replace the earlier values."""
        self._seed = self._seed if seed is None else seed
        self._now = self._now if now is None else _check_moment(now)
        self._worker.end()
        self._lost, self._pending = False, None
        self._start()

    def close(self) -> None:
        self._pending = None
        self._worker.end()

    def save(self) -> InterpreterState:
        """The state of the interpreter, as data from which :meth:`load` makes an equal one.

        The worker lists its variables as JSON values; the host stores the text and never evaluates it. Variables that
        have no such form are named in ``lost``. A worker that does not answer properly is ended, as after a bad turn.
        """
        if self._pending is not None:
            return self._pending
        if self._worker.channel is None:
            return new_interpreter()
        if self._worker.is_usable():
            try:
                return received_state(self._request({"save": self.limits.frame_bytes * 3 // 4}, "saved").get("state"))
            except (ChannelClosedError, ChannelProtocolError, ChannelTimeoutError, SchemaError):
                pass
        self._worker.end()
        self._lost = True
        return InterpreterState("", ("all variables",))

    def load(self, state: InterpreterState, *, seed: int | None = None, now: str | None = None) -> None:
        """Go on in a state that :meth:`save` returned. ``seed`` and ``now`` are as in :meth:`reset`.

        The new interpreter starts with the next turn: many forks are never played, and starting takes milliseconds.
        """
        self._seed = self._seed if seed is None else seed
        self._now = self._now if now is None else _check_moment(now)
        self._worker.end()
        self._lost, self._pending = False, state

    def _start_pending(self, state: InterpreterState) -> None:
        self._pending = None
        self._start()
        if not state.data:
            return
        try:
            shape = self._request({"load": json.loads(state.data)}, "loaded").get("shape")
        except (ChannelClosedError, ChannelProtocolError, ChannelTimeoutError) as error:
            self._worker.end()
            raise WorkerError(
                f"Expected an interpreter that takes the variables of the snapshot, got {type(error).__name__}; try "
                "taking the snapshot again."
            ) from error
        self._worker.shape = shape[:4_099] if isinstance(shape, str) else ""

    def _request(self, request: dict[str, Any], answer: str) -> dict[str, Any]:
        """Send a request between two turns, and return the answer."""
        channel = self._worker.channel
        assert channel is not None
        nonce = secrets.token_hex(8)
        self._worker.nonce = nonce
        deadline = monotonic() + self.limits.seconds + self.limits.grace
        self._worker.resume()
        channel.send(json.dumps({"nonce": nonce, **request}), deadline)
        message = channel.receive(deadline)
        if message.get("nonce") != nonce or message.get("type") != answer:
            raise ChannelProtocolError("a message of another turn")
        self._worker.stop()
        return message

    def run(self, code: str) -> Outcome:
        """Run ``code`` as the next cell.

        Returns after about ``seconds + grace`` at the latest, or after the call of an API that is being answered then.
        """
        if self._pending is not None:
            self._start_pending(self._pending)
        if len(code) > self.limits.code_chars:
            message = f"SyntaxError: Expected at most {self.limits.code_chars} characters of code, got {len(code)}"
            return Outcome("", message, "syntax", False, self._worker.shape)
        lost, self._lost = self._lost or (self._worker.channel is not None and not self._worker.is_usable()), False
        if lost:
            self._worker.end()
        if self._worker.channel is None:
            self._start()
        deadline = monotonic() + self.limits.seconds + self.limits.grace
        try:
            outcome = self._turn(code, deadline)
        except _StaleError:  # once at most: a new worker has no earlier turn
            self._worker.end()
            self._start()
            lost, outcome = True, self._turn(code, deadline)
        except BaseException:
            self._worker.end()
            raise
        if not lost:
            return outcome
        message = f"InterpreterError: before this turn {_LOST}"
        return outcome._replace(fresh=True, error=f"{outcome.error}\n{message}".strip(), kind=outcome.kind or "died")

    def _start(self) -> None:
        hello = json.dumps({"limits": vars(self.limits), "names": self._names, "seed": self._seed, "now": self._now})
        for _ in range(2):  # the worker that the zygote keeps in reserve may have died
            try:
                self._worker.start(self.limits.frame_bytes).send(hello, monotonic() + _HELLO_SECONDS)
                return
            except (ChannelClosedError, ChannelTimeoutError):
                self._worker.end()
        raise WorkerError("Expected a worker for the agent's code, got none that responds; try to reduce the load.")

    def _turn(self, code: str, deadline: float) -> Outcome:
        channel = self._worker.channel
        assert channel is not None
        nonce, calls = secrets.token_hex(8), 0
        previous, self._worker.nonce = self._worker.nonce, nonce
        self._worker.resume()
        try:
            channel.send(json.dumps({"nonce": nonce, "code": code}), deadline)
            while True:
                message = channel.receive(deadline)
                if message.get("nonce") != nonce:
                    if calls == 0 and previous is not None and message.get("nonce") == previous:
                        raise _StaleError
                    raise ChannelProtocolError("a message of another turn")
                if message.get("type") == "done":
                    self._worker.stop()
                    return self._outcome(message)
                calls += 1
                if calls > self.limits.calls:
                    raise ChannelProtocolError("more calls than a turn may have")
                channel.send(self._answer(message), deadline)
        except ChannelTimeoutError:
            reason = f"TimeoutError: the turn ran longer than {self.limits.seconds:g} s and did not stop"
            return self._lost_outcome("timeout", reason)
        except ChannelProtocolError as error:
            reason = f"InterpreterError: the code disturbed the line to its apis ({error})"
            return self._lost_outcome("protocol", reason)
        except ChannelClosedError:
            return self._died()

    def _answer(self, message: dict[str, Any]) -> str:
        app, api, arguments = message.get("app"), message.get("api"), message.get("arguments")
        if message.get("type") != "call" or not isinstance(arguments, dict):
            raise ChannelProtocolError("a message of another shape")
        if not (isinstance(app, str) and isinstance(api, str) and max(len(app), len(api)) <= _NAME_CHARS):
            raise ChannelProtocolError("a call without a name")
        if self._names is not None and api not in self._names.get(app, ()):  # the worker's own check refuses it before
            raise ChannelProtocolError("a call of an unknown API")
        try:
            reply = json.dumps({"value": self._call(app, api, arguments)})
        except ApiFailure as failure:
            return json.dumps({"status": failure.status, "message": failure.message})
        if len(reply) > self.limits.reply_bytes:
            reason = f"The answer has {len(reply)} bytes; at most {self.limits.reply_bytes} can be given at once."
            return json.dumps({"status": 413, "message": reason})
        return reply

    def _outcome(self, message: dict[str, Any]) -> Outcome:
        output, error, kind, shape = (message.get(name) for name in ("output", "error", "kind", "shape"))
        if not (isinstance(output, str) and isinstance(error, str) and isinstance(shape, str) and kind in KINDS):
            raise ChannelProtocolError("a message of another shape")
        limits = self.limits
        output, error, shape = output[: limits.output_chars + 99], error[: limits.error_chars + 99], shape[:4_099]
        if message.get("spent") is True:
            return self._lost_outcome(str(kind), error)._replace(output=output)
        self._worker.shape = shape
        return Outcome(output, error, str(kind), False, shape)

    def _died(self) -> Outcome:
        ending = self._worker.end(want_status=True)
        number = os.WTERMSIG(ending.status) if os.WIFSIGNALED(ending.status) else 0
        # It ends by SIGXCPU, or by SIGKILL if the code has swallowed that.
        if number == getattr(signal, "SIGXCPU", None) or ending.cpu >= self.limits.cpu_seconds:
            return self._lost_outcome(
                "timeout", f"TimeoutError: the interpreter used up its {self.limits.cpu_seconds} s of processor time"
            )
        how = f"was ended by {signal.Signals(number).name}" if number else f"ended with status {ending.status >> 8}"
        return self._lost_outcome("died", f"InterpreterError: the interpreter {how}")

    def _lost_outcome(self, kind: str, reason: str) -> Outcome:
        """End a worker that cannot be kept, and return the outcome of its turn. The next turn starts a new worker."""
        self._worker.end()
        return Outcome("", f"{reason}; {_LOST}" if reason else _LOST, kind, True, "")


def _check_moment(now: str) -> str:
    try:
        datetime.fromisoformat(now or "2000-01-01")
    except ValueError:
        raise UsageError(f"Expected a moment such as 2023-05-18T12:00:00, got {now!r}; try ISO format.") from None
    return now


class _CurrentWorker:
    """The running worker of a sandbox, if there is one.

    It is an object apart from the sandbox, so that the sandbox's finalizer can end the worker without a reference to
    the sandbox.
    """

    def __init__(self, zygote: ZygoteClient) -> None:
        self._zygote = zygote
        self._process: WorkerProcess | None = None
        self.nonce: str | None = None  # of its last turn
        self.shape = ""  # after its last turn
        self.channel: HostChannel | None = None

    def start(self, limit: int) -> HostChannel:
        self._process, self.nonce, self.shape = self._zygote.spawn(), None, ""
        self.channel = HostChannel(self._process.sock, limit)
        return self.channel

    def stop(self) -> None:
        """Between turns, nothing of the agent's code may run."""
        if self._process is not None:
            self._zygote.stop(self._process)

    def resume(self) -> None:
        if self._process is not None:
            self._zygote.resume(self._process)

    def is_usable(self) -> bool:
        """False if it died, sent data between turns, or belongs to the process that this one was forked off."""
        return (
            self._process is not None
            and self._zygote.owns(self._process)
            and self.channel is not None
            and self.channel.is_idle()
        )

    def end(self, want_status: bool = False) -> Ending:
        process, self._process, self.channel, self.shape = self._process, None, None, ""
        return self._zygote.end(process, want_status) if process else Ending()
