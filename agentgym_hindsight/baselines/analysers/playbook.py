"""A playbook: short rules that were learnt from rollouts, with counts of how often each helped or harmed.

It is kept in the memory of a method, as plain lists and dictionaries, so that checkpoints contain it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from agentgym_hindsight.baselines.analysers.answers import text_of

__all__ = ["Playbook"]

_MOST_CHARACTERS = 300  # of an entry
_NAME = "playbook"


class Playbook:
    """The rules in ``memory["playbook"]``, at most ``most``.

    >>> memory = {}
    >>> book = Playbook(memory, most=2)
    >>> book.add(["Open doors first.", "Look twice.", "open  doors first."])
    >>> book.tag({"p1": "helpful", "p2": "harmful"})
    >>> print(book.text())
    [p1] Open doors first.
    """

    def __init__(self, memory: MutableMapping[str, Any], most: int = 200) -> None:
        self._memory, self._most = memory, most

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The entries, oldest first."""
        kept: list[dict[str, Any]] = self._memory.get(_NAME, [])
        return kept

    def add(self, texts: Iterable[str]) -> None:
        """Append rules; those that are there already are left out. Beyond ``most`` the least useful are dropped."""
        known = {_plain(entry["text"]) for entry in self.entries}
        entries, number = list(self.entries), int(self._memory.get("playbook_count", 0))
        for given in texts:
            text = text_of(given, _MOST_CHARACTERS)
            if text and _plain(text) not in known:
                number += 1
                known.add(_plain(text))
                entries.append({"id": f"p{number}", "text": text, "helpful": 0, "harmful": 0})
        worst = sorted(entries, key=lambda entry: entry["helpful"] - entry["harmful"])  # the oldest of equals first
        dropped = {entry["id"] for entry in worst[: max(0, len(entries) - self._most)]}
        self._store([entry for entry in entries if entry["id"] not in dropped])
        if number:
            self._memory["playbook_count"] = number

    def tag(self, tags: Mapping[str, str]) -> None:
        """Count the tags ``helpful`` and ``harmful`` by id. Rules that harmed as often as they helped are dropped."""
        entries = []
        for entry in self.entries:
            counted = dict(entry)
            tag = tags.get(entry["id"])
            if tag in ("helpful", "harmful"):
                counted[tag] += 1
            if not (counted["harmful"] and counted["harmful"] >= counted["helpful"]):
                entries.append(counted)
        self._store(entries)

    def text(self, most: int = 4000) -> str:
        """The rules with their ids, the most useful first, as far as they fit."""
        ranked = sorted(self.entries, key=lambda entry: entry["harmful"] - entry["helpful"])
        lines: list[str] = []
        length = 0
        for entry in ranked:
            line = f"[{entry['id']}] {entry['text']}"
            length += len(line) + 1
            if length > most:
                break
            lines.append(line)
        return "\n".join(lines)

    def _store(self, entries: list[dict[str, Any]]) -> None:
        if entries or _NAME in self._memory:
            self._memory[_NAME] = entries


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
