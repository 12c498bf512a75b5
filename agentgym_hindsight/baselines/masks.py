"""Which tokens of a response are action: from the tokens a policy wrote, without tokenizing anything again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.wrappers.parsing import PARSERS, action_spans

__all__ = ["Decode", "Extractor", "action_tokens", "token_spans", "tool_call_spans"]

#: Token ids to text: ``tokenizer.decode`` without special tokens, or ``PromptEncoder.decode``.
Decode = Callable[[Sequence[int]], str]
#: A text to the character spans in it that are action.
Extractor = Callable[[str], Sequence[tuple[int, int]]]

#: Parsers whose replies carry tags: the spans are read from the text, because a recorded one knows only whole tags.
_TAGGED = ("verl-agent-2025", "brief")
_CALL, _CALL_END = "<tool_call>", "</tool_call>"

#: What a decoder writes for bytes that are no character (yet).
_DAMAGED = "\ufffd"
#: How many tokens are decoded together at least; twice as many are at hand, so that pieces join as in the whole text.
_WINDOW = 16


def token_spans(decode: Decode, ids: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """The text of ``ids``, and for each token the interval of its characters in it.

    A character made by several tokens belongs to each of them. A token without text (the end of the turn, where
    ``decode`` leaves special tokens out) has an empty interval. The text is exactly ``decode(ids)``.

    >>> words = ["go ", "to", "", " desk"]
    >>> token_spans(lambda ids: "".join(words[i] for i in ids), [0, 1, 3, 2])
    ('go to desk', [(0, 3), (3, 5), (5, 10), (10, 10)])
    """
    ids = list(ids)
    text = decode(ids)
    # Windows are right for every decoder that joins tokens from left to right. One that also changes text long past
    # (a clean-up) is noticed, and read once more with all that precedes each token: slower, and right for any.
    spans = _walk(decode, ids, text, _WINDOW)
    if spans is None:
        spans = _walk(decode, ids, text, len(ids))
    return text, spans or []


def _walk(decode: Decode, ids: list[int], text: str, window: int) -> list[tuple[int, int]] | None:
    """The interval of every token, or None where the windows' pieces do not make up ``text``."""
    spans: list[tuple[int, int]] = []
    start = read = 0  # the window is ids[start:]; what lies before ``read`` is known and only there to join on to
    head, base = "", 0  # the known part's text, and where in ``text`` it ends
    done, before = 0, ""  # characters that are complete, and what the window read as one token ago
    for index, token in enumerate(ids):
        seen = decode(ids[start : index + 1])
        if not seen.startswith(head):
            return None
        piece = seen[len(head) :]
        complete = max(done, base + _common(piece, text, base))
        # The bytes of a character yet to be finished read as damage, which the whole text does not show.
        pending = base + len(piece) > complete
        if piece != before:
            spans.append((done, min(len(text), complete + pending)))
        elif piece and decode([token]):  # one more byte of a character that reads the same with and without it
            spans.append((complete, min(len(text), complete + 1)) if pending else (complete - 1, complete))
        else:
            spans.append((complete, complete))
        done, before = complete, piece
        if index + 1 - read >= window and piece and not pending and not piece.endswith(_DAMAGED):
            start, read, base = read, index + 1, complete
            head, before = decode(ids[start:read]), ""
    return spans if done == len(text) else None


def _common(piece: str, text: str, base: int) -> int:
    """How many characters of ``piece`` are those of ``text`` from ``base`` on."""
    if text.startswith(piece, base):
        return len(piece)
    count = 0
    for mine, theirs in zip(piece, text[base : base + len(piece)], strict=False):
        if mine != theirs:
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
    """For every token of a response whether it is action: whether it writes at least one character of it.

    * Where ``parser`` reads tags (``"verl-agent-2025"``, ``"brief"``), the action is what
      :func:`~agentgym_hindsight.wrappers.parsing.action_spans` finds, damaged and unclosed tags included.
    * For the other parsers it is ``span``, as :attr:`Step.action_span` recorded it; without one there is no action.
    * An ``extractor`` says it for agents of another kind, for instance :func:`tool_call_spans`.

    >>> words = ["so: ", "<action>", "look", "</action>", ""]
    >>> action_tokens(lambda ids: "".join(words[i] for i in ids), range(5))
    [False, False, True, False, False]
    """
    if parser not in PARSERS:
        raise UnknownNameError("parser", parser, PARSERS)
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
    """Character spans of the JSON in every ``<tool_call>…</tool_call>``, and in one that was cut off.

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
