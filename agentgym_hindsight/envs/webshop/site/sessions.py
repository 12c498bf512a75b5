"""The sessions on the server, bounded in number and age, each with its own lock.

A session is identified only by its name in the address, as in the original; no cookie is set. The site generates random
names, and a session cannot be reached without its name.
"""

from __future__ import annotations

import re
import secrets
import string
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.errors import UsageError

__all__ = ["LockedSession", "Sessions", "is_name", "new_name"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LETTERS = string.ascii_lowercase + string.digits


def is_name(name: str) -> bool:
    """Whether a session may have this name. Dots are not allowed, because browsers request /favicon.ico."""
    return _NAME.fullmatch(name) is not None


def new_name() -> str:
    """A random name with more than 80 bits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(16))


class LockedSession:
    """One session with its lock. Hold the lock while you read or change the session."""

    __slots__ = ("lock", "session", "used")

    def __init__(self, session: Session, used: float) -> None:
        self.session, self.used = session, used
        self.lock = threading.Lock()


class Sessions:
    """At most ``limit`` sessions, none unused for more than ``max_age`` seconds.

    If there are too many, the least recently used one is removed.
    """

    def __init__(
        self,
        new_session: Callable[[str], Session],
        *,
        limit: int = 5000,
        max_age: float = 4 * 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if limit < 1 or max_age <= 0:
            raise UsageError(
                f"Expected a limit of at least 1 and a positive max_age, got limit={limit}, max_age={max_age}; "
                "try limit=5000."
            )
        self._new_session, self._limit, self._max_age, self._clock = new_session, limit, max_age, clock
        self._sessions: OrderedDict[str, LockedSession] = OrderedDict()  # the least recently used first
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, name: str) -> LockedSession | None:
        """The session of a name, or None if there is none or it has expired."""
        with self._lock:
            return self._find_unexpired(name)

    def find_or_create(self, name: str) -> LockedSession:
        """The session of a name, created if there is none."""
        with self._lock:
            # Created under the lock: two concurrent requests for a new name must not create two sessions.
            locked = self._find_unexpired(name)
            if locked is None:
                locked = self._sessions[name] = LockedSession(self._new_session(name), self._clock())
                if len(self._sessions) > self._limit:
                    self._sessions.popitem(last=False)
            return locked

    def _find_unexpired(self, name: str) -> LockedSession | None:
        now = self._clock()
        while self._sessions:
            oldest = next(iter(self._sessions.values()))
            if now - oldest.used <= self._max_age:
                break
            self._sessions.popitem(last=False)
        locked = self._sessions.get(name)
        if locked is not None:
            locked.used = now
            self._sessions.move_to_end(name)
        return locked
