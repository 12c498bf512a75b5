"""The observation of a page in one of the modes ``text``, ``text_rich``, ``quoted``, ``html`` or ``url``.

``quoted`` is the text of SERL's release: the parts of ``text`` after the instruction, each in single quotes. The other
two text modes equal the original's byte for byte. They are joined from the nodes of the page, without HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentgym_hindsight.envs.webshop.html_page import page_html
from agentgym_hindsight.envs.webshop.page_contents import item_path, nodes_of, url_of
from agentgym_hindsight.envs.webshop.pages import BUTTON, ITEM, LINK, TEXT, Node
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.errors import UnknownNameError

__all__ = ["MODES", "observe", "observe_released"]

_SEPARATOR = " [SEP] "


def observe(session: Session, mode: str = "text") -> str:
    """The page that a session is on, in one of the modes."""
    try:
        return _MODES[mode](session)
    except KeyError:
        if mode in _MODES:
            raise
        raise UnknownNameError("observation mode", mode, MODES) from None


def _text(session: Session) -> str:
    nodes = nodes_of(session)
    if session.strict and session.state.options and session.state.kind == ITEM:
        chosen = set(session.state.options)
        return _SEPARATOR.join(
            f"{node.text.strip()} (selected)" if (node.axis, node.value) in chosen else node.text.strip()
            for node in nodes
        )
    return _original_text(session)


def _original_text(session: Session) -> str:
    return _SEPARATOR.join([node[1].strip() for node in nodes_of(session)])


def observe_released(session: Session) -> str:
    """The page in the text of SERL's release, also under strict rules: chosen options are not marked."""
    return _quote(session, _original_text(session))


def _quoted(session: Session) -> str:
    return _quote(session, _text(session))


def _quote(session: Session, page: str) -> str:
    if session.done:
        return page  # the last page has no instruction, and the release leaves it as it is
    parts = page.split(_SEPARATOR)
    instruction = session.goal.instruction.strip()
    start = parts.index(instruction) + 1 if instruction in parts else 0
    return _SEPARATOR.join(f"'{part}'" for part in parts[start:])


def _text_rich(session: Session) -> str:
    head, lines = "", []
    opened = {session.shop.products[position].asin for position in session.state.opened}
    clicked = _clicked(session)
    for node in nodes_of(session):
        role, text = node.role, node.text
        if role == TEXT:
            lines.append(text)
        elif role == BUTTON:
            lines.append(f"[button] {text} [button_]")
        elif role == LINK:
            mark = "clicked button" if text in opened else "button"
            lines.append(f"\n[{mark}] {text} [{mark}_]")
        elif clicked(node):
            lines.append(f"  [clicked button] {text} [clicked button_]")
            head = f"You have clicked {text}.\n{head}"
        else:
            lines.append(f"  [button] {text} [button_]")
    return head + "\n".join(lines) + "\n"


def _clicked(session: Session) -> Callable[[Node], bool]:
    state = session.state
    if session.strict:
        chosen = set(state.options)
        return lambda node: (node.axis, node.value) in chosen
    # The original searches the address for the quoted value. It misses values that JSON escapes, and it also matches
    # names of axes and quoted words of the query.
    path = item_path(session)
    return lambda node: f'"{node.text}"' in path


_MODES: Mapping[str, Callable[[Session], str]] = {
    "text": _text,
    "text_rich": _text_rich,
    "quoted": _quoted,
    "html": page_html,
    "url": url_of,
}
#: Every observation mode.
MODES: tuple[str, ...] = tuple(_MODES)
