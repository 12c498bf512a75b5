"""Create the source of worlds for an env's settings: own servers, servers at URLs, or this process."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agentgym_hindsight.envs.appworld.official.in_process import InProcessSlot
from agentgym_hindsight.envs.appworld.official.interpreter import find_data, find_interpreter
from agentgym_hindsight.envs.appworld.official.slots import ManagedSlot, UrlSlot
from agentgym_hindsight.envs.appworld.official.world_pool import WorldPool
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.redaction import hide_passwords

__all__ = ["WorldSource", "default_server_count", "shared_source"]

_GIGABYTES_A_SERVER = 0.8
_sources: dict[tuple[Any, ...], WorldSource] = {}


class WorldSource:
    """A pool of worlds and its ``kind``: ``managed`` servers, servers at ``urls``, or ``in-process``.

    It counts the backends that use it. When the last one leaves, the servers end.
    """

    def __init__(self, kind: str, root: Path, pool: WorldPool, version: Callable[[], str]) -> None:
        self.kind, self.root, self.pool = kind, root, pool
        self._read_version = version
        self._version = ""
        self._users: weakref.WeakSet[object] = weakref.WeakSet()

    @property
    def version(self) -> str:
        """The version of the ``appworld`` package."""
        if not self._version:
            self._version = self._read_version()
        return self._version

    def join(self, user: object) -> None:
        """Register a user of the worlds."""
        self._users.add(user)

    def leave(self, user: object) -> None:
        """Remove a user. May be called twice; a user that left can use the source again."""
        self._users.discard(user)
        if not self._users:
            self.pool.close()


def shared_source(
    root: str | os.PathLike[str] | None = None,
    urls: Sequence[str] | None = None,
    servers: int | None = None,
    *,
    in_process: bool = False,
    seconds: int = 100,
    starting: float = 300.0,
    wait: float = 300.0,
) -> WorldSource:
    """The source for these settings. Equal settings share one source per process."""
    if servers is not None and (isinstance(servers, bool) or not isinstance(servers, int) or servers < 1):
        raise UsageError(f"Expected servers as a whole number ≥ 1, got {servers!r}; try servers=2.")
    if isinstance(urls, str):
        shown = hide_passwords(urls)
        raise UsageError(f"Expected a list of URLs, got {shown!r}; try urls=[{shown!r}].")
    if in_process and (urls or servers):
        raise UsageError("Expected one way to reach AppWorld, got in_process with urls or servers; try only one.")
    folder = find_data(root)
    configured = os.environ.get("APPWORLD_SERVERS", "").replace(",", " ").split()
    addresses = tuple(dict.fromkeys(urls or (() if in_process or servers else configured)))
    key = (str(folder), addresses, servers, in_process, seconds, starting, wait, os.environ.get("APPWORLD_PYTHON"))
    if key not in _sources:
        if in_process:
            _sources[key] = _in_process(folder, seconds)
        elif addresses:
            _sources[key] = _at_urls(folder, addresses, seconds, starting, wait)
        else:
            _sources[key] = _managed(folder, servers or default_server_count(), seconds, starting, wait)
    return _sources[key]


def default_server_count() -> int:
    """How many servers fit into the free memory; at least one."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return max(1, int(int(line.split()[1]) / 1e6 / _GIGABYTES_A_SERVER))
    except (OSError, ValueError, LookupError):
        pass
    return 4


def _managed(root: Path, servers: int, seconds: int, starting: float, wait: float) -> WorldSource:
    python, version = find_interpreter()
    slots = [ManagedSlot(python, root, seconds=seconds, starting=starting) for _ in range(servers)]
    return WorldSource("managed", root, WorldPool(slots, wait=wait), lambda: version)


def _at_urls(root: Path, urls: Sequence[str], seconds: int, starting: float, wait: float) -> WorldSource:
    pool = WorldPool([UrlSlot(url, seconds=seconds, starting=starting) for url in urls], wait=wait)

    def version() -> str:
        with pool.lease() as lease:
            return lease.world.version

    return WorldSource("urls", root, pool, version)


def _in_process(root: Path, seconds: int) -> WorldSource:
    # No wait: while a world is open the clock of this process stands still, so a wait would never end.
    pool = WorldPool([InProcessSlot(root, seconds=seconds)], wait=0.0)

    def version() -> str:
        with pool.lease() as lease:
            return lease.world.version

    return WorldSource("in-process", root, pool, version)
