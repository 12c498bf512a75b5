"""Parsers of a model's response: pure functions, linear in the length of the response.

* :func:`parse_response`: the action that is sent to the environment, and whether the response follows the protocol.
* :func:`action_spans`: which characters of the response belong to the action, for SERL's action-token mask.

They differ intentionally. A parser follows one protocol exactly. The spans tolerate damaged tags: a token of the action
counts as an action token even if its tag is not closed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from agentgym_hindsight.envs.tools import read_action
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.names import is_import_name, known_name
from agentgym_hindsight.wrappers.own_parsers import import_parser, own_format
from agentgym_hindsight.wrappers.short_names import short_names

__all__ = ["PARSERS", "THINKING", "ParsedAction", "action_spans", "format_response", "parse_response", "parser_name"]

# Case folding is limited to ASCII: with Unicode folding "İ" matches "i", and a lower-cased copy can be longer than the
# response, so its offsets would be wrong. All searches below therefore run on the response itself.
_FLAGS = re.IGNORECASE | re.ASCII
_OPEN = re.compile(r"<action>", _FLAGS)
_CLOSE = re.compile(r"</action>", _FLAGS)
#: Worlds whose actions are code or calls of functions, where case matters.
_CASE_SENSITIVE = frozenset({"appworld", "tools"})
#: Labels of a Python code block, in lower case. Blocks with other labels are skipped.
_PYTHON = frozenset({"", "python", "py", "python3"})
_CODE_OPEN, _CODE_CLOSE = "<code>", "</code>"
_CODE_TAIL = 100  # characters that are sent without these tags
_CHINESE = re.compile("[\u4e00-\u9fff]")
_TAGS = re.compile(
    r"(?P<close></action\s*>)|(?P<start><action(?=[\s/>]))|(?P<damaged>\[action>|(?<![\w<\[/])action>)|(?P<end>>)",
    _FLAGS,
)
_CALLS = re.compile(r"(?P<open>(?:search|click)\[)|(?P<close>\])", _FLAGS)
_REACT_PREFIX = re.compile(r"\s*(?:>\s?)?\s*(?:(?P<think>think:)|act:)?\s*", _FLAGS)

# Without action tags, this number of last characters of the response is sent.
_TAILS: Mapping[str, int] = {"webshop": 20}
_TAIL = 30


class ParsedAction(NamedTuple):
    """The action in a response.

    ``span`` gives the characters of the response that contain the action (between the tags, white space included), or
    ``None`` if no action is marked. ``reason`` says why a response is not ``valid``. A ``thought`` is not an
    action.
    """

    text: str
    span: tuple[int, int] | None = None
    valid: bool = True
    reason: str = ""
    thought: bool = False


def parse_response(response: str, parser: str = "verl-agent-2025", *, world: str = "generic") -> ParsedAction:
    """The action in a response, by the rules of the named parser.

    ``verl-agent-2025``
        The lower-cased text between the first ``<action>`` and the first ``</action>``. If a tag is missing, the last
        30 characters are sent (20 in the world ``"webshop"``) and the response is invalid. It is also invalid without
        ``<think>`` and ``</think>``, or with any Chinese character (U+4E00 to U+9FFF).
    ``react-2022``
        The first line that is not blank, without a leading ``>`` and ``act:``. A line ``think: …`` is a thought.
    ``brief``
        As ``verl-agent-2025``, but thinking is optional: only the action tags are required.
    ``short``
        As ``brief``. The action may be a short name, which :class:`~agentgym_hindsight.wrappers.ActionParser` replaces
        by the admissible action: "red" for ``click[red]``, "3" for the click on the third product of a list.
    ``plain``
        The whole response, stripped.
    ``code``
        The content of the first ```` ```python ```` block, with its case and indentation. The block ends with a line
        that begins or ends with ```` ``` ````. Blocks of other languages are skipped. Without such a block the whole
        response is sent and is invalid. A block without an end is also invalid.

    ``code-tags``
        AppWorld's format in SERL's release: the text between the first ``<code>`` and the first ``</code>``, white
        space included. If a tag is missing, the last 100 characters are sent and the response is invalid. It is also
        invalid without ``<think>`` and ``</think>``.

    ``tools``, ``tools-native``
        The tool calls, as :func:`~agentgym_hindsight.envs.tools.read_action` finds them: the text from the first to the
        last call. Without a call the whole reply, which is a message to the user. Thoughts before it
        (``<think>…</think>``) are not sent. A call that cannot be read is invalid, and the whole reply is sent.
    ``code-react``, ``tools-react``
        As ``code`` and ``tools``, but a response that begins with ``think:`` and has no program or call is a thought.

    In the worlds ``"appworld"`` and ``"tools"``, whose actions are code or calls, no parser lower-cases or truncates.

    ``package.module:NAME`` is a function of your own with the arguments ``response`` and ``world``. It returns a
    :class:`ParsedAction`.

    >>> parse_response("<think>near</think><action> Go to Desk 1 </action>")
    ParsedAction(text='go to desk 1', span=(27, 41), valid=True, reason='', thought=False)
    >>> parse_response("go to desk 1").valid
    False
    >>> parse_response("> think: the desk is near", "react-2022").thought
    True
    """
    if not isinstance(response, str):
        raise UsageError(f"Expected the response as text, got {type(response).__name__}; try a str.")
    parse = PARSERS.get(parser)
    if parse is not None:
        return parse(response, world)
    name = parser_name(parser)
    if name in PARSERS:
        return PARSERS[name](response, world)
    return _checked(name, import_parser(name)(response, world), response)


def format_response(action: str, parser: str = "verl-agent-2025", admissible: Sequence[str] = ()) -> str:
    """A response with exactly this action in a parser's format: for experts, random policies and tests.

    With ``"short"``, an action in ``admissible`` is written as its short name.

    A parser of your own may have an attribute ``format_response``, a function from an action to a response. Without it
    the first format of this library is used that the parser reads back unchanged.

    >>> parse_response(format_response("look")).text
    'look'
    """
    name = parser_name(parser)
    if name not in _FORMATS:
        return own_format(name, partial(parse_response, parser=name), _FORMATS.values())(action)
    if name == "short" and action in admissible:
        action = short_names(admissible)[action]
    return _FORMATS[name](action)


def parser_name(name: str) -> str:
    """The name of a parser as the library writes it; an own parser, ``module:NAME``, is imported and checked.

    >>> parser_name("Brief")
    'brief'
    """
    if isinstance(name, str) and is_import_name(name):
        import_parser(name)
        return name
    return known_name("parser", name, PARSERS)


def _checked(name: str, parsed: ParsedAction, response: str) -> ParsedAction:
    """The result of an own parser, with a span within the response, from which training makes the action mask."""
    if not isinstance(parsed, ParsedAction):
        raise UsageError(
            f"Expected a ParsedAction from parser {name!r}, got {type(parsed).__name__}; "
            "try ParsedAction(text), from agentgym_hindsight.wrappers."
        )
    begin, end = parsed.span or (0, 0)
    if not 0 <= begin <= end <= len(response):
        raise UsageError(
            f"Expected a span within the {len(response)} characters of the response from parser {name!r}, "
            f"got {parsed.span}; try (start, end) of the action in the response, or None."
        )
    return parsed


def action_spans(response: str) -> tuple[tuple[int, int], ...]:
    """The spans of the actions in a response, in characters and without the tags; in order, never overlapping.

    1. The inner text of every ``<action …>…</action>``, also if the opening tag is damaged (``[action>``, ``action>``).
    2. Without such a tag: from an unclosed ``<action>`` to the end.
    3. Without that: every ``search[…]`` and ``click[…]``.

    >>> response = "<think>hm</think><ACTION id=1>look</ACTION>"
    >>> [response[start:end] for start, end in action_spans(response)]
    ['look']
    >>> action_spans("so I will search[red shoes] now")
    ((10, 27),)
    >>> action_spans("no action at all")
    ()
    """
    spans, unclosed = _tagged_spans(response)
    if spans:
        return spans
    if unclosed is not None:
        return ((unclosed, len(response)),)
    return _call_spans(response)


def _tagged_spans(response: str) -> tuple[tuple[tuple[int, int], ...], int | None]:
    """The closed spans, and the end of the first undamaged opening tag. Tags inside an open span belong to its text."""
    spans: list[tuple[int, int]] = []
    begin: int | None = None  # start of the open span
    first: int | None = None  # end of the first undamaged opening tag
    pending = False  # inside "<action …", before its ">"
    for match in _TAGS.finditer(response):
        kind = match.lastgroup
        if kind == "start":
            pending = True
        elif kind == "end":
            if pending:
                pending = False
                first = match.end() if first is None else first
                begin = match.end() if begin is None else begin
        elif kind == "damaged":
            if pending:  # "<action action>": this ">" ends the first tag
                pending = False
                first = match.end() if first is None else first
            begin = match.end() if begin is None else begin
        else:
            if begin is not None:
                spans.append((begin, match.start()))
            begin, pending = None, False
    return tuple(spans), first


def _call_spans(response: str) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    begin: int | None = None
    for match in _CALLS.finditer(response):
        if match.lastgroup == "open":
            begin = match.start() if begin is None else begin
        elif begin is not None:
            spans.append((begin, match.end()))
            begin = None
    return tuple(spans)


def _parse_verl_agent(response: str, world: str) -> ParsedAction:
    parsed = _parse_brief(response, world)
    if parsed.span is not None and ("<think>" not in response or "</think>" not in response):
        return parsed._replace(valid=False, reason="no <think>…</think>")
    return parsed


def _parse_brief(response: str, world: str) -> ParsedAction:
    opened, closed = _OPEN.search(response), _CLOSE.search(response)
    if opened is None or closed is None:
        tail = _TAILS.get(world, _TAIL)
        missing = "<action>" if opened is None else "</action>"
        rest = response if world in _CASE_SENSITIVE else response.lower()[-tail:]
        return ParsedAction(rest, None, False, f"no {missing} tag")
    start, end = opened.end(), closed.start()
    end = max(start, end)  # "</action>" comes first: the action is empty
    reason = "Chinese characters" if _CHINESE.search(response) else ""
    text = response[start:end].strip()
    return ParsedAction(text if world in _CASE_SENSITIVE else text.lower(), (start, end), not reason, reason)


def _parse_react(response: str, world: str) -> ParsedAction:
    blank = len(response) - len(response.lstrip())
    stop = response.find("\n", blank)
    line = response[:stop] if stop >= 0 else response
    match = _REACT_PREFIX.match(line)
    assert match is not None  # cannot fail: every part of the prefix is optional
    begin, end = match.end(), len(line.rstrip())
    end = max(begin, end)
    if match["think"]:
        return ParsedAction(f"think: {line[begin:end]}", None, True, "", True)
    if begin == end:
        return ParsedAction("", None, False, "no action")
    return ParsedAction(line[begin:end], (begin, end))


def _parse_plain(response: str, world: str) -> ParsedAction:
    text = response.strip()
    if not text:
        return ParsedAction("", None, False, "no action")
    begin = len(response) - len(response.lstrip())
    return ParsedAction(text, (begin, begin + len(text)))


def _parse_code(response: str, world: str) -> ParsedAction:
    span, closed = _code_block(response)
    if span is None:
        text = response.strip()
        return ParsedAction(text, None, False, "no ```python block" if text else "no action")
    code = response[slice(*span)]
    if not closed:
        return ParsedAction(code, span, False, "the ```python block does not end")
    return ParsedAction(code, span, bool(code.strip()), "" if code.strip() else "no action")


def _parse_code_tags(response: str, world: str) -> ParsedAction:
    opened, closed = response.find(_CODE_OPEN), response.find(_CODE_CLOSE)
    if opened < 0 or closed < 0:
        missing = _CODE_OPEN if opened < 0 else _CODE_CLOSE
        return ParsedAction(response[-_CODE_TAIL:], None, False, f"no {missing} tag")
    start = opened + len(_CODE_OPEN)
    end = max(start, closed)  # "</code>" comes first: the program is empty
    thinks = "<think>" in response and "</think>" in response
    return ParsedAction(response[start:end], (start, end), thinks, "" if thinks else "no <think>…</think>")


def _code_block(response: str) -> tuple[tuple[int, int] | None, bool]:
    """The span of the code in the first Python block, and whether the block ends. One pass over the lines."""
    begin = line_start = 0  # where the block's code and the line start
    inside = is_python = False
    for line in response.split("\n"):
        stripped = line.strip()
        if not inside:
            before, _, label = stripped.partition("```")
            begin = line_start + len(line) + 1
            fence = len(before) < len(stripped) and "`" not in label.lstrip("`") and begin <= len(response)
            is_python = fence and label.strip("` \t").lower() in _PYTHON
            inside = is_python or (fence and not before and " " not in label.strip())
        elif stripped.startswith("```") or stripped.endswith("```"):
            if is_python:
                end = line_start - 1 if stripped.startswith("```") else line_start + line.rindex("```")
                return (begin, max(begin, end - response.endswith("\r", begin, max(begin, end)))), True
            inside = False
        line_start += len(line) + 1
    return ((begin, len(response)), False) if is_python and inside else (None, False)


def _parse_tools(response: str, world: str) -> ParsedAction:
    action = read_action(response)
    if action.span is None:
        return ParsedAction(response.strip(), None, False, action.error)
    return ParsedAction(response[slice(*action.span)], action.span)


def _parse_react_code(response: str, world: str) -> ParsedAction:
    parsed = _parse_code(response, world)
    return parsed if parsed.span is not None else _thought(response) or parsed


def _parse_react_tools(response: str, world: str) -> ParsedAction:
    if "<tool_call>" in response:  # a thought before a call
        return _parse_tools(response, world)
    return _thought(response) or _parse_tools(response, world)


def _thought(response: str) -> ParsedAction | None:
    """The whole response, if it begins with ``think:``."""
    match = _REACT_PREFIX.match(response)
    if match is None or not match["think"]:
        return None
    return ParsedAction(f"think: {response[match.end() :].strip()}", None, True, "", True)


#: How an action is written for each parser.
_FORMATS: Mapping[str, Callable[[str], str]] = {
    "verl-agent-2025": "<think></think><action>{}</action>".format,
    "brief": "<action>{}</action>".format,
    # With the blank, a name has the same tokens as within a line of the prompt, so that a small model can copy it.
    "short": "<action> {}</action>".format,
    "code": "```python\n{}\n```".format,
    "code-tags": "<think></think><code>{}</code>".format,
    "plain": "{}".format,
    "react-2022": "{}".format,
    "tools": "{}".format,
    "tools-native": "{}".format,
    "code-react": "```python\n{}\n```".format,
    "tools-react": "{}".format,
}
#: Parsers by name. Arguments: the response and the name of the world.
PARSERS: Mapping[str, Callable[[str, str], ParsedAction]] = {
    "verl-agent-2025": _parse_verl_agent,
    "react-2022": _parse_react,
    "brief": _parse_brief,
    "short": _parse_brief,
    "plain": _parse_plain,
    "code": _parse_code,
    "code-tags": _parse_code_tags,
    "tools": _parse_tools,
    "tools-native": _parse_tools,
    "code-react": _parse_react_code,
    "tools-react": _parse_react_tools,
}
#: The parsers that know turns in which the agent only thinks.
THINKING = frozenset({"react-2022", "code-react", "tools-react"})
