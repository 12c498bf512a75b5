"""Addresses of pages: on the server, or within one exported file. An address holds the whole state of a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

__all__ = ["ExportLinks", "Links"]

#: Ids of tasks that a path can hold as they are.
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,200}")


class Links:
    """Addresses on the server.

    >>> Links().rollout("a", 3, turn=2, tokens="gap")
    '/s/a/rollout/3?turn=2&tokens=gap'
    """

    #: Whether the pages are in one exported file, without a server.
    exported = False

    def home(self) -> str | None:
        return "/"

    def source(self, slug: str, **query: object) -> str | None:
        return f"/s/{quote(slug)}{_query(query)}"

    def task(self, slug: str, task: str, update: int = -1, **query: object) -> str | None:
        more = {"update": update if update >= 0 else None, **query}
        if _PLAIN.fullmatch(task):
            return f"/s/{quote(slug)}/task/{task}{_query(more)}"
        # Servers and browsers change paths with slashes and dots, and cannot have an empty part.
        return f"/s/{quote(slug)}/task{_query(more, id=task)}"

    def rollout(self, slug: str, line: int, turn: int = 1, **query: object) -> str | None:
        return f"/s/{quote(slug)}/rollout/{line}{_query({'turn': turn, **query})}"

    def compare(self, **query: object) -> str | None:
        return f"/compare{_query(query)}"

    def difference(self, first: str, second: str) -> str | None:
        return f"/difference{_query({'a': first, 'b': second})}"


class ExportLinks(Links):
    """Addresses within an exported file: only of the pages that are in it.

    ``differences`` are the pairs of rollouts that are shown side by side; ``None``: there is no comparison.
    """

    exported = True

    def __init__(
        self,
        rollouts: Mapping[tuple[str, int], int],
        tasks: Mapping[tuple[str, int, str], int],
        differences: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        self._rollouts, self._tasks, self._differences = rollouts, tasks, differences

    def home(self) -> str | None:
        return "#home"

    def source(self, slug: str, **query: object) -> str | None:
        return "#home"

    def task(self, slug: str, task: str, update: int = -1, **query: object) -> str | None:
        number = self._tasks.get((slug, update, task))
        return None if number is None else f"#task-{number}"

    def rollout(self, slug: str, line: int, turn: int = 1, **query: object) -> str | None:
        number = self._rollouts.get((slug, line))
        return None if number is None else f"#rollout-{number}-turn-{turn}"

    def compare(self, **query: object) -> str | None:
        return None if self._differences is None else "#compare"

    def difference(self, first: str, second: str) -> str | None:
        number = (self._differences or {}).get((first, second))
        return None if number is None else f"#difference-{number}"


def _query(values: Mapping[str, object], **always: str) -> str:
    given = {**always, **{key: str(value) for key, value in values.items() if value not in (None, "")}}
    return f"?{urlencode(given, errors='replace')}" if given else ""
