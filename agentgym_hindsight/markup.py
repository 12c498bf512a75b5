"""HTML and SVG as values. Every text is escaped unless it is :class:`Html`, so world text cannot become markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from agentgym_hindsight.printable import printable

__all__ = ["Html", "join", "tag"]

_EMPTY = frozenset({"br", "meta", "link", "hr", "input"})


class Html(str):
    """Markup, which is not escaped again."""

    __slots__ = ()


def join(parts: Iterable[object], separator: str = "") -> Html:
    """The parts joined; those that are plain text are escaped.

    >>> join(["<", Html("<br>")])
    '&lt;<br>'
    """
    return Html(separator.join(part if isinstance(part, Html) else escape(_plain(part)) for part in parts))


def tag(name: str, *children: object, **attributes: object) -> Html:
    r"""One element. ``class_`` is ``class``, ``data_x`` is ``data-x``; ``None`` and ``False`` leave an attribute out.

    Control characters are shown as escapes.

    >>> tag("td", "a < b", class_="n", hidden=None)
    '<td class="n">a &lt; b</td>'
    >>> tag("line", x1=1.0, y1=2.25678)
    '<line x1="1" y1="2.26"></line>'
    >>> print(tag("b", "\x1b[31mred"))
    <b>\x1b[31mred</b>
    """
    attribute_text = "".join(
        f" {_attribute(key)}" if value is True else f' {_attribute(key)}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    end = "" if name in _EMPTY else f"</{name}>"
    return Html(f"<{name}{attribute_text}>{join(children)}{end}")


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _plain(value: object) -> str:
    if isinstance(value, float):  # coordinates: a hundredth of a pixel is precise enough
        return f"{value:.2f}".rstrip("0").rstrip(".")
    # U+FFFE and U+FFFF are no characters: XML, and so SVG, forbids them.
    return printable(str(value)).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
