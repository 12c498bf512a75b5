"""The teacher's prompt as it was read: what it has beyond the policy's prompt, and what was cut off."""

from __future__ import annotations

from agentgym_hindsight.markup import Html, join, tag
from agentgym_hindsight.viewer.layout import fold
from agentgym_hindsight.viewer.rollouts import TurnTokens
from agentgym_hindsight.viewer.worlds.plain import cut

__all__ = ["cut_parts", "teacher_prompt_html"]

_MARKER, _MARKER_END = "[… ", " characters left out …]"
_LONGEST_MARKER = 60
_PROBE = 80  # characters after a marker by which the place where the text goes on is found


def cut_parts(uncut: str, read: str) -> list[tuple[str, bool]]:
    """The uncut context in pieces, each with whether it was cut off; ``read`` has markers where text was left out.

    >>> cut_parts("one two three four", "one [… 10 characters left out …]four")
    [('one ', False), ('two three ', True), ('four', False)]
    """
    pieces: list[tuple[str, bool]] = []
    place = begin = 0
    while True:
        marker = read.find(_MARKER, begin)
        end = read.find(_MARKER_END, marker, marker + _LONGEST_MARKER) if marker >= 0 else -1
        if end < 0:
            break
        before = read[begin:marker].rstrip("\n")
        if uncut.startswith(before, place):
            pieces.append((uncut[place : place + len(before)], False))
            place += len(before)
        begin = end + len(_MARKER_END)
        while read.startswith("\n", begin):
            begin += 1
        probe = read[begin : begin + _PROBE].partition(_MARKER)[0].rstrip("\n")
        found = uncut.find(probe, place) if probe else -1
        found = len(uncut) if found < 0 else found
        pieces.append((uncut[place:found], True))
        place = found
    pieces.append((uncut[place:], False))
    return [(text, is_cut) for text, is_cut in pieces if text]


def teacher_prompt_html(tokens: TurnTokens) -> Html:
    """What the teacher saw; empty if it was not asked."""
    if not tokens.teacher_read:
        if not tokens.context:
            return tag(
                "p",
                "The teacher was not asked about this turn: ",
                tokens.mask_reason or "not recorded",
                ".",
                class_="soft",
            )
        why = tokens.mask_reason or "its prompt is not recorded"
        return tag(
            "div",
            tag("p", f"Only the context is known ({why}):", class_="soft"),
            tag("pre", cut(tokens.context), class_="text hind"),
        )
    same = _common_prefix(tokens.prompt_read, tokens.teacher_read)
    own, more = tokens.teacher_read[:same], tokens.teacher_read[same:]
    rest = _common_suffix(tokens.prompt_read[same:], more)
    middle, end = more[: len(more) - rest], more[len(more) - rest :]
    parts = [
        tag(
            "p",
            "As the teacher read it, decoded from the recorded ids. Marked: what the policy did not see.",
            class_="soft",
        ),
        tag(
            "pre",
            join([cut(own), tag("mark", cut(middle), class_="hind", title="only the teacher saw this"), end]),
            class_="text",
        ),
    ]
    if tokens.context_cut and tokens.context_uncut:
        pieces = cut_parts(tokens.context_uncut, (middle if _MARKER in middle else tokens.context).lstrip())
        left_out = sum(len(text) for text, is_cut in pieces if is_cut)
        shown = [
            tag("del", cut(text), title="cut off: the teacher did not read this") if is_cut else cut(text)
            for text, is_cut in pieces
        ]
        title = f"The whole context: {left_out:,} characters were cut off (grey, struck through)"
        parts.append(fold(title, tag("pre", *shown, class_="text"), opened=True))
    elif tokens.context_cut:
        parts.append(tag("p", "The prompt lost text to the limit; the whole context is not recorded.", class_="soft"))
    return tag("div", *parts)


def _common_prefix(first: str, second: str) -> int:
    """The length of the common prefix, by bisection: comparing slices is fast."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if first[:middle] == second[:middle] else (low, middle - 1)
    return low


def _common_suffix(first: str, second: str) -> int:
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        same = first[len(first) - middle :] == second[len(second) - middle :]
        low, high = (middle, high) if same else (low, middle - 1)
    return low
