"""An HTTP client for AppWorld's server. Every request has a time limit, and every reply a size limit.

The client works around three properties of the server:

* While a world is open, the clock of the server process stands still. This breaks its timers for idle connections, so
  every request uses a new connection.
* ``/evaluate`` raises at the first failed test unless ``suppress_errors`` is set.
* After an internal error it returns "Internal Server Error" only; the cause is on its standard error.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentgym_hindsight.envs.appworld.official.changes import Changes, read_changes
from agentgym_hindsight.envs.appworld.official.replies import Verdict, read_verdict
from agentgym_hindsight.envs.appworld.official.world_interface import TaskStart
from agentgym_hindsight.errors import BackendError, WorkerError
from agentgym_hindsight.http_client import HttpClient, HttpError, HttpTimeoutError

__all__ = ["WorldClient", "parse_task_start"]

_MAX_BYTES = 64_000_000
_GRACE = 30.0  # seconds beyond the server's own limit on a program, for saving the databases


class WorldClient:
    """A client of one server, at a URL or at a socket file.

    ``seconds`` limits the run time of a program; ``starting`` limits the time until the server responds at all.
    """

    def __init__(
        self,
        url: str = "http://appworld",
        *,
        socket_path: str | None = None,
        seconds: int = 100,
        starting: float = 300.0,
        experiment: str = "agentgym-hindsight",
        logs: Path | None = None,
        last_error: Callable[[], str] | None = None,
    ) -> None:
        self._http = HttpClient(url, socket_path=socket_path, keep_alive=False, use_proxies=False)
        #: The address without user and password.
        self.url = self._http.url
        self.where = self.url if socket_path is None else "the server"
        self.seconds, self.starting, self.experiment = seconds, starting, experiment
        self._logs, self._last_error = logs, last_error
        self._task_id = ""
        self._version = ""

    @property
    def version(self) -> str:
        """The version of the appworld package in the server."""
        if not self._version:
            reply = self._call("GET", "/openapi.json", None, self.starting)
            try:
                self._version = str(reply["info"]["version"])
            except (LookupError, TypeError) as error:
                raise WorkerError(
                    f"Expected an AppWorld server at {self.where}, got another service; try another URL."
                ) from error
        return self._version

    def ready(self, within: float | None = None) -> None:
        """Wait until the server responds."""
        reply = self._call("GET", "/", None, self.starting if within is None else within)
        if not isinstance(reply, dict) or "message" not in reply:
            raise WorkerError(f"Expected an AppWorld server at {self.where}, got another service; try another URL.")

    def initialize(self, task_id: str) -> TaskStart:
        """Open the world of a task. The server closes a world that was open."""
        self._task_id = task_id
        settings = {"experiment_name": self.experiment, "timeout_seconds": self.seconds}
        return parse_task_start(self._post("initialize", self.starting, **settings))

    def execute(self, code: str) -> str:
        """Run a program. Return its output, or AppWorld's text of its failure."""
        # The server cannot decode lone surrogates.
        code = code.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        output = self._post("execute", self.seconds + _GRACE, code=code)
        if not isinstance(output, str):
            raise WorkerError(f"Expected a program's output as text, got {type(output).__name__}; try a new server.")
        return output

    def task_completed(self) -> bool:
        """Whether the agent has declared the task complete."""
        return self._post("task_completed", _GRACE) is True

    def evaluate(self) -> Verdict:
        """Run the tests of the task. Call it once, at the end: a second or earlier run may give wrong results."""
        return read_verdict(self._post("evaluate", self.seconds + _GRACE, suppress_errors=True, report=False))

    def close(self) -> None:
        """Close the open world. The server keeps running."""
        if self._task_id:
            try:
                self._post("close", _GRACE)
            finally:
                self._task_id = ""

    def hang_up(self) -> None:
        """Close the HTTP client."""
        self._http.close()

    def changes(self) -> Changes | None:
        """The change logs, or None if the server does not write them to a known folder of this machine."""
        if self._logs is None:
            return None
        return read_changes(self._logs / self.experiment / "tasks" / self._task_id / "dbs")

    def _post(self, verb: str, within: float, **arguments: Any) -> Any:
        reply = self._call("POST", f"/{verb}", {"task_id": self._task_id, **arguments}, within)
        if not isinstance(reply, dict) or "output" not in reply:
            raise WorkerError(f"Expected an output from /{verb} of {self.where}, got none; try a new server.")
        return reply["output"]

    def _call(self, method: str, path: str, body: dict[str, Any] | None, within: float) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Connection": "close"}
        try:
            reply = self._http.request(
                method,
                path,
                content,
                headers,
                seconds=within,
                connect_seconds=min(within, 10.0),  # only the response may take long
                most_bytes=_MAX_BYTES,
            )
        except HttpTimeoutError as error:
            raise WorkerError(
                f"Expected an answer to {path} from {self.where} within {within:g} s, got none; "
                "try a new server, or more seconds."
            ) from error
        except HttpError as error:
            raise WorkerError(
                f"Expected an answer to {path} from {self.where}, got {error}{self._cause()}; try a new server."
            ) from error
        if not reply.complete:
            raise WorkerError(
                f"Expected at most {_MAX_BYTES} bytes from {path} of {self.where}, got more; try printing less."
            )
        status, data = reply.status, reply.body
        if status == 422:
            raise BackendError(f"Expected {path} of {self.where} to accept the request, got 422; try appworld 0.1.3.")
        if status != 200:
            advice = "another task" if path == "/initialize" else "to restart the episode"
            raise BackendError(
                f"Expected {path} of {self.where} to succeed, got status {status}{self._cause()}; try {advice}."
            )
        try:
            return json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise WorkerError(
                f"Expected JSON from {path} of {self.where}, got {len(data)} bytes of other content; try a new server."
            ) from error

    def _cause(self) -> str:
        line = self._last_error() if self._last_error is not None else ""
        return f" ({line})" if line else ""


def parse_task_start(reply: Any) -> TaskStart:
    """The start of a task, from the reply of ``initialize``."""
    try:
        person = reply["supervisor"]
        return TaskStart(
            str(reply["instruction"]),
            f"{person['first_name']} {person['last_name']}",
            str(person["email"]),
            str(person["phone_number"]),
            str(reply["datetime"]).replace("T", " "),
        )
    except (LookupError, TypeError) as error:
        raise WorkerError(
            "Expected the start of a task from /initialize, got other content; try appworld 0.1.3."
        ) from error
