"""Slots of a world pool. Each opens one world: in a server started here, or in a server at a URL."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from agentgym_hindsight.envs.appworld.official.client import WorldClient
from agentgym_hindsight.envs.appworld.official.server import COMMAND, Server
from agentgym_hindsight.envs.appworld.official.world_interface import OfficialWorld
from agentgym_hindsight.envs.trusted_folders import open_lock
from agentgym_hindsight.errors import BackendError, WorkerError
from agentgym_hindsight.redaction import hide_passwords
from agentgym_hindsight.tasks import content_hash

__all__ = ["ManagedSlot", "ServerUnreachableError", "Slot", "UrlSlot"]

#: The memory of a server grows with every episode; according to measurements it should restart after this many.
EPISODES_A_SERVER = 200


class ServerUnreachableError(WorkerError):
    """The server does not respond; another slot may work."""


class Slot(Protocol):
    """Holds one world at a time."""

    @property
    def warm(self) -> bool: ...  # whether a server is running, so that `open` is fast
    def reserve(self) -> bool: ...  # False if another process uses the world
    def open(self) -> OfficialWorld: ...
    def discard(self) -> None: ...  # end a broken world
    def release(self) -> None: ...  # after an episode; undoes `reserve`
    def forget(self) -> None: ...  # in the child of a fork: drop what belongs to the parent


class ManagedSlot:
    """A server process. It starts on first use and restarts when it is dead or has played ``episodes`` episodes."""

    def __init__(
        self,
        python: str,
        root: Path,
        *,
        seconds: int = 100,
        starting: float = 300.0,
        episodes: int = EPISODES_A_SERVER,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.python, self.root, self.command = python, root, command
        self.seconds, self.starting, self.episodes = seconds, starting, episodes
        self.server: Server | None = None
        self._client: WorldClient | None = None
        self._played = 0

    @property
    def warm(self) -> bool:
        return self.server is not None and self.server.alive

    def reserve(self) -> bool:
        return True

    def open(self) -> OfficialWorld:
        if self._played >= self.episodes or not self.warm:
            self.discard()
        if self._client is None:
            self._client = self._start()
        self._played += 1
        return self._client

    def discard(self) -> None:
        server, client = self.server, self._client
        self.server = self._client = None
        self._played = 0
        if client is not None:
            client.hang_up()
        if server is not None:
            server.close()

    def release(self) -> None:
        pass

    def forget(self) -> None:
        self.server = self._client = None  # server.py closes the pipes of the server
        self._played = 0

    def _start(self) -> WorldClient:
        server = self.server = Server(self.python, self.root, command=self.command)
        client = WorldClient(
            socket_path=server.socket_path,
            seconds=self.seconds,
            starting=self.starting,
            logs=server.log_folder,
            last_error=server.last_error,
        )
        try:
            client.ready()
        except BackendError:
            client.hang_up()
            self.discard()
            raise
        return client


class UrlSlot:
    """A server started elsewhere. It has one world; a lock file gives it to one process of this machine at a time."""

    def __init__(self, url: str, *, seconds: int = 100, starting: float = 300.0) -> None:
        if not url.startswith(("http://", "https://")):
            raise BackendError(
                f"Expected an AppWorld server's URL, got {hide_passwords(url)!r}; try 'http://127.0.0.1:9000'."
            )
        self.url = url
        self.seconds, self.starting = seconds, starting
        self._client: WorldClient | None = None
        self._lock: IO[bytes] | None = None

    @property
    def warm(self) -> bool:
        return self._client is not None

    def reserve(self) -> bool:
        import fcntl

        # Other users know this name. The user id in it lets every user have a folder of their own.
        folder = Path(tempfile.gettempdir()) / f"agh-appworld-urls-{os.geteuid()}"
        cure = "to remove it, or TMPDIR with a folder of your own"
        lock = os.fdopen(open_lock(folder, content_hash(self.url), cure), "r+b", buffering=0)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return False
        self._lock = lock
        return True

    def open(self) -> OfficialWorld:
        if self._client is None:
            experiment = f"agentgym-hindsight-{content_hash(self.url)}"  # servers may share one output folder
            self._client = WorldClient(self.url, experiment=experiment, seconds=self.seconds, starting=self.starting)
        try:
            self._client.ready(within=min(10.0, self.starting))
        except WorkerError as error:
            self.discard()
            raise ServerUnreachableError(str(error)) from error
        return self._client

    def discard(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.hang_up()

    def release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    def forget(self) -> None:
        self.release()
        self._client = None
