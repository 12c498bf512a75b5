"""The genuine environment's verbs over HTTP, with a deadline each and errors that say what to do.

Quirks of the server that are dealt with here: while a world is open its clock stands still, which breaks its timers
for idle connections, so that every request has a connection of its own; ``/evaluate`` raises at the first failed test
unless told not to; an error of its own is a bare "Internal Server Error", its cause on its standard error only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from agentgym_hindsight.envs.appworld.official.changes import Changes, read_changes
from agentgym_hindsight.envs.appworld.official.replies import Verdict, read_verdict
from agentgym_hindsight.envs.appworld.official.world_interface import TaskStart
from agentgym_hindsight.errors import BackendError, WorkerError

__all__ = ["WorldClient", "parse_task_start"]

_MOST_BYTES = 64_000_000
_GRACE = 30.0  # beyond the server's own limit on a program, for saving the databases


class WorldClient:
    """Talks to one server, at a URL or at a socket file.

    ``seconds`` is how long a program may run, ``starting`` how long the server may take to answer at all.
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
        complaint: Callable[[], str] | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.where = self.url if socket_path is None else "the server"
        self.seconds, self.starting, self.experiment = seconds, starting, experiment
        self._logs, self._complaint = logs, complaint
        self._task_id = ""
        self._version = ""
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=socket_path, limits=httpx.Limits(max_keepalive_connections=0)),
            headers={"Connection": "close"},
            trust_env=False,  # a proxy must not come between
        )

    @property
    def version(self) -> str:
        """Of the appworld package that the server runs."""
        if not self._version:
            told = self._call("GET", "/openapi.json", None, self.starting)
            try:
                self._version = str(told["info"]["version"])
            except (LookupError, TypeError) as error:
                raise WorkerError(f"Expected an AppWorld server at {self.where}, got something else.") from error
        return self._version

    def ready(self, within: float | None = None) -> None:
        """Wait until the server answers."""
        told = self._call("GET", "/", None, self.starting if within is None else within)
        if not isinstance(told, dict) or "message" not in told:
            raise WorkerError(f"Expected an AppWorld server at {self.where}, got something else; try another URL.")

    def initialize(self, task_id: str) -> TaskStart:
        """Open a task's world; one that was open is closed by the server."""
        self._task_id = task_id
        asked = {"experiment_name": self.experiment, "timeout_seconds": self.seconds}
        return parse_task_start(self._ask("initialize", self.starting, **asked))

    def execute(self, code: str) -> str:
        """Run a program; its output, or the account of its failure."""
        code = code.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # half a character fails over there
        output = self._ask("execute", self.seconds + _GRACE, code=code)
        if not isinstance(output, str):
            raise WorkerError(f"Expected a program's output as text, got {type(output).__name__}.")
        return output

    def task_completed(self) -> bool:
        """Whether the agent has declared the task complete."""
        return self._ask("task_completed", _GRACE) is True

    def evaluate(self) -> Verdict:
        """Run the task's tests: once, last, for a second run or one in mid-episode may judge wrongly."""
        return read_verdict(self._ask("evaluate", self.seconds + _GRACE, suppress_errors=True, report=False))

    def save_state(self, state_id: str) -> str:
        """Write the databases aside, on the server's side. (Loading them again breaks the package's ``close``.)"""
        return str(self._ask("save_state", _GRACE, state_id=state_id))

    def close(self) -> None:
        """Close the world that is open; its server stays."""
        if self._task_id:
            try:
                self._ask("close", _GRACE)
            finally:
                self._task_id = ""

    def hang_up(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def changes(self) -> Changes | None:
        """The change logs, where the server writes them on this machine."""
        if self._logs is None:
            return None
        return read_changes(self._logs / self.experiment / "tasks" / self._task_id / "dbs")

    def _ask(self, verb: str, within: float, **arguments: Any) -> Any:
        told = self._call("POST", f"/{verb}", {"task_id": self._task_id, **arguments}, within)
        if not isinstance(told, dict) or "output" not in told:
            raise WorkerError(f"Expected an output from /{verb} of {self.where}, got none; try a fresh server.")
        return told["output"]

    def _call(self, method: str, path: str, body: dict[str, Any] | None, within: float) -> Any:
        content = None if body is None else json.dumps(body).encode()
        # Waiting is for the answer; an absent server is known at once.
        limits = httpx.Timeout(within, connect=min(within, 10.0))
        headers = {"Content-Type": "application/json"}
        try:
            with self._http.stream(method, self.url + path, content=content, headers=headers, timeout=limits) as reply:
                data = bytearray()
                for chunk in reply.iter_bytes():
                    data += chunk
                    if len(data) > _MOST_BYTES:
                        raise WorkerError(
                            f"Expected at most {_MOST_BYTES} bytes from {path} of {self.where}, got more; "
                            "try printing less."
                        )
                status = reply.status_code
        except httpx.TimeoutException as error:
            raise WorkerError(
                f"Expected an answer to {path} from {self.where} within {within:g} s, got none: it hangs; "
                "try a fresh server, or more seconds."
            ) from error
        except (httpx.HTTPError, OSError) as error:
            raise WorkerError(
                f"Expected an answer to {path} from {self.where}, got {type(error).__name__}: {error}"
                f"{self._because()}; try a fresh server."
            ) from error
        if status == 422:
            raise BackendError(f"Expected {path} of {self.where} to be understood, got 422; try appworld 0.1.3.")
        if status != 200:
            cure = "another task" if path == "/initialize" else "the episode anew"
            raise BackendError(
                f"Expected {path} of {self.where} to succeed, got status {status}{self._because()}; try {cure}."
            )
        try:
            return json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise WorkerError(
                f"Expected JSON from {path} of {self.where}, got {len(data)} bytes of something else; "
                "try a fresh server."
            ) from error

    def _because(self) -> str:
        told = self._complaint() if self._complaint is not None else ""
        return f" ({told})" if told else ""


def parse_task_start(told: Any) -> TaskStart:
    """The start of a task, from what ``initialize`` answers."""
    try:
        person = told["supervisor"]
        return TaskStart(
            str(told["instruction"]),
            f"{person['first_name']} {person['last_name']}",
            str(person["email"]),
            str(person["phone_number"]),
            str(told["datetime"]).replace("T", " "),
        )
    except (LookupError, TypeError) as error:
        raise WorkerError("Expected a task's beginning from /initialize, got something else.") from error
