"""HTML and SVG as values. Every text is escaped unless it is :class:`Html`, so rollouts cannot inject markup."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

__all__ = ["Html", "clean", "join", "tag"]

# Unsafe in pages and terminals: control characters except tab and newline, lone surrogates, and the marks that reverse
# the direction of text (they could show a number backwards).
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_EMPTY = frozenset({"br", "meta", "link", "hr"})


class Html(str):
    """Markup, which is not escaped again."""

    __slots__ = ()


def clean(value: object) -> str:
    """The text with unsafe characters replaced by U+FFFD.

    >>> clean("a" + chr(27) + "[31mred")
    'a\ufffd[31mred'
    """
    return _UNSAFE.sub("\ufffd", str(value).replace("\r\n", "\n"))


def join(parts: Iterable[object], separator: str = "") -> Html:
    """The parts joined; those that are plain text are escaped.

    >>> join(["<", Html("<br>")])
    '&lt;<br>'
    """
    return Html(separator.join(part if isinstance(part, Html) else escape(_plain(part)) for part in parts))


def tag(name: str, *children: object, **attributes: object) -> Html:
    """One element. ``class_`` is ``class``, ``data_x`` is ``data-x``; ``None`` and ``False`` leave an attribute out.

    >>> tag("td", "a < b", class_="n", hidden=None)
    '<td class="n">a &lt; b</td>'
    >>> tag("line", x1=1.0, y1=2.25678)
    '<line x1="1" y1="2.26"></line>'
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
    return clean(value)
