"""The sessions on the server, bounded in number and age, each with its own lock.

A session is identified only by its name in the address, as in the original; no cookie is set. The site generates random
names, and a session cannot be reached without its name.

A client can create sessions without end, and several clients can have one address (all of them, on the machine of the
server or behind a proxy). So a full store does not simply remove the session that was used least recently: see
:class:`Sessions`.
"""

from __future__ import annotations

import re
import secrets
import string
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from agentgym_hindsight.envs.webshop.pages import DONE, INDEX
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.errors import UsageError

__all__ = ["LockedSession", "Sessions", "ShopFullError", "is_name", "new_name"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LETTERS = string.ascii_lowercase + string.digits
#: An address with more sessions than this share of the limit loses the oldest to visitors from other addresses.
_LARGEST_SHARE = 0.25


def is_name(name: str) -> bool:
    """Whether a session may have this name. Dots are not allowed, because browsers request /favicon.ico."""
    return _NAME.fullmatch(name) is not None


def new_name() -> str:
    """A random name with more than 80 bits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(16))


class ShopFullError(Exception):
    """There is no room for a new session: all are in use."""


class LockedSession:
    """One session with its lock. Hold the lock while you read or change the session."""

    __slots__ = ("client", "kind", "lock", "session", "used")

    def __init__(self, session: Session, used: float, client: str) -> None:
        self.session, self.used, self.client = session, used, client
        self.kind = INDEX  # of the page when the session was last put back
        self.lock = threading.Lock()


class Sessions:
    """At most ``limit`` sessions, none unused for more than ``max_age`` seconds.

    When there are too many, a new session takes the place of the least recently used one of the first of these groups
    that is not empty:

    1. sessions on the start page: there is nothing to lose, because the name determines the goal;
    2. sessions whose purchase was made;
    3. sessions that were not used for ``recent`` seconds;
    4. sessions of the address with the most, if it has more than a quarter of the limit and the new session is from
       another address.

    Otherwise the new session is refused with :class:`ShopFullError`. So a client cannot remove sessions that other
    people are using, whether they have its address or another one.
    """

    def __init__(
        self,
        new_session: Callable[[str], Session],
        *,
        limit: int = 5000,
        max_age: float = 4 * 3600.0,
        recent: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if limit < 1 or max_age <= 0:
            raise UsageError(
                f"Expected a limit of at least 1 and a positive max_age, got limit={limit}, max_age={max_age}; "
                "try limit=5000."
            )
        self.unsaved = new_session  # a session of this name that is not stored
        self._limit, self._max_age, self._recent, self._clock = limit, max_age, recent, clock
        self._sessions: dict[str, LockedSession] = {}
        # names by what may be removed first, the least recently used first
        self._idle, self._done, self._active = (OrderedDict[str, None]() for _ in range(3))
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, name: str) -> LockedSession | None:
        """The session of a name, or None if there is none or it has expired."""
        with self._lock:
            return self._find_unexpired(name)

    def find_or_create(self, name: str, client: str = "") -> LockedSession:
        """The session of a name, created for the address ``client`` if there is none."""
        with self._lock:
            # Created under the lock: two concurrent requests for a new name must not create two sessions.
            locked = self._find_unexpired(name)
            if locked is None:
                session = self.unsaved(name)  # raises for a name without a goal, before another session is removed
                if len(self._sessions) >= self._limit:
                    self._make_room(client)
                locked = self._sessions[name] = LockedSession(session, self._clock(), client)
                self._idle[name] = None
            return locked

    def put_back(self, name: str, locked: LockedSession) -> None:
        """Note the page that a session is on now. Call it after each request, holding the session's lock."""
        kind = locked.session.state.kind
        with self._lock:
            if self._sessions.get(name) is locked and kind != locked.kind:
                del self._group(locked.kind)[name]
                locked.kind = kind
                self._group(kind)[name] = None

    def _group(self, kind: str) -> OrderedDict[str, None]:
        return self._idle if kind == INDEX else self._done if kind == DONE else self._active

    def _find_unexpired(self, name: str) -> LockedSession | None:
        now = self._clock()
        for group in (self._idle, self._done, self._active):
            while group and now - self._sessions[next(iter(group))].used > self._max_age:
                self._remove(next(iter(group)))
        locked = self._sessions.get(name)
        if locked is not None:
            locked.used = now
            self._group(locked.kind).move_to_end(name)
        return locked

    def _make_room(self, client: str) -> None:
        for group in (self._idle, self._done):
            if group:
                return self._remove(next(iter(group)))
        oldest = next(iter(self._active))
        if self._clock() - self._sessions[oldest].used >= self._recent:
            return self._remove(oldest)
        largest, count = Counter(locked.client for locked in self._sessions.values()).most_common(1)[0]
        if largest != client and count > _LARGEST_SHARE * self._limit:
            return self._remove(next(name for name in self._active if self._sessions[name].client == largest))
        raise ShopFullError

    def _remove(self, name: str) -> None:
        del self._group(self._sessions.pop(name).kind)[name]
