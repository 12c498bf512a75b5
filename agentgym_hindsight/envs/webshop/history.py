"""The original's ``num_prev_obs`` and ``num_prev_actions``: earlier pages and actions in the observation."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from agentgym_hindsight.errors import UsageError

__all__ = ["History"]

_SEPARATOR = " [SEP] "


class History:
    """The last pages and actions of one episode, put before the current page, oldest first.

    The first observation has nothing before it. Refused actions count too.

    >>> history = History(1, 2)
    >>> history.start("A"), history.after("search[x]", "B"), history.after("click[y]", "C")
    ('A', 'A [SEP] search[x] [SEP] B', 'search[x] [SEP] B [SEP] click[y] [SEP] C')
    """

    __slots__ = ("_actions", "_pages", "actions", "observations")

    def __init__(self, observations: int = 0, actions: int = 0) -> None:
        for name, value in (("num_prev_obs", observations), ("num_prev_actions", actions)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise UsageError(f"Expected {name} to be an integer of at least 0, got {value!r}; try {name}=1.")
        self.observations, self.actions = observations, actions
        self._pages: deque[str] = deque(maxlen=observations)
        self._actions: deque[str] = deque(maxlen=actions)

    def start(self, page: str) -> str:
        """Clear the history; return the first page of the next episode."""
        self._pages.clear()
        self._actions.clear()
        self._pages.append(page)
        return page

    def after(self, action: str, page: str) -> str:
        """The page after an action, with the earlier pages and actions before it."""
        if not self.observations and not self.actions:
            return page
        self._actions.append(action)
        parts = [page]
        for distance in range(1, 1 + max(len(self._pages), len(self._actions))):
            if len(self._actions) >= distance:
                parts.append(self._actions[-distance])
            if len(self._pages) >= distance:
                parts.append(self._pages[-distance])
        self._pages.append(page)
        return _SEPARATOR.join(reversed(parts))

    def saved(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The pages and actions, for :meth:`load`."""
        return tuple(self._pages), tuple(self._actions)

    def load(self, pages: Iterable[str], actions: Iterable[str]) -> None:
        """Set the pages and actions."""
        self._pages = deque(pages, maxlen=self.observations)
        self._actions = deque(actions, maxlen=self.actions)

    def copy(self) -> History:
        """An empty history of the same lengths."""
        return History(self.observations, self.actions)
