"""Masks of action tokens, computed from the sampled token ids. No text is tokenized again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.wrappers.parsing import action_spans, parser_name

__all__ = ["Decode", "Extractor", "action_tokens", "token_spans", "tool_call_spans"]

#: Token ids to text: ``tokenizer.decode`` without special tokens, or ``PromptEncoder.decode``.
Decode = Callable[[Sequence[int]], str]
#: Text to the character spans of its actions.
Extractor = Callable[[str], Sequence[tuple[int, int]]]

#: Parsers of tagged replies. Their spans are read from the text, because recorded spans cover only complete tags.
_TAGGED = ("verl-agent-2025", "brief")
_CALL, _CALL_END = "<tool_call>", "</tool_call>"

#: A decoder writes this for bytes that do not (yet) form a character.
_DAMAGED = "\ufffd"
#: At least this many tokens are decoded together, after up to as many tokens of context, so that they are joined as in
#: the whole text.
_WINDOW = 16
#: After this many windows of tokens without a whole character, the next window begins all the same.
_LONGEST = 4


def token_spans(decode: Decode, ids: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """The text of ``ids``, and for each token the interval of its characters in that text.

    A character made by several tokens belongs to each of them. A token without text (such as the end of the turn, if
    ``decode`` skips special tokens) has an empty interval. The text is exactly ``decode(ids)``.

    >>> words = ["go ", "to", "", " desk"]
    >>> token_spans(lambda ids: "".join(words[i] for i in ids), [0, 1, 3, 2])
    ('go to desk', [(0, 3), (3, 5), (5, 10), (10, 10)])
    """
    ids = list(ids)
    text = decode(ids)
    # Windows are exact for every decoder that joins tokens from left to right. A decoder that also changes earlier text
    # (a clean-up step) is detected; then each token is decoded with all tokens before it, which is slower but always
    # exact.
    spans = _spans_by_windows(decode, ids, text, _WINDOW)
    if spans is None:
        spans = _spans_by_windows(decode, ids, text, len(ids))
    return text, spans or []


def _spans_by_windows(decode: Decode, ids: list[int], text: str, window: int) -> list[tuple[int, int]] | None:
    """The interval of every token, or None if the decoded windows do not add up to ``text``."""
    spans: list[tuple[int, int]] = []
    start = read = 0  # the window is ids[start:]; its tokens before ``read`` are only context
    head, base = "", 0  # the text of this context, and its end in ``text``
    complete_before, previous_piece = 0, ""  # both of the previous token: complete characters, and the piece
    for index, token in enumerate(ids):
        window_text = decode(ids[start : index + 1])
        if not window_text.startswith(head):
            return None
        piece = window_text[len(head) :]
        complete = max(complete_before, base + _common_prefix(piece, text, base))
        # Bytes of an unfinished character decode to a replacement character, which the whole text does not have.
        pending = base + len(piece) > complete
        if piece != previous_piece:
            spans.append((complete_before, min(len(text), complete + pending)))
        elif piece and decode([token]):  # one more byte of a character; the text is the same with and without it
            spans.append((complete, min(len(text), complete + 1)) if pending else (complete - 1, complete))
        else:
            spans.append((complete, complete))
        complete_before, previous_piece = complete, piece
        waited = index + 1 - read
        damaged = piece.endswith(_DAMAGED)
        if waited >= window and piece and not pending and (not damaged or waited >= _LONGEST * window):
            # A replacement character at the end may be a character of which more bytes follow: it stays in the piece.
            # A long row of bytes that are no text needs a new window too: else each token is decoded with all of it.
            previous_piece = piece[-1:] if damaged else ""
            start, read, base = read, index + 1, complete - len(previous_piece)
            head = decode(ids[start:read])
            head = head[: len(head) - len(previous_piece)]
    return spans if complete_before == len(text) else None


def _common_prefix(piece: str, text: str, base: int) -> int:
    """The length of the common prefix of ``piece`` and ``text[base:]``."""
    if text.startswith(piece, base):
        return len(piece)
    count = 0
    for character, expected in zip(piece, text[base : base + len(piece)], strict=False):
        if character != expected:
            break
        count += 1
    return count


def action_tokens(
    decode: Decode,
    ids: Sequence[int],
    *,
    parser: str = "verl-agent-2025",
    span: tuple[int, int] | None = None,
    extractor: Extractor | None = None,
) -> list[bool]:
    """For every token of a response, whether it is an action token: whether it contains a character of the action.

    * Parsers of tags (``"verl-agent-2025"``, ``"brief"``): the action is what
      :func:`~agentgym_hindsight.wrappers.parsing.action_spans` finds, damaged and unclosed tags included.
    * Other parsers: the action is ``span``, as recorded in :attr:`Step.action_span`; without it there is no action.
    * ``extractor`` replaces both, for other kinds of agents; for instance :func:`tool_call_spans`.

    >>> words = ["so: ", "<action>", "look", "</action>", ""]
    >>> action_tokens(lambda ids: "".join(words[i] for i in ids), range(5))
    [False, False, True, False, False]
    """
    parser = parser_name(parser)
    text, intervals = token_spans(decode, ids)
    if extractor is not None:
        spans = extractor(text)
    elif parser in _TAGGED:
        spans = action_spans(text)
    else:
        spans = () if span is None else (span,)
    marked = bytearray(len(text))
    for begin, end in spans:
        if not 0 <= begin <= end <= len(text):
            raise UsageError(
                f"Expected spans within the {len(text)} characters of the decoded response, got ({begin}, {end}); "
                "try the decoder that made the recorded response."
            )
        marked[begin:end] = b"\x01" * (end - begin)
    return [marked.find(1, begin, end) >= 0 for begin, end in intervals]


def tool_call_spans(text: str) -> tuple[tuple[int, int], ...]:
    """Character spans of the JSON in every ``<tool_call>…</tool_call>``; an unclosed tag at the end counts.

    >>> text = '<tool_call> {"name": "act"} </tool_call> and <tool_call>{"na'
    >>> [text[begin:end] for begin, end in tool_call_spans(text)]
    ['{"name": "act"}', '{"na']
    """
    spans = []
    opened = text.find(_CALL)
    while opened >= 0:
        begin, closed = opened + len(_CALL), text.find(_CALL_END, opened)
        end = closed if closed >= 0 else len(text)
        inner = text[begin:end].strip()
        if inner:
            begin = text.index(inner, begin)
            spans.append((begin, begin + len(inner)))
        opened = text.find(_CALL, end)
    return tuple(spans)
