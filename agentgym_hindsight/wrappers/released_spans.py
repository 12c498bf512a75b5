"""The spans of actions as SERL's release finds them, also in damaged tags, for its action-token mask.

:func:`~agentgym_hindsight.wrappers.parsing.action_spans` finds the same in replies with undamaged tags. Where tags are
damaged, the release also reads ``action>`` inside of a closing tag or of a longer word as an opening one, needs a
closing tag without blanks, and passes over an empty action.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

__all__ = ["released_action_spans"]

# Case folding is that of Unicode here, as in the release. A tag with attributes is searched in two steps, its name and
# then its ">", because one pattern would look for the ">" again at every name.
_FLAGS = re.IGNORECASE
_NAME = re.compile(r"<action\b", _FLAGS)
_CLOSE = re.compile(r"</action>", _FLAGS)
_DAMAGED = (re.compile(r"\[action>", _FLAGS), re.compile(r"action>", _FLAGS))
_CALL = re.compile(r"(?:search|click)\[", _FLAGS)
_CALL_END = re.compile(r"[\]\n]")

#: From a text and a place to the end of the next opening tag, or -1.
_Opening = Callable[[str, int], int]


def released_action_spans(response: str) -> tuple[tuple[int, int], ...]:
    """The spans of the actions in a response, in characters and without the tags; merged where they touch.

    1. The text after every ``<action …>``, ``[action>`` and ``action>`` up to the next ``</action>``, each kind by
       itself. Empty texts do not count.
    2. Without any: from the first ``<action …>`` to the end.
    3. Without that: every ``search[…]`` and ``click[…]`` without a line break.

    >>> reply = "</action> so <action>look</action>"
    >>> [reply[begin:end] for begin, end in released_action_spans(reply)]
    [' so <action>look']
    """
    spans = [span for opening in _OPENINGS for span in _closed_spans(response, opening) if span[0] < span[1]]
    if not spans:
        begin = _after_tag(response, 0)
        spans = [(begin, len(response))] if 0 <= begin < len(response) else list(_calls(response))
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((begin, end))
    return tuple(merged)


def _closed_spans(response: str, opening: _Opening) -> Iterator[tuple[int, int]]:
    """From the end of each opening tag to the next closing tag; tags between the two belong to the text."""
    place = 0
    while (begin := opening(response, place)) >= 0 and (closed := _CLOSE.search(response, begin)):
        yield begin, closed.start()
        place = closed.end()


def _after_tag(response: str, place: int) -> int:
    name = _NAME.search(response, place)
    return response.find(">", name.end()) + 1 or -1 if name else -1


def _after(pattern: re.Pattern[str]) -> _Opening:
    def opening(response: str, place: int) -> int:
        found = pattern.search(response, place)
        return found.end() if found else -1

    return opening


_OPENINGS: tuple[_Opening, ...] = (_after_tag, *map(_after, _DAMAGED))


def _calls(response: str) -> Iterator[tuple[int, int]]:
    place = 0
    while found := _CALL.search(response, place):
        end = _CALL_END.search(response, found.end())
        if end is None:
            return
        if end[0] == "]":
            yield found.start(), end.end()
            place = end.end()
        else:  # a line break: a later name on the same line ends there too
            place = end.end()
